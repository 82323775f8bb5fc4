"""Records the processes of a stack with their start times: some change their titles, and so lose the environment by
which they are recognised otherwise."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import psutil

__all__ = ["Notes"]

_SECONDS_OF_DOUBT = 5.0  # by which a system's clock may be set while a process runs


class Notes:
    """The recorded processes of one stack, in a file of its state folder."""

    def __init__(self, home: Path):
        self._home = home
        self._file = home / "processes.json"

    def add(self, processes: Iterable[psutil.Process]) -> None:
        """Record processes in addition to the recorded ones that still run."""
        noted = {pid: began for pid, began in self.read().items() if _is_it(pid, began)}
        for process in processes:
            try:
                noted[process.pid] = process.create_time()
            except psutil.NoSuchProcess:
                continue  # it has just ended
        written = self._file.with_suffix(".tmp")
        written.write_text(json.dumps(noted), encoding="utf-8")
        written.replace(self._file)

    def read(self) -> dict[int, float]:
        """The start time of each recorded process, by its id; Unix time."""
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            return {int(pid): float(began) for pid, began in content.items()}
        except (FileNotFoundError, ValueError, AttributeError, TypeError):
            return {}

    def forget(self) -> None:
        """Clear the record."""
        self._file.unlink(missing_ok=True)

    def know(self, process: psutil.Process, noted: dict[int, float]) -> bool:
        """Whether a process is recorded, or in the process group of a recorded one, as its forks are."""
        if process.pid in noted:
            return abs(process.create_time() - noted[process.pid]) < _SECONDS_OF_DOUBT
        leader = os.getpgid(process.pid)
        if leader not in noted:
            return False
        if psutil.pid_exists(leader):
            return _is_it(leader, noted[leader])
        # The leader is gone: the group is its own if what is left works in the stack's folder.
        is_later = process.create_time() > noted[leader] - _SECONDS_OF_DOUBT
        return is_later and Path(process.cwd()).is_relative_to(self._home)


def _is_it(pid: int, began: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - began) < _SECONDS_OF_DOUBT
    except psutil.NoSuchProcess:
        return False
