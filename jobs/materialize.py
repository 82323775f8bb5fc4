"""Computes feature groups: query, check, validate, publish to Hive, push to Cassandra.

`spark-submit jobs/materialize.py --project flights --from 2013-01-01 --to 2013-02-01 [--groups
origin_weather,planes]`

The days of a range are published together and whole, so running a range again gives the same rows. Groups
stand for themselves: when one fails the others go on, and the job ends with exit code 1 and the names of
those that failed.

The times of feature rows (event_time and features of type timestamp) are cut to whole milliseconds, because
that is how Cassandra keeps them and both stores must say the same.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from giornata import names
from giornata.documents import FeatureGroup, ProjectDocuments, load_project
from giornata.errors import DataError, GiornataError, StoreError
from giornata.settings import Settings, load_settings
from jobs.columns import check_rows, conform, day_of
from jobs.feature_statistics import publish_statistics, push_statistics
from jobs.metastore import metastore
from jobs.publish import Published, create_table, ensure_table, publish
from jobs.push import push
from jobs.session import ROOT, add_range, days_between, explained, job_main, say
from jobs.session import start as start_spark
from jobs.validation import Outcome, Validated, validate

JOB = "materialize"

SQL = ROOT / "sql" / "hive"


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
) -> None:
    """Materialize feature groups of a project (all, or `groups`) for the days from `start` to `end`
    (exclusive, UTC).

    Raises NotFoundError for a group that does not exist, and at the end StoreError naming the groups that
    failed.
    """
    documents = load_project(settings.projects / project)
    days_between(start, end)
    chosen = {name: documents.group(name) for name in groups} if groups else documents.groups
    failed = []
    for name in chosen:
        try:
            materialize(Task(spark, settings, documents, name, start, end))
        except GiornataError as error:
            say(JOB, f"{name}: failed: {error}")
            failed.append(name)
    if failed:
        raise StoreError(f"{len(failed)} of {len(chosen)} feature groups failed: {', '.join(failed)}.")


def materialize(task: Task) -> None:
    """Compute, validate, publish and push one group.

    Raises DataError when its rows break a rule, with nothing of the range published; StoreError when a
    store fails.
    """
    what = f"the query of feature group {task.name}"
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
        published = _publish_rows(task, validated.good)
    finally:
        rows.unpersist()
    say(JOB, f"{task.name}: {len(published.partitions)} days, {published.rows} rows published")
    pushed = push(task.spark, task.settings, task.project, task.name, task.group)
    deleted = f", {pushed.deleted} deleted there" if pushed.deleted else ""
    say(JOB, f"{task.name}: {len(pushed.days)} days, {pushed.rows} rows pushed online{deleted}")
    push_statistics(task.spark, task.settings, task.project, task.name)


def compute(task: Task) -> DataFrame:
    """What a group's query returns for its range, in the columns and types of its document.

    The query sees the project's tables by their bare names. Raises DataError when it returns other columns
    or types than the document says; what Spark finds wrong with it goes on as it is.
    """
    task.spark.catalog.setCurrentDatabase(task.project)
    query = task.documents.query(task.name).rstrip().removesuffix(";")
    rows = task.spark.sql(query, args={"from": task.start, "to": task.end})
    rows = conform(rows, task.columns, f"the query of feature group {task.name}")
    times = [column for column, type_ in task.columns.items() if type_ == "timestamp"]
    return rows.withColumns({column: F.timestamp_millis(F.unix_millis(column)) for column in times})


def _publish_rows(task: Task, rows: DataFrame) -> Published:
    table = names.group_table(task.project, task.name)
    ensure_table(task.spark, table, task.columns)
    # A feature that the document no longer has stays in the table, empty from now on.
    known = {*task.columns, "day"}
    dropped = [column for column in task.spark.table(table).schema if column.name not in known]
    empty = {column.name: F.lit(None).cast(column.dataType) for column in dropped}
    complete = rows.withColumns({**empty, "day": day_of("event_time")})
    expected = [{"day": day} for day in task.days]
    return publish(task.spark, complete, table, settings=task.settings, expected=expected)


def _publish_outcomes(task: Task, outcomes: Sequence[Outcome]) -> None:
    """Publish what was found, replacing what the last run over the same range found, and say what was not
    met.

    Raises DataError when an expectation failed.
    """
    table = names.validation_table(task.project)
    partition = {"day": task.days[0], "until_day": f"{task.end:%Y-%m-%d}", "group_name": task.name}
    create_table(task.spark, SQL / "validation_results.sql", task.project)
    with metastore(task.spark, task.settings) as hive:
        stale = tuple(partition.values()) in hive.locations(table)
    if outcomes or stale:
        records = [{**_record(outcome), **partition} for outcome in outcomes]
        rows = task.spark.createDataFrame(records, task.spark.table(table).schema)
        publish(task.spark, rows, table, list(partition), settings=task.settings, expected=[partition])
    for outcome in outcomes:
        if outcome.verdict != "met":
            say(JOB, f"{task.name}: {outcome.verdict}: {outcome}")
    failures = [outcome.expectation.name for outcome in outcomes if outcome.verdict == "failed"]
    if failures:
        raise DataError(f"not met: {', '.join(failures)}. Nothing of the range was published.")


def _record(outcome: Outcome) -> dict[str, object]:
    return {
        "expectation": outcome.expectation.name,
        "about": outcome.columns,
        "arguments": json.dumps(outcome.expectation.arguments, sort_keys=True, default=str),
        "policy": outcome.expectation.policy,
        "verdict": outcome.verdict,
        "row_count": outcome.rows,
        "unexpected_count": outcome.unexpected,
        "observed": outcome.observed,
    }


def _publish_quarantined(task: Task, validated: Validated) -> None:
    """Publish the rows set aside, and empty those days of the range where an earlier run had some."""
    table = names.quarantine_table(task.project)
    create_table(task.spark, SQL / "quarantined_rows.sql", task.project)
    with metastore(task.spark, task.settings) as hive:
        present = hive.locations(table)
    stale = {day for day, name in present if name == task.name and day in set(task.days)}
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
        "--groups", type=lambda text: text.split(","), help="feature groups, a,b (default: all)"
    )
    add_range(parser)
    arguments = parser.parse_args(argv)
    settings = load_settings()
    spark = start_spark(settings, f"{JOB} {arguments.project}")
    try:
        run(spark, settings, arguments.project, arguments.start, arguments.end, arguments.groups)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(job_main(main))
