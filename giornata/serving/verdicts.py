"""What became of bundles that were tried, by the hash of their content: it lies on disk and outlives the server.

A verdict holds for the releases of Giornata and of the libraries that it was made with: another one tries anew.
"""

import json
import logging
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

logger = logging.getLogger(__name__)

__all__ = ["Verdict", "Verdicts"]

MOST = 1000  # verdicts that are kept, those asked for last
_LIBRARIES = ("giornata", "numpy", "pydantic", "safetensors", "xgboost", "xgboost-cpu")


@dataclass(frozen=True)
class Verdict:
    """`reason` says why the content is refused, None where it is good; it holds until Unix time `until`, if any."""

    reason: str | None
    until: float | None = None


@checked(config=ConfigDict(strict=True, extra="forbid"))
class _File:
    by: dict[str, str]
    reason: str | None
    until: float | None


_FILES = TypeAdapter(_File)


class Verdicts:
    """The verdicts in a folder, a file each. Several processes may share it."""

    def __init__(self, folder: Path):
        self._folder = folder

    def get(self, digest: str) -> Verdict | None:
        """What is known of the content with this SHA-256; None where nothing is, or it holds no longer."""
        path = self._path(digest)
        try:
            file = _FILES.validate_json(path.read_bytes())
            os.utime(path)
        except (OSError, ValidationError):
            return None
        if file.by != self._by or (file.until is not None and file.until < time.time()):
            return None
        return Verdict(file.reason, file.until)

    def put(self, digest: str, verdict: Verdict) -> None:
        """Keep a verdict. Where the disk does not take it, the content is tried again by the next server."""
        content = {"by": self._by, "reason": verdict.reason, "until": verdict.until}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, written = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(content, file)
                Path(written).replace(self._path(digest))
            finally:
                Path(written).unlink(missing_ok=True)
            self._prune()
        except OSError as error:
            logger.warning("a verdict on a bundle is not kept: sha256=%s reason=%s", digest, error)

    def _prune(self) -> None:
        found = list(self._folder.glob("*.json"))
        if len(found) > MOST:
            for path in sorted(found, key=lambda path: path.stat().st_mtime)[:-MOST]:
                path.unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"

    @cached_property
    def _by(self) -> dict[str, str]:
        found = {"python": platform.python_version(), "machine": platform.machine()}
        for library in _LIBRARIES:
            try:
                found[library] = version(library)
            except PackageNotFoundError:
                continue
        return found
