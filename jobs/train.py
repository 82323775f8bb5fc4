"""Trains a model: from its document and a date to a record and a bundle in the repository.

    spark-submit jobs/train.py --model flights/trip_minutes --as-of 2013-11-01 --uuid UUID

Its stages are in `jobs/training/stages.py`. The data stays on the executors. The driver gets a bounded sample for the
search, the fitted models, sums of losses and the predictions for the test rows.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from giornata.documents import load_project
from giornata.models import model_type
from giornata.names import parse_model_name
from giornata.records.model_version import ModelVersion
from giornata.settings import Settings, load_settings
from giornata.stores.cassandra import apply_schema, session
from giornata.stores.repository import Repository
from giornata.stores.training_runs import TrainingRuns
from jobs.runtime.cancellation import stop, waiting_for_the_end
from jobs.runtime.session import job_main, say, start
from jobs.runtime.spark_errors import as_data_errors
from jobs.training import stages
from jobs.training.context import TrainingContext
from jobs.training.earlier_version import earlier_version
from jobs.training.mlflow_tracking import Tracking
from jobs.training.request import TrainingRequest, apply_overrides, checked, parse
from jobs.training.run_status import Progress

__all__ = ["TrainingRequest", "main", "run"]


def run(
    spark: SparkSession, settings: Settings, training: TrainingRequest, now: Callable[[], datetime]
) -> ModelVersion:
    """Train, and save record and bundle in the repository; the same uuid replaces an existing version.

    `now` gives the moments of start and end in the record; nothing else depends on it. Raises DataError if the data
    does not allow a model, StoreError, and the errors of `apply_overrides`.
    """
    with _recorded(settings, training, now) as (repository, progress):
        return _run(spark, settings, training, repository, progress, now)


@contextmanager
def _recorded(
    settings: Settings, training: TrainingRequest, now: Callable[[], datetime]
) -> Iterator[tuple[Repository, Progress]]:
    """The repository and the running training as it is recorded; the block's end is recorded with its reason.

    Cassandra is connected first: a run that could not save its result should fail before it has one.
    """
    asked = {
        "as_of": training.as_of,
        "trials": training.trials,
        "parameters": dict(training.parameters),
        "resources": dict(training.resources),
    }
    with session(settings) as cassandra:
        apply_schema(cassandra, settings.cassandra_replicas)
        runs = TrainingRuns(cassandra)
        with (
            Progress(runs, training.model, training.uuid, training.trained_by, asked, now) as progress,
            waiting_for_the_end(),
        ):
            yield Repository(cassandra), progress


def _run(
    spark: SparkSession,
    settings: Settings,
    training: TrainingRequest,
    repository: Repository,
    progress: Progress,
    now: Callable[[], datetime],
) -> ModelVersion:
    name = parse_model_name(training.model)
    documents = load_project(settings.projects / name.project)
    spec = apply_overrides(documents, training)
    type_ = model_type(spec.type, documents.classes.get(name.name), spec.bounds)
    with (
        Tracking(settings.mlflow, training.model, training.uuid, training.trained_by) as tracking,
        as_data_errors(f"training {training.model} fails"),
        waiting_for_the_end(),
    ):
        earlier = earlier_version(repository, training.model, training.uuid)
        context = TrainingContext(
            spark, documents, training, spec, type_, earlier, tracking, progress, now(), now
        )
        version, bundle = _train(context)
        repository.save(version, bundle)
        tracking.finish(version.parameters, version.metrics)
    say("train", f"{training.model}: version {training.uuid} saved, {len(bundle)} bytes")
    stages.warn(version.warnings)
    return version


def _train(context: TrainingContext) -> tuple[ModelVersion, bytes]:
    data = stages.prepare(context)
    found = stages.search(context, data)
    fitted = stages.fit(context, data, found)
    measured = stages.evaluate(context, data, fitted)
    version, bundle = stages.record(context, data, fitted, measured)
    data.release()
    return version, bundle


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line, start Spark with the requested resources, train."""
    training = parse(argv)
    settings = load_settings()
    with _recorded(settings, training, _now) as (repository, progress):
        spec = checked(settings, training)
        spark = start(settings, f"train {training.model}", settings.spark_master, spec.resources)
        try:
            _run(spark, settings, training, repository, progress, _now)
        finally:
            stop(spark)
    return 0


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(job_main(main))
