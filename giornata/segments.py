"""The files of the prediction log: how a segment is written, closed, mended and put away.

Layout, per model: `<log>/<project>/<model>/`

    open-<id>.jsonl       being written by a living server, which holds a lock (flock) on it
    segment-<id>.jsonl    closed, complete, waiting for the job that brings it into Hive
    collected/            segments whose rows are in Hive
    rejected/             lines that could not be read, kept for a person to look at

A segment changes its state by one rename only, so that no reader sees half of it. What the lines mean is not
known here.
"""

import fcntl
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from giornata.errors import StoreError
from giornata.names import Name, check_name, check_project_name

OPEN = "open-"
CLOSED = "segment-"
SUFFIX = ".jsonl"
COLLECTED = "collected"
REJECTED = "rejected"
_NEW = ".new-"  # created, not yet locked: no business of anybody but its maker


class OpenSegment:
    """A segment under way: locked for as long as this process lives, and closed by a rename."""

    def __init__(self, folder: Path):
        """Create an empty open segment in `folder`, making the folder. Raises StoreError."""
        identity = uuid.uuid4().hex
        self.path = folder / f"{OPEN}{identity}{SUFFIX}"
        self.size = 0
        new = folder / f"{_NEW}{identity}{SUFFIX}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            # Only a locked file gets the open name: an open segment without a lock has a dead writer.
            new.rename(self.path)
        except OSError as error:
            raise StoreError(f"cannot write the prediction log in {folder}: {error.strerror}") from error

    def write(self, lines: bytes) -> None:
        """Append whole lines; on failure none of them stays. Raises StoreError."""
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            os.ftruncate(self._file, self.size)
            raise StoreError(f"cannot write the prediction log {self.path}: {error.strerror}") from error
        self.size += len(lines)

    def close(self) -> Path:
        """Make the segment durable and visible to readers under its closed name, which is returned."""
        closed = _closed_name(self.path)
        try:
            os.fsync(self._file)
            self.path.rename(closed)
        except OSError as error:
            raise StoreError(f"cannot close the prediction log {self.path}: {error.strerror}") from error
        finally:
            os.close(self._file)
        return closed


def model_folder(log: Path, model: Name | str) -> Path:
    """Folder of the segments of one model."""
    project, name = str(model).split("/")
    return log / check_project_name(project) / check_name(name)


def models_with_segments(log: Path, project: str) -> list[str]:
    """Names (`project/model`) of the models that have a folder in the log, in order."""
    root = log / check_project_name(project)
    return [f"{project}/{folder.name}" for folder in sorted(root.glob("[a-z]*/"))]


def has_segments(log: Path, project: str) -> bool:
    """Whether any model of the project has a segment that waits to be collected or is being written."""
    return any(any((log / model).glob(f"*{SUFFIX}")) for model in models_with_segments(log, project))


def close_abandoned(folder: Path) -> list[Path]:
    """Close the open segments in `folder` whose writers are dead; return their closed names."""
    closed = []
    for path in sorted(folder.glob(f"{OPEN}*{SUFFIX}")):
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue  # closed by its writer since we listed the folder
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            target = _closed_name(path)
            path.rename(target)
            closed.append(target)
        except (BlockingIOError, FileNotFoundError):
            continue  # a living writer has it, or had it a moment ago and closed it
        finally:
            os.close(file)
    return closed


def closed_segments(folder: Path) -> list[Path]:
    """The closed segments in `folder` that wait to be collected, in order of name."""
    return sorted(folder.glob(f"{CLOSED}*{SUFFIX}"))


def torn_tail(path: Path) -> bytes:
    """What follows the last newline of a segment: empty, or the line its writer died over."""
    size = path.stat().st_size
    tail = b""
    with path.open("rb") as file:
        while len(tail) < size and b"\n" not in tail:
            start = max(0, size - 2 * len(tail) - 4096)
            file.seek(start)
            tail = file.read(size - start)
    return tail[tail.rfind(b"\n") + 1 :]


def cut_tail(path: Path, length: int) -> None:
    """Remove the last `length` bytes of a segment, durably."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - length)
        os.fsync(file.fileno())


def put_away(paths: Iterable[Path]) -> None:
    """Move collected segments into `collected/` beside them."""
    for path in paths:
        target = path.parent / COLLECTED
        target.mkdir(exist_ok=True)
        path.rename(target / path.name)


@contextmanager
def collecting(folder: Path) -> Iterator[None]:
    """Hold the right to collect the segments in `folder`. Raises StoreError when another process has it."""
    file = os.open(folder / ".collecting", os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"another run is collecting {folder}: two at once would overwrite each other's rows. "
                "Wait for it to end and run again"
            ) from None
        yield
    finally:
        os.close(file)


def _closed_name(path: Path) -> Path:
    return path.with_name(CLOSED + path.name.removeprefix(OPEN))
