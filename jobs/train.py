"""Trains a model: from its document and a date to a record and a bundle in the repository.

    spark-submit jobs/train.py --model flights/trip_minutes --as-of 2013-11-01 --uuid UUID

The data stays on the executors. To the driver come a bounded sample for the search, the fitted models, sums of
losses and the answers to the test rows.
"""

import argparse
import dataclasses
import getpass
import json
import sys
import uuid as uuids
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dsl import CompiledFeatures
from giornata.bundle import Bundle, Part, write_bundle
from giornata.documents import ProjectDocuments, load_project
from giornata.documents.compile import compile_model
from giornata.documents.model import ModelSpec, Scalar
from giornata.documents.record import ModelVersion, PartRecord, SearchRecord, TrialRecord, Window
from giornata.errors import DataError, SettingsError
from giornata.evaluation.distributions import distributions
from giornata.evaluation.importance import combined_importance
from giornata.evaluation.metrics import LOSS
from giornata.models import ModelType, model_type
from giornata.models.custom import CustomType
from giornata.models.partitions import (
    ROOT,
    Decision,
    Key,
    candidates,
    check_levels,
    decide,
    level_of,
    part_names,
)
from giornata.models.search import best_trial, search
from giornata.names import parse_model_name
from giornata.scorer import input_columns, with_self_test
from giornata.settings import Settings, load_settings
from giornata.stores.cassandra import session
from giornata.stores.repository import Repository
from jobs.evaluate import Evaluation, evaluate
from jobs.parts import Recipe, fit_parts, path_rows, validation_losses
from jobs.point_in_time import join
from jobs.session import job_main, parse_day, say, start
from jobs.tracking import Tracking
from jobs.training_data import (
    ORDER,
    WINDOW,
    RowCounts,
    examples,
    fit_features,
    input_frame,
    labelled_rows,
    matrix_frame,
    merged_inputs,
    row_counts,
    sample,
    signature,
    windows,
)
from jobs.trials import TrialData, trial_runner

__all__ = ["MAX_SEARCH_ROWS", "Training", "main", "run"]

# Training and validation rows that the search sees, and that distributions are drawn from: they pass through the
# driver's memory, 4 bytes a feature. Of more rows, about this many are chosen by a hash of their key.
MAX_SEARCH_ROWS = 250_000
SELF_TEST_ROWS = 20
_TASKS_PER_SLOT = 4


@dataclass(frozen=True)
class Training:
    """What a run is asked: which model, as of which moment, under which uuid, and what differs from its document."""

    model: str
    as_of: datetime
    uuid: str
    trained_by: str
    trials: int | None = None
    parameters: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Learned:
    """What fitting gave: the models of the kept parts, root first, and what was decided about every part."""

    parts: tuple[Part, ...]
    records: list[PartRecord]


def run(
    spark: SparkSession, settings: Settings, training: Training, now: Callable[[], datetime]
) -> ModelVersion:
    """Train, and save record and bundle in the repository; the same uuid again replaces what is there.

    `now` gives the moments of start and end that the record states; nothing else depends on it. Raises DataError
    where the data does not allow a model, ParameterError for parameters the model type does not have, StoreError.
    """
    name = parse_model_name(training.model)
    documents = load_project(settings.projects / name.project)
    spec = documents.model(name.name)
    type_ = model_type(spec.type, documents.classes.get(name.name))
    own = {**spec.parameters, **training.parameters}
    type_.check(own, spec.search.space if spec.search else {})
    # Both stores are opened first: a run that could not keep its result should end before it has one.
    with (
        session(settings) as cassandra,
        Tracking(settings.mlflow, training.model, training.uuid, training.trained_by) as tracking,
    ):
        version, bundle = _train(spark, documents, spec, type_, training, own, tracking, now)
        Repository(cassandra).save(version, bundle)
        tracking.finish(version.parameters, version.metrics)
    say("train", f"{training.model}: version {training.uuid} saved, {len(bundle)} bytes")
    return version


def _train(
    spark: SparkSession,
    documents: ProjectDocuments,
    spec: ModelSpec,
    type_: ModelType,
    training: Training,
    own: Mapping[str, Scalar],
    tracking: Tracking,
    now: Callable[[], datetime],
) -> tuple[ModelVersion, bytes]:
    started = now()
    compiled = compile_model(documents, parse_model_name(training.model).name)
    if compiled.partition:
        check_levels({name: str(type_) for name, type_ in compiled.partition.types.items()})
    inputs = merged_inputs(compiled.features, compiled.partition)
    when = windows(spec.split, training.as_of)
    labelled = labelled_rows(spark, documents, spec, inputs, when).persist(StorageLevel.MEMORY_AND_DISK)
    counts = row_counts(labelled, spec, inputs, when)
    say(
        "train", f"{training.model}: " + ", ".join(f"{counts.rows[name]} {name} rows" for name in when.bounds)
    )
    asked = signature(spec, inputs, counts.nullable)
    columns = input_columns(asked)
    joined = join(spark, labelled, spec.data.event_time, inputs, documents.groups, documents.name)
    joined = joined.persist(StorageLevel.MEMORY_AND_DISK)
    learning = joined.where(F.col(WINDOW) != "test")
    fitted = fit_features(joined.where(F.col(WINDOW) == "train"), compiled.features, columns)
    features = fitted.features
    matrix = matrix_frame(learning, fitted, compiled.partition, columns).persist(StorageLevel.MEMORY_AND_DISK)

    categories = _categories(features)
    data = _trial_data(matrix, counts, features.names, categories)
    say(
        "train",
        f"features joined and fitted; the search sees {len(data.train.target)} + {len(data.validation.target)} rows",
    )
    found = _search(spark, spec, type_, training, own, data, tracking)
    best = found.trials[found.best]
    parameters = type_.with_rounds(best.parameters, best.rounds or 1)
    recipe = Recipe(
        type_, spec.task, parameters, _seed(spec), len(features.names), categories, features.names
    )
    slots = spec.resources.executors * spec.resources.cores
    learned = _fit(matrix, spec, recipe, compiled.partition, slots)

    version = ModelVersion(
        uuid=training.uuid,
        model=training.model,
        trained_by=training.trained_by,
        started_at=started,
        finished_at=started,
        configuration=spec,
        table=documents.tables[spec.data.table],
        groups={store.group: documents.group(store.group) for store in inputs.store.values()},
        windows={
            name: Window(start=start, end=end, rows=counts.rows[name])
            for name, (start, end) in when.bounds.items()
        },
        signature=asked,
        parameters=parameters,
        metrics={},
        metrics_by_level=[],
        single_model_metrics={},
        baseline_metrics={},
        part_metric=LOSS[spec.task],
        parts=learned.records,
        importances=_importances(type_, features, learned),
        mlflow_run=tracking.run_id,
        search=found,
        distributions=distributions(features.names, data.train.matrix),
    )
    bundle = Bundle(
        version,
        features.to_json(),
        compiled.partition.to_json() if compiled.partition else None,
        learned.parts,
    )
    test = joined.where(F.col(WINDOW) == "test")
    share = _mean_label(learning)
    own_metrics = type_.evaluate if isinstance(type_, CustomType) else None
    measured = evaluate(test, counts.rows["test"], write_bundle(bundle), columns, share, own_metrics)
    _report(training.model, measured)
    version = _with_metrics(version, measured, now())
    bundle = with_self_test(dataclasses.replace(bundle, version=version), _self_test_rows(test, columns))
    for frame in (labelled, joined, matrix):
        frame.unpersist()
    return version, write_bundle(bundle)


def _categories(features: CompiledFeatures) -> dict[int, int]:
    """The columns of the matrix that hold codes, with how many there are."""
    return {features.names.index(name): codes for name, codes in features.categories.items()}


def _trial_data(
    matrix: DataFrame, counts: RowCounts, features: Sequence[str], categories: Mapping[int, int]
) -> TrialData:
    learned = counts.rows["train"] + counts.rows["validation"]
    chosen = sample(matrix, learned, MAX_SEARCH_ROWS)
    train, validation = (
        examples(chosen.where(F.col(WINDOW) == name).toArrow(), len(features), categories, features)
        for name in ("train", "validation")
    )
    return TrialData(train, validation)


def _search(
    spark: SparkSession,
    spec: ModelSpec,
    type_: ModelType,
    training: Training,
    own: Mapping[str, Scalar],
    data: TrialData,
    tracking: Tracking,
) -> SearchRecord:
    """The search of the document, or, without one, the one trial of its own parameters."""
    metric = spec.search.metric if spec.search else LOSS[spec.task]
    count = training.trials or (spec.search.trials if spec.search else 1)
    space = spec.search.space if spec.search else type_.default_space()
    slots = spec.resources.executors * spec.resources.cores
    records: list[TrialRecord] = []
    with trial_runner(spark, slots, data, type_, spec.task, metric, _seed(spec)) as runner:
        for record in search(runner.submit, own, space, count, metric, _seed(spec), slots):
            records.append(record)
            tracking.trial(record, metric)
            told = f"{metric} {record.value:.5g}" if record.value is not None else f"failed: {record.reason}"
            say("train", f"trial {record.number + 1} of {count}: {told}")
    return SearchRecord(
        metric=metric,
        best=best_trial(records, metric).number,
        train_rows=len(data.train.target),
        validation_rows=len(data.validation.target),
        trials=records,
    )


def _fit(
    matrix: DataFrame, spec: ModelSpec, recipe: Recipe, partition: CompiledFeatures | None, slots: int
) -> Learned:
    """Candidates for every part at once, the decision on validation rows, then the kept ones on all rows."""
    tasks = slots * _TASKS_PER_SLOT
    levels = list(partition.names) if partition else []
    rows, dropped = candidates(path_rows(matrix), spec.partition.min_rows if spec.partition else 1)
    decisions = {key: Decision(False, reason) for key, reason in dropped.items()}
    tried = [key for key in rows if key not in dropped]
    if tried == [()]:
        decisions[()] = Decision(True, "answers where no part does")
    else:
        fitted = fit_parts(matrix, tried, ["train"], recipe, tasks)
        decisions |= {key: Decision(False, part.problem) for key, part in fitted.items() if part.problem}
        files = {key: part.files for key, part in fitted.items() if not part.problem}
        if () not in files:
            raise DataError(f"the model cannot be fitted: {fitted[()].problem}")
        decisions |= decide(files, validation_losses(matrix, files, recipe))
    kept = sorted(
        (key for key, decision in decisions.items() if decision.kept), key=lambda key: (len(key), repr(key))
    )
    say("train", f"parts: {len(kept) - 1} kept of {len(tried) - 1} candidates and {len(rows) - 1} values")
    final = fit_parts(matrix, kept, ["train", "validation"], recipe, tasks)
    for key in kept:
        if final[key].problem:
            raise DataError(f"the part {key or ROOT} cannot be fitted: {final[key].problem}")
    names = part_names(rows, levels)
    parts = tuple(Part(key, level_of(key, levels), names[key], final[key].files) for key in kept)
    sizes = {part.key: recipe.type.fitted.from_files(part.files).size() for part in parts}
    records = [
        PartRecord(
            name=names[key],
            level=level_of(key, levels),
            key=list(key),
            rows=rows[key].total,
            validation_rows=rows[key].validation,
            kept=decisions[key].kept,
            reason=decisions[key].reason,
            metric=_as_metric(spec.task, decisions[key].loss),
            parent_metric=_as_metric(spec.task, decisions[key].parent_loss),
            size=sizes.get(key, {}),
        )
        for key in sorted(rows, key=lambda key: (len(key), repr(key)))
    ]
    return Learned(parts, records)


def _as_metric(task: str, loss: float | None) -> float | None:
    """The metric that a mean loss stands for: its root for squared errors."""
    if loss is None or not np.isfinite(loss):
        return None
    return float(np.sqrt(loss)) if task == "regression" else loss


def _importances(type_: ModelType, features: CompiledFeatures, learned: Learned) -> dict[str, float]:
    """Weighted by the rows that each model answers for: a part's rows less those of the kept parts inside it."""
    kept: dict[Key, int] = {tuple(record.key): record.rows for record in learned.records if record.kept}
    answered = dict(kept)
    for key, rows in kept.items():
        if key:
            parent = next(key[:depth] for depth in range(len(key) - 1, -1, -1) if key[:depth] in kept)
            answered[parent] -= rows
    shares = [type_.fitted.from_files(part.files).importance() for part in learned.parts]
    return combined_importance(features.names, shares, [answered[part.key] for part in learned.parts])


def _mean_label(learning: DataFrame) -> float:
    (row,) = learning.agg(F.avg("_label").alias("mean")).collect()
    return float(row["mean"])


def _with_metrics(version: ModelVersion, measured: Evaluation, finished: datetime) -> ModelVersion:
    parts = [
        record.model_copy(update=dict(zip(("test_rows", "test"), measured.parts[record.name], strict=True)))
        if record.kept and record.name in measured.parts
        else record
        for record in version.parts
    ]
    return version.model_copy(
        update={
            "finished_at": finished,
            "metrics": measured.whole,
            "metrics_by_level": measured.levels,
            "single_model_metrics": measured.single,
            "baseline_metrics": measured.baseline,
            "parts": parts,
        }
    )


def _self_test_rows(test: DataFrame, columns: Mapping[str, str]) -> list[dict[str, object]]:
    """Some rows of the test period, and one that has nothing."""
    chosen = input_frame(test, columns, ORDER).orderBy(ORDER).limit(SELF_TEST_ROWS).toArrow().to_pylist()
    return [*({name: row[name] for name in columns} for row in chosen), dict.fromkeys(columns)]


def _report(model: str, measured: Evaluation) -> None:
    for title, values in (
        ("test period", measured.whole),
        ("without parts", measured.single),
        ("baseline", measured.baseline),
    ):
        say("train", f"{model}, {title}: " + _shown(values))
    for level in measured.levels:
        say("train", f"{model}, answered by {level.level} ({level.rows} rows): " + _shown(level.metrics))


def _shown(values: Mapping[str, float | None]) -> str:
    return ", ".join(
        f"{name} {'undefined' if value is None else format(value, '.4g')}" for name, value in values.items()
    )


def _seed(spec: ModelSpec) -> int:
    return spec.search.seed if spec.search else 0


def _parameters(text: str) -> dict[str, Scalar]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(values, dict) or any(
        isinstance(value, dict | list | None) for value in values.values()
    ):
        raise argparse.ArgumentTypeError('write a JSON object of plain values, such as {"max_depth": 4}')
    return values


def _uuid(text: str) -> str:
    return str(uuids.UUID(text))


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line, start Spark with the resources of the model's document, train."""
    parser = argparse.ArgumentParser(description="Train a model and save it in the repository.")
    parser.add_argument("--model", required=True, metavar="PROJECT/MODEL")
    parser.add_argument(
        "--as-of", type=parse_day, required=True, metavar="DAY", help="what is known at 00:00 UTC"
    )
    parser.add_argument(
        "--uuid", type=_uuid, required=True, help="the version's uuid; again replaces the version"
    )
    parser.add_argument("--trials", type=_positive, help="instead of the document's number of trials")
    parser.add_argument(
        "--parameters", type=_parameters, default={}, metavar="JSON", help="over the document's"
    )
    parser.add_argument("--trained-by", default=getpass.getuser(), metavar="NAME")
    arguments = parser.parse_args(argv)
    training = Training(
        arguments.model,
        arguments.as_of,
        arguments.uuid,
        arguments.trained_by,
        arguments.trials,
        arguments.parameters,
    )
    settings = load_settings()
    name = parse_model_name(training.model)
    spec = load_project(settings.projects / name.project).model(name.name)
    if spec.resources.gpus and spec.type not in ("deep_net", "custom"):
        raise SettingsError(
            f"{training.model} asks for GPUs; a model of type {spec.type} is trained on processors here: set gpus: 0"
        )
    spark = start(settings, f"train {training.model}", settings.spark_master, spec.resources)
    try:
        run(spark, settings, training, lambda: datetime.now(UTC))
    finally:
        spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(job_main(main))
