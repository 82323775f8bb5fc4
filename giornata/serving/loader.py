"""The loader: follows the folder of deployed bundles and makes a new routing table when it changes.

`deployments.json` lists the deployments; next to it lies `<uuid>.zip` for each version:

    {"flights/late": {"tags": {"production": UUID}, "uuids": [UUID, …]}}

New content is first opened in another process (`giornata.serving.bundle_checks`), then verified and opened in the
loader's thread. Then one reference changes; requests that began before end with the table that they began with. A
bundle that cannot be loaded, whatever it raises, is refused, once per file, and the tags that should move to it keep
the version they had. A file that cannot be read now is tried again soon; only `stop` ends the loader.

Loaded models live long and consist of many objects, so they are hidden from the garbage collector (frozen) and cause no
pauses. An old version is freed when the last request that holds it ends, since it has no reference cycles. A project's
own code may well have some: when a version that runs such code in this process is released, everything is unfrozen and
collected once, which takes as long as one collection of all objects.
"""

import gc
import logging
import math
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from giornata.bundle import read_file, told
from giornata.errors import BundleError
from giornata.serving.bundle_checks import BundleChecks, NotNowError
from giornata.serving.model import ServedModel
from giornata.serving.routing import Refusal, RoutingTable

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
STOP_SECONDS = 10.0
RETRY_SECONDS = 5.0  # until a file that could not be read is read again
DEPLOYMENTS = "deployments.json"


class _Deployed(BaseModel):
    """The entry of one model in `deployments.json`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    tags: dict[str, str] = {}
    uuids: list[str] = []


_DEPLOYMENTS = TypeAdapter(dict[str, _Deployed])

# A file's identity: rename puts another inode in place, and a write in place changes time or size.
_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class _Version:
    """The result of loading a file: the model, or the reason for the refusal (then `model` is an earlier good one).

    `again` is the moment, of the monotonic clock, after which it is tried again although the file is the same.
    """

    stamp: _Stamp
    model: ServedModel | None
    reason: str | None
    again: float = math.inf


class Loader:
    """Keeps `table` in step with a folder of bundles."""

    def __init__(
        self,
        folder: Path,
        open_model: Callable[[bytes], ServedModel],
        on_change: Callable[[RoutingTable], None],
        checks: BundleChecks | None = None,
    ):
        """`open_model` opens the content of a bundle or raises; `on_change` sees each table.

        `checks` opens each new content in another process first.
        """
        self._folder = folder
        self._open_model = open_model
        self._on_change = on_change
        self._checks = checks
        self._versions: dict[tuple[str, str], _Version] = {}
        self._deployed: dict[str, _Deployed] = {}
        self._has_garbage = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="loader", daemon=True)
        self.table = RoutingTable()
        self.has_looked = False

    def start(self) -> None:
        """Start to follow the folder."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after its current look at the folder."""
        self._stopping.set()
        if self._checks:
            self._checks.close()
        self._thread.join(STOP_SECONDS)

    def is_alive(self) -> bool:
        """Whether the folder is being followed."""
        return self._thread.is_alive()

    def _work(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may fare better
                self._tell(error)
            if self._stopping.wait(POLL_SECONDS):
                return

    def _tell(self, error: Exception) -> None:
        problem = f"the folder {self._folder} cannot be followed: {told(error)}"
        if problem != self.table.problem:
            logger.exception("deployments cannot be followed, the loaded models keep serving")
            self.table = replace(self.table, problem=problem)

    def look(self) -> None:
        """Compare the folder with the loaded versions, load new ones, and change the table if anything changed."""
        problem = None
        try:
            self._deployed = self._read_deployments()
        except BundleError as error:
            problem = str(error)
        wanted = {
            (name, version)
            for name, deployed in self._deployed.items()
            for version in {*deployed.uuids, *deployed.tags.values()}
        }
        for key in sorted(wanted):
            self._look_at(*key)
        self._publish(self._new_table(wanted, problem), wanted)
        if self._has_garbage.is_set():
            self._has_garbage.clear()
            gc.unfreeze()
            _freeze()
        self.has_looked = self.has_looked or problem is None

    def _publish(self, table: RoutingTable, wanted: set[tuple[str, str]]) -> None:
        if table == self.table:
            return
        if table.problem and table.problem != self.table.problem:
            logger.error("deployments cannot be followed, the loaded models keep serving: %s", table.problem)
        self._on_change(table)
        for model in set(table.models) - set(self.table.models):
            if model.runs_code:
                weakref.finalize(model, self._has_garbage.set).atexit = False
        self.table = table
        in_use = {(model.name, model.uuid) for model in table.models}
        self._versions = {key: version for key, version in self._versions.items() if key in wanted | in_use}
        _freeze()

    def _read_deployments(self) -> dict[str, _Deployed]:
        path = self._folder / DEPLOYMENTS
        try:
            return _DEPLOYMENTS.validate_json(path.read_bytes())
        except FileNotFoundError:
            if not self._deployed:
                return {}  # nothing was ever deployed here
            raise BundleError(f"{path} is gone; deploying any model writes it again") from None
        except (OSError, ValidationError) as error:
            raise BundleError(f"{path} cannot be read: {told(error)}") from error

    def _look_at(self, name: str, version: str) -> None:
        known = self._versions.get((name, version))
        path = self._folder / f"{version}.zip"
        stamp = _stamp(path)
        if known and known.stamp == stamp and time.monotonic() < known.again:
            return
        started = time.perf_counter()
        again = math.inf
        try:
            model = self._open(name, version, path)
        except NotNowError as error:
            reason, again = told(error), time.monotonic() + error.seconds
        except (OSError, MemoryError) as error:
            reason, again = told(error), time.monotonic() + RETRY_SECONDS
        except BaseException as error:  # noqa: BLE001 - bundles hold projects' code, and libraries panic over others
            reason = told(error)
        else:
            self._versions[name, version] = _Version(stamp, model, None)
            milliseconds = (time.perf_counter() - started) * 1000
            logger.info("loaded a bundle: model=%s uuid=%s milliseconds=%.0f", name, version, milliseconds)
            return
        self._versions[name, version] = _Version(stamp, known.model if known else None, reason, again)
        if not known or (known.stamp, known.reason) != (stamp, reason):
            logger.error("refused a bundle: model=%s uuid=%s reason=%s", name, version, reason)

    def _open(self, name: str, version: str, path: Path) -> ServedModel:
        if not _is_uuid(version):
            raise BundleError(f"{version!r} is not a UUID")
        try:
            content = read_file(path)
        except FileNotFoundError:
            raise BundleError(f"{path} is missing") from None
        if self._checks:
            self._checks.check(path, content)
        model = self._open_model(content)
        if (model.name, model.uuid) != (name, version):
            raise BundleError(f"{path} holds version {model.uuid} of {model.name}, not {version} of {name}")
        return model

    def _new_table(self, wanted: set[tuple[str, str]], problem: str | None) -> RoutingTable:
        tags = {}
        waiting: dict[tuple[str, str], list[str]] = {}
        for name, deployed in self._deployed.items():
            for tag, version in deployed.tags.items():
                model = self._versions[name, version].model or self.table.tags.get((name, tag))
                if model:
                    tags[name, tag] = model
                if self._versions[name, version].reason:
                    waiting.setdefault((name, version), []).append(tag)
        models = {(model.name, model.uuid): model for model in tags.values()}
        models |= {key: model for key in wanted if (model := self._versions[key].model)}
        refusals = tuple(
            Refusal(*key, reason, tuple(sorted(waiting.get(key, ()))))
            for key in sorted(wanted)
            if (reason := self._versions[key].reason)
        )
        return RoutingTable(tuple(models[key] for key in sorted(models)), tags, refusals, problem)


def _freeze() -> None:
    gc.collect()
    gc.freeze()


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None  # not there, or not to be seen, which is told when it is opened
    return status.st_mtime_ns, status.st_ino, status.st_size


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
