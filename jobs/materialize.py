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
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pyspark.sql import SparkSession

from giornata import names
from giornata.days import spans
from giornata.documents import load_project
from giornata.errors import DataError, StoreError
from giornata.settings import Settings, load_settings
from jobs.features import stages
from jobs.features.late_data import reach, reopened
from jobs.features.resources import group_resources
from jobs.features.stages import JOB, TABLES, GroupRun
from jobs.hive.day_batches import in_steps
from jobs.hive.metastore import metastore
from jobs.hive.publish import create_table, published_at
from jobs.online.schema_evolution import check_document, vanished
from jobs.runtime.failures import Failures
from jobs.runtime.resources import add_resources, start_sized
from jobs.runtime.session import add_range, days_between, job_main, parse_moment, say
from jobs.runtime.threads import side_by_side


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

    def work(name: str) -> None:
        with failures.of(name):
            _materialize_all(GroupRun(spark, settings, documents, name, start, end), since)

    side_by_side(work, chosen)
    # A push that failed has said already when Cassandra cannot be asked.
    gone = {} if groups or failures else vanished(settings, documents)
    for name, problems in gone.items():
        failures.note(name, problems)
    failures.check(f"{len(failures)} of {len(chosen) + len(gone)} feature groups failed")


def _materialize_all(run: GroupRun, since: datetime | None) -> None:
    """Materialize the days of a run and the later days that look back on them."""
    materialize(run, since)
    for later in _reopened(run, since):
        say(JOB, f"{run.name}: later days look back on these, so {spans(later.days)} follow again")
        materialize(later)


def _reopened(run: GroupRun, since: datetime | None) -> list[GroupRun]:
    """The published days after a run's own that look back on these, without those published after `since`."""
    due = [day for day, moment in _published(run).items() if since is None or moment <= since]
    spans = reopened(run.end, reach(run.documents, run.name), due)
    return [replace(run, start=start, end=end) for start, end in spans]


def materialize(run: GroupRun, since: datetime | None = None) -> None:
    """Compute, validate, publish and push one group, without the days that were published after `since`.

    Raises DataError when a live version reads what the document no longer has, with nothing published, or when
    rows break a rule, with nothing of their step published; StoreError when a store fails.
    """
    check_document(run.spark, run.settings, run.documents, run.name)
    published = _published(run) if since else {}
    done = {day for day in run.days if since and day in published and published[day] > since}
    due = [day for day in run.days if day not in done]
    if done:
        say(JOB, f"{run.name}: {len(done)} of {len(run.days)} days were published before, {len(due)} are due")
    rows = 0

    def step(days: Sequence[str]) -> None:
        nonlocal rows
        begin, last = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (days[0], days[-1]))
        rows += _materialize_days(replace(run, start=begin, end=last + timedelta(days=1)))
        done.update(days)
        say(JOB, f"{run.name}: {len(done)} of {len(run.days)} days, {rows} rows published")

    try:
        in_steps(due, step)
    except DataError as refusal:
        # What was found is seen also where it forbade to publish.
        try:
            stages.push_results(run)
        except StoreError as error:
            raise DataError(
                f"{refusal} What was found is in Hive alone until the next run: {error}"
            ) from error
        raise
    stages.push_results(run)
    pushed = stages.push_rows(run)
    deleted = f", {pushed.deleted} deleted there" if pushed.deleted else ""
    say(JOB, f"{run.name}: {len(pushed.days)} days, {pushed.rows} rows pushed online{deleted}")
    for feature in pushed.dropped:
        say(JOB, f"{run.name}: no live version reads {feature}, which left Cassandra; Hive keeps its past")
    stages.push_statistics(run)


def _materialize_days(run: GroupRun) -> int:
    """Compute, validate, measure and publish the days of a run together; the number of rows."""
    with stages.compute_rows(run) as (rows, number):
        good = stages.validate_rows(run, rows, number)
        counted = stages.measure_rows(run, good)
        return stages.publish_rows(run, good, counted)


def _published(run: GroupRun) -> dict[str, datetime]:
    """When the publication of each day of the run's group began."""
    table = names.group_table(run.project, run.name)
    if not run.spark.catalog.tableExists(table):
        return {}
    with metastore(run.spark, run.settings) as hive:
        return {day: published_at(location) for (day,), location in hive.locations(table).items()}


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
    add_resources(parser)
    arguments = parser.parse_args(argv)
    settings = load_settings()
    documents = load_project(settings.projects / arguments.project)
    resources = group_resources(documents, arguments.groups, arguments.resources)
    spark = start_sized(settings, f"{JOB} {arguments.project}", resources)
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
