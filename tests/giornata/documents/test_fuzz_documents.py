"""The example's files, changed at random: each is in order and can be kept, or has problems with places."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from giornata.documents import ProjectDocuments, load_project
from giornata.errors import DocumentErrors

EXAMPLE = Path(__file__).parents[3] / "projects" / "flights"
FILES = sorted(
    path.relative_to(EXAMPLE).as_posix()
    for kind in ("*.yaml", "*.sql", "*.py")
    for path in EXAMPLE.rglob(kind)
)
CASES = 5_000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 25

ODD = [
    "", " ", "\n", "\t", "\r", "\0", "\x07", "\x85", "\u2028", "\ufeff", "\u202e", "é", "\U0001f680", "~", "null",
    "true", "0", "-1", "1e999", "-1e999", "1e-400", ".inf", ".nan", "9" * 25, "9" * 5_000, "0." + "1" * 5_000, "0x1f",
    "12:30", "2013-13-01", "0001-01-01", "999999d", "1d", "-3d", "20%", "200%", "9" * 400 + "%", "- ", ": ", "? ", "# ",
    "|", ">", "'", '"', '"\\ud800"', '"\\ud83d\\ude80"', '"\\UFFFFFFFF"', '"\\x00"', "[", "]", "{", "}", "{}", "[]",
    "[" * 2_000, "{a: " * 2_000, "- " * 2_000, "&a ", "*a", "!!python/object:os.system ", "<<: *a", "---\n", "...\n",
    "%YAML 1.1\n---\n", "%YAML 9.9\n---\n", "(" * 3_000, "-" * 3_000, "not " * 3_000, "lambda: " * 300, "row.",
    "store.", "row.row", "store.plane.event_age", "udfs.", "udfs.rush(", "event_age", "event_time", "day", "None",
    "a@b@c", "a@example.org.", "expect_column_values_to_be_in_set", "policy", "name", "arguments",
]  # fmt: skip
VALUES = [
    None, True, False, 0, -1, 10**30, 2**63, 0.5, -0.0, 1e308, "", " ", "x", "9" * 400, "20%", "1d", "36500d", "36501d",
    "é", "\U0001f680", "\x07", "2013-01-01", [], {}, [[]], [{}], {"": {}}, {"a": [1, {"b": None}]}, ["x", "x"],
]  # fmt: skip


@st.composite
def changed_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with some bytes taken out, put in, replaced, or put twice."""
    start = draw(st.integers(0, len(content)))
    end = min(len(content), start + draw(st.integers(0, 12)))
    new = draw(
        st.sampled_from(ODD).map(lambda text: text.encode("utf-8", "surrogatepass"))
        | st.binary(max_size=3)
        | st.just(content[start:end] * 2)
    )
    return content[:start] + new + content[end:]


@st.composite
def changed_structure(draw: st.DrawFn, content: bytes) -> bytes:
    """The YAML with one value replaced, taken out, put under another key, or replaced by another of its values."""
    data = yaml.safe_load(content)
    places = list(_places(data, ()))
    place, other = draw(st.sampled_from(places)), draw(st.sampled_from(places))
    parent = _at(data, place[:-1])
    change = draw(st.sampled_from(("replace", "remove", "rename", "copy")))
    if change == "replace":
        parent[place[-1]] = draw(st.sampled_from(VALUES))
    elif change == "copy":
        parent[place[-1]] = _at(data, other)
    elif change == "remove" or not isinstance(parent, dict):
        del parent[place[-1]]
    else:
        parent[draw(st.sampled_from([*ODD, "count", "mean", "min_rows"]))] = parent.pop(place[-1])
    try:
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode()
    except (ValueError, RecursionError):  # a value that holds itself
        return content


def _places(data: Any, path: tuple[Any, ...]) -> Any:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _places(value, (*path, key))


def _at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example."""
    copied = tmp_path_factory.mktemp("projects") / "flights"
    shutil.copytree(EXAMPLE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    return copied


@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_changed_documents_are_in_order_or_have_problems_with_places(
    folder: Path, data: st.DataObject
) -> None:
    file = folder / data.draw(st.sampled_from(FILES))
    kept = content = file.read_bytes()
    if file.suffix == ".yaml" and data.draw(st.booleans()):
        content = data.draw(changed_structure(content))
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            content = data.draw(changed_bytes(content))
    try:
        file.write_bytes(content)
        documents = load_project(folder)
    except DocumentErrors as errors:
        _check_problems(folder, errors)
    else:
        _check_kept(documents)
    finally:
        file.write_bytes(kept)


def _check_problems(folder: Path, errors: DocumentErrors) -> None:
    assert errors.problems
    assert len(set(errors.problems)) == len(errors.problems)
    for problem in errors.problems:
        file = Path(problem.file)
        assert file.is_relative_to(folder)
        assert file.is_file()
        assert problem.message
        lines = file.read_bytes().decode("utf-8", "replace").splitlines()
        assert 1 <= problem.line <= max(1, len(lines)) + 1
        assert 1 <= problem.column <= max(map(len, ["", *lines])) + 2
        str(problem).encode()


def _check_kept(documents: ProjectDocuments) -> None:
    kinds = (documents.tables, documents.groups, documents.models)
    for document in (documents.project, *(each for kind in kinds for each in kind.values())):
        assert type(document).model_validate_json(document.model_dump_json()) == document
