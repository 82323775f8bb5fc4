"""Copies of projects by their content, so that a run reads the documents it started with, whatever is edited
meanwhile."""

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePath

from giornata.errors import StoreError

__all__ = ["KEPT", "changed_at", "digest_of", "prune", "snapshot"]

KEPT = timedelta(days=30)
"""How long an unused copy is kept: longer than any run takes, with all its retries."""

_COPIED = (".yaml", ".yml", ".sql", ".py")


def snapshot(store: Path, folder: Path) -> Path:
    """A copy of the project in `folder` as it is now, `<store>/<digest>/<project>`; reused if it exists.

    Documents, queries and code are copied. Other files are linked, so that their current content is read. Raises
    StoreError if the folder cannot be read or the copy cannot be written.
    """
    try:
        documents = _documents(folder)
        kept = store / _digest(folder.name, documents)
        if not kept.is_dir():
            made = store / f".{uuid.uuid4().hex}"
            _write(folder, documents, made / folder.name)
            try:
                made.rename(kept)
            except OSError:
                shutil.rmtree(made)  # another process was first, or nobody can
        os.utime(kept)
    except OSError as fault:
        raise StoreError(f"the documents in {folder} cannot be kept in {store} for a run: {fault}") from fault
    return kept / folder.name


def digest_of(copy: Path) -> str:
    """The digest of a copy that `snapshot` returned."""
    return copy.parent.name


def changed_at(folder: Path) -> datetime:
    """When the documents of a project last changed: written, renamed, added or removed."""
    seconds = [0.0]
    for path in _walked(folder):
        with suppress(OSError):  # a file that has gone meanwhile, or a link to nowhere
            seconds.append(path.stat().st_ctime)
    return datetime.fromtimestamp(max(seconds), UTC)


def prune(store: Path, used: Collection[str]) -> None:
    """Remove copies in `store` that have not been used for KEPT, except those named in `used`."""
    oldest = time.time() - KEPT.total_seconds()
    for entry in store.iterdir() if store.is_dir() else ():
        if entry.name in used or entry.lstat().st_mtime >= oldest:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _walked(folder: Path) -> Iterator[Path]:
    """The folder, the folders in it, and the files to copy; without hidden files and those that Python generates."""
    yield folder
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if _shown(name))
        yield from (Path(place, name) for name in folders)
        yield from (Path(place, name) for name in sorted(files) if _shown(name) and name.endswith(_COPIED))


def _shown(name: str) -> bool:
    return not name.startswith(".") and name != "__pycache__"


def _documents(folder: Path) -> dict[PurePath, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in _walked(folder) if path.is_file()}


def _digest(project: str, documents: Mapping[PurePath, bytes]) -> str:
    digest = hashlib.sha256(os.fsencode(project) + b"\0")
    for path, content in documents.items():
        digest.update(f"{path.as_posix()}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return digest.hexdigest()[:16]


def _write(folder: Path, documents: Mapping[PurePath, bytes], target: Path) -> None:
    holding = {parent for path in documents for parent in path.parents} | {PurePath()}
    for place in sorted(holding):
        (target / place).mkdir(parents=True)
        for entry in (folder / place).iterdir():
            inside = place / entry.name
            if _shown(entry.name) and inside not in documents and inside not in holding:
                (target / inside).symlink_to(entry.absolute())
    for path, content in documents.items():
        (target / path).write_bytes(content)
