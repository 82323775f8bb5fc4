"""Writes feature groups from Hive to Cassandra again, whatever was pushed before: for when rows there are lost or
wrong.

`spark-submit jobs/repush.py --project flights [--groups origin_weather,planes]`

Everything of a group that should be online is written with the moment of this job as Cassandra's write time, so that it
replaces what somebody wrote or deleted there by hand, and is replaced by whatever is published later. Rows of online
days that Hive does not have are deleted. Rows are replaced while they are read, and none is missing in between.

A day that is published while the job runs is written again at its end. A publication that began before the job and
appears only after it is lost online: let a run that computes the group end first.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata import names
from giornata.documents import FeatureGroup, load_project
from giornata.settings import Settings, load_settings
from giornata.stores.cassandra import apply
from giornata.stores.features import ensure_feature_table
from jobs.features.resources import group_resources
from jobs.features.statistics import push_statistics
from jobs.hive.schema import day_of
from jobs.online.push import (
    DEFAULT_PATIENCE,
    SCHEMA,
    Pushed,
    note_history,
    oldest_day_online,
    published_days,
    rows_in,
    to_be_online,
)
from jobs.online.schema_evolution import check_features_online
from jobs.online.table import WRITTEN_AT, OnlineTable, write_time
from jobs.online.writer import patient_session
from jobs.runtime.failures import Failures
from jobs.runtime.resources import add_resources, start_sized
from jobs.runtime.session import explained, job_main, say

JOB = "repush"


def run(spark: SparkSession, settings: Settings, project: str, groups: Sequence[str] | None = None) -> None:
    """Push feature groups of a project (all, or `groups`) again, features and statistics.

    Raises NotFoundError for a group that does not exist, and at the end DataError or StoreError naming the groups
    that failed (see `jobs.runtime.failures`).
    """
    documents = load_project(settings.projects / project)
    chosen = {name: documents.group(name) for name in groups or documents.groups}
    failures = Failures(JOB)
    for name, group in chosen.items():
        with failures.of(name):
            _repush_all(spark, settings, project, name, group)
    failures.check(f"{len(failures)} of {len(chosen)} feature groups failed")


def _repush_all(
    spark: SparkSession, settings: Settings, project: str, name: str, group: FeatureGroup
) -> None:
    """Push a group's features and statistics again, and report it."""
    if not spark.catalog.tableExists(names.group_table(project, name)):
        say(JOB, f"{name}: nothing is published yet")
        return
    pushed = repush(spark, settings, project, name, group)
    deleted = f", {pushed.deleted} that Hive does not have deleted" if pushed.deleted else ""
    say(JOB, f"{name}: {len(pushed.days)} days, {pushed.rows} rows pushed again{deleted}")
    push_statistics(spark, settings, project, name)


def repush(spark: SparkSession, settings: Settings, project: str, name: str, group: FeatureGroup) -> Pushed:
    """Write every row of the days that should be online from Hive to Cassandra again, and delete all others.

    Raises DataError if a live version reads a feature that the document does not have, and StoreError if Cassandra
    still does not answer after limited retries; running it again completes it.
    """
    table = names.group_table(project, name)
    online = OnlineTable(settings, project, name, group, DEFAULT_PATIENCE)
    done: dict[str, str] = {}
    written = deleted = 0
    with patient_session(settings, online.patience) as session:
        apply(session, SCHEMA, settings.cassandra_replicas)
        check_features_online(session, project, name, group)
        ensure_feature_table(session, project, name, group, settings.cassandra_replicas)
        while True:
            # Before the list: what is published from now on has a later write time.
            moment = datetime.now(UTC)
            published = published_days(spark, settings, table)
            wanted = to_be_online(published, group)
            due = {day: location for day, location in wanted.items() if done.get(day) != location}
            if not due:
                before = {day: pushed.location for day, pushed in online.pushed(session).items()}
                note_history(session, project, name, published, before)
                return Pushed(tuple(done), written, deleted)
            at = F.lit(write_time(moment))
            rows = rows_in(spark, table, due.values()).withColumn(WRITTEN_AT, at)
            written += online.insert(rows)
            settled = wanted.keys() - due.keys()
            strays = _strays(spark, online, rows, oldest_day_online(wanted, group), settled).withColumn(
                WRITTEN_AT, at
            )
            with explained(f"comparing {online.full_name} with Hive"):
                deleted += online.delete(strays)
            online.record(session, due, dict.fromkeys(due, moment))
            done |= due


def _strays(
    spark: SparkSession, online: OnlineTable, rows: DataFrame, oldest: str, settled: set[str]
) -> DataFrame:
    """The keys online from the day `oldest` on that are not among `rows`, except those of `settled` days."""
    keys = online.keys(spark).withColumn("day", day_of("event_time")).where(F.col("day") >= oldest)
    passed_over = spark.createDataFrame([(day,) for day in settled], "day string")
    open_ = keys.join(F.broadcast(passed_over), "day", "left_anti").drop("day")
    return open_.join(rows, on=online.key, how="left_anti")


def main(argv: list[str] | None = None) -> None:
    """The command line of the job."""
    parser = argparse.ArgumentParser(
        prog=JOB, description="Push feature groups from Hive to Cassandra again."
    )
    parser.add_argument("--project", required=True, help="name of the project")
    parser.add_argument(
        "--groups",
        type=lambda text: [name for name in text.split(",") if name],
        help="feature groups, a,b (default: all)",
    )
    add_resources(parser)
    arguments = parser.parse_args(argv)
    settings = load_settings()
    documents = load_project(settings.projects / arguments.project)
    resources = group_resources(documents, arguments.groups, arguments.resources)
    spark = start_sized(settings, f"{JOB} {arguments.project}", resources)
    try:
        run(spark, settings, arguments.project, arguments.groups)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(job_main(main))
