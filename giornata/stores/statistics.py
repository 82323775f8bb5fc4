"""Statistics of features by day, in Cassandra, for the catalogue."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cassandra.cluster import Session
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType

from giornata.errors import StoreError
from giornata.records.feature_statistics import FeatureStatistics
from giornata.stores.cassandra import CASSANDRA_FAULTS

__all__ = ["Statistics"]

# Cassandra refuses a batch of more than 50 KiB.
_ROWS_TOGETHER = 100

_OPTIONAL = (
    "null_share", "minimum", "mean", "maximum", "q05", "q25", "q50", "q75", "q95", "true_share",
)  # fmt: skip
_VALUES = ("feature", "type", "row_count", *_OPTIONAL, "distinct_count")


class Statistics:
    """The table `giornata.feature_statistics`."""

    def __init__(self, session: Session):
        """Prepare the statements. Raises StoreError, also when the table is not there yet."""
        self._session = session
        group = "project = ? AND group_name = ?"
        columns = f"day, {', '.join(_VALUES)}"
        table = "giornata.feature_statistics"
        try:
            self._insert = session.prepare(
                f"INSERT INTO {table} (project, group_name, {columns}, location) "
                f"VALUES ({', '.join('?' * (len(_VALUES) + 4))}) USING TIMESTAMP ?"
            )
            self._delete = session.prepare(f"DELETE FROM {table} USING TIMESTAMP ? WHERE {group} AND day = ?")
            self._newest = session.prepare(f"SELECT day FROM {table} WHERE {group} LIMIT 1")
            self._read = session.prepare(
                f"SELECT {columns} FROM {table} WHERE {group} AND day >= ? AND day < ?"
            )
            self._locations = session.prepare(
                f"SELECT day, location FROM {table} WHERE {group} GROUP BY project, group_name, day"
            )
        except CASSANDRA_FAULTS as fault:
            raise _fault(fault) from fault

    def replace(
        self,
        project: str,
        group: str,
        day: date,
        statistics: Sequence[FeatureStatistics],
        location: str,
        published: datetime,
    ) -> None:
        """Replace the statistics of a day, unless the present ones were published later than `published`.

        `location` is the folder that the day's statistics have in Hive. Raises StoreError.
        """
        moment = (published - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        # The first feature of a day is what `locations` reads: it goes last, when all others are there.
        rows = sorted(statistics, key=lambda found: found.feature, reverse=True)
        for first in range(0, len(rows), _ROWS_TOGETHER):
            batch = BatchStatement(BatchType.UNLOGGED)
            if not first:
                batch.add(self._delete, (moment - 1, project, group, day))
            for found in rows[first : first + _ROWS_TOGETHER]:
                batch.add(self._insert, (project, group, day, *_values(found), location, moment))
            self._rows(batch, None)

    def locations(self, project: str, group: str) -> dict[date, str]:
        """Every day of a group that has statistics, with its folder in Hive. Raises StoreError."""
        return {row.day.date(): row.location for row in self._rows(self._locations, (project, group))}

    def newest(self, project: str, group: str) -> list[FeatureStatistics]:
        """The statistics of the newest day of a group, by feature; empty before the first. Raises StoreError."""
        days = self._rows(self._newest, (project, group))
        if not days:
            return []
        day = days[0].day.date()
        return self.read(project, group, day, day + timedelta(days=1))

    def read(self, project: str, group: str, start: date, end: date) -> list[FeatureStatistics]:
        """The statistics of a group with start <= day < end, by day and feature. Raises StoreError."""
        rows = self._rows(self._read, (project, group, start, end))
        return sorted(map(_statistics, rows), key=lambda found: (found.day, found.feature))

    def _rows(self, statement: object, values: Sequence[object] | None) -> list[Any]:
        try:
            return list(self._session.execute(statement, values))
        except CASSANDRA_FAULTS as fault:
            raise _fault(fault) from fault


def _values(found: FeatureStatistics) -> list[object]:
    """The values of a row; None values stay unset, which unlike null leaves no tombstone."""
    optional = [*(getattr(found, name) for name in _OPTIONAL), found.distinct]
    return [
        found.feature,
        found.type,
        found.rows,
        *(UNSET_VALUE if value is None else value for value in optional),
    ]


def _statistics(row: Any) -> FeatureStatistics:
    optional = {name: getattr(row, name) for name in _OPTIONAL}
    return FeatureStatistics(
        feature=row.feature,
        type=row.type,
        day=row.day.date(),
        rows=row.row_count,
        distinct=row.distinct_count,
        **optional,
    )


def _fault(fault: Exception) -> StoreError:
    return StoreError(
        f"Cassandra cannot read or store statistics of features: {type(fault).__name__}: {fault}. "
        "Is the stack up? Start it with `make up`."
    )
