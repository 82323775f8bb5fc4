"""Deployments: a version passes its gate and keeps callers' signature, then goes into the timeline and to disk."""

import fcntl
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cassandra.cluster import Session
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from dsl.schema import AGE
from giornata.bundle import digest
from giornata.catalogue.deployed import version_lacks
from giornata.documents import load_project
from giornata.errors import (
    BundleError,
    DocumentErrors,
    GateError,
    NotFoundError,
    SettingsError,
    SignatureError,
    StoreError,
)
from giornata.names import parse_model_name
from giornata.records.model_version import Metrics, ModelSignature, ModelVersion
from giornata.schema import Bounds
from giornata.settings import Settings
from giornata.stores.deployments import DEPLOYED, ROLLED_BACK, Deployment, Deployments
from giornata.stores.features import features_online
from giornata.stores.repository import Repository
from giornata.tasks.metrics import METRICS

__all__ = ["check_features", "check_gate", "check_signature", "deploy", "project_to_disk", "rollback"]

ROUTES = "deployments.json"
LOCK_TIMEOUT = 30.0
ATTEMPTS = 20  # to deploy when others deploy to the tag at the same moment
_NEW = ".new-"

logger = logging.getLogger(__name__)


def deploy(
    settings: Settings,
    session: Session,
    uuid: str,
    by: str,
    reason: str,
    at: datetime,
    tag: str | None = None,
    modes: Sequence[str] | None = None,
    kind: str = DEPLOYED,
) -> Deployment:
    """Put a version under a tag and, for online use, into the bundle folder that servers watch.

    Tag and modes default to those of the version's own document. The timeline is the source of truth and is written
    first; after a crash before the folder is written, running it again completes it without a second row: a deployment
    that is live for these modes already is returned as it is. `kind` is the timeline's name for it.

    Raises NotFoundError, GateError if a metric misses its bound, SignatureError if callers of the tag would have to
    change or features that the version reads are gone, and StoreError.
    """
    repository, deployments = Repository(session), Deployments(session)
    version = repository.get(uuid)
    planned = version.configuration.deploy
    tag = tag or (planned.tag if planned else None)
    modes = modes or (planned.modes if planned else None)
    if not tag or not modes:
        raise NotFoundError(
            f"version {uuid} was trained when the document of {version.model} had no `deploy`, and a version keeps the "
            "document it was trained with: name a tag and the modes, as in --tag production --modes batch,online"
        )
    check_gate(planned.gate if planned else {}, version.metrics)
    for _ in range(ATTEMPTS):
        live = deployments.current(version.model, tag)
        if live and live.uuid == uuid and set(live.modes) == set(modes):
            break
        check_features(settings, session, version)
        if live:
            check_signature(
                repository.get(live.uuid).signature, version.signature, f"{version.model}, tag {tag}"
            )
        # What was compared must be what it takes the place of: others may deploy at the same moment.
        live = deployments.append_after(live, version.model, tag, uuid, by, reason, modes, at, kind)
        if live:
            break
    else:
        raise StoreError(
            f"others keep deploying to {version.model}, tag {tag}, at the same time: try again later"
        )
    left_out = project_to_disk(session, settings.bundles)
    if uuid in left_out:
        raise BundleError(f"version {uuid} is in the timeline but cannot be served: {left_out[uuid]}")
    return live


def rollback(
    settings: Settings, session: Session, model: str, tag: str, by: str, reason: str, at: datetime
) -> Deployment:
    """Restore the version that was under a tag before the present one. Raises as `deploy` does.

    Doing it again goes further back: versions that were rolled back do not count.
    """
    timeline = Deployments(session).timeline(model, tag)
    if not timeline:
        raise NotFoundError(f"nothing was ever deployed to {model}, tag {tag}")
    live = timeline[0]
    before = next((entry for entry in _standing(timeline) if entry.uuid != live.uuid), None)
    if before is None:
        if all(entry.uuid == live.uuid for entry in timeline):
            raise NotFoundError(f"only version {live.uuid} was ever deployed to {model}, tag {tag}")
        raise NotFoundError(
            f"nothing came before version {live.uuid}, which {model}, tag {tag} was rolled back to: deploy the version "
            "that you want"
        )
    return deploy(settings, session, before.uuid, by, reason, at, tag, before.modes, ROLLED_BACK)


def _standing(timeline: Sequence[Deployment]) -> list[Deployment]:
    """The live deployment and those before it, newest first, without the ones that were rolled back. `timeline` has the
    same order."""
    standing: list[Deployment] = []
    for entry in reversed(timeline):
        if entry.kind == ROLLED_BACK:
            while standing and standing[-1].uuid != entry.uuid:
                standing.pop()
        standing.append(entry)
    return standing[::-1]


def check_gate(gate: Mapping[str, Bounds], metrics: Metrics) -> None:
    """Raise GateError with every bound that a test metric misses; a missing metric misses it too."""
    missed = []
    for name, bounds in gate.items():
        value = metrics.get(name)
        if name not in metrics:
            missed.append(f"{name} is not among the version's metrics")
        elif value is None:
            known = METRICS[name].undefined if name in METRICS else ""
            why = known or "there are none, or their values are too large to compute with"
            missed.append(f"{name} is not defined on the version's test rows: {why}")
        # Written so that NaN, which compares false, misses its bound.
        elif bounds.max is not None and not value <= bounds.max:
            missed.append(f"{name} is {value:.6g}, more than {bounds.max:g}")
        elif bounds.min is not None and not value >= bounds.min:
            missed.append(f"{name} is {value:.6g}, less than {bounds.min:g}")
    if missed:
        raise GateError(f"the gate of this model is not met: {'; '.join(missed)}")


def check_signature(live: ModelSignature, new: ModelSignature, where: str) -> None:
    """Raise SignatureError if a caller of `live` could not call `new` without a change.

    `new` may need fewer columns, and may do without a value where `live` does not. It must not need more columns,
    another type, or have another task. What it reads from the feature store is not part of the signature.
    """
    problems = []
    if live.task != new.task:
        problems.append(f"its task is {new.task}, not {live.task}")
    for name, column in new.inputs.items():
        known = live.inputs.get(name)
        if known is None:
            if not column.nullable:
                problems.append(f"it needs {name} ({column.type}), which callers do not send")
        elif known.type != column.type:
            problems.append(f"{name} is {column.type}, not {known.type}")
        elif known.nullable and not column.nullable:
            problems.append(f"it needs a value of {name}, which callers may leave out")
    if problems:
        raise SignatureError(
            f"{where}: the version does not fit the one that is live: {'; '.join(problems)}. "
            "Deploy it under another tag, or mend its features"
        )


def check_features(settings: Settings, session: Session, version: ModelVersion) -> None:
    """Raise SignatureError with every reason if features that a version reads are gone.

    That is the case if the project's documents no longer have them as they were at training, or if their columns were
    dropped from Cassandra. Documents that are missing or invalid here, and a group that was never pushed, do not count.
    """
    project = parse_model_name(version.model).project
    problems = []
    try:
        problems += [lack.what for lack in version_lacks(load_project(settings.projects / project), version)]
    except (NotFoundError, DocumentErrors, SettingsError):
        logger.warning(
            "the documents of %s cannot be read: what %s reads is not compared", project, version.uuid
        )
    for read in version.signature.store.values():
        online = features_online(session, project, read.group)
        gone = [] if online is None else sorted(read.features.keys() - online.keys() - {AGE})
        problems += [f"reads {read.group}.{name}, whose column Cassandra does not have" for name in gone]
    if problems:
        raise SignatureError(
            f"version {version.uuid} of {version.model} cannot be live: it {'; it '.join(problems)}. "
            "Train a version that does not read it, or put back what is missing and compute its days again"
        )


def project_to_disk(session: Session, folder: Path) -> dict[str, str]:
    """Write the bundle folder according to the timeline: the versions that are live online, and the version of each
    tag.

    `deployments.json` maps each model to `{"tags": {tag: uuid}, "uuids": [uuid, …]}`; `<uuid>.zip` are the bundles.
    Files appear by rename, bundles before the list that names them, and are removed after it. Returns the versions that
    had to be left out because the repository has no valid bundle of them, with the reason; the others are served.
    Raises StoreError.
    """
    left_out: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            live = [entry for entry in Deployments(session).all_current() if "online" in entry.modes]
            for uuid in sorted({entry.uuid for entry in live}):
                try:
                    _put_bundle(Repository(session), folder / f"{uuid}.zip", uuid)
                except (NotFoundError, BundleError) as error:
                    left_out[uuid] = str(error)
                    logger.warning("left a version out of %s: uuid=%s reason=%s", folder, uuid, error)
            served = [entry for entry in live if entry.uuid not in left_out]
            # Left by a process that was killed: this one alone writes here now.
            for left in folder.glob(f"{_NEW}*"):
                left.unlink(missing_ok=True)
            _replace(folder / ROUTES, json.dumps(_routes(served), indent=2, sort_keys=True).encode())
            for path in folder.glob("*.zip"):
                if path.stem not in {entry.uuid for entry in served}:
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write the bundle folder {folder}: {error.strerror}") from error
    return left_out


def _routes(live: Sequence[Deployment]) -> dict[str, dict[str, object]]:
    tags: dict[str, dict[str, str]] = {}
    for entry in live:
        tags.setdefault(entry.model, {})[entry.tag] = entry.uuid
    return {model: {"tags": under, "uuids": sorted(set(under.values()))} for model, under in tags.items()}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from writing an older state of the timeline over this one."""
    attempts = Retrying(
        retry=retry_if_exception_type(BlockingIOError),
        stop=stop_after_delay(LOCK_TIMEOUT),
        wait=wait_fixed(0.05),
        reraise=True,
    )
    with (folder / ".lock").open("w") as lock:
        attempts(fcntl.flock, lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _put_bundle(repository: Repository, path: Path, uuid: str) -> None:
    if not path.exists() or digest(path.read_bytes()) != repository.bundle_digest(uuid):
        _replace(path, repository.bundle(uuid))


def _replace(path: Path, content: bytes) -> None:
    """Write a file atomically: readers see the old content or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_NEW)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
