"""Computes feature groups: query, check, validate, publish to Hive, push to Cassandra.

`spark-submit jobs/materialize.py --project flights --from 2013-01-01 --to 2013-02-01 [--groups
origin_weather,planes]`

The days of a range are published together and whole, so running a range again gives the same rows. Groups
stand for themselves: when one fails the others go on, and the job ends with exit code 1 and the names of
those that failed.

The times of feature rows (event_time and features of type timestamp) are whole milliseconds, because that
is how Cassandra keeps them and both stores must say the same: event_time is rounded up, so that nothing is
known too early.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from giornata import names
from giornata.documents import FeatureGroup, ProjectDocuments, load_project
from giornata.errors import DataError, GiornataError, StoreError
from giornata.settings import Settings, load_settings
from jobs.columns import check_rows, conform, day_of
from jobs.metastore import metastore
from jobs.publish import Published, create_table, ensure_table, publish
from jobs.push import push
from jobs.session import ROOT, add_range, days_between, job_main, say
from jobs.session import start as start_spark
from jobs.validation import Outcome, Validated, validate

JOB = "materialize"

SQL = ROOT / "sql" / "hive"


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
    days = days_between(start, end)
    chosen = {name: documents.group(name) for name in groups} if groups else documents.groups
    failed = []
    for name in chosen:
        try:
            materialize(spark, settings, documents, name, days, start, end)
        except GiornataError as error:
            say(JOB, f"{name}: failed: {error}")
            failed.append(name)
    if failed:
        raise StoreError(f"{len(failed)} of {len(chosen)} feature groups failed: {', '.join(failed)}.")


def materialize(
    spark: SparkSession,
    settings: Settings,
    documents: ProjectDocuments,
    name: str,
    days: Sequence[str],
    start: datetime,
    end: datetime,
) -> None:
    """Compute, validate and publish one group for `days`, which are those from `start` to `end`, and push it.

    Raises DataError when its rows break a rule, with nothing of the range published; StoreError when a
    store fails.
    """
    project, group = documents.name, documents.groups[name]
    rows = compute(spark, project, name, group, documents.query(name), start, end).persist(
        StorageLevel.DISK_ONLY
    )
    try:
        check_rows(rows, f"feature group {name}", [*group.entity, "event_time"], "event_time", start, end)
        validated = validate(rows, group.expect, [*group.entity, "event_time"])
        _publish_outcomes(spark, settings, project, name, days, end, validated.outcomes)
        for outcome in validated.outcomes:
            if outcome.verdict != "met":
                say(JOB, f"{name}: {outcome.verdict}: {outcome}")
        if validated.failures:
            raise DataError(
                "; ".join(str(outcome) for outcome in validated.failures) + ". Nothing was published."
            )
        _publish_quarantined(spark, settings, project, name, days, validated)
        published = _publish_rows(spark, settings, project, name, group, days, validated.good)
    finally:
        rows.unpersist()
    say(JOB, f"{name}: {len(published.partitions)} days, {published.rows} rows published")
    pushed = push(spark, settings, project, name, group)
    taken = f", {pushed.deleted} taken away" if pushed.deleted else ""
    say(JOB, f"{name}: {len(pushed.days)} days, {pushed.rows} rows pushed online{taken}")


def compute(
    spark: SparkSession,
    project: str,
    name: str,
    group: FeatureGroup,
    query: str,
    start: datetime,
    end: datetime,
) -> DataFrame:
    """What a group's query returns for [start, end), in the columns and types of its document.

    The query sees the project's tables by their bare names. Raises DataError when Spark refuses it, or when
    it returns other columns or types than the document says.
    """
    spark.catalog.setCurrentDatabase(project)
    try:
        rows = spark.sql(query.rstrip().removesuffix(";"), args={"from": start, "to": end})
    except (AnalysisException, ParseException) as error:
        raise DataError(
            f"the query of feature group {name} is refused: {str(error).splitlines()[0]}"
        ) from error
    columns = group_columns(group)
    rows = conform(rows, columns, f"the query of feature group {name}")
    rounded = {
        column: _whole_milliseconds(column, up=column == "event_time")
        for column, type_ in columns.items()
        if type_ == "timestamp"
    }
    return rows.withColumns(rounded)


def group_columns(group: FeatureGroup) -> dict[str, str]:
    """The columns of a group's table in Hive, but for the partition: entity, event_time, features."""
    features = {column: feature.type for column, feature in group.features.items()}
    return {**group.entity, "event_time": "timestamp", **features}


def _whole_milliseconds(column: str, up: bool) -> Column:
    """`column` without microseconds; rounded up so that an event is not known before it happened."""
    microseconds = F.unix_micros(column) + F.lit(999 if up else 0)
    return F.timestamp_millis(F.floor(microseconds / F.lit(1000)))


def _publish_rows(
    spark: SparkSession,
    settings: Settings,
    project: str,
    name: str,
    group: FeatureGroup,
    days: Sequence[str],
    rows: DataFrame,
) -> Published:
    table = names.group_table(project, name)
    columns = group_columns(group)
    ensure_table(spark, table, columns)
    # A feature that the document no longer has stays in the table, empty from now on.
    dropped = [column for column in spark.table(table).schema if column.name not in {*columns, "day"}]
    complete = rows.withColumns(
        {column.name: F.lit(None).cast(column.dataType) for column in dropped} | {"day": day_of("event_time")}
    )
    return publish(spark, complete, table, settings=settings, expected=[{"day": day} for day in days])


def _publish_outcomes(
    spark: SparkSession,
    settings: Settings,
    project: str,
    name: str,
    days: Sequence[str],
    end: datetime,
    outcomes: Sequence[Outcome],
) -> None:
    table = names.validation_table(project)
    partition = {"day": days[0], "until_day": f"{end:%Y-%m-%d}", "group_name": name}
    create_table(spark, SQL / "validation_results.sql", project)
    with metastore(spark, settings) as hive:
        if not outcomes and tuple(partition.values()) not in hive.locations(table):
            return
    records = [
        {
            "expectation": outcome.expectation.name,
            "about": outcome.columns,
            "arguments": json.dumps(outcome.expectation.arguments, sort_keys=True, default=str),
            "policy": outcome.expectation.policy,
            "verdict": outcome.verdict,
            "row_count": outcome.rows,
            "unexpected_count": outcome.unexpected,
            "observed": outcome.observed,
            **partition,
        }
        for outcome in outcomes
    ]
    rows = spark.createDataFrame(records, spark.table(table).schema)
    publish(spark, rows, table, list(partition), settings=settings, expected=[partition])


def _publish_quarantined(
    spark: SparkSession,
    settings: Settings,
    project: str,
    name: str,
    days: Sequence[str],
    validated: Validated,
) -> None:
    """Publish the rows set aside, and empty those days of the range where an earlier run had some."""
    table = names.quarantine_table(project)
    create_table(spark, SQL / "quarantined_rows.sql", project)
    with metastore(spark, settings) as hive:
        stale = {values for values in hive.locations(table) if values[0] in set(days) and values[1] == name}
    if validated.quarantined is None and not stale:
        return
    bad = validated.quarantined
    rows = (
        spark.createDataFrame([], spark.table(table).schema)
        if bad is None
        else bad.select(
            "event_time",
            F.to_json(F.struct(*validated.good.columns)).alias("content"),
            "expectations",
            day_of("event_time").alias("day"),
            F.lit(name).alias("group_name"),
        ).persist()
    )
    found = {(row["day"], name) for row in rows.select("day").distinct().collect()}
    expected = [{"day": day, "group_name": group} for day, group in found | stale]
    publish(spark, rows, table, ["day", "group_name"], settings=settings, expected=expected)
    rows.unpersist()


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
