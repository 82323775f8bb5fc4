"""Computes feature groups: rows of their source, check, validate, publish to Hive, push to Cassandra.

`spark-submit jobs/materialize.py --project flights --from 2013-01-01 --to 2013-02-01 [--groups
origin_weather,planes]`

Days are published whole, some at once (see `jobs/hive/day_batches.py`), so running a range again gives the same
rows, and of two runs of the same days at once the last to publish a day wins, whole. A job that was killed goes on
where it was when it is told `--since` the moment at which it first began: days published since then are done. Groups
stand for themselves: when one fails the others go on, and the job ends with exit code 1 and the names of those that
failed.

Days after the range are computed again, too, where they are published and look back on the range: events may
have come late.

The times of feature rows (event_time and features of type timestamp) are cut to whole milliseconds, because
that is how Cassandra keeps them and both stores must say the same.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from giornata import names
from giornata.days import spans
from giornata.documents import FeatureGroup, ProjectDocuments, load_project
from giornata.errors import DataError, StoreError
from giornata.settings import Settings, load_settings
from jobs.features import statistics as feature_statistics
from jobs.features import validation_results
from jobs.features.late_data import reach, reopened
from jobs.features.source import group_rows, source_of
from jobs.features.statistics import publish_statistics, push_statistics
from jobs.features.validation import Outcome, Validated, validate
from jobs.features.validation_results import publish_results, push_results
from jobs.hive.day_batches import in_steps
from jobs.hive.metastore import metastore
from jobs.hive.publish import Published, create_table, ensure_table, publish, published_at
from jobs.hive.schema import check_rows, conform, day_of
from jobs.online.push import push
from jobs.online.schema_evolution import check_document, note_meaning, vanished
from jobs.runtime.failures import Failures
from jobs.runtime.session import ROOT, add_range, days_between, explained, job_main, parse_moment, say
from jobs.runtime.session import start as start_spark
from jobs.runtime.spark_errors import as_data_errors

JOB = "materialize"

QUARANTINE = ROOT / "sql" / "hive" / "quarantined_rows.sql"

# The tables of a project beside those of its groups.
TABLES = (validation_results.TABLE, QUARANTINE, feature_statistics.TABLE)


@dataclass(frozen=True)
class Task:
    """One feature group and the range of days that it is computed for, from `start` to `end` (exclusive, UTC)."""

    spark: SparkSession
    settings: Settings
    documents: ProjectDocuments
    name: str
    start: datetime
    end: datetime

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


def run(
    spark: SparkSession,
    settings: Settings,
    project: str,
    start: datetime,
    end: datetime,
    groups: Sequence[str] | None = None,
    since: datetime | None = None,
) -> None:
    """Materialize feature groups of a project (all, or `groups`) for the days from `start` to `end`
    (exclusive, UTC), without those days that were published after `since`.

    Raises NotFoundError for a group that does not exist, and at the end DataError or StoreError naming the groups
    that failed (see `jobs.runtime.failures`).
    """
    documents = load_project(settings.projects / project)
    days_between(start, end)
    chosen = {name: documents.group(name) for name in groups} if groups else documents.groups
    for file in TABLES:
        create_table(spark, file, project)
    failures = Failures(JOB)
    for name in chosen:
        with failures.of(name):
            _materialize_all(Task(spark, settings, documents, name, start, end), since)
    # A push that failed has said already when Cassandra cannot be asked.
    gone = {} if groups or failures else vanished(settings, documents)
    for name, problems in gone.items():
        failures.note(name, problems)
    failures.check(f"{len(failures)} of {len(chosen) + len(gone)} feature groups failed")


def _materialize_all(task: Task, since: datetime | None) -> None:
    """Materialize a task and the later days that look back on it."""
    materialize(task, since)
    for later in _reopened(task, since):
        say(JOB, f"{task.name}: later days look back on these, so {spans(later.days)} follow again")
        materialize(later)


def _reopened(task: Task, since: datetime | None) -> list[Task]:
    """The published days after a task's own that look back on these, without those published after `since`."""
    due = [day for day, moment in _published(task).items() if since is None or moment <= since]
    spans = reopened(task.end, reach(task.documents, task.name), due)
    return [replace(task, start=start, end=end) for start, end in spans]


def materialize(task: Task, since: datetime | None = None) -> None:
    """Compute, validate, publish and push one group, without the days that were published after `since`.

    Raises DataError when a live version reads what the document no longer has, with nothing published, or when
    rows break a rule, with nothing of their step published; StoreError when a store fails.
    """
    check_document(task.spark, task.settings, task.documents, task.name)
    published = _published(task) if since else {}
    done = {day for day in task.days if since and day in published and published[day] > since}
    due = [day for day in task.days if day not in done]
    if done:
        say(
            JOB,
            f"{task.name}: {len(done)} of {len(task.days)} days were published before, {len(due)} are due",
        )
    rows = 0

    def step(days: Sequence[str]) -> None:
        nonlocal rows
        begin, last = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (days[0], days[-1]))
        rows += _materialize_days(replace(task, start=begin, end=last + timedelta(days=1)))
        done.update(days)
        say(JOB, f"{task.name}: {len(done)} of {len(task.days)} days, {rows} rows published")

    try:
        in_steps(due, step)
    except DataError as refusal:
        # What was found is seen also where it forbade to publish.
        try:
            push_results(task.spark, task.settings, task.project, task.name)
        except StoreError as error:
            raise DataError(
                f"{refusal} What was found is in Hive alone until the next run: {error}"
            ) from error
        raise
    push_results(task.spark, task.settings, task.project, task.name)
    pushed = push(task.spark, task.settings, task.project, task.name, task.group)
    deleted = f", {pushed.deleted} deleted there" if pushed.deleted else ""
    say(JOB, f"{task.name}: {len(pushed.days)} days, {pushed.rows} rows pushed online{deleted}")
    for feature in pushed.dropped:
        say(JOB, f"{task.name}: no live version reads {feature}, which left Cassandra; Hive keeps its past")
    with as_data_errors("its rows are published and pushed, and the statistics of its days are not yet"):
        push_statistics(task.spark, task.settings, task.project, task.name)


def _published(task: Task) -> dict[str, datetime]:
    """When the publication of each day of the task's group began."""
    table = names.group_table(task.project, task.name)
    if not task.spark.catalog.tableExists(table):
        return {}
    with metastore(task.spark, task.settings) as hive:
        return {day: published_at(location) for (day,), location in hive.locations(table).items()}


def _materialize_days(task: Task) -> int:
    """Compute, validate and publish the days of a task together; the number of rows."""
    what = source_of(task.documents, task.name)
    with explained(what):
        rows = compute(task).persist(StorageLevel.DISK_ONLY)
        check_rows(rows, what, task.key, "event_time", task.start, task.end)
    try:
        validated = validate(rows, task.group.expect, task.key)
        _publish_outcomes(task, validated.outcomes)
        _publish_quarantined(task, validated)
        publish_statistics(
            task.settings, task.project, task.name, task.group.features, task.days, validated.good
        )
        return _publish_rows(task, validated.good).rows
    finally:
        rows.unpersist()


def compute(task: Task) -> DataFrame:
    """What a group's source gives for its range, in the columns and types of its document.

    Raises DataError when it gives other columns or types than the document says; what Spark finds wrong with it goes
    on as it is.
    """
    rows = group_rows(task.spark, task.documents, task.name, task.start, task.end)
    rows = conform(rows, task.columns, source_of(task.documents, task.name))
    times = [column for column, type_ in task.columns.items() if type_ == "timestamp"]
    return rows.withColumns({column: F.timestamp_millis(F.unix_millis(column)) for column in times})


def _publish_rows(task: Task, rows: DataFrame) -> Published:
    table = names.group_table(task.project, task.name)
    ensure_table(task.spark, table, task.columns)
    note_meaning(task.spark, task.documents, task.name)
    # A feature that the document no longer has stays in the table, empty from now on.
    known = {*task.columns, "day"}
    dropped = [column for column in task.spark.table(table).schema if column.name not in known]
    empty = {column.name: F.lit(None).cast(column.dataType) for column in dropped}
    complete = rows.withColumns({**empty, "day": day_of("event_time")})
    expected = [{"day": day} for day in task.days]
    return publish(task.spark, complete, table, settings=task.settings, expected=expected)


def _publish_outcomes(task: Task, outcomes: Sequence[Outcome]) -> None:
    """Publish what was found and say what was not met. Raises DataError when an expectation failed."""
    publish_results(task.spark, task.settings, task.project, task.name, task.days, outcomes)
    for outcome in outcomes:
        if outcome.verdict != "met":
            say(JOB, f"{task.name}: {outcome.verdict}: {outcome}")
    failures = [outcome.expectation.name for outcome in outcomes if outcome.verdict == "failed"]
    if failures:
        raise DataError(f"not met: {', '.join(failures)}. Nothing of the range was published.")


def _publish_quarantined(task: Task, validated: Validated) -> None:
    """Publish the rows set aside, and empty those days of the range where an earlier run had some."""
    table = names.quarantine_table(task.project)
    with metastore(task.spark, task.settings) as hive:
        stale = {day for day, _ in hive.locations_of(table, [(day, task.name) for day in task.days])}
    if validated.quarantined is not None:
        rows = validated.quarantined.select(
            "event_time",
            F.to_json(F.struct(*task.columns)).alias("content"),
            "expectations",
            day_of("event_time").alias("day"),
            F.lit(task.name).alias("group_name"),
        )
        stale |= {row["day"] for row in rows.select("day").distinct().collect()}
    elif stale:
        rows = task.spark.createDataFrame([], task.spark.table(table).schema)
    else:
        return
    expected = [{"day": day, "group_name": task.name} for day in stale]
    publish(task.spark, rows, table, ["day", "group_name"], settings=task.settings, expected=expected)


def main(argv: list[str] | None = None) -> None:
    """The command line of the job."""
    parser = argparse.ArgumentParser(prog=JOB, description="Compute feature groups into Hive and Cassandra.")
    parser.add_argument("--project", required=True, help="name of the project")
    parser.add_argument(
        "--groups",
        type=lambda text: [name for name in text.split(",") if name],
        help="feature groups, a,b (default: all)",
    )
    add_range(parser)
    parser.add_argument(
        "--since",
        type=parse_moment,
        help="days published after this moment, 2026-01-31T09:00:00+00:00, are done",
    )
    arguments = parser.parse_args(argv)
    settings = load_settings()
    spark = start_spark(settings, f"{JOB} {arguments.project}")
    try:
        run(
            spark,
            settings,
            arguments.project,
            arguments.start,
            arguments.end,
            arguments.groups,
            arguments.since,
        )
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(job_main(main))
