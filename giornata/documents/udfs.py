"""The file of a project's own functions, `udfs.py`: read, and its mistakes at their places. It is not run here."""

from pathlib import Path
from typing import TYPE_CHECKING

from giornata.documents.text_files import read_text
from giornata.errors import DocumentErrors, Problem

if TYPE_CHECKING:
    from dsl import Udfs

__all__ = ["read_udfs", "twin_problems"]


def read_udfs(path: Path, shown: str) -> tuple["Udfs | None", list[Problem]]:
    """The functions of a file, or what is wrong in it; `shown` is how messages name it. Nothing where it is absent."""
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


def twin_problems(udfs: "Udfs", shown: str) -> list[Problem]:
    """The functions whose twins over columns mean something else, tried out on drawn rows: this runs the file."""
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
