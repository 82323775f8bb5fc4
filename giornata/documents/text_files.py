"""Reads the text files of a project (YAML, SQL, Python) in one way, and parses Python."""

import ast
import stat
from pathlib import Path

from giornata.errors import DocumentErrors, Problem

__all__ = ["MAX_BYTES", "parse_python", "problem_in", "read_text", "shown_path"]

MAX_BYTES = 1_000_000
"""The largest file of a project that is read as text."""

_MARK = b"\xef\xbb\xbf"


def shown_path(path: Path) -> str:
    """The name of a file in messages: relative to the working directory if it lies below it, else in full; always
    printable."""
    here = Path.cwd()
    text = (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_text(path: Path, shown: str) -> str:
    r"""The text of a file in UTF-8, with line ends as `\n` and without a byte order mark.

    `shown` is its name in messages. Raises DocumentErrors with one problem if it cannot be read as text.
    """
    raw = _read_bytes(path, shown).removeprefix(_MARK)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        raise _refused(shown, before, "the file is not UTF-8 text") from None
    if "\0" in text:
        before = text[: text.index("\0")]
        raise _refused(shown, before, "the file is not text: it has a NUL character here")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_bytes(path: Path, shown: str) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _refused(shown, "", "this is no file", "only files hold documents")
        if found.st_size > MAX_BYTES:
            raise _refused(shown, "", f"the file is larger than {MAX_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise _refused(shown, "", f"the file cannot be read: {error.strerror or error}") from error


def _refused(shown: str, before: str, message: str, suggestion: str = "") -> DocumentErrors:
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return DocumentErrors([Problem(shown, line, column, message, suggestion)])


def parse_python(text: str, shown: str) -> ast.Module:
    """The syntax tree of a Python file. Raises DocumentErrors with one problem if it is not valid Python."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        message = f"not valid Python: {error.msg}"
        raise DocumentErrors([problem_in(text, shown, error.lineno, error.offset, message)]) from None
    except (RecursionError, MemoryError):
        raise _refused(shown, "", "this Python is nested too deeply") from None
    except ValueError as error:
        # Numbers of thousands of digits, and what else has no place of its own.
        raise _refused(shown, "", f"not valid Python: {error}") from None


def problem_in(
    text: str, shown: str, line: int | None, column: int | None, message: str, suggestion: str = ""
) -> Problem:
    """A problem at a line and column (from 1) of a text, shown with a caret; a position beyond the text means its
    end."""
    lines = text.split("\n")
    line = min(max(line or 1, 1), len(lines))
    marked = lines[line - 1]
    column = min(max(column or 1, 1), len(marked) + 1)
    indent = "".join("\t" if character == "\t" else " " for character in marked[: column - 1])
    excerpt = f"{marked}\n{indent}^" if marked.strip() else ""
    return Problem(shown, line, column, message, suggestion, excerpt)
