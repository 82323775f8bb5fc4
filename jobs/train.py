"""Trains a model: from its document and a date to a record and a bundle in the repository.

    spark-submit jobs/train.py --model flights/trip_minutes --as-of 2013-11-01 --uuid UUID

The data stays on the executors. To the driver come a bounded sample for the search, the fitted models, sums of
losses and the answers to the test rows.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dsl import CompiledFeatures
from giornata.bundle import Bundle, open_bundle, write_bundle
from giornata.documents import ProjectDocuments, load_project
from giornata.documents.group_source import read_source
from giornata.documents.model import ModelSpec
from giornata.errors import BundleError
from giornata.evaluation.distributions import distributions
from giornata.evaluation.importance import combined_importance
from giornata.evaluation.leakage import future_timestamps, leakage
from giornata.evaluation.precision import large_features, lost_values
from giornata.evaluation.scales import uneven_scales
from giornata.models import ModelType, model_type
from giornata.models.custom.model_type import CustomType
from giornata.names import parse_model_name
from giornata.partitions import (
    Key,
)
from giornata.records.model_version import LevelMetrics, ModelVersion, PartRecord, Previous, RecordedWindow
from giornata.scorer import Scorer, input_columns, with_self_test
from giornata.settings import Settings, load_settings
from giornata.stores.cassandra import apply_schema, session
from giornata.stores.repository import Repository
from giornata.stores.training_runs import TrainingRuns
from giornata.tasks import TASKS
from jobs.hive.schema import input_frame
from jobs.runtime.cancellation import stop, waiting_for_the_end
from jobs.runtime.session import job_main, say, start
from jobs.runtime.spark_errors import as_data_errors
from jobs.training.dataset import (
    LABEL,
    LATER_LABEL,
    LEARNED,
    ORDER,
    WINDOW,
    FittedFeatures,
    RowCounts,
    Windows,
    distinct_values,
    examples,
    matrix_frame,
    sample,
)
from jobs.training.distributed import bytes_of_row
from jobs.training.evaluation import Evaluation, Measured, evaluate
from jobs.training.fitting import Learned, learn, parameter_sets, plain_parts, refit
from jobs.training.mlflow_tracking import Tracking
from jobs.training.part_fitting import FitConfig
from jobs.training.preparation import prepare
from jobs.training.request import TrainingRequest, apply_overrides, checked, parse
from jobs.training.run_status import Progress
from jobs.training.search import best_of, plan_of, tune
from jobs.training.trials import TrialData

__all__ = ["MAX_SEARCH_ROWS", "TrainingRequest", "main", "most_searched", "run"]

# Training and validation rows that the search sees, and that distributions are drawn from: they pass through the
# driver's memory, 4 bytes a feature, and each trial has them in an executor's as its type learns from them. Of more
# rows, about this many are chosen by a hash of their key, or as many as take MAX_SEARCH_BYTES.
MAX_SEARCH_ROWS = 250_000
MAX_SEARCH_BYTES = 2**28
SELF_TEST_ROWS = 20


def run(
    spark: SparkSession, settings: Settings, training: TrainingRequest, now: Callable[[], datetime]
) -> ModelVersion:
    """Train, and save record and bundle in the repository; the same uuid again replaces what is there.

    `now` gives the moments of start and end that the record states; nothing else depends on it. Raises DataError
    where the data does not allow a model, StoreError, and what `apply_overrides` raises.
    """
    with _recorded(settings, training, now) as (repository, progress):
        return _run(spark, settings, training, repository, progress, now)


@contextmanager
def _recorded(
    settings: Settings, training: TrainingRequest, now: Callable[[], datetime]
) -> Iterator[tuple[Repository, Progress]]:
    """The repository, and the run under way as it is recorded: whatever ends the block, the reason is kept.

    Cassandra is asked before all else: a run that could not keep its result should end before it has one.
    """
    asked = {
        "as_of": training.as_of,
        "trials": training.trials,
        "parameters": dict(training.parameters),
        "resources": dict(training.resources),
    }
    with session(settings) as cassandra:
        apply_schema(cassandra)
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
        earlier = _earlier(repository, training)
        version, bundle = _train(spark, documents, spec, type_, training, earlier, tracking, progress, now)
        repository.save(version, bundle)
        tracking.finish(version.parameters, version.metrics)
    say("train", f"{training.model}: version {training.uuid} saved, {len(bundle)} bytes")
    _warn(version.warnings)
    return version


@dataclass(frozen=True)
class Earlier:
    """The newest other version of the model: its record and its bundle."""

    version: ModelVersion
    bundle: bytes


def _earlier(repository: Repository, training: TrainingRequest) -> Earlier | None:
    """None, too, where the bundle cannot be read: an old version's trouble is no reason to train no new one."""
    others = [version for version in repository.list(training.model) if version.uuid != training.uuid]
    if not others:
        return None
    try:
        bundle = repository.bundle(others[0].uuid)
        Scorer(open_bundle(bundle))
    except BundleError as error:
        say("train", f"{training.model}: not compared with the version before: {error}")
        return None
    return Earlier(repository.get(others[0].uuid), bundle)


def _fair(earlier: Earlier | None, when: Windows) -> Earlier | None:
    """The earlier version, unless its parameters were chosen by rows of the test period: its search may not lead this
    one then."""
    if earlier is None or earlier.version.windows["validation"].end <= when.test:
        return earlier
    _say_unfair(earlier.version, earlier.version.windows["validation"].end, when, "its search does not lead")
    return None


def _unseen(earlier: Earlier | None, when: Windows) -> Earlier | None:
    """The earlier version, unless it learned from rows of the test period: how it answers them would tell nothing."""
    if earlier is None or earlier.version.learned_until <= when.test:
        return earlier
    _say_unfair(
        earlier.version, earlier.version.learned_until, when, "it is not compared on the same rows with"
    )
    return None


def _say_unfair(version: ModelVersion, learned: datetime, when: Windows, so: str) -> None:
    say(
        "train",
        f"version {version.uuid} before has learned up to {learned:%Y-%m-%d}, and the test period begins on "
        f"{when.test:%Y-%m-%d}: {so} this one",
    )


def _train(
    spark: SparkSession,
    documents: ProjectDocuments,
    spec: ModelSpec,
    type_: ModelType,
    training: TrainingRequest,
    earlier: Earlier | None,
    tracking: Tracking,
    progress: Progress,
    now: Callable[[], datetime],
) -> tuple[ModelVersion, bytes]:
    started = now()
    prepared = prepare(
        spark,
        documents,
        parse_model_name(training.model).name,
        spec,
        training.as_of,
        lambda counts, when: progress.stage(", ".join(_counted(name, counts) for name in when.bounds)),
    )
    compiled, when, counts, fitted = prepared.compiled, prepared.when, prepared.counts, prepared.fitted
    asked, columns, joined, timely = (
        prepared.signature,
        prepared.columns,
        prepared.joined,
        prepared.timely,
    )
    read = prepared.inputs.store.values()
    learning = timely.where(F.col(WINDOW).isin(*LEARNED))
    features = fitted.features
    matrix = matrix_frame(learning, fitted, compiled.partition, columns).persist(StorageLevel.MEMORY_AND_DISK)

    categories = _categories(features)
    data = _trial_data(matrix, counts, type_, features.names, categories, asked.outputs)
    progress.stage(
        f"features joined and fitted; the search sees {len(data.train.target)} + {len(data.validation.target)} rows"
    )
    large = large_features(features.names, data.train)
    precise = distinct_values(timely.where(F.col(WINDOW) == "train"), features, columns, large)
    suspects = [
        *prepared.late,
        *future_timestamps(counts.ahead, spec, documents.tables[spec.data.table]),
        *leakage(features.names, data.train, spec.task),
        *uneven_scales(features.names, data.train, spec.task),
        *lost_values(precise),
    ]
    _warn(suspects)
    fair = _fair(earlier, when)
    plan = plan_of(spec)
    first = best_of(fair.version if fair else None, spec, plan)
    found = tune(spark, spec, type_, plan, spec.parameters, first, data, tracking, progress)
    sets = parameter_sets(spec, type_, found)
    recipe = FitConfig(
        type_, spec.task, sets, plan.seed, len(features.names), categories, features.names, asked.outputs
    )
    learned = learn(matrix, spec, recipe, compiled.partition, progress)

    version = ModelVersion(
        uuid=training.uuid,
        model=training.model,
        trained_by=training.trained_by,
        started_at=started,
        finished_at=started,
        configuration=spec,
        table=documents.tables[spec.data.table],
        groups={store.group: documents.group(store.group) for store in read},
        sources={store.group: read_source(documents, store.group) for store in read},
        windows={
            name: RecordedWindow(
                start=start, end=end, rows=counts.rows[name], unlabelled=counts.unlabelled[name]
            )
            for name, (start, end) in when.bounds.items()
        },
        signature=asked,
        parameters=sets[0],
        metrics={},
        metrics_by_level=[],
        single_model_metrics={},
        baseline_metrics={},
        warnings=suspects,
        part_metric=TASKS[spec.task].loss,
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
    test = timely.where(F.col(WINDOW) == "test")
    baseline = _baseline(matrix, spec, recipe, bundle)
    own_metrics = type_.evaluate if isinstance(type_, CustomType) else None
    unseen = _unseen(earlier, when)
    comparable = unseen if unseen and _comparable(unseen.version, version, columns) else None
    measured = evaluate(
        test,
        counts.rows["test"],
        write_bundle(bundle),
        columns,
        baseline,
        comparable.bundle if comparable else None,
        own_metrics,
    )
    version = _with_metrics(version, measured, earlier.version if earlier else None, now())
    if spec.is_refitted:
        version, learned = _fitted_again(
            version, joined, fitted, compiled.partition, recipe, learned, progress
        )
        version = version.model_copy(update={"finished_at": now()})
        bundle = dataclasses.replace(bundle, parts=learned.parts)
    _report(version)
    bundle = with_self_test(dataclasses.replace(bundle, version=version), _self_test_rows(test, columns))
    matrix.unpersist()
    prepared.release()
    return version, write_bundle(bundle)


def _fitted_again(
    version: ModelVersion,
    joined: DataFrame,
    fitted: FittedFeatures,
    partition: CompiledFeatures | None,
    recipe: FitConfig,
    learned: Learned,
    progress: Progress,
) -> tuple[ModelVersion, Learned]:
    """The kept parts, fitted with their parameters to the rows of all windows, and the record that says so.

    Labels are those known at the end. Those of a class that came up in the test period are left out: it is none of the
    version's.
    """
    rows = joined.where(F.col(LATER_LABEL).isNotNull()).withColumn(LABEL, F.col(LATER_LABEL))
    if TASKS[version.signature.task].label == "class":
        rows = rows.where(F.col(LABEL) >= 0)
    matrix = matrix_frame(rows, fitted, partition, input_columns(version.signature))
    matrix = matrix.persist(StorageLevel.MEMORY_AND_DISK)
    count = matrix.count()
    progress.stage(f"fitting once more, to the {count} rows of all periods")
    again = refit(matrix, version.configuration, recipe, learned, progress)
    matrix.unpersist()
    sizes = {record.name: record.size for record in again.records}
    window = RecordedWindow(
        start=version.windows["train"].start, end=version.windows["test"].end, rows=count, unlabelled=0
    )
    changes = {
        "refit": window,
        "parts": [part.model_copy(update={"size": sizes[part.name]}) for part in version.parts],
        "importances": _importances(recipe.type, fitted.features, again),
    }
    return version.model_copy(update=changes), again


def _counted(window: str, counts: RowCounts) -> str:
    left_out = counts.unlabelled[window]
    return f"{counts.rows[window]} {window} rows" + (f" ({left_out} without a label)" if left_out else "")


def _categories(features: CompiledFeatures) -> dict[int, int]:
    """The columns of the matrix that hold codes, with how many there are."""
    return {features.names.index(name): codes for name, codes in features.categories.items()}


def _trial_data(
    matrix: DataFrame,
    counts: RowCounts,
    type_: ModelType,
    features: Sequence[str],
    categories: Mapping[int, int],
    outputs: Sequence[str],
) -> TrialData:
    learned = counts.rows["train"] + counts.rows["validation"]
    chosen = sample(matrix, learned, most_searched(type_, len(features), categories))
    train, validation = (
        examples(chosen.where(F.col(WINDOW) == name).toArrow(), len(features), categories, features, outputs)
        for name in ("train", "validation")
    )
    return TrialData(train, validation)


def most_searched(type_: ModelType, features: int, categories: Mapping[int, int]) -> int:
    """How many rows a search sees at most, of so many features; `categories` maps those that are codes to how many
    codes there are."""
    taken = max(4 * features, bytes_of_row(type_, features, categories))
    return min(MAX_SEARCH_ROWS, MAX_SEARCH_BYTES // taken)


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


def _baseline(matrix: DataFrame, spec: ModelSpec, recipe: FitConfig, bundle: Bundle) -> list[float] | bytes:
    """What a model is compared with: the mean, the share of true or of each class, or the quantiles of the labels it
    learned from; or a bundle whose parts learned with the plainest parameters of their task."""
    if TASKS[spec.task].baseline_parameters:
        return write_bundle(
            dataclasses.replace(bundle, parts=plain_parts(matrix, spec, recipe, bundle.parts))
        )
    if spec.shares:
        (row,) = matrix.agg(F.percentile(LABEL, F.array(*map(F.lit, spec.shares))).alias("values")).collect()
        return list(row["values"])
    if TASKS[spec.task].label == "class":
        places = [F.avg((F.col(LABEL) == place).cast("double")) for place in range(len(recipe.outputs))]
        (row,) = matrix.agg(*places).collect()
        return list(row)
    (row,) = matrix.agg(F.avg(LABEL).alias("mean")).collect()
    return [float(row["mean"])]


def _comparable(earlier: ModelVersion, version: ModelVersion, columns: Mapping[str, str]) -> bool:
    """Whether a version can be asked about rows with these columns, and answers the same question alike."""
    same = earlier.configuration.label == version.configuration.label
    alike = (earlier.signature.task, earlier.signature.outputs) == (
        version.signature.task,
        version.signature.outputs,
    )
    return same and alike and input_columns(earlier.signature).items() <= columns.items()


def _with_metrics(
    version: ModelVersion, measured: Evaluation, earlier: ModelVersion | None, finished: datetime
) -> ModelVersion:
    whole, before = measured.whole, measured.whole.beside.previous
    previous = earlier and Previous(
        uuid=earlier.uuid,
        same_rows=bool(before),
        metrics=before or earlier.metrics,
    )
    parts = [_part_with_metrics(record, measured.parts.get(record.name)) for record in version.parts]
    levels = [
        LevelMetrics(level=level, rows=found.rows, metrics=found.metrics, beside=found.beside)
        for level, found in measured.levels.items()
    ]
    return version.model_copy(
        update={
            "finished_at": finished,
            "metrics": whole.metrics,
            "metrics_by_level": levels,
            "single_model_metrics": whole.beside.single_model,
            "baseline_metrics": whole.beside.baseline,
            "previous": previous,
            "parts": parts,
        }
    )


def _part_with_metrics(record: PartRecord, found: Measured | None) -> PartRecord:
    if found is None or not record.kept:
        return record
    return record.model_copy(update={"test_rows": found.rows, "test": found.metrics, "beside": found.beside})


def _self_test_rows(test: DataFrame, columns: Mapping[str, str]) -> list[dict[str, object]]:
    """Some rows of the test period, and one that has nothing."""
    chosen = input_frame(test, columns, ORDER).orderBy(ORDER).limit(SELF_TEST_ROWS).toArrow().to_pylist()
    return [*({name: row[name] for name in columns} for row in chosen), dict.fromkeys(columns)]


def _report(version: ModelVersion) -> None:
    model, previous = version.model, version.previous
    test = version.windows["test"]
    say("train", f"{model}, test period: {_shown(version.metrics)}")
    if test.unlabelled:
        say("train", f"{model}, test period: {test.unlabelled} rows had no label by then and are left out")
    say("train", f"{model}, without parts: {_shown(version.single_model_metrics)}")
    say("train", f"{model}, baseline: {_shown(version.baseline_metrics)}")
    if previous:
        where = "on the same rows" if previous.same_rows else "on its own test period"
        say("train", f"{model}, version {previous.uuid} before, {where}: {_shown(previous.metrics)}")
    for level in version.metrics_by_level:
        say("train", f"{model}, answered by {level.level} ({level.rows} rows): {_shown(level.metrics)}")
    if version.refit:
        say(
            "train",
            f"{model}: fitted once more to {version.refit.rows} rows; the metrics are of the fit before",
        )


def _warn(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        say("train", f"WARNING: {sentence}")


def _shown(values: Mapping[str, float | None]) -> str:
    return ", ".join(
        f"{name} {'undefined' if value is None else format(value, '.4g')}" for name, value in values.items()
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line, start Spark with the resources of the order, train."""
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
