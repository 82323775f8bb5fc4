"""Loads the class in the source of a project's own model type, and reports its errors with file and line.

This runs the source with all rights of the process: whoever may train models is trusted to that extent.
"""

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any

from giornata.errors import GiornataError
from giornata.models.custom.code import METHODS, CustomCode

__all__ = ["load_class", "told_as"]


def load_class(code: CustomCode, kind: type[GiornataError]) -> Any:
    """The class; the same source gives the same one. Raises `kind` if there is none, or its file fails."""
    with told_as(kind, code, "cannot be loaded"):
        found = getattr(_module(code), code.class_name, None)
    if not isinstance(found, type):
        raise kind(f"there is no class {code.class_name} in {code.file}")
    missing = [name for name in METHODS if not callable(getattr(found, name, None))]
    if missing:
        raise kind(f"class {code.class_name} of {code.file} has no method {', '.join(missing)}")
    return found


@contextmanager
def told_as(kind: type[GiornataError], code: CustomCode, what: str) -> Iterator[None]:
    """Raise any error of the class in the block as `kind`, with what failed, where and how."""
    try:
        yield
    except MemoryError:
        raise  # of the machine, not of a line
    except (Exception, SystemExit) as error:
        # In one line, of which no log and no message of Spark's shows a half.
        text = " ".join(str(error).split())
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        where = _place(error, code)
        raise kind(f"class {code.class_name} {what}: {code.file}{where}: {said}") from error


@lru_cache(maxsize=64)
def _module(code: CustomCode) -> ModuleType:
    name, shown = f"giornata_custom_{code.version[:16]}", _shown(code)
    # So that tracebacks show lines of a file that is on no disk.
    linecache.cache[shown] = (len(code.source), None, code.source.splitlines(keepends=True), shown)
    module = ModuleType(name)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        exec(compile(code.source, shown, "exec"), vars(module))  # noqa: S102 - the operator's code
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _shown(code: CustomCode) -> str:
    return f"<{code.file} {code.version[:16]}>"


def _place(error: BaseException, code: CustomCode) -> str:
    """The last line of the source that an error passed through."""
    shown, place, step = _shown(code), "", error.__traceback__
    if isinstance(error, SyntaxError) and error.filename == shown:
        return f", line {error.lineno}"
    while step:
        if step.tb_frame.f_code.co_filename == shown:
            place = f", line {step.tb_lineno}"
        step = step.tb_next
    return place
