"""The model repository in Cassandra: a record and a bundle for every trained version.

A version becomes visible, or is replaced, by one row, written last: the bundle's chunks lie under its SHA-256, so that
a reader never mixes two bundles of one version.
"""

from collections.abc import Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args

from giornata.bundle import digest
from giornata.errors import BundleError, NotFoundError, StoreError
from giornata.records.model_version import ModelVersion, VersionSummary
from giornata.stores.cassandra import CASSANDRA_FAULTS

__all__ = ["Repository"]

CHUNK_BYTES = 512 * 2**10
_CHUNKS_AT_ONCE = 4

# Hex digits of a uuid, and how few of them may stand for it; versions that are listed where they stand for several.
_DIGITS, _FEWEST, _SHOWN = 32, 6, 10
_SUMMARY = ("uuid", "model", "status", "trained_by", "started_at", "finished_at")


class Repository:
    """The tables `giornata.model_versions` and `giornata.model_files`."""

    def __init__(self, session: Session):
        """Prepare the statements. Raises StoreError, also when the tables are not there yet."""
        self._session = session
        try:
            self._insert = session.prepare(
                f"INSERT INTO giornata.model_versions ({', '.join(_SUMMARY)}, "
                "metrics, record, bundle_sha256, bundle_chunks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            )
            self._record = session.prepare("SELECT record FROM giornata.model_versions WHERE uuid = ?")
            self._bundle = session.prepare(
                "SELECT bundle_sha256, bundle_chunks FROM giornata.model_versions WHERE uuid = ?"
            )
            self._insert_chunk = session.prepare(
                "INSERT INTO giornata.model_files (uuid, sha256, chunk, data) VALUES (?, ?, ?, ?)"
            )
            self._chunk = session.prepare(
                "SELECT data FROM giornata.model_files WHERE uuid = ? AND sha256 = ? AND chunk = ?"
            )
            columns = f"{', '.join(_SUMMARY)}, metrics"
            self._list = session.prepare(f"SELECT {columns} FROM giornata.model_versions")
            self._list_model = session.prepare(
                f"SELECT {columns} FROM giornata.model_versions WHERE model = ?"
            )
        except CASSANDRA_FAULTS as fault:
            raise _fault("prepare to read or store", "of any uuid", fault) from fault

    def save(self, version: ModelVersion, bundle: bytes) -> None:
        """Store a version with its bundle; one of the same uuid is replaced. Raises StoreError."""
        sha256 = digest(bundle)
        chunks = [bundle[start : start + CHUNK_BYTES] for start in range(0, len(bundle), CHUNK_BYTES)]
        rows = [(version.uuid, sha256, number, chunk) for number, chunk in enumerate(chunks)]
        summary = [getattr(version, name) for name in _SUMMARY]
        # A metric that is not defined has no entry: a map in Cassandra holds no nulls.
        metrics = {name: value for name, value in version.metrics.items() if value is not None}
        record = version.model_dump_json()
        try:
            execute_concurrent_with_args(self._session, self._insert_chunk, rows, concurrency=_CHUNKS_AT_ONCE)
        except CASSANDRA_FAULTS as fault:
            raise _fault("store", version.uuid, fault) from fault
        self._rows(self._insert, (*summary, metrics, record, sha256, len(chunks)), version.uuid)

    def get(self, uuid: str) -> ModelVersion:
        """The record of a version. Raises NotFoundError or StoreError."""
        return ModelVersion.model_validate_json(self._one(self._record, uuid).record)

    def uuid(self, text: str) -> str:
        """The uuid of the only version whose uuid begins with `text`: 6 or more of its hex digits, or all of them.

        Raises NotFoundError, which lists the versions if there are several, or StoreError.
        """
        digits = _digits(text)
        if len(digits) == _DIGITS:
            return str(UUID(digits))
        found = [version for version in self.list() if version.uuid.replace("-", "").startswith(digits)]
        if len(found) == 1:
            return found[0].uuid
        if not found:
            raise _unknown(text)
        shown = "\n".join(f"  {each.uuid}  {each.model}" for each in found[:_SHOWN])
        more = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise NotFoundError(f"{len(found)} versions begin with {text}: write more of the uuid\n{shown}{more}")

    def bundle_digest(self, uuid: str) -> str:
        """SHA-256 of the bundle of a version. Raises NotFoundError or StoreError."""
        return str(self._one(self._bundle, uuid).bundle_sha256)

    def bundle_bytes(self, uuid: str) -> int:
        """An upper bound of the size of a version's bundle. Raises NotFoundError or StoreError."""
        return int(self._one(self._bundle, uuid).bundle_chunks) * CHUNK_BYTES

    def bundle(self, uuid: str) -> bytes:
        """The bundle of a version, as it was saved.

        Raises NotFoundError, BundleError if it is damaged, or StoreError.
        """
        row = self._one(self._bundle, uuid)
        found = [
            self._rows(self._chunk, (uuid, row.bundle_sha256, number), uuid)
            for number in range(row.bundle_chunks)
        ]
        content = b"".join(rows[0].data for rows in found if rows)
        if digest(content) != row.bundle_sha256:
            raise BundleError(
                f"the bundle of version {uuid} in Cassandra is incomplete or damaged: train it again"
            )
        return content

    def _one(self, statement: object, uuid: str) -> Any:
        rows = self._rows(statement, (uuid,), uuid)
        if not rows:
            raise _unknown(uuid)
        return rows[0]

    def _rows(self, statement: object, values: Sequence[object], what: str | None) -> list[Any]:
        try:
            return [*self._session.execute(statement, values)]
        except CASSANDRA_FAULTS as fault:
            raise _fault("read or store", what, fault) from fault

    def list(self, model: str | None = None) -> list[VersionSummary]:
        """The versions of a model, or of all models, newest first. Raises StoreError."""
        rows = (
            self._rows(self._list_model, (model,), model)
            if model
            else self._rows(self._list, (), "all models")
        )
        summaries = [_summary(row) for row in rows]
        return sorted(summaries, key=lambda version: (version.finished_at, version.uuid), reverse=True)


def _unknown(uuid: str) -> NotFoundError:
    return NotFoundError(f"there is no model version {uuid}; `giornata models` lists those there are")


def _digits(text: str) -> str:
    """The hex digits that a uuid, or its beginning, is written with. Raises NotFoundError for anything else."""
    digits = text.strip().lower().replace("-", "")
    if not _FEWEST <= len(digits) <= _DIGITS or set(digits) - set("0123456789abcdef"):
        raise NotFoundError(
            f"{text!r} is not the uuid of a model version: write all of it, or {_FEWEST} or more of its first hex "
            "digits; `giornata models` lists them"
        )
    return digits


def _summary(row: Any) -> VersionSummary:
    values = row._asdict()
    for name in ("started_at", "finished_at"):
        values[name] = values[name].replace(tzinfo=UTC)
    return VersionSummary(**values | {"metrics": dict(row.metrics or {})})


def _fault(what: str, version: str | None, fault: Exception) -> StoreError:
    return StoreError(
        f"Cassandra cannot {what} model version {version}: {type(fault).__name__}: {fault}. "
        "Is the stack up? Start it with `make up`."
    )
