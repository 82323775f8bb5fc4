"""Bundles are tried in a process of its own before the server opens them; what became of each is remembered.

XGBoost reads files in native code that a damaged one can crash, and the code that projects bring may loop or leave:
neither may end the server, now or at its next start.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from giornata.bundle import digest
from giornata.errors import BundleError, GiornataError
from giornata.serving.verdicts import Verdict, Verdicts

__all__ = ["NotNowError", "Trials"]

START_SECONDS = 120.0  # for a new process to be ready
SECONDS = 30.0  # for a small bundle to be opened
SECONDS_PER_MIB = 5.0  # and for each MiB of it
MEMORY = 4 * 2**30  # bytes that opening a small bundle may take
MEMORY_PER_BYTE = 8
RESTART_SECONDS = 30.0  # until a process that ended by itself is tried again

_MIB = 2**20


class NotNowError(GiornataError):
    """A bundle cannot be opened now; in `seconds` it may be another matter."""

    def __init__(self, reason: str, seconds: float):
        super().__init__(reason)
        self.seconds = seconds


class Trials:
    """Tries bundles, one at a time, in a process that is started when it is needed and replaced when it ends."""

    def __init__(self, folder: Path):
        """Remember verdicts in `folder`."""
        self._verdicts = Verdicts(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def check(self, path: Path, content: bytes) -> None:
        """Return where the bundle in the file `path`, of this content, can be opened by this process.

        Raises BundleError with the reason where it cannot, and NotNowError where that may pass.
        """
        sha256 = digest(content)
        verdict = self._verdicts.get(sha256)
        if verdict is None:
            answer = self._tried(path, sha256, len(content))
            seconds = answer["again"]
            verdict = Verdict(answer["reason"], None if seconds is None else time.time() + seconds)
            self._verdicts.put(sha256, verdict)
        if verdict.until is not None:
            raise NotNowError(str(verdict.reason), verdict.until - time.time())
        if verdict.reason is not None:
            raise BundleError(verdict.reason)

    def close(self) -> None:
        """End the process; a trial that is under way fails, and so does every later one."""
        with self._lock:
            self._is_closed = True
            if self._process:
                self._process.kill()

    def _tried(self, path: Path, sha256: str, size: int) -> dict[str, Any]:
        seconds = SECONDS + size / _MIB * SECONDS_PER_MIB
        question = {
            "path": str(path.absolute()),
            "sha256": sha256,
            "seconds": seconds,
            "bytes": min(MEMORY + MEMORY_PER_BYTE * size, _physical_memory() // 2),
        }
        answer = self._asked(question, START_SECONDS + seconds) or self._asked(
            question, START_SECONDS + seconds
        )
        if answer is None:
            raise NotNowError(
                "the process in which bundles are tried ends before it answers", RESTART_SECONDS
            )
        return answer

    def _asked(self, question: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """The process's answer, or None where it has ended, as it does when nothing was asked for a while."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            if select.select([process.stdout], [], [], seconds)[0] and (line := process.stdout.readline()):
                return dict(json.loads(line))
        self._end(process)
        return None

    def _running(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise NotNowError("the server is stopping: no bundle is tried any more", RESTART_SECONDS)
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "giornata.serving.trial"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                    process_group=0,
                )
            return self._process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):
            process.communicate()
        with self._lock:
            if self._process is process:
                self._process = None


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
