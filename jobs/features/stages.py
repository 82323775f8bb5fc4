"""The stages in which a feature group's rows are made: compute, validate, measure, publish, push.

Each is a function of the context, a GroupRun, and of what the stage before gives. Rows are published after all that is
about them: a job that is killed in between has not published these days, and the next run does both again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from giornata import names
from giornata.documents import FeatureGroup, ProjectDocuments
from giornata.errors import DataError
from giornata.records.feature_statistics import FeatureStatistics
from giornata.records.validation_result import ExpectationResult
from giornata.settings import Settings
from jobs.features import statistics, validation_results
from jobs.features.source import group_rows, source_of
from jobs.features.validation import Outcome, Validated, validate
from jobs.hive.metastore import metastore
from jobs.hive.publish import ensure_table, publish
from jobs.hive.schema import check_rows, conform, day_of
from jobs.online.push import Pushed, push
from jobs.online.schema_evolution import note_meaning
from jobs.runtime.session import ROOT, days_between, explained, say
from jobs.runtime.spark_errors import as_data_errors

__all__ = [
    "TABLES",
    "GroupRun",
    "compute",
    "compute_rows",
    "measure_rows",
    "publish_rows",
    "push_results",
    "push_rows",
    "push_statistics",
    "validate_rows",
]

JOB = "materialize"

QUARANTINE = ROOT / "sql" / "hive" / "quarantined_rows.sql"

# The tables of a project beside those of its groups.
TABLES = (validation_results.TABLE, QUARANTINE, statistics.TABLE)


@dataclass(frozen=True)
class Published:
    """What this process has published about the rows of a group, by its folder in Hive: the push needs not read it."""

    results: dict[str, list[ExpectationResult]] = field(default_factory=dict)
    statistics: dict[str, list[FeatureStatistics]] = field(default_factory=dict)


@dataclass(frozen=True)
class GroupRun:
    """One feature group and the range of days that it is computed for, from `start` to `end` (exclusive, UTC)."""

    spark: SparkSession
    settings: Settings
    documents: ProjectDocuments
    name: str
    start: datetime
    end: datetime
    published: Published = field(default_factory=Published)

    @property
    def project(self) -> str:
        return self.documents.name

    @property
    def group(self) -> FeatureGroup:
        return self.documents.groups[self.name]

    @property
    def key(self) -> list[str]:
        """What a row of the group is known by."""
        return [*self.group.entity, "event_time"]

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the group's table in Hive, but for the partition: entity, event_time, features."""
        features = {column: feature.type for column, feature in self.group.features.items()}
        return {**self.group.entity, "event_time": "timestamp", **features}

    @property
    def days(self) -> list[str]:
        return days_between(self.start, self.end)


@contextmanager
def compute_rows(run: GroupRun) -> Iterator[tuple[DataFrame, int]]:
    """What the source gives for the days of a run, kept on disk for the `with` block, and the number of its rows.

    Raises DataError when they break a rule of every group's rows: their key, their days, none twice.
    """
    what = source_of(run.documents, run.name)
    with explained(what):
        rows = compute(run).persist(StorageLevel.DISK_ONLY)
    try:
        with explained(what):
            number = check_rows(rows, what, run.key, "event_time", run.start, run.end)
        yield rows, number
    finally:
        rows.unpersist()


def compute(run: GroupRun) -> DataFrame:
    """What a group's source gives for its range, in the columns and types of its document.

    Raises DataError when it gives other columns or types than the document says; what Spark finds wrong with it goes
    on as it is.
    """
    rows = group_rows(run.spark, run.documents, run.name, run.start, run.end)
    rows = conform(rows, run.columns, source_of(run.documents, run.name))
    times = [column for column, type_ in run.columns.items() if type_ == "timestamp"]
    return rows.withColumns({column: F.timestamp_millis(F.unix_millis(column)) for column in times})


def validate_rows(run: GroupRun, rows: DataFrame, number: int) -> DataFrame:
    """Judge rows, `number` of them, by the group's expectations, publish what is found, and give those to publish.

    Rows that are set aside are published in their own table. Raises DataError when an expectation failed.
    """
    validated = validate(rows, number, run.group.expect, run.key)
    _publish_outcomes(run, validated.outcomes)
    _publish_quarantined(run, validated)
    return validated.good


def _publish_outcomes(run: GroupRun, outcomes: Sequence[Outcome]) -> None:
    """Publish what was found and say what was not met. Raises DataError when an expectation failed."""
    run.published.results.update(
        validation_results.publish_results(run.spark, run.settings, run.project, run.name, run.days, outcomes)
    )
    for outcome in outcomes:
        if outcome.verdict != "met":
            say(JOB, f"{run.name}: {outcome.verdict}: {outcome}")
    failures = [outcome.expectation.name for outcome in outcomes if outcome.verdict == "failed"]
    if failures:
        raise DataError(f"not met: {', '.join(failures)}. Nothing of the range was published.")


def _publish_quarantined(run: GroupRun, validated: Validated) -> None:
    """Publish the rows set aside, and empty those days of the range where an earlier run had some."""
    table = names.quarantine_table(run.project)
    with metastore(run.spark, run.settings) as hive:
        stale = {day for day, _ in hive.locations_of(table, [(day, run.name) for day in run.days])}
    if validated.quarantined is not None:
        rows = validated.quarantined.select(
            "event_time",
            F.to_json(F.struct(*run.columns)).alias("content"),
            "expectations",
            day_of("event_time").alias("day"),
            F.lit(run.name).alias("group_name"),
        )
        stale |= {row["day"] for row in rows.select("day").distinct().collect()}
    elif stale:
        rows = run.spark.createDataFrame([], run.spark.table(table).schema)
    else:
        return
    expected = [{"day": day, "group_name": run.name} for day in stale]
    publish(run.spark, rows, table, ["day", "group_name"], settings=run.settings, expected=expected)


def measure_rows(run: GroupRun, rows: DataFrame) -> dict[tuple[str, ...], int]:
    """Measure and publish the statistics of each day's features; returns the number of rows of the days that have
    some."""
    measured = statistics.measure(rows, run.group.features, run.days)
    run.published.statistics.update(
        statistics.publish_statistics(run.spark, run.settings, run.project, run.name, run.days, measured)
    )
    return {(found.day.isoformat(),): found.rows for found in measured if found.rows}


def publish_rows(run: GroupRun, rows: DataFrame, counted: Mapping[tuple[str, ...], int]) -> int:
    """Publish the days of a run, `counted` rows of each day that has some; returns how many rows."""
    table = names.group_table(run.project, run.name)
    ensure_table(run.spark, table, run.columns)
    note_meaning(run.spark, run.documents, run.name)
    # A feature that the document no longer has stays in the table, empty from now on.
    known = {*run.columns, "day"}
    dropped = [column for column in run.spark.table(table).schema if column.name not in known]
    empty = {column.name: F.lit(None).cast(column.dataType) for column in dropped}
    complete = rows.withColumns({**empty, "day": day_of("event_time")})
    expected = [{"day": day} for day in run.days]
    return publish(run.spark, complete, table, settings=run.settings, expected=expected, counted=counted).rows


def push_rows(run: GroupRun) -> Pushed:
    """Bring Cassandra to the rows that Hive has of a group. Raises DataError when a live version reads what the
    document no longer has, and StoreError."""
    return push(run.spark, run.settings, run.project, run.name, run.group)


def push_statistics(run: GroupRun) -> None:
    """Bring Cassandra to the statistics that Hive has of a group's days, once their rows are pushed. Raises StoreError,
    and DataError when Hive refuses."""
    with as_data_errors("its rows are published and pushed, and the statistics of its days are not yet"):
        statistics.push_statistics(run.spark, run.settings, run.project, run.name, run.published.statistics)


def push_results(run: GroupRun) -> None:
    """Bring Cassandra to what Hive has of the expectations of a group. Raises StoreError."""
    validation_results.push_results(run.spark, run.settings, run.project, run.name, run.published.results)
