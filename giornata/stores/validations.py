"""Validation results of feature groups, in Cassandra, for the catalogue."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cassandra.cluster import Session

from giornata.errors import StoreError
from giornata.records.validation_result import LATELY, ExpectationResult, Validation
from giornata.stores.cassandra import CASSANDRA_FAULTS

__all__ = ["Validations"]


class Validations:
    """The table `giornata.validations`."""

    def __init__(self, session: Session):
        """Prepare the statements. Raises StoreError, also when the table is not there yet."""
        self._session = session
        table, group = "giornata.validations", "project = ? AND group_name = ?"
        columns = "day, until_day, published, results"
        try:
            self._insert = session.prepare(
                f"INSERT INTO {table} (project, group_name, {columns}, location) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
            )
            self._newest = session.prepare(f"SELECT until_day FROM {table} WHERE {group} LIMIT 1")
            self._read = session.prepare(f"SELECT {columns} FROM {table} WHERE {group} AND until_day > ?")
            self._locations = session.prepare(f"SELECT day, until_day, location FROM {table} WHERE {group}")
        except CASSANDRA_FAULTS as fault:
            raise _fault(fault) from fault

    def replace(self, project: str, group: str, validation: Validation, location: str) -> None:
        """Replace the result for its range of days, unless the present one is newer than `validation.at`.

        `location` is the folder that its results have in Hive. Raises StoreError.
        """
        moment = (validation.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        results = json.dumps([asdict(result) for result in validation.results])
        values = (validation.start, validation.end, validation.at, results, location, moment)
        self._rows(self._insert, (project, group, *values))

    def locations(self, project: str, group: str) -> dict[tuple[date, date], str]:
        """Every range (first day, day after the last) of a group, with its folder in Hive. Raises StoreError."""
        rows = self._rows(self._locations, (project, group))
        return {(row.day.date(), row.until_day.date()): row.location for row in rows}

    def lately(self, project: str, group: str) -> list[Validation]:
        """The results for the LATELY days before the end of the newest range, oldest range first; [] before the first.

        Raises StoreError.
        """
        newest = self._rows(self._newest, (project, group))
        if not newest:
            return []
        end = newest[0].until_day.date()
        return self.read(project, group, end - timedelta(days=LATELY), end)

    def read(self, project: str, group: str, start: date, end: date) -> list[Validation]:
        """The results for ranges that have days with start <= day < end, oldest range first. Raises StoreError."""
        rows = self._rows(self._read, (project, group, start))
        found = [_validation(row) for row in rows if row.day.date() < end]
        return sorted(found, key=lambda each: (each.end, each.start))

    def _rows(self, statement: object, values: Sequence[object]) -> list[Any]:
        try:
            return list(self._session.execute(statement, values))
        except CASSANDRA_FAULTS as fault:
            raise _fault(fault) from fault


def _validation(row: Any) -> Validation:
    return Validation(
        row.day.date(),
        row.until_day.date(),
        row.published.replace(tzinfo=UTC),
        tuple(ExpectationResult(**result) for result in json.loads(row.results)),
    )


def _fault(fault: Exception) -> StoreError:
    return StoreError(
        f"Cassandra cannot read or store what expectations found: {type(fault).__name__}: {fault}. "
        "Is the stack up? Start it with `make up`."
    )
