"""The tree of errors drawn in `giornata.errors` is that of the code: every exception class, once, where it stands."""

import ast
import builtins
import re
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from giornata import errors
from giornata.documents.base import MisplacedError
from giornata.errors import GiornataError

ROOT = Path(errors.__file__).parents[1]
FOLDERS = ("dsl", "giornata", "jobs", "stack", "dags", "plugins")
LINE = re.compile(r"(?P<lead>(?: {4})+)(?P<name>\w+)(?:: [^()]+)?(?: \((?P<module>[\w.]+)\))?")
CONTROL_FLOW = {"Cancelled", "_Late", "_TooLongError"}


class Place(NamedTuple):
    """Where a class lives, and the own class that it derives from first."""

    module: str
    parent: str


def drawn() -> dict[str, Place]:
    found: dict[str, Place] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if not line.startswith("    "):
            continue
        match = LINE.fullmatch(line)
        assert match, f"{line!r} is no line of the drawing"
        depth = len(match["lead"]) // 4 - 1
        above = [*above[:depth], match["name"]]
        assert len(above) == depth + 1, f"{match['name']} is drawn too far in"
        assert match["name"] not in found, f"{match['name']} is drawn twice"
        found[match["name"]] = Place(match["module"] or errors.__name__, above[-2] if depth else "")
    return found


def is_builtin_exception(name: str) -> bool:
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)


@cache
def defined() -> list[tuple[str, str, list[str]]]:
    """Name, module and bases of every exception class in the code, also inside of functions; nothing is imported."""
    classes = [
        (
            node.name,
            ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"),
            [ast.unparse(base).rpartition(".")[2] for base in node.bases],
        )
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    exceptions: set[str] = set()
    while True:
        more = {
            name
            for name, _, bases in classes
            if name.endswith(("Error", "Errors"))
            or any(base in exceptions or is_builtin_exception(base) for base in bases)
        }
        if more == exceptions:
            return [each for each in classes if each[0] in exceptions]
        exceptions = more


def test_every_exception_class_has_a_name_of_its_own():
    counts = Counter(name for name, _, _ in defined())
    assert [name for name, count in counts.items() if count > 1] == []
    assert len(counts) > 30


def test_the_drawing_shows_every_exception_class_where_it_stands():
    code = {name: (module, bases) for name, module, bases in defined()}
    drawing = drawn()
    assert drawing.pop("BaseException").parent == ""
    assert drawing.keys() == code.keys()
    for name, place in drawing.items():
        module, bases = code[name]
        assert place.module == module
        if name == "Cancelled":
            assert bases == ["KeyboardInterrupt"]
        elif name != "GiornataError":
            assert bases[0] == place.parent


def test_all_but_control_flow_is_a_giornata_error():
    drawing = drawn()

    def root(name: str) -> str:
        return root(drawing[name].parent) if drawing[name].parent else name

    beside = {name for name in drawing if root(name) != "GiornataError"}
    assert beside == {"BaseException", *CONTROL_FLOW}


@pytest.mark.parametrize("name", sorted(drawn().keys() - {"BaseException"}))
def test_classes_are_what_their_place_says(name):
    module = import_module(drawn()[name].module)
    assert issubclass(getattr(module, name), BaseException if name in CONTROL_FLOW else GiornataError)
    assert name not in CONTROL_FLOW or not issubclass(getattr(module, name), Exception)


def test_pydantic_collects_what_a_validator_says():
    assert issubclass(MisplacedError, ValueError)
