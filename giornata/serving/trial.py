"""The process in which bundles are tried: `python -m giornata.serving.trial`, which `giornata.serving.trials` starts.

A bundle may hold code that loops, and trees that lead XGBoost out of its memory. Each is opened in a fork of its own,
with bounded time and memory, so that whatever it does ends that fork alone. What is asked comes as a line of JSON on
standard input, what is answered goes as a line to standard output; the process ends with its input, or when nothing
was asked for a while.
"""

import contextlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from giornata.bundle import digest, open_bundle, read_file, told
from giornata.models.trees.xgboost import BoostedTrees
from giornata.scorer import Scorer
from giornata.serving.forks import forget_xgboost, import_xgboost, limit
from giornata.serving.model import open_model

IDLE_SECONDS = 120.0
SOON_SECONDS = 5.0  # what could not be read now may be readable then
LATER_SECONDS = 3600.0  # the machine may have time and memory then
MOST_WORDS = 2000  # characters of a reason

# Of a fork: how a bundle may end it that is no fault for ever.
_KILLED = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def main() -> int:
    """Answer what is asked until the input ends or nothing is asked for `IDLE_SECONDS`."""
    import_xgboost()
    answers = os.dup(1)
    os.dup2(2, 1)  # what a project's code prints is no answer
    lines = sys.stdin.buffer
    while select.select([lines], [], [], IDLE_SECONDS)[0]:
        line = lines.readline()
        if not line:
            break
        asked = json.loads(line)
        answer = _tried(asked["path"], asked["sha256"], asked["seconds"], asked["bytes"])
        os.write(answers, _line(answer))
    return 0


def _tried(path: str, sha256: str, seconds: float, memory: int) -> dict[str, Any]:
    """What became of a bundle: `reason` is None where it is good, `again` after how many seconds to try it again."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        os.close(reading)
        _try(path, sha256, memory, writing)
    os.close(writing)
    try:
        content, is_late = _read(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        for end in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                end(process, signal.SIGKILL)
        status = os.waitpid(process, 0)[1]
    if is_late:
        return _answer(f"opening it takes longer than {seconds:.0f} s", LATER_SECONDS)
    try:
        return dict(json.loads(content))
    except ValueError:
        return _end(status)


def _end(status: int) -> dict[str, Any]:
    """What is said of a fork that ended without an answer."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
        reason = f"opening it ends the process ({name}): the file is damaged, or made to do so"
        return _answer(reason, LATER_SECONDS if number in _KILLED else None)
    return _answer(f"opening it ends the process (exit status {os.WEXITSTATUS(status)})")


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def _answer(reason: str | None, again: float | None = None) -> dict[str, Any]:
    return {"reason": reason if reason is None else reason[:MOST_WORDS], "again": again}


def _read(reading: int, deadline: float) -> tuple[bytes, bool]:
    """All that comes until the pipe's other end is closed, and whether that took too long."""
    chunks: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0 and select.select([reading], [], [], left)[0]:
        chunk = os.read(reading, 65536)
        if not chunk:
            return b"".join(chunks), False
        chunks.append(chunk)
        if chunk.endswith(b"\n"):
            return b"".join(chunks), False
    return b"", True


def _try(path: str, sha256: str, memory: int, writing: int) -> None:
    """Open a bundle in this fork, say what became of it, and end."""
    status = 1
    try:
        os.setsid()
        limit(memory)
        os.write(writing, _line(_opened(Path(path), sha256)))
        status = 0
    finally:
        os._exit(status)


def _opened(path: Path, sha256: str) -> dict[str, Any]:
    try:
        content = read_file(path)
        if digest(content) != sha256:
            return _answer("the file has changed while it was read", SOON_SECONDS)
        bundle = open_bundle(content)
        if bundle.version.configuration.type == "custom":
            forget_xgboost()
        elif bundle.version.configuration.type == "xgboost":
            for part in bundle.parts:
                BoostedTrees.check_files(part.files)
        scorer = open_model(content).scorer
        assert isinstance(scorer, Scorer)  # since no other process was asked for
        scorer.check_parts()
    except OSError as error:
        return _answer(told(error), SOON_SECONDS)
    except MemoryError:
        return _answer("opening it takes more memory than a bundle of its size may have", LATER_SECONDS)
    except BaseException as error:  # noqa: BLE001 - what code and libraries raise over a bundle ends this fork alone
        return _answer(told(error))
    return _answer(None)


if __name__ == "__main__":
    sys.exit(main())
