"""The source of a feature group as text: the query or the code next to its document, with imported project files."""

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pydantic import Field

from giornata import names
from giornata.documents.feature_group import Source
from giornata.schema import Document

if TYPE_CHECKING:
    from giornata.documents.project_documents import ProjectDocuments

__all__ = ["GroupSource", "read_source"]


class GroupSource(Document):
    """The kind of source of a group, and its files by their path in the project; windows have none."""

    kind: Source
    files: dict[str, str] = Field(default_factory=dict)


def read_source(documents: "ProjectDocuments", group: str) -> GroupSource:
    """The current source of a group. Raises NotFoundError."""
    kind = documents.source(group)
    if kind == "windows":
        return GroupSource(kind=kind)
    stem = f"features/{names.group_file(group)}"
    if kind == "query":
        return GroupSource(kind=kind, files={f"{stem}.sql": documents.query(group)})
    files: dict[str, str] = {}
    _read_code(documents.folder, PurePosixPath(f"{stem}.py"), files)
    return GroupSource(kind=kind, files=dict(sorted(files.items())))


def _read_code(folder: Path, path: PurePosixPath, files: dict[str, str]) -> None:
    """Add a project file, and the project files that it imports, to `files`."""
    file = folder / path
    if str(path) in files or not file.is_file():
        return
    files[str(path)] = file.read_text(encoding="utf-8", errors="replace")
    try:
        tree = ast.parse(files[str(path)])
    except (SyntaxError, ValueError):
        return
    for imported in _imported(tree, path):
        _read_code(folder, imported, files)


def _imported(tree: ast.Module, path: PurePosixPath) -> Iterator[PurePosixPath]:
    """The possible targets of a file's relative imports: modules, or names in them."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not 0 < node.level <= len(path.parents):
            continue
        module = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        for found in (module, *(module / alias.name for alias in node.names)):
            if found != PurePosixPath("."):
                yield found.with_name(f"{found.name}.py")
            yield found / "__init__.py"
