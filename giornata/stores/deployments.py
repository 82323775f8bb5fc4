"""Deployments in Cassandra: for every model and tag, the versions that were put there, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cassandra import ConsistencyLevel, Timeout, Unavailable
from cassandra.cluster import Session
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_random,
)

from giornata.errors import StoreError
from giornata.stores.cassandra import CASSANDRA_FAULTS

__all__ = ["DEPLOYED", "ROLLED_BACK", "Deployment", "Deployments", "UnansweredError"]

DEPLOYED = "deployed"
ROLLED_BACK = "rolled back"

APPEND_SECONDS = 10.0  # for a deployment to find the moment when nobody else deploys to the tag
AGREE_SECONDS = 30.0  # for nodes to find out that one of them is gone
_TICK = timedelta(milliseconds=1)  # what Cassandra tells apart


@dataclass(frozen=True)
class Deployment:
    """A version put under a tag at a moment (aware, UTC, milliseconds), for some of the modes batch and online.

    `number` counts the deployments to the tag, from 1; it is 0 for those from before they were counted. `kind` is
    DEPLOYED, or ROLLED_BACK if it was restored in place of one that came after it.
    """

    model: str
    tag: str
    at: datetime
    uuid: str
    by: str
    reason: str
    modes: tuple[str, ...]
    number: int = field(default=0, compare=False)
    kind: str = DEPLOYED


class Deployments:
    """The table `giornata.deployments`. Rows are only added: the newest under a tag is what is live."""

    def __init__(self, session: Session):
        """Prepare the statements. Raises StoreError, also when the table is not there yet."""
        self._session = session
        try:
            columns = "model, tag, at, uuid, deployed_by, reason, modes, number, kind"
            self._append = session.prepare(
                "BEGIN BATCH "
                "UPDATE giornata.deployments SET newest = ? WHERE model = ? AND tag = ? IF newest = ?; "
                f"INSERT INTO giornata.deployments ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?); "
                "APPLY BATCH"
            )
            self._timeline = session.prepare(
                f"SELECT {columns} FROM giornata.deployments WHERE model = ? AND tag = ? LIMIT ?"
            )
            self._current = session.prepare(
                f"SELECT {columns} FROM giornata.deployments PER PARTITION LIMIT 1"
            )
            # Who appends must see what others are about to have appended.
            self._newest = session.prepare(
                f"SELECT {columns}, newest FROM giornata.deployments WHERE model = ? AND tag = ? LIMIT 1"
            )
            self._newest.consistency_level = ConsistencyLevel.SERIAL
        except CASSANDRA_FAULTS as fault:
            raise StoreError(_told(fault)) from fault

    def append(
        self,
        model: str,
        tag: str,
        uuid: str,
        by: str,
        reason: str,
        modes: Sequence[str],
        at: datetime,
        kind: str = DEPLOYED,
    ) -> Deployment:
        """Put a version under a tag, after the present one; repeating the last deployment changes nothing.

        It gets the moment `at`, or a later one if the present deployment is not older. Raises StoreError.
        """
        attempts = Retrying(
            retry=retry_if_result(lambda result: result is None),
            stop=stop_after_delay(APPEND_SECONDS),
            wait=wait_random(0, 0.05),
        )
        appended: Deployment | None
        try:
            appended = attempts(
                lambda: self.append_after(
                    self.current(model, tag), model, tag, uuid, by, reason, modes, at, kind
                )
            )
        except RetryError as error:
            raise StoreError(
                f"others deploy to {model}, tag {tag}, all the time: it was tried for {APPEND_SECONDS:.0f} s"
            ) from error
        assert appended
        return appended

    def append_after(
        self,
        live: Deployment | None,
        model: str,
        tag: str,
        uuid: str,
        by: str,
        reason: str,
        modes: Sequence[str],
        at: datetime,
        kind: str = DEPLOYED,
    ) -> Deployment | None:
        """Like `append`, provided that `live`, which `current` returned, is still live; None if it is not."""
        moment = at.astimezone(UTC)
        # Cassandra keeps milliseconds.
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        number = live.number if live else 0
        wanted = Deployment(model, tag, moment, uuid, by, reason, tuple(sorted(modes)), number + 1, kind)
        if live:
            if live == wanted:
                return live
            wanted = replace(wanted, at=max(moment, live.at + _TICK))
        values = (model, tag, wanted.at, uuid, by, reason, list(wanted.modes), wanted.number, kind)
        (result,) = self._rows(self._append, (wanted.number, model, tag, number or None, *values))
        if result[0]:
            return wanted
        # Or an attempt that was not answered has put it there.
        return wanted if self.current(model, tag) == wanted else None

    def current(self, model: str, tag: str) -> Deployment | None:
        """The live deployment of a tag, or None. Raises StoreError."""
        found = self._rows(self._newest, (model, tag))
        return replace(_deployment(found[0]), number=found[0].newest or 0) if found else None

    def all_current(self) -> list[Deployment]:
        """The live deployment of each tag of each model, in order. Raises StoreError."""
        rows = [_deployment(row) for row in self._rows(self._current, ())]
        return sorted(rows, key=lambda deployment: (deployment.model, deployment.tag))

    def timeline(self, model: str, tag: str, limit: int = 1000) -> list[Deployment]:
        """The deployments to a tag, newest first, `limit` of them at most. Raises StoreError."""
        return [_deployment(row) for row in self._rows(self._timeline, (model, tag, limit))]

    def _rows(self, statement: object, values: Sequence[object]) -> list[Any]:
        """The rows of a statement. Until the nodes notice that one of them is down, they report timeouts whose outcome
        is unknown: then the statement is sent again, for AGREE_SECONDS at most."""
        attempts = Retrying(
            retry=retry_if_exception_type(UnansweredError),
            stop=stop_after_delay(AGREE_SECONDS),
            wait=wait_random(0, 0.5),
            reraise=True,
        )
        return attempts(self._rows_at_once, statement, values)

    def _rows_at_once(self, statement: object, values: Sequence[object]) -> list[Any]:
        try:
            return list(self._session.execute(statement, values))
        except (Timeout, Unavailable) as fault:
            raise UnansweredError(_told(fault)) from fault
        except CASSANDRA_FAULTS as fault:
            raise StoreError(_told(fault)) from fault


class UnansweredError(StoreError):
    """Replicas did not answer the coordinating node in time: whether the statement took effect is unknown."""


def _deployment(row: Any) -> Deployment:
    return Deployment(
        row.model,
        row.tag,
        row.at.replace(tzinfo=UTC),
        row.uuid,
        row.deployed_by,
        row.reason,
        tuple(row.modes),
        row.number or 0,
        row.kind or DEPLOYED,
    )


def _told(fault: Exception) -> str:
    return (
        f"Cassandra cannot read or store deployments: {type(fault).__name__}: {fault}. "
        "Is the stack up? `make up` starts it, and brings its tables up to date."
    )
