"""Names of code in backticks on the pages exist: dotted names of our packages, and attributes of our classes."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("dsl", "giornata", "jobs", "dags", "stack", "bench", "plugins")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMED = [
    (page.relative_to(ROOT).as_posix(), name)
    for page in PAGES
    if page.name != "CHANGELOG.md"
    for name in dict.fromkeys(
        re.findall(r"`([A-Za-z_][\w.]*\.\w+)(?:\(\))?`", page.read_text(encoding="utf-8"))
    )
]
TABLES = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "sql" / "cassandra").glob("*.cql"))
FILE_ENDINGS = ("py", "md", "yaml", "sql", "toml", "txt", "in", "cql", "json", "conf", "xml", "gz", "zip")


def names_of(body: list[ast.stmt]) -> set[str]:
    """The names that statements define or import, without those inside of functions."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {
                name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
        elif isinstance(node, ast.If | ast.Try | ast.With):
            found |= names_of(node.body) | names_of(getattr(node, "orelse", []))
    return found


@cache
def classes() -> dict[str, set[str]]:
    """The members of our classes by the class's name; those of classes with one name together."""
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    fields = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
                    found.setdefault(node.name, set()).update(names_of(node.body), fields)
    return found


def exists(name: str) -> bool:
    """Whether `package.module.name`, `package.module.Class.name` or a table of Cassandra is there."""
    parts = name.split(".")
    if f"CREATE TABLE IF NOT EXISTS {name} (" in TABLES:
        return True
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        file = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
        if file.is_file():
            rest = parts[length:]
            defined = names_of(ast.parse(file.read_text(encoding="utf-8")).body)
            return not rest or (
                rest[0] in defined and (len(rest) < 2 or rest[1] in classes().get(rest[0], set()))
            )
    return False


@pytest.mark.parametrize(("page", "name"), [each for each in NAMED if each[1].split(".")[0] in PACKAGES])
def test_a_dotted_name_of_a_package_exists(page: str, name: str) -> None:
    if name.rpartition(".")[2] not in FILE_ENDINGS:
        assert exists(name), f"{page} names {name}"


@pytest.mark.parametrize(
    ("page", "name"), [each for each in NAMED if re.fullmatch(r"[A-Z][a-z]\w*\.[a-z_]\w*", each[1])]
)
def test_an_attribute_of_a_class_exists(page: str, name: str) -> None:
    class_, attribute = name.split(".")
    if attribute in FILE_ENDINGS or class_ in ELSEWHERE:
        return
    assert class_ in classes(), f"{page} names {name}"
    assert attribute in classes()[class_], f"{page} names {name}"


ELSEWHERE = {"TorchDistributor"}
"""Classes of libraries, whose attributes pages may name."""


def test_names_that_do_not_exist_are_found() -> None:
    assert exists("giornata.models.base.ModelType")
    assert exists("giornata.scorer.Scorer.rows")
    assert not exists("giornata.models.base.Fitted")
    assert not exists("giornata.scorer.Scorer.answer_all")
    assert "Fitted" not in classes()
    assert len(NAMED) > 30
