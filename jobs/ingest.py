"""Loads a project's tables into Hive, day by day, by the loaders in its folder `tables/`.

`spark-submit jobs/ingest.py --project flights --from 2013-01-01 --to 2013-02-01`

A loader returns the rows of a time range; they are checked against the table's document, and all days are published
together. A day without rows is not an error: it is published empty and reported.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.storagelevel import StorageLevel

from giornata import names
from giornata.days import spans
from giornata.documents import Table, load_project
from giornata.settings import Settings, load_settings
from jobs.hive.publish import ensure_table, publish
from jobs.hive.schema import check_rows, conform, day_of
from jobs.runtime import project_code
from jobs.runtime.resources import add_resources, largest, start_sized
from jobs.runtime.session import add_range, days_between, job_main, say

JOB = "ingest"


def run(spark: SparkSession, settings: Settings, project: str, start: datetime, end: datetime) -> None:
    """Load every table of a project that has a loader, for the days from `start` to `end` (exclusive, UTC).

    Raises DataError, naming table and column, for the first table whose rows do not match its document; the tables
    before it are published, and nothing of the table itself.
    """
    documents = load_project(settings.projects / project)
    days = days_between(start, end)
    for name, table in documents.tables.items():
        if documents.has_loader(name):
            rows = load(spark, documents.folder, name, table, start, end)
            load_table(spark, settings, project, name, table, rows, days, start, end)
        else:
            say(JOB, f"{name}: has no loader, something else fills it")


def load(
    spark: SparkSession, folder: Path, name: str, table: Table, start: datetime, end: datetime
) -> DataFrame:
    """The rows that a table's loader returns for [start, end), in the columns and types of its document.

    Raises DataError if it returns other columns or types.
    """
    rows = project_code.load(folder, "tables", name).load(spark, start, end)
    return conform(rows, table.columns, f"the loader of table {name}")


def load_table(
    spark: SparkSession,
    settings: Settings,
    project: str,
    name: str,
    table: Table,
    rows: DataFrame,
    days: Sequence[str],
    start: datetime,
    end: datetime,
) -> None:
    """Publish the rows of one table as its `days`, which are those from `start` to `end`.

    Raises DataError, with nothing published, if a row lies outside, or a key or event time is null or not unique.
    """
    rows = rows.persist(StorageLevel.DISK_ONLY)
    try:
        check_rows(rows, f"the loader of table {name}", table.key, table.event_time, start, end)
        ensure_table(spark, names.data_table(project, name), table.columns)
        published = publish(
            spark,
            rows.withColumn("day", day_of(table.event_time)),
            names.data_table(project, name),
            settings=settings,
            expected=[{"day": day} for day in days],
        )
        found = {
            row["day"] for row in rows.select(day_of(table.event_time).alias("day")).distinct().collect()
        }
    finally:
        rows.unpersist()
    say(JOB, f"{name}: {len(published.partitions)} days, {published.rows} rows published")
    empty = [day for day in days if day not in found]
    if empty:
        say(JOB, f"{name}: no rows on {spans(empty)}")


def main(argv: list[str] | None = None) -> None:
    """The command line of the job."""
    parser = argparse.ArgumentParser(prog=JOB, description="Load a project's tables into Hive.")
    parser.add_argument("--project", required=True, help="name of the project")
    add_range(parser)
    add_resources(parser)
    arguments = parser.parse_args(argv)
    settings = load_settings()
    project = load_project(settings.projects / arguments.project).project
    resources = largest([project.resources.ingest], arguments.resources)
    spark = start_sized(settings, f"{JOB} {arguments.project}", resources)
    try:
        run(spark, settings, arguments.project, arguments.start, arguments.end)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(job_main(main))
