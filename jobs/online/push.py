"""Pushes feature groups from Hive to Cassandra, from Spark's executors.

What is to be pushed follows from two lists alone: where Hive has each partition now, and which location of
it was pushed last (`giornata.pushed_partitions`). No date is remembered that a wrong event time could
spoil: whatever was not pushed, because Cassandra was down or a job was killed, is pushed next time. Online
are the days of the group's `history` before its newest published day; all of them where values do not age.
From which day on nothing published is missing there is noted for the servers, which refuse to be asked about
earlier moments.

Every write carries the moment at which its partition's publication began as Cassandra's write time. (Event
time would not do: of two values with equal write times Cassandra keeps the larger, so that a corrected row
might not replace the wrong one. And it is not needed to keep a late row from hiding a newer one: each event
time has a row of its own.) So pushes may be repeated and may overtake one another, and the newest
publication stands. Rows that a publication no longer has are deleted with its write time, which, unlike a
delete of now, hides nothing that is pushed later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from cassandra.cluster import Session
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from giornata import names
from giornata.documents import FeatureGroup
from giornata.settings import Settings
from giornata.stores.cassandra import apply
from giornata.stores.features import dropped_until, ensure_feature_table
from giornata.stores.online_history import Covered, complete_from, record_covered
from jobs.hive import folders
from jobs.hive.metastore import metastore
from jobs.hive.publish import published_at
from jobs.hive.schema import day_of
from jobs.online.schema_evolution import check_features_online, drop_unread
from jobs.online.table import WRITTEN_AT, OnlineTable, write_time
from jobs.online.writer import Patience, patient_session
from jobs.runtime.session import ROOT

SCHEMA = ROOT / "sql" / "cassandra" / "features.cql"

DEFAULT_PATIENCE = Patience()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pushed:
    """What one push did: the days that were not online before, the rows written and the rows deleted.

    `dropped` are the features whose columns left Cassandra.
    """

    days: tuple[str, ...]
    rows: int
    deleted: int
    dropped: tuple[str, ...] = ()


def push(
    spark: SparkSession,
    settings: Settings,
    project: str,
    name: str,
    group: FeatureGroup,
    patience: Patience = DEFAULT_PATIENCE,
) -> Pushed:
    """Bring Cassandra's table of a feature group to what Hive has published of it, and to the document's features.

    Raises DataError, with nothing pushed, when a live version reads a feature that the document does not have.
    Raises StoreError when Cassandra still does not answer after limited retries; what was written until
    then is written again by the next push, to the same effect.
    """
    table = names.group_table(project, name)
    online = OnlineTable(settings, project, name, group, patience)
    with patient_session(settings, patience) as session:
        apply(session, SCHEMA, settings.cassandra_replicas)
        check_features_online(session, project, name, group)
        ensure_feature_table(session, project, name, group, settings.cassandra_replicas)
        published = published_days(spark, settings, table)
        wanted = to_be_online(published, group)
        # What has come back to a column that was dropped is seen only when it is written later than that.
        hidden = dropped_until(session, project, name, group.features) or _EPOCH
        before = online.pushed(session)
        due = {
            day: location
            for day, location in wanted.items()
            if day not in before or before[day].location != location or before[day].moment < hidden
        }
        written = deleted = 0
        if due:
            moments = {day: max(published_at(location), hidden) for day, location in due.items()}
            rows = _stamped(rows_in(spark, table, due.values()), moments)
            written = online.insert(rows)
            replaced = folders.existing(spark, (before[day].location for day in due if day in before))
            if replaced:
                gone = rows_in(spark, table, replaced).join(rows, on=online.key, how="left_anti")
                deleted = online.delete(_stamped(gone, moments))
            online.record(session, due, moments)
        note_history(
            session, project, name, published, {day: at.location for day, at in before.items()} | wanted
        )
        dropped = drop_unread(session, project, name, group)
    return Pushed(tuple(due), written, deleted, dropped)


def published_days(spark: SparkSession, settings: Settings, table: str) -> dict[str, str]:
    """Every published day with its folder in Hive."""
    with metastore(spark, settings) as hive:
        return {day: location for (day,), location in hive.locations(table).items()}


def note_history(
    session: Session, project: str, name: str, published: Mapping[str, str], online: Mapping[str, str]
) -> None:
    """Note from which day on all published days are online, for those who ask about the past. Raises StoreError."""
    if published:
        newest = date.fromisoformat(max(published))
        record_covered(session, project, name, Covered(complete_from(published, online), newest))


def to_be_online(published: Mapping[str, str], group: FeatureGroup) -> dict[str, str]:
    """Of the published days those of which rows may be asked for online, in order, with their folders in Hive."""
    oldest = oldest_day_online(published, group)
    return {day: location for day, location in sorted(published.items()) if day >= oldest}


def oldest_day_online(published: Iterable[str], group: FeatureGroup) -> str:
    """The first day, `YYYY-MM-DD`, of which rows may be asked for online; "" where that is all of them."""
    newest = max(published, default="")
    if not newest or group.ttl is None:
        return ""
    oldest = datetime.fromisoformat(newest) - group.history - group.ttl
    return f"{oldest:%Y-%m-%d}"


def rows_in(spark: SparkSession, table: str, locations: Iterable[str]) -> DataFrame:
    """The rows in these folders of `table`, read past the metastore, which may point elsewhere meanwhile."""
    schema = StructType([field for field in spark.table(table).schema if field.name != "day"])
    return spark.read.schema(schema).option("recursiveFileLookup", True).parquet(*locations)


def _stamped(rows: DataFrame, moments: Mapping[str, datetime]) -> DataFrame:
    """`rows` with WRITTEN_AT: the write time of the moment of their day."""
    if len(set(moments.values())) == 1:
        return rows.withColumn(WRITTEN_AT, F.lit(write_time(next(iter(moments.values())))))
    times = [(day, write_time(moment)) for day, moment in moments.items()]
    by_day = rows.sparkSession.createDataFrame(times, f"day string, {WRITTEN_AT} bigint")
    dated = rows.withColumn("day", day_of("event_time"))
    return dated.join(F.broadcast(by_day), on="day").drop("day")
