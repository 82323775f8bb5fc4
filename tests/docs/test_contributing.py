"""The pages for those who change Giornata name files, modules and pages that there are."""

import ast
import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMING = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs" / "architecture.md",
    ROOT / "docs" / "glossary.md",
    *sorted((ROOT / "docs" / "contributing").glob("*.md")),
]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TOP = ("bench", "dags", "docs", "dsl", "giornata", "jobs", "plugins", "projects", "sql", "stack", "tests")


def of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def tracked() -> frozenset[str]:
    """The files of the tree, and their folders: what builds and caches leave there is not in it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [file for file in listed.stdout.splitlines() if (ROOT / file).exists()]
    return frozenset(files) | {str(parent) for file in files for parent in Path(file).parents}


def quoted(page: Path) -> Iterator[str]:
    """The text in backticks on a page, without commands in blocks."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return (match[1] for match in re.finditer(r"`([^`\n]+)`", text))


def files_of(page: Path) -> list[str]:
    """The files and folders that a page names: `jobs/train.py`, `sql/hive/`, `pyproject.toml`."""
    words = [word for span in quoted(page) for word in span.split()]
    return [
        word.rstrip("/")
        for word in words
        if re.fullmatch(rf"(?:{'|'.join(TOP)}|\.ci)/[\w./-]*", word)
        or re.fullmatch(r"[A-Za-z]+\.(?:md|toml)|requirements\.(?:in|txt)|Makefile", word)
    ]


def modules_of(page: Path) -> list[str]:
    """The modules, and what is in them, that a page names: `giornata.names.dag_id`."""
    return [span for span in quoted(page) if re.fullmatch(rf"(?:{'|'.join(TOP)})(?:\.\w+)+", span)]


@pytest.mark.parametrize("page", NAMING, ids=of)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    assert [name for name in files_of(page) if name not in tracked()] == []


@pytest.mark.parametrize("page", [page for page in NAMING if page.parent.name == "contributing"], ids=of)
def test_what_a_page_says_is_in_a_file_is_in_a_file_that_it_names(page: Path) -> None:
    """Such as `TYPES`, `spark_dag` and `require_editor`; single words may be of the documents."""
    wanted = {span for span in quoted(page) if re.fullmatch(r"_?[A-Z]{3,}[A-Z_]*|[a-z]+(?:_[a-z]+)+", span)}
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in files_of(page) if (ROOT / name).is_file()]
    assert [
        word for word in sorted(wanted) if not any(re.search(rf"\b{word}\b", text) for text in texts)
    ] == []


def test_many_files_are_named() -> None:
    assert min(len(files_of(page)) for page in NAMING if page.name not in ("README.md", "glossary.md")) >= 5


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_every_module_that_a_page_names_exists(page: Path) -> None:
    assert [name for name in modules_of(page) if not there_is(name)] == []


def there_is(name: str) -> bool:
    """Whether a dotted name is a module of the tree, something that one defines, or a table of Cassandra.

    Read and not imported: some modules bring Airflow or Spark with them.
    """
    return _module(name) is not None or name in tables() or _defines(name)


def _module(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def _defines(name: str) -> bool:
    holder, _, member = name.rpartition(".")
    module = _module(holder)
    if module:
        body = ast.parse(module.read_text(encoding="utf-8")).body
    else:
        within, _, cls = holder.rpartition(".")
        module = _module(within) if within else None
        tree = ast.parse(module.read_text(encoding="utf-8")) if module else ast.Module([], [])
        body = [
            each
            for node in tree.body
            if isinstance(node, ast.ClassDef) and node.name == cls
            for each in node.body
        ]
    return member in set(_names(body))


def _names(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)


@cache
def tables() -> frozenset[str]:
    """Giornata's own tables in Cassandra."""
    files = (ROOT / "sql" / "cassandra").glob("*.cql")
    return frozenset(
        table
        for file in files
        for table in re.findall(r"CREATE TABLE IF NOT EXISTS (giornata\.\w+)", file.read_text())
    )


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]+`", "", text)
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            lost.append(target)
    assert lost == []


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings as GitHub makes them; the build of the site looks for its own."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+?)\s*$", text, flags=re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return frozenset(re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in plain)


GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")


def test_the_glossary_is_in_order_and_says_where_each_term_is_treated() -> None:
    entries = re.findall(r"^## (.+)\n\n((?:.+\n)+)", GLOSSARY, flags=re.MULTILINE)
    terms = [term for term, _ in entries]
    assert len(terms) == GLOSSARY.count("\n## ") > 60
    assert terms == sorted(set(terms), key=str.lower)
    assert [term for term, text in entries if not re.search(r"\]\((?!#)|`(?:giornata|jobs)/", text)] == []
    assert [term for term, text in entries if text.splitlines()[0].count(". ")] == []
