"""Reads `udfs.py`, a project's own functions, and reports mistakes with their position. The file is not run."""

from pathlib import Path
from typing import TYPE_CHECKING

from giornata.documents.text_files import read_text
from giornata.errors import DocumentErrors, Problem

if TYPE_CHECKING:
    from dsl import Udfs

__all__ = ["read_udfs", "vectorised_problems"]


def read_udfs(path: Path, shown: str) -> tuple["Udfs | None", list[Problem]]:
    """The functions in a file, or the problems in it; (None, []) if there is no file. `shown` names it in messages."""
    from dsl import LanguageErrors, parse_udfs

    if not path.exists():
        return None, []
    try:
        return parse_udfs(read_text(path, shown)), []
    except DocumentErrors as errors:
        return None, list(errors.problems)
    except LanguageErrors as errors:
        return None, [
            Problem(shown, error.line, error.column, error.message, error.suggestion or "", error.excerpt())
            for error in errors.errors
        ]


def vectorised_problems(udfs: "Udfs", shown: str) -> list[Problem]:
    """Vectorised functions that differ from their scalar form on random rows. This runs the file."""
    from dsl import UdfError
    from dsl.tools.check_udf_columns import differences

    lines = udfs.source.split("\n")
    try:
        found = list(differences(udfs))
    except UdfError as error:
        return [Problem(shown, 1, 1, str(error))]
    places = {
        name: next(number for number, line in enumerate(lines, 1) if line.startswith(f"def {name}_columns("))
        for name, _ in found
    }
    return [Problem(shown, places[name], 1, message) for name, message in found]
