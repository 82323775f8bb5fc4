"""Reads the source of a model's own class, `models/<module>.py`, and finds mistakes in it. The file is not run."""

import ast
from collections.abc import Iterator
from pathlib import Path

from giornata.documents.text_files import parse_python, read_text, shown_path
from giornata.errors import DocumentErrors, Problem
from giornata.models.custom.code import METHODS, CustomCode

__all__ = ["code_file", "code_problems", "read_code"]


def code_file(path: str) -> str:
    """The file in the project's folder that holds the class `module.Class`."""
    return f"models/{path.partition('.')[0]}.py"


def read_code(folder: Path, path: str) -> CustomCode:
    """The class that a document in the project `folder` names `module.Class`.

    Raises DocumentErrors if its file is not text.
    """
    file = code_file(path)
    return CustomCode(path.partition(".")[2], file, read_text(folder / file, shown_path(folder / file)))


def code_problems(folder: Path, path: str, shown: str) -> Iterator[Problem]:
    """The mistakes in the file of the class `module.Class`, which exists; `shown` is the file's name for messages."""
    try:
        code = read_code(folder, path)
        tree = parse_python(code.source, shown)
    except DocumentErrors as errors:
        yield from errors.problems
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            message = "a model's class travels alone: it cannot import other files of the project"
            yield Problem(shown, node.lineno, node.col_offset + 1, message)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == code.class_name]
    if not classes:
        yield Problem(shown, 1, 1, f"there is no class {code.class_name} in it")
        return
    defined = {node.name for node in classes[-1].body if isinstance(node, ast.FunctionDef)}
    missing = [name for name in METHODS if name not in defined]
    if missing and not classes[-1].bases:
        message = f"class {code.class_name} has no method {', '.join(missing)}"
        yield Problem(shown, classes[-1].lineno, classes[-1].col_offset + 1, message)
