"""Opens each new bundle in another process before the server does, and remembers the results.

XGBoost reads files in native code, which a damaged file can crash, and a project's code may loop or exit. Neither may
end the server, now or at its next start.
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
from giornata.serving.check_results import CheckResult, CheckResults

__all__ = ["BundleChecks", "NotNowError"]

START_SECONDS = 120.0  # for a new process to be ready
SECONDS = 30.0  # to open a small bundle
SECONDS_PER_MIB = 5.0  # and for each MiB more
MEMORY = 4 * 2**30  # bytes to open a small bundle
MEMORY_PER_BYTE = 8
RESTART_SECONDS = 30.0  # until a new process is started after one that ended by itself

_MIB = 2**20


class NotNowError(GiornataError):
    """A bundle cannot be opened now; try again after `seconds`."""

    def __init__(self, reason: str, seconds: float):
        super().__init__(reason)
        self.seconds = seconds


class BundleChecks:
    """Checks bundles, one at a time, in a process that is started when needed and replaced when it ends."""

    def __init__(self, folder: Path):
        """Remember results in `folder`."""
        self._results = CheckResults(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def check(self, path: Path, content: bytes) -> None:
        """Return if the bundle in the file `path`, with this content, is safe to open in this process.

        Raises BundleError with the reason if it is not, and NotNowError if it may be later.
        """
        sha256 = digest(content)
        result = self._results.get(sha256)
        if result is None:
            answer = self._check(path, sha256, len(content))
            seconds = answer["again"]
            result = CheckResult(answer["reason"], None if seconds is None else time.time() + seconds)
            self._results.put(sha256, result)
        if result.until is not None:
            raise NotNowError(str(result.reason), result.until - time.time())
        if result.reason is not None:
            raise BundleError(result.reason)

    def close(self) -> None:
        """End the process; a running check fails, and so does every later one."""
        with self._lock:
            self._is_closed = True
            if self._process:
                self._process.kill()

    def _check(self, path: Path, sha256: str, size: int) -> dict[str, Any]:
        seconds = SECONDS + size / _MIB * SECONDS_PER_MIB
        request = {
            "path": str(path.absolute()),
            "sha256": sha256,
            "seconds": seconds,
            "bytes": min(MEMORY + MEMORY_PER_BYTE * size, _physical_memory() // 2),
        }
        answer = self._send(request, START_SECONDS + seconds) or self._send(request, START_SECONDS + seconds)
        if answer is None:
            raise NotNowError("the process that checks bundles ended before it answered", RESTART_SECONDS)
        return answer

    def _send(self, request: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """The process's answer, or None if it has ended, as it does after a while without requests."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            if select.select([process.stdout], [], [], seconds)[0] and (line := process.stdout.readline()):
                return dict(json.loads(line))
        self._end(process)
        return None

    def _running(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise NotNowError("the server is stopping and checks no more bundles", RESTART_SECONDS)
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "giornata.serving.bundle_check_process"],
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
