"""The reference of the documents names every key that a document may have, and marks those it must have."""

import re
from pathlib import Path

import pytest

from giornata.documents import FeatureGroup, ModelSpec, Project, Table
from giornata.documents.feature_group import Events, Window

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "documents.md").read_text()
SECTIONS = dict(re.findall(r"^## `([a-z]+)[./][^\n]*\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize(
    ("section", "document"),
    [("project", Project), ("tables", Table), ("features", FeatureGroup), ("models", ModelSpec)],
)
def test_every_key_is_in_the_reference(section, document):
    assert listed(SECTIONS[section]) == {
        field.alias or name: field.is_required() for name, field in document.model_fields.items()
    }


def test_every_key_of_events_and_every_function_of_a_window_is_in_the_reference():
    section = PAGE.split("### Sliding windows")[1].split("\n## ")[0]
    events, functions = section.split("| function | value")
    assert listed(events) == {
        field.alias or field.alias or name: field.is_required() for name, field in Events.model_fields.items()
    }
    assert listed(functions).keys() == Window.model_fields.keys() - {"over", "share"}


def listed(section: str) -> dict[str, bool]:
    """The names in the first column of a section's tables, and whether they are marked as necessary."""
    found = {}
    for cell in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE):
        found |= {name: star == "*" for name, star in re.findall(r"`(\w+)`(\*?)", cell)}
    return found
