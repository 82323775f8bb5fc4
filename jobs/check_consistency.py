"""Compares the features that were served online with those that the offline join computes for the same keys and
moments.

    spark-submit jobs/check_consistency.py --project flights --from 2013-11-01 --to 2013-11-02

It reads the logged online predictions about these days, of every version that made some, and those about earlier days
that arrived since these were checked (a request today may be about yesterday). Results go to the Hive table
`<project>.feature_consistency` and, as shares over time, to `giornata.metric_series`, for charts and alert rules.
Running a range again gives the same, unless predictions or features were added since: then it gives the present state.
giornata.monitoring.consistency defines which values are equal, and why a late event counts as a difference.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import reduce

from cassandra.cluster import Session
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata.documents import ProjectDocuments, load_project
from giornata.monitoring.consistency import ONLINE, SERIES, Counts, consistency_points
from giornata.monitoring.observations import served_windows
from giornata.names import Name, consistency_table, predictions_table
from giornata.records.model_version import ModelVersion
from giornata.settings import Settings, load_settings
from giornata.stores import cassandra
from giornata.stores.deployments import Deployments
from giornata.stores.repository import Repository
from giornata.stores.series import Series
from jobs.hive.metastore import metastore
from jobs.hive.publish import create_table, ensure_table, publish, published_at
from jobs.hive.schema import on_days
from jobs.monitoring.consistency import ABSENT_COUNTS, compared
from jobs.runtime.failures import Failures
from jobs.runtime.session import ROOT, add_range, days_between, job_main, say
from jobs.runtime.session import start as start_spark

JOB = "check_consistency"
TABLE = ROOT / "sql" / "hive" / "feature_consistency.sql"
PARTITIONS = ("day", "model_name")


def run(spark: SparkSession, settings: Settings, project: str, start: datetime, end: datetime) -> None:
    """Check the online predictions about the days from `start` to `end` (midnights, UTC) of all models of a project.

    A model that cannot be checked keeps its earlier results and does not stop the others. Raises DataError or
    StoreError at the end, naming those (see `jobs.runtime.failures`).
    """
    documents = load_project(settings.projects / project)
    days = days_between(start, end)
    create_table(spark, TABLE, project)
    # An older table does not have these yet.
    ensure_table(spark, consistency_table(project), dict.fromkeys(ABSENT_COUNTS.values(), "int"), PARTITIONS)
    failures = Failures(JOB)
    with cassandra.session(settings) as session:
        for model in documents.models:
            with failures.of(model, f"{project}/{model}"):
                _check(spark, settings, session, documents, model, days)
    failures.check(f"{len(failures)} of {len(documents.models)} models were not checked")


def _check(
    spark: SparkSession,
    settings: Settings,
    session: Session,
    documents: ProjectDocuments,
    model: str,
    days: Sequence[str],
) -> None:
    name = Name(documents.name, model)
    if not spark.catalog.tableExists(predictions_table(name)):
        say(JOB, f"{name}: nothing was predicted yet")
        return
    checked = sorted({*days, *_unchecked(spark, settings, name, days[0])})
    answers = on_days(spark.table(predictions_table(name)).where(F.col("mode") == ONLINE), checked)
    found = [
        compared(
            answers.where(F.col("model_uuid") == version.uuid), version, documents.name, settings
        ).withColumn("model_name", F.lit(model))
        for version in _versions(answers, Repository(session))
    ]
    _publish(spark, settings, documents.name, model, found, checked)
    windows = {1, *(days for _, days in served_windows(documents.model(model)))}
    first, after = date.fromisoformat(checked[0]), date.fromisoformat(days[-1]) + timedelta(days=1)
    span = [first + timedelta(days=number) for number in range((after - first).days)]
    counts = _counts(spark, documents.name, model, span, max(windows))
    points = consistency_points(str(name), counts, windows, span)
    Series(session).replace(str(name), points, first, after, SERIES)
    say(JOB, f"{name}: {_summary([count for count in counts if count.day.isoformat() in {*checked}])}")


def _unchecked(spark: SparkSession, settings: Settings, model: Name, before: str) -> set[str]:
    """The days before `before` with online predictions that were published after the day was last checked."""
    with metastore(spark, settings) as hive:
        answered = {
            day: published_at(location)
            for (day, *_), location in hive.locations(predictions_table(model), mode=ONLINE).items()
            if day < before
        }
        checked = {
            day: published_at(location)
            for (day, _), location in hive.locations(
                consistency_table(model.project), model_name=model.name
            ).items()
        }
    return {day for day, at in answered.items() if day not in checked or checked[day] < at}


def _versions(answers: DataFrame, repository: Repository) -> list[ModelVersion]:
    """The versions among those that predicted that read features. Raises NotFoundError or StoreError."""
    uuids = sorted(row.model_uuid for row in answers.select("model_uuid").distinct().collect())
    return [version for version in map(repository.get, uuids) if version.signature.store]


def _publish(
    spark: SparkSession,
    settings: Settings,
    project: str,
    model: str,
    found: Sequence[DataFrame],
    days: Sequence[str],
) -> None:
    """Replace the results of a model on these days."""
    table = consistency_table(project)
    rows = reduce(
        DataFrame.unionByName, found, spark.createDataFrame([], spark.table(table).schema)
    ).persist()
    with metastore(spark, settings) as hive:
        stale = {day for day, _ in hive.locations_of(table, [(day, model) for day in days])}
    filled = {row.day for row in rows.select("day").distinct().collect()}
    expected = [{"day": day, "model_name": model} for day in sorted(stale | filled)]
    if expected:
        publish(spark, rows, table, PARTITIONS, settings=settings, expected=expected)
    rows.unpersist()


def _counts(
    spark: SparkSession, project: str, model: str, days: Sequence[date], longest: int
) -> list[Counts]:
    """The published counts of a model on these days and on those before that windows of `longest` days cover."""
    reach = days[0] - timedelta(days=longest - 1)
    table = spark.table(consistency_table(project))
    rows = (
        table.where(F.col("model_name") == model)
        .where(F.col("day").between(f"{reach}", f"{days[-1]}"))
        .collect()
    )
    return [
        Counts(
            day=date.fromisoformat(row.day),
            uuid=row.model_uuid,
            tag=row.tag,
            feature=row.feature,
            rows=row.row_count,
            equal=row.equal_count,
            different=row.different_count,
            missing_online=row.missing_online_count,
            missing_offline=row.missing_offline_count,
            absent={reason: row[column] or 0 for reason, column in ABSENT_COUNTS.items()},
        )
        for row in rows
    ]


def _summary(counts: Sequence[Counts]) -> str:
    if not counts:
        return "no online answer of these days has features"
    equal, different = sum(c.equal for c in counts), sum(c.different for c in counts)
    online, offline = sum(c.missing_online for c in counts), sum(c.missing_offline for c in counts)
    absent = sum(sum(count.absent.values()) for count in counts)
    return (
        f"feature values served online and recomputed: {equal:,} equal, {different:,} different, "
        f"{online:,} missing online, {offline:,} missing offline; {absent:,} null because there was no row"
    )


def is_due(settings: Settings, project: str) -> bool:
    """Whether any version of the project that reads features was ever deployed for online use; if not, it is said.

    Raises StoreError.
    """
    with cassandra.session(settings) as session:
        deployments, repository = Deployments(session), Repository(session)
        served = {
            entry.uuid
            for current in deployments.all_current()
            if current.model.startswith(f"{project}/")
            for entry in deployments.timeline(current.model, current.tag)
            if ONLINE in entry.modes
        }
        if any(repository.get(uuid).signature.store for uuid in sorted(served)):
            return True
    say(JOB, f"{project}: no version that reads features was ever deployed for online use")
    return False


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog=f"jobs/{JOB}.py", description=__doc__.splitlines()[0])
    parser.add_argument("--project", required=True)
    add_range(parser)
    arguments = parser.parse_args(argv)
    settings = load_settings()
    if not is_due(settings, arguments.project):
        return
    spark = start_spark(settings, f"{JOB} {arguments.project}")
    try:
        run(spark, settings, arguments.project, arguments.start, arguments.end)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(job_main(main))
