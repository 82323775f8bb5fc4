"""Pushes feature groups from Hive to Cassandra, from Spark's executors.

What is to be pushed follows from two lists alone: where Hive has each partition now, and which location of
it was pushed last (`giornata.pushed_partitions`). No date is remembered that a wrong event time could
spoil: whatever was not pushed, because Cassandra was down or a job was killed, is pushed next time. Online
are the days of the group's `history` before its newest published day; all of them where values do not age.

Every write carries the moment at which its partition's publication began as Cassandra's write time. (Event
time would not do: of two values with equal write times Cassandra keeps the larger, so that a corrected row
might not replace the wrong one. And it is not needed to keep a late row from hiding a newer one: each event
time has a row of its own.) So pushes may be repeated and may overtake one another, and the newest
publication stands. Rows that a publication no longer has are deleted with its write time, which, unlike a
delete of now, hides nothing that is pushed later.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from cassandra.cluster import Session
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from giornata import names
from giornata.documents import FeatureGroup
from giornata.errors import StoreError
from giornata.settings import Settings
from giornata.stores.cassandra import CASSANDRA_FAULTS, apply
from giornata.stores.features import ensure_feature_table
from jobs import folders
from jobs.cassandra_writer import Patience, execute, patient_session, prepare, write_batches
from jobs.columns import day_of
from jobs.metastore import metastore
from jobs.publish import published_at
from jobs.session import ROOT

SCHEMA = ROOT / "sql" / "cassandra" / "features.cql"

# Tasks that write at once: with the bounds of jobs.cassandra_writer, what Cassandra may have to bear.
WRITERS = 4

DEFAULT_PATIENCE = Patience()

_OUTCOME = pa.schema({"written": pa.int64(), "fault": pa.string()})


@dataclass(frozen=True)
class Pushed:
    """What one push did: the days that were not online before, the rows written and the rows deleted."""

    days: tuple[str, ...]
    rows: int
    deleted: int


def push(
    spark: SparkSession,
    settings: Settings,
    project: str,
    name: str,
    group: FeatureGroup,
    patience: Patience = DEFAULT_PATIENCE,
) -> Pushed:
    """Bring Cassandra's table of a feature group to what Hive has published of it.

    Raises StoreError when Cassandra still does not answer after limited retries; what was written until
    then is written again by the next push, to the same effect.
    """
    table = names.group_table(project, name)
    with patient_session(settings, patience) as session:
        apply(session, SCHEMA)
        ensure_feature_table(session, project, name, group)
        with metastore(spark, settings) as hive:
            published = {values[0]: location for values, location in hive.locations(table).items()}
        online = _pushed(session, project, name)
        oldest = oldest_day_online(published, group)
        due = {
            day: location
            for day, location in sorted(published.items())
            if day >= oldest and online.get(day) != location
        }
        if not due:
            return Pushed((), 0, 0)
        online_table = f"{names.keyspace(project)}.{name}"
        key = [*group.entity, "event_time"]
        columns = [*key, *group.features]
        rows = _stamped(spark, _rows(spark, table, due.values()), due)
        written = write(
            rows,
            settings.cassandra,
            f"INSERT INTO {online_table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)}) "
            "USING TIMESTAMP ?",
            [*columns, "published"],
            list(group.entity),
            patience,
        )
        replaced = [online[day] for day in due if day in online and folders.exists(spark, online[day])]
        deleted = 0
        if replaced:
            gone = _rows(spark, table, replaced).join(rows, on=key, how="left_anti")
            deleted = write(
                _stamped(spark, gone, due),
                settings.cassandra,
                f"DELETE FROM {online_table} USING TIMESTAMP ? "
                f"WHERE {' AND '.join(f'{column} = ?' for column in key)}",
                ["published", *key],
                list(group.entity),
                patience,
            )
        _record(session, project, name, due, patience)
    return Pushed(tuple(due), written, deleted)


def oldest_day_online(published: Iterable[str], group: FeatureGroup) -> str:
    """The first day, `YYYY-MM-DD`, of which rows may be asked for online; "" where that is all of them."""
    newest = max(published, default="")
    if not newest or group.ttl is None:
        return ""
    oldest = datetime.fromisoformat(newest) - group.history - group.ttl
    return f"{oldest:%Y-%m-%d}"


def _pushed(session: Session, project: str, name: str) -> dict[str, str]:
    """The location of every day as it was last pushed."""
    try:
        rows = session.execute(
            "SELECT day, location FROM giornata.pushed_partitions WHERE project = %s AND group_name = %s",
            (project, name),
        )
        return {row.day: row.location for row in rows}
    except CASSANDRA_FAULTS as fault:
        raise StoreError(f"Cassandra does not say what was pushed of {project}/{name}: {fault}") from fault


def _record(session: Session, project: str, name: str, pushed: Mapping[str, str], patience: Patience) -> None:
    statement = prepare(
        session,
        "INSERT INTO giornata.pushed_partitions (project, group_name, day, location) VALUES (?, ?, ?, ?) "
        "USING TIMESTAMP ?",
        patience,
    )
    rows = [(project, name, day, location, _microseconds(location)) for day, location in pushed.items()]
    execute(session, map(statement.bind, rows), patience)


def _microseconds(location: str) -> int:
    """When the publication of a partition's folder began, in microseconds from 1970."""
    return (published_at(location) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _rows(spark: SparkSession, table: str, locations: Iterable[str]) -> DataFrame:
    """The rows in these folders of `table`, read past the metastore, which may point elsewhere meanwhile."""
    schema = StructType([field for field in spark.table(table).schema if field.name != "day"])
    return spark.read.schema(schema).option("recursiveFileLookup", True).parquet(*locations)


def _stamped(spark: SparkSession, rows: DataFrame, locations: Mapping[str, str]) -> DataFrame:
    """`rows` with the column `published`: the write time of the publication that their day has now."""
    moments = [(day, _microseconds(location)) for day, location in locations.items()]
    published = spark.createDataFrame(moments, "day string, published bigint")
    dated = rows.withColumn("day", day_of("event_time"))
    return dated.join(F.broadcast(published), on="day").drop("day")


def write(
    rows: DataFrame,
    address: str,
    statement: str,
    parameters: Sequence[str],
    entity: Sequence[str],
    patience: Patience = DEFAULT_PATIENCE,
) -> int:
    """Execute `statement` for every row of `rows`, from the executors; `parameters` are its columns in order.

    Rows of one entity are neighbours in Cassandra and are sent together. Returns the number of rows written; raises
    StoreError with the first fault that outlasted the patience of a task.
    """
    neighbours = rows.select(*parameters).repartition(WRITERS, *entity).sortWithinPartitions(*entity)
    places = [parameters.index(column) for column in entity]

    def write_task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        written, fault = write_batches(address, statement, places, batches, patience)
        yield pa.RecordBatch.from_pydict({"written": [written], "fault": [fault]}, _OUTCOME)

    outcomes = neighbours.mapInArrow(write_task, "written bigint, fault string").collect()
    for outcome in outcomes:
        if outcome["fault"] is not None:
            raise StoreError(outcome["fault"])
    return sum(outcome["written"] for outcome in outcomes)
