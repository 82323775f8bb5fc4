"""Deployments in Cassandra: for every model and tag, which version was put there when, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cassandra.cluster import Session

from giornata.errors import StoreError
from giornata.stores.cassandra import CASSANDRA_FAULTS

__all__ = ["Deployment", "Deployments"]


@dataclass(frozen=True)
class Deployment:
    """A version put under a tag at a moment (aware, UTC, milliseconds), for some of the modes batch and online."""

    model: str
    tag: str
    at: datetime
    uuid: str
    by: str
    reason: str
    modes: tuple[str, ...]


class Deployments:
    """The table `giornata.deployments`. Rows are only added: the newest under a tag is what is live."""

    def __init__(self, session: Session):
        """Prepare the statements. Raises StoreError, also when the table is not there yet."""
        self._session = session
        try:
            columns = "model, tag, at, uuid, deployed_by, reason, modes"
            self._insert = session.prepare(
                f"INSERT INTO giornata.deployments ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"
            )
            self._timeline = session.prepare(
                f"SELECT {columns} FROM giornata.deployments WHERE model = ? AND tag = ? LIMIT ?"
            )
            self._current = session.prepare(
                f"SELECT {columns} FROM giornata.deployments PER PARTITION LIMIT 1"
            )
        except CASSANDRA_FAULTS as fault:
            raise _fault(fault) from fault

    def append(
        self, model: str, tag: str, uuid: str, by: str, reason: str, modes: Sequence[str], at: datetime
    ) -> Deployment:
        """Put a version under a tag at `at`; the same again changes nothing. Raises StoreError."""
        moment = at.astimezone(UTC)
        # Cassandra keeps milliseconds.
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        deployment = Deployment(model, tag, moment, uuid, by, reason, tuple(sorted(modes)))
        self._rows(self._insert, (model, tag, moment, uuid, by, reason, list(deployment.modes)))
        return deployment

    def current(self, model: str, tag: str) -> Deployment | None:
        """What is live under a tag, or None. Raises StoreError."""
        return next(iter(self.timeline(model, tag, limit=1)), None)

    def all_current(self) -> list[Deployment]:
        """What is live under each tag of each model, in their order. Raises StoreError."""
        rows = [_deployment(row) for row in self._rows(self._current, ())]
        return sorted(rows, key=lambda deployment: (deployment.model, deployment.tag))

    def timeline(self, model: str, tag: str, limit: int = 1000) -> list[Deployment]:
        """The deployments to a tag, newest first, `limit` of them at most. Raises StoreError."""
        return [_deployment(row) for row in self._rows(self._timeline, (model, tag, limit))]

    def _rows(self, statement: object, values: Sequence[object]) -> list[Any]:
        try:
            return list(self._session.execute(statement, values))
        except CASSANDRA_FAULTS as fault:
            raise _fault(fault) from fault


def _deployment(row: Any) -> Deployment:
    return Deployment(
        row.model,
        row.tag,
        row.at.replace(tzinfo=UTC),
        row.uuid,
        row.deployed_by,
        row.reason,
        tuple(row.modes),
    )


def _fault(fault: Exception) -> StoreError:
    return StoreError(
        f"Cassandra cannot read or store deployments: {type(fault).__name__}: {fault}. "
        "Is the stack up? Start it with `make up`."
    )
