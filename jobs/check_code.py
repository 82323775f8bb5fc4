"""Checks parts of a project that must be run: imports its Python files, builds its expectations.

    python -m jobs.check_code RESULTS SECONDS

reads a list of tasks as JSON from its standard input (see `giornata.documents.dry_run`) and appends lines to the file
RESULTS: one with the index of a task when it begins, and one with its faults when it is done. A task may use SECONDS of
CPU time and WAIT in total; output of the code is discarded. Spark is not started.
"""

import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import re2

from giornata.documents import ProjectDocuments, load_project
from giornata.documents.udfs import vectorised_problems
from giornata.errors import GiornataError
from giornata.models import model_type
from giornata.models.custom.code import CustomCode

WAIT = 60.0

Fault = dict[str, object]
"""One mistake: `message`, and if known `file` (in the project), `line`, `column`, `argument`; for a library that is not
installed `missing`, for parameters the `model` that states them."""


class _TooLongError(BaseException):
    """The time of a task is over; no `except Exception` in the checked code catches this."""


def main() -> None:
    """Do the tasks, one after the other."""
    tasks, results, seconds = json.load(sys.stdin), Path(sys.argv[1]), float(sys.argv[2])
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    signal.signal(signal.SIGPROF, _end)
    signal.signal(signal.SIGALRM, _end)
    with results.open("a", encoding="utf-8") as told:
        for place, task in enumerate(tasks):
            if task["kind"] == "expectation":
                _prepare_expectations()
            print(json.dumps({"begun": place}), file=told, flush=True)
            print(json.dumps({"done": place, "faults": list(_faults(task, seconds))}), file=told, flush=True)


def _end(number: int, frame: object) -> None:
    raise _TooLongError


def _faults(task: Mapping[str, Any], seconds: float) -> Iterator[Fault]:
    folder = Path(task["folder"])
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, WAIT)
        yield from _KINDS[task["kind"]](folder, task)
    except _TooLongError as error:
        yield {
            **_place(error, folder),
            "message": f"this computes for {seconds:g} s, or waits for {WAIT:g} s",
        }
    except SystemExit as error:
        yield {**_place(error, folder), "message": f"this ends the process ({error!r})"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _module(folder: Path, task: Mapping[str, Any]) -> Iterator[Fault]:
    try:
        from jobs.runtime import project_code
    except ModuleNotFoundError as error:
        yield {"message": f"{error.name} is not installed here", "missing": error.name}
        return
    try:
        project_code.load(folder, task["part"], task["name"])
    except Exception as error:  # noqa: BLE001 - whatever importing a file raises is what is to be told
        yield _told(error, folder, project_code.PACKAGE)


def _class(folder: Path, task: Mapping[str, Any]) -> Iterator[Fault]:
    """The faults in a model's class, and in its parameters according to the class."""
    documents = _documents(folder)
    model = documents.model(task["model"])
    code: CustomCode = documents.classes[task["model"]]
    try:
        file = str(folder / code.file)
        exec(compile(code.source, file, "exec"), {"__name__": code.file})  # noqa: S102 - the operator's code
    except Exception as error:  # noqa: BLE001 - whatever importing a file raises is what is to be told
        yield _told(error, folder, "")
        return
    try:
        model_type(model.type, code).check(model.parameters, model.search.space if model.search else {})
    except GiornataError as error:
        yield {"message": str(error), "model": task["model"]}


def _vectorised(folder: Path, task: Mapping[str, Any]) -> Iterator[Fault]:
    udfs = _documents(folder).udfs
    for problem in vectorised_problems(udfs, "udfs.py") if udfs else ():
        yield {"file": "udfs.py", "line": problem.line, "column": problem.column, "message": problem.message}


def _prepare_expectations() -> None:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # noqa: F401 - it takes seconds, which are no task's


def _expectation(folder: Path, task: Mapping[str, Any]) -> Iterator[Fault]:
    from great_expectations.expectations.registry import get_expectation_impl

    try:
        get_expectation_impl(task["name"])(**task["arguments"])
    except Exception as error:  # noqa: BLE001 - Great Expectations raises errors of many kinds
        errors = getattr(error, "errors", None)
        if not callable(errors):
            yield {"message": " ".join(str(error).split())}
            return
        told: dict[str, str] = {}
        for each in errors():
            told.setdefault(str(each["loc"][0]) if each.get("loc") else "", str(each["msg"]))
        for argument, message in told.items():
            yield {"argument": argument, "message": message}
    else:
        yield from _pattern(task["arguments"])


def _pattern(arguments: Mapping[str, Any]) -> Iterator[Fault]:
    """A regular expression that neither engine accepts: Java's, which Spark uses, accepts nearly everything that one of
    these two does."""
    pattern = arguments.get("regex")
    if not isinstance(pattern, str):
        return
    try:
        re.compile(pattern)
    except re.error as error:
        options = re2.Options()
        options.log_errors = False
        with suppress(re2.error):
            re2.compile(pattern, options)
            return
        yield {"argument": "regex", "message": f"{pattern!r} is no regular expression: {error}"}


def _told(error: Exception, folder: Path, package: str) -> Fault:
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    fault: Fault = {**_place(error, folder), "message": f"this file cannot be imported: {said}"}
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name and not (package and name.split(".")[0] == package):
        fault["missing"] = name
    return fault


def _place(error: BaseException, folder: Path) -> Fault:
    """The position in the project's own files at which an error occurred."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(folder):
        file = Path(error.filename).relative_to(folder).as_posix()
        return {"file": file, "line": error.lineno, "column": error.offset}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(folder):
            file = Path(frame.filename).relative_to(folder).as_posix()
            return {"file": file, "line": frame.lineno, "column": (frame.colno or 0) + 1}
    return {}


@lru_cache(maxsize=1)
def _documents(folder: Path) -> ProjectDocuments:
    return load_project(folder)


_KINDS: dict[str, Callable[[Path, Mapping[str, Any]], Iterator[Fault]]] = {
    "module": _module,
    "class": _class,
    "vectorised": _vectorised,
    "expectation": _expectation,
}


if __name__ == "__main__":
    main()
