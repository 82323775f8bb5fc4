"""Collects logged predictions, checks served features, joins labels, measures accuracy, mails when an alert changes.

The first two are `jobs/collect_log.py` and `jobs/check_consistency.py`, which also run alone; the command line here
runs all in one application. What follows is about the rest.

`--to` is the moment up to which labels count; the clock is not used. Labels known in [from, to) belong to predictions
of a few days before, so labelled predictions and metrics of the days from LABEL_WAIT before `--from` up to `--to` are
recomputed each time: a label that comes later than LABEL_WAIT does not count. Running a range again gives the same rows
and sends no mail again.

A model without a label is measured by its predictions alone: it has metrics, but no labelled predictions.

giornata.monitoring.observations defines the days on which alert rules are evaluated, giornata.stores.alerts how a mail
is sent once.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from cassandra.cluster import Session
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata.documents import ModelSpec, ProjectDocuments, load_project
from giornata.errors import NotFoundError
from giornata.monitoring.alerts import rule
from giornata.monitoring.consistency import ONLINE
from giornata.monitoring.mail import MailError, MailServer
from giornata.monitoring.notify import deliver, judge_rule
from giornata.monitoring.observations import LABEL_WAIT, observations, served_windows
from giornata.names import Name, data_table, metrics_table, outcomes_table, predictions_table
from giornata.records.metric_point import Point
from giornata.settings import Settings, load_settings
from giornata.stores import cassandra
from giornata.stores.alerts import Alerts
from giornata.stores.deployments import Deployments
from giornata.stores.series import Series
from jobs import check_consistency, collect_log
from jobs.hive.labels import known_labels, label_columns, labelled_predictions
from jobs.hive.publish import create_table, ensure_table, publish
from jobs.monitoring.accuracy import is_measured_here, measure
from jobs.monitoring.prediction_table import PARTITIONS, predictions_columns
from jobs.runtime.failures import Failures
from jobs.runtime.resources import add_resources, largest, start_sized
from jobs.runtime.session import add_range, days_between, job_main, say
from jobs.runtime.threads import side_by_side

CONSOLE = "/giornata/"  # where Airflow's web server has the console, see plugins/
METRICS_TABLE = Path(__file__).resolve().parents[1] / "sql" / "hive" / "model_metrics.sql"


def run(spark: SparkSession, settings: Settings, project: str, start: datetime, end: datetime) -> None:
    """Run the monitoring of a project from `start` to `end` (midnights, UTC).

    A model that cannot be measured keeps its earlier results and does not stop the others. Raises at the end, after all
    else is done, DataError or StoreError naming those (see `jobs.runtime.failures`), or MailError if a mail could not
    be delivered; it stays stored for the next run.
    """
    documents = load_project(settings.projects / project)
    days = days_between(start - LABEL_WAIT, end)
    measured: dict[str, list[Point]] = {}
    failures = Failures("monitor")

    def work(model: str) -> None:
        if not spark.catalog.tableExists(predictions_table(Name(project, model))):
            say("monitor", f"{project}/{model}: nothing was predicted yet")
            return
        with failures.of(model, f"{project}/{model}"):
            measured[model] = _measure_model(spark, settings, documents, model, days, end)

    side_by_side(work, documents.models)
    points = {model: measured[model] for model in documents.models if model in measured}
    _publish_metrics(spark, settings, project, points, days, failures.names)
    with cassandra.session(settings) as session:
        series = Series(session)
        for model, own in points.items():
            name = Name(project, model)
            first, spec = date.fromisoformat(days[0]), documents.model(model)
            metrics = {key[3] for key in series.keys(str(name)) if is_measured_here(key[3])}
            series.replace(str(name), own, first, end.date(), metrics)
            watched = [*own, *_consistency(series, name, spec, own, first, end.date())]
            _judge_model(session, settings, name, spec, watched, end.date())
        undelivered = _deliver(Alerts(session), settings, [str(Name(project, model)) for model in points])
    failures.check(f"{len(failures)} of {len(documents.models)} models were not measured")
    if undelivered:
        raise MailError(undelivered)


def _measure_model(
    spark: SparkSession,
    settings: Settings,
    documents: ProjectDocuments,
    model: str,
    days: Sequence[str],
    end: datetime,
) -> list[Point]:
    spec = documents.model(model)
    name = Name(documents.name, model)
    labelled = (
        _publish_labelled_predictions(spark, settings, documents, model, days, end) if spec.label else None
    )
    windows = {1, *(alert.over.days for alert in spec.monitor.alerts)}
    reach = (date.fromisoformat(days[0]) - timedelta(days=max(windows) - 1)).isoformat()
    points = measure(
        _days(spark.table(predictions_table(name)), reach, days[-1]),
        _days(spark.table(outcomes_table(name)), reach, days[-1]) if spec.label else None,
        model=str(name),
        spec=spec,
        windows=windows,
        days=days,
    )
    counted = "" if labelled is None else f"{labelled} outcomes on {len(days)} days, "
    say("monitor", f"{name}: {counted}{len(points)} metrics")
    return points


def _publish_labelled_predictions(
    spark: SparkSession,
    settings: Settings,
    documents: ProjectDocuments,
    model: str,
    days: Sequence[str],
    end: datetime,
) -> int:
    """Replace the labelled predictions of days by those known before `end`; returns their number."""
    spec = documents.model(model)
    name = Name(documents.name, model)
    assert spec.label, "a model without a label has no labelled predictions"
    labels_table = documents.table(spec.label.table)
    table = outcomes_table(name)
    columns = predictions_columns(spec, documents.table(spec.data.table))
    ensure_table(spark, table, {**columns, **label_columns(spec.task)}, PARTITIONS)
    predictions = _days(spark.table(predictions_table(name)), days[0], days[-1])
    labels = known_labels(_table(spark, documents.name, spec.label.table), labels_table, spec, days[0], end)
    partitions = predictions.select(*PARTITIONS).union(
        _days(spark.table(table), days[0], days[-1]).select(*PARTITIONS)
    )
    expected = [row.asDict() for row in partitions.distinct().collect()]
    rows = labelled_predictions(predictions, labels, spec)
    return publish(spark, rows, table, PARTITIONS, settings=settings, expected=expected).rows


def _table(spark: SparkSession, project: str, table: str) -> DataFrame:
    name = data_table(project, table)
    if not spark.catalog.tableExists(name):
        raise NotFoundError(
            f"there is no Hive table {name} to take labels from: trigger {project}.ingest with a range of days first."
        )
    return spark.table(name)


def _days(rows: DataFrame, first: str, last: str) -> DataFrame:
    return rows.where(F.col("day").between(first, last))


def _publish_metrics(
    spark: SparkSession,
    settings: Settings,
    project: str,
    points: Mapping[str, Iterable[Point]],
    days: Sequence[str],
    kept: Sequence[str],
) -> None:
    """Replace the metric points of days by those of models, and keep the earlier ones of the models in `kept`."""
    table = metrics_table(project)
    create_table(spark, METRICS_TABLE, project)
    rows = [
        (p.model, p.uuid, p.tag, p.mode, p.part, p.window, p.metric, p.value, p.rows, p.at.isoformat())
        for own in points.values()
        for p in own
    ]
    schema = spark.table(table).schema
    frame = spark.createDataFrame(rows, schema)
    if kept:
        unmeasured = F.col("model").isin([str(Name(project, model)) for model in kept])
        frame = frame.union(_days(spark.table(table), days[0], days[-1]).where(unmeasured))
    published = publish(spark, frame, table, settings=settings, expected=[{"day": day} for day in days])
    say("monitor", f"{table}: {published.rows} rows on {len(days)} days published")


def _consistency(
    series: Series, name: Name, spec: ModelSpec, points: Sequence[Point], first: date, end: date
) -> list[Point]:
    """The results of jobs/check_consistency.py on these days, for the rules that watch them."""
    tags = sorted({point.tag for point in points if point.mode == ONLINE})
    return [
        point
        for tag in tags
        for metric, days in sorted(served_windows(spec))
        for point in series.read(str(name), tag, ONLINE, metric, f"{days}d", first, end)
    ]


def _judge_model(
    session: Session, settings: Settings, name: Name, spec: ModelSpec, points: Sequence[Point], end: date
) -> None:
    """Evaluate each rule at each tag and mode, day by day, and store the transitions with their mails."""
    alerts, deployments = Alerts(session), Deployments(session)
    for tag, mode in sorted({(point.tag, point.mode) for point in points if point.tag}):
        deployed = [deployment.uuid for deployment in deployments.timeline(str(name), tag)]
        rules = [rule(str(name), tag, mode, alert) for alert in spec.monitor.alerts]
        alerts.take_over(rules)
        for watched in rules:
            seen = observations(watched, points, deployed, end)
            for transition in judge_rule(alerts, watched, seen, f"{settings.airflow}{CONSOLE}"):
                day = transition.observation.day
                say("monitor", f"{name}: {transition.kind}: {watched.name} ({tag}, {mode}, {day})")


def _deliver(alerts: Alerts, settings: Settings, models: Sequence[str]) -> str | None:
    """Deliver the stored mails of models; returns what could not be delivered, if anything."""
    delivery = deliver(alerts, models, MailServer.of(settings), settings.mail_from)
    for event in delivery.sent:
        say("monitor", f"mailed {', '.join(event.mail.to)}: {event.mail.subject}")
    undelivered = [*delivery.failures, *delivery.refused]
    for line in undelivered:
        say("monitor", line)
    if not undelivered:
        return None
    kept = " What was not delivered is kept, and the next run sends it." if delivery.failures else ""
    return "; ".join(undelivered) + "." + kept


def due_steps(
    settings: Settings, project: str, start: datetime, end: datetime
) -> dict[str, Callable[[SparkSession], object]]:
    """The steps of a project's monitoring that have something to do, in their order; of the others it is said why not.

    Raises StoreError.
    """
    steps: dict[str, Callable[[SparkSession], object]] = {}
    if collect_log.is_due(settings, project):
        steps["collect_log"] = lambda spark: collect_log.run(spark, settings, project)
    if check_consistency.is_due(settings, project):
        steps["check_consistency"] = lambda spark: check_consistency.run(spark, settings, project, start, end)
    if was_deployed(settings, project):
        steps["monitor"] = lambda spark: run(spark, settings, project, start, end)
    else:
        say("monitor", f"{project}: no version was deployed yet, so nothing was predicted")
    return steps


def run_steps(spark: SparkSession, steps: Mapping[str, Callable[[SparkSession], object]]) -> None:
    """Run the steps one after the other; one that fails does not stop those after it.

    Raises at the end DataError or StoreError naming those that failed (see `jobs.runtime.failures`).
    """
    failures = Failures("monitor")
    for name, step in steps.items():
        with failures.of(name):
            step(spark)
    failures.check(f"{len(failures)} of {len(steps)} steps of the monitoring failed")


def was_deployed(settings: Settings, project: str) -> bool:
    """Whether any version of the project's models has ever been deployed. Raises StoreError."""
    with cassandra.session(settings) as session:
        deployed = Deployments(session).all_current()
    return any(deployment.model.startswith(f"{project}/") for deployment in deployed)


def main(argv: list[str] | None = None) -> None:
    """Run from the command line, the steps before included: an application for each takes longer than its work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--project", required=True)
    add_range(parser)
    add_resources(parser)
    arguments = parser.parse_args(argv)
    settings = load_settings()
    steps = due_steps(settings, arguments.project, arguments.start, arguments.end)
    if not steps:
        return
    project = load_project(settings.projects / arguments.project).project
    resources = largest([project.resources.monitor], arguments.resources)
    spark = start_sized(settings, f"monitor {arguments.project}", resources)
    try:
        run_steps(spark, steps)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(job_main(main))
