"""The files of the prediction log: how a segment is written, closed, repaired and moved.

Layout, per model: `<log>/<project>/<model>/`

    .new-<id>.jsonl       just created and not locked yet, or left over by a server that died at that point
    open-<id>.jsonl       being written by a running server, which holds a lock (flock) on it
    segment-<id>.jsonl    closed, complete, waiting for the job that loads it into Hive
    collected/            segments whose rows are in Hive, kept for a while
    rejected/             lines that could not be loaded into Hive, kept for a while for a person to look at

A segment changes its state by a single rename, so that no reader sees half of it. The content of the lines does not
matter here.
"""

import fcntl
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from giornata.errors import StoreError
from giornata.names import Name, check_name, check_project_name

OPEN = "open-"
CLOSED = "segment-"
SUFFIX = ".jsonl"
COLLECTED = "collected"
REJECTED = "rejected"
_NEW = ".new-"  # created, not yet locked: no business of anybody but its maker
_NEW_SECONDS = 60.0  # a file that is still new by then has lost its maker


class OpenSegment:
    """A segment being written: locked for as long as this process lives, and closed by a rename."""

    def __init__(self, folder: Path):
        """Create an empty open segment in `folder`, and the folder if needed. Raises StoreError and leaves nothing
        behind then."""
        identity = uuid.uuid4().hex
        self.path = folder / f"{OPEN}{identity}{SUFFIX}"
        self.size = 0
        self.is_torn = False
        new = folder / f"{_NEW}{identity}{SUFFIX}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX)
                # Only a locked file gets the open name: an open segment without a lock has a dead writer.
                new.rename(self.path)
            except OSError:
                with suppress(OSError):
                    new.unlink(missing_ok=True)
                os.close(self._file)
                raise
        except OSError as error:
            raise StoreError(f"cannot write the prediction log in {folder}: {error.strerror}") from error

    def write(self, lines: bytes) -> None:
        """Append whole lines; on failure none of them stays. Raises StoreError.

        If a partly written line cannot be removed either, the segment `is_torn`: it takes no further line, which would
        continue the broken one, and can only be closed. The collector handles its torn tail.
        """
        if self.is_torn:
            raise StoreError(f"the prediction log {self.path} ends in a broken line and takes no more")
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            try:
                os.ftruncate(self._file, self.size)
            except OSError:
                self.is_torn = True
            raise StoreError(f"cannot write the prediction log {self.path}: {error.strerror}") from error
        self.size += len(lines)

    def close(self) -> Path:
        """Make the segment durable and visible to readers under its closed name, which is returned.

        Raises StoreError; the segment is then without a lock, so that `close_abandoned` closes it.
        """
        closed = _closed_name(self.path)
        try:
            try:
                os.fsync(self._file)
                self.path.rename(closed)
            finally:
                os.close(self._file)
        except OSError as error:
            raise StoreError(f"cannot close the prediction log {self.path}: {error.strerror}") from error
        return closed

    def discard(self) -> None:
        """Remove the segment with its lines. Raises StoreError."""
        try:
            try:
                self.path.unlink(missing_ok=True)
            finally:
                os.close(self._file)
        except OSError as error:
            raise StoreError(f"cannot remove {self.path}: {error.strerror}") from error


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
    return any(True for model in models_with_segments(log, project) for _ in _waiting(log / model))


def waiting_bytes(log: Path) -> int:
    """Size of all segments of all models that have not been collected yet, including those being written."""
    size = 0
    for folder in log.glob("*/*/"):
        for path in _waiting(folder):
            with suppress(FileNotFoundError):  # renamed since we listed the folder
                size += path.stat().st_size
    return size


def close_abandoned(folder: Path) -> list[Path]:
    """Close the open segments in `folder` whose writers are dead; return their closed names.

    Files that such a writer had created and not opened yet are removed. Raises StoreError.
    """
    try:
        for path in folder.glob(f"{_NEW}*{SUFFIX}"):
            _remove_stale(path)
        closed = (_closed_if_abandoned(path) for path in sorted(folder.glob(f"{OPEN}*{SUFFIX}")))
        return [path for path in closed if path]
    except OSError as error:
        raise StoreError(
            f"cannot close what dead servers left in {folder}: {error.strerror}: {error.filename or ''}"
        ) from error


def closed_segments(folder: Path) -> list[Path]:
    """The closed segments in `folder` that wait to be collected, in order of name."""
    return sorted(folder.glob(f"{CLOSED}*{SUFFIX}"))


def torn_tail(path: Path) -> bytes:
    """The bytes after the last newline of a segment: empty, or the line at which its writer died."""
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
    """Move collected segments into `collected/` next to them, with this time as their age."""
    for path in paths:
        target = path.parent / COLLECTED
        target.mkdir(exist_ok=True)
        with suppress(
            OSError
        ):  # another user's file may be moved, not touched: it keeps the moment it was written
            os.utime(path)
        path.rename(target / path.name)


def prune(folder: Path, keep: timedelta, most_bytes: int, now: float | None = None) -> int:
    """Delete files from `collected/` and `rejected/` of a model's `folder` that were moved there longer ago than
    `keep`.

    Of the rest, the newest files with `most_bytes` in total stay. `now` is in seconds since 1970, by default the
    clock's. Segments that wait to be collected are not touched. Returns the number of deleted files. Raises StoreError.
    """
    oldest = (time.time() if now is None else now) - keep.total_seconds()
    deleted = total = 0
    try:
        for modified, size, path in sorted(_kept(folder), reverse=True):
            total += size
            if modified < oldest or total > most_bytes:
                path.unlink(missing_ok=True)
                deleted += 1
    except OSError as error:
        raise StoreError(f"cannot delete {error.filename}, which is old: {error.strerror}") from error
    return deleted


@contextmanager
def collecting(folder: Path) -> Iterator[None]:
    """Hold the lock for collecting the segments in `folder`. Raises StoreError if another process has it."""
    try:
        file = os.open(folder / ".collecting", os.O_WRONLY | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"cannot collect {folder}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"another run is collecting {folder}: two at once would overwrite each other's rows. "
                "Wait for it to end and run again"
            ) from None
        except OSError as error:
            raise StoreError(f"cannot lock {folder} to collect it: {error.strerror}") from error
        yield
    finally:
        os.close(file)


def _closed_name(path: Path) -> Path:
    return path.with_name(CLOSED + path.name.removeprefix(OPEN))


def _waiting(folder: Path) -> Iterator[Path]:
    """The segments in a folder that have not been collected yet, in no order."""
    return (path for begin in (OPEN, CLOSED) for path in folder.glob(f"{begin}*{SUFFIX}"))


def _closed_if_abandoned(path: Path) -> Path | None:
    """Close an open segment whose writer is dead, and return its closed name; None if the writer lives."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None  # closed by its writer since we listed the folder
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return path.rename(_closed_name(path))
    except (BlockingIOError, FileNotFoundError):
        return None  # a living writer has it, or had it a moment ago and closed it
    finally:
        os.close(file)


def _remove_stale(path: Path) -> None:
    """Remove a new file whose writer never opened it."""
    with suppress(FileNotFoundError):  # opened by its maker, or removed, since we listed the folder
        if time.time() - path.stat().st_mtime > _NEW_SECONDS:
            path.unlink()


def _kept(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Each file in `collected/` and `rejected/`, with the time it was moved there (seconds since 1970), size and
    path."""
    for name in (COLLECTED, REJECTED):
        for path in (folder / name).glob("*"):
            with suppress(FileNotFoundError):  # deleted by another run
                found = path.stat()
                yield found.st_mtime, found.st_size, path
