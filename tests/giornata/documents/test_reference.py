"""The reference of the documents names every key that a document may have, and marks those it must have."""

import re
from pathlib import Path

import pytest

from giornata.documents import FeatureGroup, ModelSpec, Project, Table

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "documents.md").read_text()
SECTIONS = dict(re.findall(r"^## `([a-z]+)[./][^\n]*\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize(
    ("section", "document"),
    [("project", Project), ("tables", Table), ("features", FeatureGroup), ("models", ModelSpec)],
)
def test_every_key_is_in_the_reference(section, document):
    listed = {}
    for cell in re.findall(r"^\| (`.*?) \|", SECTIONS[section], re.MULTILINE):
        listed |= {name: star == "*" for name, star in re.findall(r"`(\w+)`(\*?)", cell)}
    assert listed == {name: field.is_required() for name, field in document.model_fields.items()}
