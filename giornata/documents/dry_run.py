"""Runs parts of projects to check them: their Python files, their functions, their expectations.

All of it happens in one other process (`jobs/check_code.py`), with a time limit for each task; code that ends that
process, or that cannot be stopped otherwise, costs a new process for the remaining tasks. So no file keeps the others
from being checked. Results about expectations are remembered, because Great Expectations takes seconds to load.
"""

import hashlib
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from giornata import names
from giornata.documents.feature_group import Expectation
from giornata.documents.project_documents import ProjectDocuments
from giornata.documents.queries import QueryFinding
from giornata.documents.text_files import problem_in, read_text, shown_path
from giornata.documents.yaml_positions import Place, YamlFile
from giornata.errors import DocumentErrors, Problem

__all__ = ["Trials", "try_out"]

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "jobs" / "check_code.py"

STARTING, EACH = 120.0, 70.0
"""Seconds that the process may take to start, and then for each task, before it is killed."""
COMPUTING = 10.0
"""CPU seconds after which a task is stopped, with the line that it has reached."""
MOST_PROCESSES = 5

_ENGINE = "great_expectations"


class Trials(NamedTuple):
    """The findings by project, and in words what could not be checked."""

    findings: dict[str, list[QueryFinding]]
    skipped: list[str]


@dataclass(frozen=True)
class _Task:
    """One task: the message to the process, and the file to check (for a document, at `place`)."""

    project: str
    told: Mapping[str, Any]
    file: Path
    place: Place = ()


def try_out(projects: Sequence[ProjectDocuments], memory: Path | None) -> Trials:
    """Run all checks of these projects; results about expectations are remembered in the file `memory`, if given."""
    findings: dict[str, list[QueryFinding]] = {project.name: [] for project in projects}
    if not JOB.is_file():
        return Trials(findings, [f"there is no {JOB}: this installation of Giornata lacks its jobs"])
    skipped: list[str] = []
    tasks = [task for project in projects for task in _code(project)]
    stated = [task for project in projects for task in _expectations(project)]
    known = _Known(memory)
    if stated and known.version is None:
        skipped.append("arguments of expectations: Great Expectations is not installed here")
        stated = []
    tasks += [task for task in stated if known.faults(task.told) is None]
    faults = {place: list(each) for place, each in _run([task.told for task in tasks], skipped).items()}
    for place, task in enumerate(tasks):
        if task.told["kind"] == "expectation" and place in faults:
            known.remember(task.told, faults[place])
        elif task.told["kind"] != "expectation":
            findings[task.project] += [_finding(fault, task) for fault in faults.get(place, ())]
    for task in stated:
        findings[task.project] += [_finding(fault, task) for fault in known.faults(task.told) or ()]
    known.keep()
    return Trials(findings, skipped)


def _code(project: ProjectDocuments) -> Iterator[_Task]:
    base = {"folder": str(project.folder)}
    files = [("tables", name, f"{name}.py") for name in project.tables if project.has_loader(name)]
    files += [
        ("features", names.group_file(name), f"{names.group_file(name)}.py")
        for name in project.groups
        if project.source(name) == "function"
    ]
    for part, name, file in files:
        told = {**base, "kind": "module", "part": part, "name": name}
        yield _Task(project.name, told, project.folder / part / file)
    for name, code in project.classes.items():
        yield _Task(project.name, {**base, "kind": "class", "model": name}, project.folder / code.file)
    if project.udfs:
        yield _Task(project.name, {**base, "kind": "vectorised"}, project.folder / "udfs.py")


def _expectations(project: ProjectDocuments) -> Iterator[_Task]:
    for name, group in project.groups.items():
        file = project.folder / "features" / f"{names.group_file(name)}.yaml"
        for place, expectation in enumerate(group.expect):
            yield _Task(project.name, _told(project, expectation), file, ("expect", place, expectation.name))


def _told(project: ProjectDocuments, expectation: Expectation) -> Mapping[str, Any]:
    return {
        "kind": "expectation",
        "folder": str(project.folder),
        "name": expectation.name,
        "arguments": expectation.arguments,
    }


class _Known:
    """Known results of this version of Great Expectations about arguments, by their digest."""

    def __init__(self, file: Path | None):
        self._file = file
        self._said: dict[str, list[dict[str, Any]]] = {}
        self.version: str | None = None
        with suppress(importlib.metadata.PackageNotFoundError):
            self.version = importlib.metadata.version(_ENGINE)
        with suppress(OSError, ValueError, KeyError, TypeError):
            stored = json.loads(file.read_text(encoding="utf-8")) if file else {}
            if stored["version"] == self.version:
                self._said = dict(stored["said"])
        self._new = False

    def faults(self, told: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """The mistakes in an expectation; None if unknown."""
        return self._said.get(_digest(told))

    def remember(self, told: Mapping[str, Any], faults: list[dict[str, Any]]) -> None:
        """Remember the mistakes in an expectation."""
        self._said[_digest(told)] = faults
        self._new = True

    def keep(self) -> None:
        """Write what is known, if possible."""
        if not self._file or not self._new:
            return
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new = self._file.with_name(f".{self._file.name}.{os.getpid()}")
            new.write_text(json.dumps({"version": self.version, "said": self._said}), encoding="utf-8")
            new.replace(self._file)


def _digest(told: Mapping[str, Any]) -> str:
    said = json.dumps([told["name"], told["arguments"]], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _run(tasks: Sequence[Mapping[str, Any]], skipped: list[str]) -> dict[int, list[dict[str, Any]]]:
    """The mistakes found by each task, by its position; tasks that were not done have none, and `skipped` names
    them."""
    done: dict[int, list[dict[str, Any]]] = {}
    left = list(range(len(tasks)))
    for _ in range(MOST_PROCESSES):
        if not left:
            return done
        lines, how = _process([tasks[place] for place in left])
        begun = [left[line["begun"]] for line in lines if "begun" in line]
        done |= {left[line["done"]]: line["faults"] for line in lines if "done" in line}
        if not begun:
            skipped.append(f"Python files and expectations: the process that tries them out {how}")
            return done
        if begun[-1] not in done:
            done[begun[-1]] = [{"message": f"the process that tries this out {how}"}]
        left = [place for place in left if place not in done]
    if left:
        skipped.append(
            f"{len(left)} Python files and expectations, because others ended the process so often"
        )
    return done


def _process(tasks: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """The lines that one process wrote about the tasks, and how it ended."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", prefix="giornata-check-") as results:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.check_code", results.name, str(COMPUTING)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.communicate(json.dumps(tasks).encode(), timeout=STARTING + EACH * len(tasks))
            how = f"ended by itself (exit code {process.returncode})"
        except subprocess.TimeoutExpired:
            how = "did not come to an end"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        lines = [json.loads(line) for line in results.read().splitlines(keepends=True) if line.endswith("\n")]
    return lines, how


def _finding(fault: Mapping[str, Any], task: _Task) -> QueryFinding:
    """A fault at its position in a file of the project."""
    certain = "missing" not in fault
    if task.place:
        return QueryFinding(_of_expectation(fault, task), certain)
    if "model" in fault:
        path = task.file.parent / f"{fault['model']}.yaml"
        document = YamlFile.read(path, shown_path(path))
        return QueryFinding(document.key_problem(("parameters",), fault["message"]), certain)
    file = task.file.parent.parent / fault["file"] if "file" in fault else task.file
    if fault.get("file") == "udfs.py":
        file = task.file
    shown = shown_path(file)
    try:
        text = read_text(file, shown)
    except DocumentErrors as errors:
        return QueryFinding(errors.problems[0], certain)
    return QueryFinding(
        problem_in(text, shown, fault.get("line"), fault.get("column"), fault["message"]), certain
    )


def _of_expectation(fault: Mapping[str, Any], task: _Task) -> Problem:
    document = YamlFile.read(task.file, shown_path(task.file))
    argument = fault.get("argument")
    message = f"Great Expectations does not take this: {fault['message']}"
    if argument and document.has((*task.place, argument)):
        return document.value_problem((*task.place, argument), message)
    return document.key_problem(task.place, message)
