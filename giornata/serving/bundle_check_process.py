"""The process that opens bundles before the server does; `giornata.serving.bundle_checks` starts it.

A bundle may hold code that loops, or trees that make XGBoost read outside its memory. So each bundle is opened in a
fork with bounded time and memory: whatever it does ends only that fork. Requests are lines of JSON on standard input,
results are lines of JSON on standard output. The process ends when its input ends, or after a while without requests.
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
from giornata.models import model_type
from giornata.scorer import Scorer
from giornata.serving.forks import forget_xgboost, import_models, import_xgboost, limit
from giornata.serving.model import open_model

IDLE_SECONDS = 120.0
SOON_SECONDS = 5.0  # until a file that could not be read is read again
LATER_SECONDS = 3600.0  # until a bundle that ran out of time or memory is checked again
LONGEST_REASON = 2000  # characters

# Signals from outside: the bundle itself may be good.
_KILLED = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def main() -> int:
    """Answer requests until the input ends or there is none for `IDLE_SECONDS`."""
    import_xgboost()
    import_models()
    answers = os.dup(1)
    os.dup2(2, 1)  # a project's code may print
    lines = sys.stdin.buffer
    while select.select([lines], [], [], IDLE_SECONDS)[0]:
        line = lines.readline()
        if not line:
            break
        request = json.loads(line)
        answer = _check(request["path"], request["sha256"], request["seconds"], request["bytes"])
        os.write(answers, _line(answer))
    return 0


def _check(path: str, sha256: str, seconds: float, memory: int) -> dict[str, Any]:
    """Check a bundle: `reason` is None if it is good, `again` the seconds after which to check it again, if at all."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        os.close(reading)
        _check_in_fork(path, sha256, memory, writing)
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
        return _killed_by(status)


def _killed_by(status: int) -> dict[str, Any]:
    """The result for a fork that ended without one."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
        reason = f"opening it ends the process ({name}): the file is damaged, or made to do so"
        return _answer(reason, LATER_SECONDS if number in _KILLED else None)
    return _answer(f"opening it ends the process (exit status {os.WEXITSTATUS(status)})")


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def _answer(reason: str | None, again: float | None = None) -> dict[str, Any]:
    return {"reason": reason if reason is None else reason[:LONGEST_REASON], "again": again}


def _read(reading: int, deadline: float) -> tuple[bytes, bool]:
    """The content of a pipe up to a line's end or its closing, and whether the deadline passed before."""
    chunks: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0 and select.select([reading], [], [], left)[0]:
        chunk = os.read(reading, 65536)
        if not chunk:
            return b"".join(chunks), False
        chunks.append(chunk)
        if chunk.endswith(b"\n"):
            return b"".join(chunks), False
    return b"", True


def _check_in_fork(path: str, sha256: str, memory: int, writing: int) -> None:
    """Open a bundle in this fork, write the result to a pipe, and end."""
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
        type_ = model_type(bundle.version.configuration.type)
        if type_.has_class:
            forget_xgboost()
        for part in bundle.parts:
            type_.fitted.check_files(part.files)
        scorer = open_model(content).scorer
        assert isinstance(scorer, Scorer)  # since no other process was asked for
        scorer.check_parts()
    except OSError as error:
        return _answer(told(error), SOON_SECONDS)
    except MemoryError:
        return _answer("opening it takes more memory than a bundle of its size may have", LATER_SECONDS)
    except BaseException as error:  # noqa: BLE001 - code and libraries may raise anything, and only this fork ends
        return _answer(told(error))
    return _answer(None)


if __name__ == "__main__":
    sys.exit(main())
