"""Results of bundle checks on disk, by the hash of the bundle's content, so that they outlive the server.

A result is valid for the releases of Giornata and its libraries that it was made with; other releases check again.
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

__all__ = ["CheckResult", "CheckResults"]

MOST = 1000  # results that are kept, the most recently used ones
_LIBRARIES = ("giornata", "numpy", "pydantic", "safetensors", "xgboost", "xgboost-cpu")


@dataclass(frozen=True)
class CheckResult:
    """Why a content is refused (`reason`, None if it is good), and until which Unix time that is valid, if limited."""

    reason: str | None
    until: float | None = None


@checked(config=ConfigDict(strict=True, extra="forbid"))
class _File:
    by: dict[str, str]
    reason: str | None
    until: float | None


_FILES = TypeAdapter(_File)


class CheckResults:
    """Results of checks in a folder, one file each. Several processes may share it."""

    def __init__(self, folder: Path):
        self._folder = folder

    def get(self, digest: str) -> CheckResult | None:
        """The result for the content with this SHA-256, or None if there is none that is still valid."""
        path = self._path(digest)
        try:
            file = _FILES.validate_json(path.read_bytes())
            os.utime(path)
        except (OSError, ValidationError):
            return None
        if file.by != self._by or (file.until is not None and file.until < time.time()):
            return None
        return CheckResult(file.reason, file.until)

    def put(self, digest: str, result: CheckResult) -> None:
        """Keep a result. If it cannot be written, the next server checks the content again."""
        content = {"by": self._by, "reason": result.reason, "until": result.until}
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
            logger.warning("the result of a bundle check was not kept: sha256=%s reason=%s", digest, error)

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
