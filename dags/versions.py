"""Versions of all projects' documents together, each a copy of every project."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from giornata.documents.snapshots import digest_of, prune, snapshot
from giornata.errors import StoreError

__all__ = ["folders_of", "keep_version"]

logger = logging.getLogger(__name__)


def keep_version(store: Path, folders: Iterable[Path]) -> str:
    """The version of the projects in `folders` as they are now; a copy of each is kept in `store`.

    A project that cannot be read is left out, with an error in the log.
    """
    digests = {}
    for folder in folders:
        try:
            digests[folder.name] = digest_of(snapshot(store, folder))
        except StoreError as error:
            logger.error("%s", error)
    written = json.dumps(digests, sort_keys=True)
    version = hashlib.sha256(written.encode()).hexdigest()[:16]
    file = _file(store, version)
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{version}.{os.getpid()}")
        part.write_text(written)
        part.replace(file)
        prune(file.parent, {file.name})
        prune(store / "runs", ())
        prune(store, {*digests.values(), "runs", "versions"})
    return version


def folders_of(store: Path, version: str) -> list[Path] | None:
    """The copies that make up a version; None if they are not kept any more."""
    try:
        digests: dict[str, str] = json.loads(_file(store, version).read_text())
    except FileNotFoundError:
        logger.warning("of the documents' version %s nothing is kept", version)
        return None
    os.utime(_file(store, version))
    folders = [store / digest / name for name, digest in digests.items()]
    return folders if all(folder.is_dir() for folder in folders) else None


def _file(store: Path, version: str) -> Path:
    return store / "versions" / f"{version}.json"
