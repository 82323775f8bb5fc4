"""Metrics of live models over time, in Cassandra, for the console and its API."""

from collections.abc import Collection, Iterable
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import Any

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args

from giornata.errors import StoreError
from giornata.records.metric_point import Point
from giornata.stores.cassandra import CASSANDRA_FAULTS

_WRITES_AT_ONCE = 64

Key = tuple[str, str, str, str, str]  # model, tag, mode, metric, window


_series = attrgetter("model", "tag", "mode", "metric", "window")
_place = attrgetter("part", "at", "uuid")


class Series:
    """The table `giornata.metric_series`."""

    def __init__(self, session: Session):
        self._session = session
        own = "model = ? AND tag = ? AND mode = ? AND metric = ? AND time_window = ?"
        columns = "part, at, model_uuid, value, row_count"
        self._insert = session.prepare(
            f"INSERT INTO giornata.metric_series (model, tag, mode, metric, time_window, {columns}) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        self._delete = session.prepare(
            f"DELETE FROM giornata.metric_series WHERE {own} AND part = ? AND at = ? AND model_uuid = ?"
        )
        self._read = session.prepare(
            f"SELECT {columns} FROM giornata.metric_series WHERE {own} AND part = ? AND at >= ? AND at < ?"
        )
        self._read_all_parts = session.prepare(
            f"SELECT {columns} FROM giornata.metric_series WHERE {own} AND at >= ? AND at < ? ALLOW FILTERING"
        )
        self._list = session.prepare(
            "SELECT DISTINCT model, tag, mode, metric, time_window FROM giornata.metric_series"
        )

    def write(self, points: Iterable[Point]) -> None:
        """Write points; an existing one gets the new value and row count. Raises StoreError."""
        rows = [(*_series(point), *_place(point), point.value, point.rows) for point in points]
        try:
            execute_concurrent_with_args(self._session, self._insert, rows, concurrency=_WRITES_AT_ONCE)
        except CASSANDRA_FAULTS as fault:
            raise _fault("cannot write metrics", fault) from fault

    def replace(
        self, model: str, points: Iterable[Point], start: date, end: date, metrics: Collection[str]
    ) -> None:
        """Replace all points of these `metrics` of `model` for the days of [start, end): write `points`, then remove
        the others.

        Each job names its own metrics and leaves those of other jobs alone. A reader in between sees too much, never
        too little. Raises StoreError.
        """
        points = sorted(points)
        self.write(points)
        kept = {key: {_place(point) for point in group} for key, group in groupby(points, _series)}
        for key in (key for key in self.keys(model) if key[3] in metrics):
            for point in self.read_parts(*key, start, end):
                if _place(point) not in kept.get(key, ()):
                    self._rows(self._delete, (*key, *_place(point)))

    def read(
        self,
        model: str,
        tag: str,
        mode: str,
        metric: str,
        window: str,
        start: date,
        end: date,
        part: str = "all",
    ) -> list[Point]:
        """The points of one series and part with start <= at < end, oldest first. Raises StoreError."""
        key = (model, tag, mode, metric, window)
        return [_point(key, row) for row in self._rows(self._read, (*key, part, start, end))]

    def read_parts(
        self, model: str, tag: str, mode: str, metric: str, window: str, start: date, end: date
    ) -> list[Point]:
        """The points of one series with start <= at < end, of all its parts, by part and day. Raises StoreError."""
        key = (model, tag, mode, metric, window)
        return [_point(key, row) for row in self._rows(self._read_all_parts, (*key, start, end))]

    def keys(self, model: str) -> list[Key]:
        """The series of a model: (model, tag, mode, metric, window), sorted. Raises StoreError."""
        found = ((row[0], row[1], row[2], row[3], row[4]) for row in self._rows(self._list, ()))
        return sorted(key for key in found if key[0] == model)

    def _rows(self, statement: object, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            return list(self._session.execute(statement, values))
        except CASSANDRA_FAULTS as fault:
            raise _fault("cannot read or write metrics", fault) from fault


def _point(key: Key, row: tuple[Any, ...]) -> Point:
    model, tag, mode, metric, window = key
    part, at, uuid, value, rows = row
    return Point(model, tag, mode, metric, window, part, at.date(), uuid, value, rows)


def _fault(what: str, fault: Exception) -> StoreError:
    return StoreError(
        f"Cassandra {what}: {type(fault).__name__}: {fault}. Is the stack up? Start it with `make up`."
    )
