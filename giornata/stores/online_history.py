"""The moments for which a feature group can be read online: those after the last published day that is not online.

Online are the days of a group's `history`, and what was pushed before. The last push records the day from which on
every published day of Hive is online: at a moment that sees earlier days, a row may be missing, or an older one be
found, only because the newest was never pushed.
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
"""Seconds for which a server uses what it has read."""

RETRY = 1.0
"""Seconds after a read that failed."""


class Covered(NamedTuple):
    """The days of a group that are online: all published ones from `begin` on (None: all), up to `newest`."""

    begin: date | None
    newest: date


def record_covered(session: Session, project: str, group: str, covered: Covered) -> None:
    """Record the days that a push has brought online. Raises StoreError."""
    try:
        session.execute(
            "INSERT INTO giornata.online_history (project, group_name, complete_from, newest_day) "
            "VALUES (%s, %s, %s, %s)",
            (project, group, *covered),
        )
    except CASSANDRA_FAULTS as fault:
        raise StoreError(f"Cassandra cannot record the online days of {project}/{group}: {fault}") from fault


def covered_days(session: Session, project: str) -> dict[str, Covered]:
    """The online days of each group of a project that has been pushed since they are recorded. Raises StoreError."""
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
        raise StoreError(f"Cassandra cannot read the online days of {project}: {fault}") from fault


class OnlineHistory:
    """The online days of a project's groups, for a server: read now and then, outside of requests."""

    def __init__(self, session: Session, project: str):
        self._session = session
        self._project = project
        self._due = 0.0
        self._lock = threading.Lock()
        self._read_once = threading.Event()
        self._begin: Mapping[str, datetime] = {}

    def refresh(self) -> None:
        """Start to read again if the last read is REFRESH seconds old; never waits."""
        if monotonic() >= self._due:
            with self._lock:
                if monotonic() < self._due:
                    return
                self._due = monotonic() + REFRESH
            threading.Thread(target=self._read, name="online-history", daemon=True).start()

    def complete_from(self, wait: float) -> Mapping[str, datetime]:
        """The moment from which on each group is completely online; a group that is complete is left out.

        Waits for the first read, at most `wait` seconds; after that it returns the last result. If that cannot be read,
        no group counts as incomplete.
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
    """The day after the newest published one that is not online; None if all are.

    Both arguments map days, `YYYY-MM-DD`, to their folders in Hive: the published ones, and those that were last
    pushed.
    """
    behind = max((day for day, location in published.items() if online.get(day) != location), default=None)
    return None if behind is None else date.fromisoformat(behind) + timedelta(days=1)
