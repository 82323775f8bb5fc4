"""The table of a feature group in Cassandra, written and listed from Spark's executors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import pyarrow as pa
from cassandra.cluster import PreparedStatement, Session
from pyspark.sql import DataFrame, SparkSession

from giornata import names
from giornata.documents import FeatureGroup
from giornata.errors import StoreError
from giornata.settings import Settings
from giornata.stores.cassandra import CASSANDRA_FAULTS, CassandraAccess, connect_to
from jobs.hive.schema import SQL_TYPES
from jobs.online.writer import Patience, execute, prepare, write_batches

__all__ = ["WRITTEN_AT", "OnlineTable", "PushedDay", "write_time"]

WRITTEN_AT = "_written_at"
"""The column with Cassandra's write time for rows to be written or deleted, as `write_time` gives it."""

# Tasks that write at once: with the bounds of jobs.online.writer, what Cassandra may have to bear.
WRITERS = 4

# Ranges of the token ring whose keys are read: those of one are in memory together.
RANGES = 256

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_TOKEN, _LAST_TOKEN = -(2**63), 2**63 - 1
_OUTCOME = pa.schema({"written": pa.int64(), "fault": pa.string()})
_KEYS = {"str": pa.string(), "int": pa.int64(), "timestamp": pa.timestamp("us", "UTC")}


def write_time(moment: datetime) -> int:
    """A moment as Cassandra's write time: microseconds from 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


class PushedDay(NamedTuple):
    """The location in Hive from which a day was pushed, and the moment that is its rows' write time."""

    location: str
    moment: datetime


@dataclass(frozen=True)
class OnlineTable:
    """The table of one group. Every operation is retried with `patience` before it raises StoreError."""

    settings: Settings
    project: str
    name: str
    group: FeatureGroup
    patience: Patience

    @property
    def full_name(self) -> str:
        """`features_flights.origin_weather`."""
        return names.online_table(self.project, self.name)

    @property
    def key(self) -> list[str]:
        """The key columns."""
        return [*self.group.entity, "event_time"]

    def insert(self, rows: DataFrame) -> int:
        """Write rows with all their features, null or not, at their WRITTEN_AT; returns how many."""
        columns = [*self.key, *self.group.features]
        statement = (
            f"INSERT INTO {self.full_name} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)}) "
            "USING TIMESTAMP ?"
        )
        return self._write(rows, statement, [*columns, WRITTEN_AT])

    def delete(self, rows: DataFrame) -> int:
        """Delete the rows with the keys of `rows` that were not written after WRITTEN_AT; returns how many."""
        condition = " AND ".join(f"{column} = ?" for column in self.key)
        statement = f"DELETE FROM {self.full_name} USING TIMESTAMP ? WHERE {condition}"
        return self._write(rows, statement, [WRITTEN_AT, *self.key])

    def _write(self, rows: DataFrame, statement: str, parameters: Sequence[str]) -> int:
        """Execute `statement` for every row, from the executors; `parameters` are its columns in order.

        Rows of one entity are neighbours in Cassandra and are sent together. The first fault that outlasted the
        patience of a task is raised.
        """
        entity = list(self.group.entity)
        # Spark joins the partitions of few rows, which one task writes.
        together = rows.select(*parameters).repartition(*entity).coalesce(WRITERS)
        neighbours = together.sortWithinPartitions(*entity)
        places = [parameters.index(column) for column in entity]
        access, patience = CassandraAccess.of(self.settings), self.patience

        def write_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            written, fault = write_batches(access, statement, places, batches, patience)
            yield pa.RecordBatch.from_pydict({"written": [written], "fault": [fault]}, _OUTCOME)

        outcomes = neighbours.mapInArrow(write_task, "written bigint, fault string").collect()
        for outcome in outcomes:
            if outcome["fault"] is not None:
                raise StoreError(outcome["fault"])
        return sum(outcome["written"] for outcome in outcomes)

    def keys(self, spark: SparkSession) -> DataFrame:
        """The keys of all existing rows, read by the executors range by range of the token ring."""
        types = {**self.group.entity, "event_time": "timestamp"}
        schema = pa.schema([(column, _KEYS[type_]) for column, type_ in types.items()])
        token = f"token({', '.join(self.group.entity)})"
        statement = f"SELECT {', '.join(types)} FROM {self.full_name} WHERE {token} > ? AND {token} <= ?"
        access, patience = CassandraAccess.of(self.settings), self.patience

        def read_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            session = patience.retrying()(connect_to, access)
            try:
                prepared = prepare(session, statement, patience)
                for batch in batches:
                    for bounds in batch.to_pylist():
                        found = patience.retrying()(_read, session, prepared, tuple(bounds.values()))
                        yield pa.RecordBatch.from_pylist(found, schema)
            finally:
                session.cluster.shutdown()

        step = 2**64 // RANGES
        edges = [*(_FIRST_TOKEN + number * step for number in range(RANGES)), _LAST_TOKEN]
        ranges = spark.createDataFrame(list(pairwise(edges)), "after bigint, until bigint")
        return ranges.repartition(WRITERS).mapInArrow(
            read_task, ", ".join(f"{column} {SQL_TYPES[type_]}" for column, type_ in types.items())
        )

    def pushed(self, session: Session) -> dict[str, PushedDay]:
        """Every day as it was last pushed."""
        try:
            rows = session.execute(
                "SELECT day, location, WRITETIME(location) AS written FROM giornata.pushed_partitions "
                "WHERE project = %s AND group_name = %s",
                (self.project, self.name),
            )
            return {
                row.day: PushedDay(row.location, _EPOCH + timedelta(microseconds=row.written)) for row in rows
            }
        except CASSANDRA_FAULTS as fault:
            raise StoreError(
                f"Cassandra does not say what was pushed of {self.project}/{self.name}: {fault}"
            ) from fault

    def record(self, session: Session, pushed: Mapping[str, str], moments: Mapping[str, datetime]) -> None:
        """Record the location in Hive of each pushed day, at the write time of its rows."""
        statement = prepare(
            session,
            "INSERT INTO giornata.pushed_partitions (project, group_name, day, location) VALUES (?, ?, ?, ?) "
            "USING TIMESTAMP ?",
            self.patience,
        )
        rows = [
            (self.project, self.name, day, location, write_time(moments[day]))
            for day, location in pushed.items()
        ]
        execute(session, map(statement.bind, rows), self.patience)


def _read(session: Session, statement: PreparedStatement, bounds: tuple[int, int]) -> list[dict[str, object]]:
    """The rows whose token lies in a range, its first bound excluded."""
    try:
        return [row._asdict() for row in session.execute(statement, bounds)]
    except CASSANDRA_FAULTS as fault:
        raise StoreError(f"Cassandra does not give the keys of a table: {fault}") from fault
