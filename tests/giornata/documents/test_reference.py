"""The reference of the documents has a table of keys for each block, with defaults and choices, and a valid example."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from giornata.documents import FeatureGroup, ModelSpec, Project, Table, model, resources
from giornata.documents import feature_group as group
from giornata.documents.base import WRITTEN
from giornata.models.search_space import Dimension
from giornata.schema import Bounds

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "documents.md").read_text()
SECTIONS = {
    title.replace("`", ""): text
    for title, text in re.findall(r"^##+ ([^\n]+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
BLOCKS: dict[str, type[BaseModel]] = {
    "project.yaml": Project,
    "resources of jobs": resources.StageResources,
    "Executors of a job": resources.JobResources,
    "tables/<name>.yaml": Table,
    "features/<name>.yaml": FeatureGroup,
    "A feature": group.Feature,
    "events": group.Events,
    "window": group.Window,
    "models/<name>.yaml": ModelSpec,
    "data": model.Data,
    "label": model.Label,
    "split": model.Split,
    "bounds": Bounds,
    "partition": model.Partition,
    "search": model.Search,
    "A dimension of the search space": Dimension,
    "resources": resources.Resources,
    "deploy": model.Deploy,
    "score": model.Score,
    "online": model.Online,
    "moments": model.RequestMoments,
    "monitor": model.Monitor,
    "An alert": model.Alert,
}
COMPUTED = {("models/<name>.yaml", "quantiles"), ("partition", "sets")}
"""Defaults that properties of ModelSpec give, where the field is None."""


def rows(section: str) -> dict[str, tuple[str, str]]:
    """Type and default of each key in a section's table of keys."""
    lines = re.findall(r"^\| `([^`]+)` \| (.*?) \| (.*?) \| .+ \|$", SECTIONS[section], re.MULTILINE)
    return {key: (kind, default) for key, kind, default in lines}


def fields(document: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in document.model_fields.items()}


KEYS = [(section, key) for section, document in BLOCKS.items() for key in fields(document)]


@pytest.mark.parametrize("section", BLOCKS)
def test_a_block_has_a_row_for_each_key_and_for_nothing_else(section: str) -> None:
    assert set(rows(section)) == set(fields(BLOCKS[section]))


def test_an_expectation_has_a_row_for_its_name_and_its_policy() -> None:
    assert rows("expect") == {
        "expect_…": ("mapping of arguments", "required"),
        "policy": ("`fail`, `quarantine` or `warn`", "`fail`"),
    }
    assert group.Expectation.model_fields["policy"].default == "fail"
    assert literals(group.Policy) == ["fail", "quarantine", "warn"]


def test_every_block_that_a_document_can_hold_has_a_section() -> None:
    found: set[type] = set()
    waiting: list[Any] = [Project, Table, FeatureGroup, ModelSpec]
    while waiting:
        each = waiting.pop()
        if not (isinstance(each, type) and issubclass(each, BaseModel)):
            waiting += get_args(each)
        elif each not in found:
            found.add(each)
            waiting += [field.annotation for field in each.model_fields.values()]
    assert found - {group.Expectation} == set(BLOCKS.values())


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_the_default_is_that_of_the_code(section: str, key: str) -> None:
    field, (_, shown) = fields(BLOCKS[section])[key], rows(section)[key]
    assert (shown == "required") == field.is_required()
    if field.is_required() or (section, key) in COMPUTED:
        return
    default = field.get_default(call_default_factory=True)
    if default is None:
        assert not re.fullmatch(r"`[^`]*`", shown), "the code has no default"
    elif default in ({}, []):
        assert shown == "none"
    elif isinstance(default, BaseModel):
        assert not re.search(r"`", shown)
        assert default == type(default)()
    else:
        (written,) = re.fullmatch(r"`([^`]+)`", shown).groups()
        adapter = TypeAdapter(Annotated[field.annotation, key, *field.metadata])
        assert adapter.validate_python(yaml.safe_load(written)) == default


def test_defaults_that_the_code_computes() -> None:
    assert str(model.SETS) in rows("partition")["sets"][1]
    document = ModelSpec.model_validate(examples("models/<name>.yaml")[0] | {"task": "quantile"})
    assert str(document.shares) in rows("models/<name>.yaml")["quantiles"][1]


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_the_choices_are_those_of_the_code(section: str, key: str) -> None:
    choices, (shown, _) = literals(fields(BLOCKS[section])[key].annotation), rows(section)[key]
    if choices and "column type" not in shown:
        assert re.findall(r"`([^`]+)`", shown) == choices


@pytest.mark.parametrize("section", [*BLOCKS, "Sliding windows"])
def test_the_example_is_valid(section: str) -> None:
    documents = examples(section)
    assert documents
    for document in documents:
        BLOCKS.get(section, FeatureGroup).model_validate(document, context=WRITTEN)


def test_the_expectation_is_valid() -> None:
    (document,) = examples("expect")
    for expectation in document:
        group.Expectation.model_validate(expectation, context=WRITTEN)


def examples(section: str) -> list[Any]:
    """The YAML of a section, without the key that it stands under."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", SECTIONS[section], re.MULTILINE | re.DOTALL)
    documents = [yaml.safe_load(block) for block in blocks]
    return [next(iter(each.values())) if len(each) == 1 else each for each in documents]


def literals(annotation: Any) -> list[str]:
    """The words of a Literal, or of one that may also be None or in a list."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [word for each in get_args(annotation) for word in literals(each)]
