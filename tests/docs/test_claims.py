"""Every claim has a way to see it and names a test that is in the tree."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
ROWS = [
    re.split(r" \| ", line.strip("| "))
    for line in PAGE.splitlines()
    if line.startswith("| ") and not re.match(r"\| (---|capability) ", line)
]


def test_every_line_of_the_tables_is_a_claim() -> None:
    assert len(ROWS) > 60
    assert [row for row in ROWS if len(row) != 3 or not all(row)] == []
    assert len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("claim", "test"), [(row[0], row[-1]) for row in ROWS], ids=range(len(ROWS)))
def test_the_test_of_a_claim_exists(claim: str, test: str) -> None:
    named = re.fullmatch(r"`(tests/(?:\w+/)*test_\w+\.py)::(test_\w+)`", test)
    assert named, f"{claim}: name one test, `tests/….py::test_…`, instead of {test}"
    assert named[2] in functions_of(named[1]), f"{claim}: {named[1]} has no {named[2]}"


@cache
def functions_of(path: str) -> frozenset[str]:
    """The functions of a file, read and not run; none where there is no file."""
    file = ROOT / path
    if not file.exists():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_queries_that_are_shown_are_there() -> None:
    files = re.findall(r"FILE=(\S+)", PAGE)
    assert len(files) > 5
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_commands_that_are_shown_are_commands() -> None:
    """They are looked up where they are declared: `giornata` itself would load the libraries of all of them."""
    found = [
        re.findall(r'@app\.command\((?:name="([\w-]+)")?\)\ndef (\w+)', file.read_text(encoding="utf-8"))
        for file in (ROOT / "giornata" / "cli").glob("*.py")
    ]
    declared = {named or function for each in found for named, function in each}
    shown = set(re.findall(r"`giornata ([a-z][a-z-]*)", PAGE))
    assert shown >= {
        "check",
        "explain",
        "features",
        "models",
        "show",
        "deploy",
        "rollback",
        "train",
        "run",
        "remove",
    }
    assert shown <= declared
