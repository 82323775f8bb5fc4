"""From when on the online store can be asked about a feature group: the first day after those that it lacks.

Online are the days of a group's `history`, and what was pushed before. The last push leaves here the day from which on
every day that Hive has published is online: at a moment that sees earlier ones, a row may be missing, or not be the
newest, only because it was never pushed.
"""

import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import NamedTuple

from cassandra import InvalidRequest
from cassandra.cluster import Session

from giornata.errors import StoreError
from giornata.stores.cassandra import CASSANDRA_FAULTS

__all__ = ["Covered", "OnlineHistory", "complete_from", "covered_days", "record_covered"]

REFRESH = 10.0
"""Seconds for which a server goes by what it has read."""

RETRY = 1.0
"""Seconds after a read that failed."""


class Covered(NamedTuple):
    """The days of a group that are online: all that are published from `begin` on (None: all), up to `newest`."""

    begin: date | None
    newest: date


def record_covered(session: Session, project: str, group: str, covered: Covered) -> None:
    """Note what a push has brought online. Raises StoreError."""
    try:
        session.execute(
            "INSERT INTO giornata.online_history (project, group_name, complete_from, newest_day) "
            "VALUES (%s, %s, %s, %s)",
            (project, group, *covered),
        )
    except CASSANDRA_FAULTS as fault:
        raise StoreError(f"Cassandra does not note what is online of {project}/{group}: {fault}") from fault


def covered_days(session: Session, project: str) -> dict[str, Covered]:
    """What is online of each group of a project that has been pushed since this is noted. Raises StoreError."""
    try:
        rows = session.execute(
            "SELECT group_name, complete_from, newest_day FROM giornata.online_history WHERE project = %s",
            (project,),
        )
        return {
            row.group_name: Covered(row.complete_from and row.complete_from.date(), row.newest_day.date())
            for row in rows
        }
    except InvalidRequest:
        return {}  # nothing was pushed since there is this table
    except CASSANDRA_FAULTS as fault:
        raise StoreError(f"Cassandra does not say what is online of {project}: {fault}") from fault


class OnlineHistory:
    """What is online of a project's groups, for a server: read now and then, beside the requests."""

    def __init__(self, session: Session, project: str):
        self._session = session
        self._project = project
        self._due = 0.0
        self._lock = threading.Lock()
        self._read_once = threading.Event()
        self._begin: Mapping[str, datetime] = {}

    def refresh(self) -> None:
        """Begin to read anew where the last read is REFRESH seconds old; never waits."""
        if monotonic() >= self._due:
            with self._lock:
                if monotonic() < self._due:
                    return
                self._due = monotonic() + REFRESH
            threading.Thread(target=self._read, name="online-history", daemon=True).start()

    def complete_from(self, wait: float) -> Mapping[str, datetime]:
        """The moment from which on each group is online as it is published; a group that is whole has none.

        Waits for the first read, at most `wait` seconds; from then on it is what was last read. Where that cannot be
        read, nothing is known to be missing.
        """
        if not self._read_once.is_set():
            self._read_once.wait(wait)
        return self._begin

    def _read(self) -> None:
        try:
            found = covered_days(self._session, self._project)
        except StoreError:
            self._due = monotonic() + RETRY
            self._read_once.set()
            return
        self._begin = {
            group: datetime(covered.begin.year, covered.begin.month, covered.begin.day, tzinfo=UTC)
            for group, covered in found.items()
            if covered.begin is not None
        }
        self._read_once.set()


def complete_from(published: Mapping[str, str], online: Mapping[str, str]) -> date | None:
    """The day after the newest one that is not online as it is published; None where all are.

    Both map days, `YYYY-MM-DD`, to their folders in Hive: where they are published now, and what was pushed last.
    """
    behind = max((day for day, location in published.items() if online.get(day) != location), default=None)
    return None if behind is None else date.fromisoformat(behind) + timedelta(days=1)
