"""The stages of a training in order: prepare, search, fit, evaluate, record. Each returns what the next needs."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.bundle import Bundle, write_bundle
from giornata.names import parse_model_name
from giornata.records.model_version import ModelVersion, RecordedWindow, SearchRecord
from giornata.scorer import with_self_test
from giornata.tasks import TASKS
from jobs.hive.schema import input_frame
from jobs.runtime.session import say
from jobs.training import preparation
from jobs.training.baseline import baseline
from jobs.training.context import TrainingContext
from jobs.training.dataset import (
    LABEL,
    LATER_LABEL,
    ORDER,
    TRAINING_WINDOWS,
    WINDOW,
    RowCounts,
    Windows,
    matrix_frame,
)
from jobs.training.earlier_version import is_comparable, unseen_in_search, unseen_in_training
from jobs.training.evaluation import Evaluation
from jobs.training.evaluation import evaluate as evaluate_bundle
from jobs.training.fitting import FittedParts, fit_model, parameter_sets, refit
from jobs.training.part_fitting import FitConfig
from jobs.training.search import best_of, plan_of, tune
from jobs.training.search_data import search_data
from jobs.training.training_data import TrainingData, warnings_about
from jobs.training.version_record import combined_importances, report, unevaluated_version, with_metrics

__all__ = ["SELF_TEST_ROWS", "FittedVersion", "evaluate", "fit", "prepare", "record", "search"]

SELF_TEST_ROWS = 20


@dataclass(frozen=True)
class FittedVersion:
    """The fitted parts of a version, their configuration, and its bundle and record without metrics."""

    config: FitConfig
    fitted_parts: FittedParts
    bundle: Bundle


def prepare(context: TrainingContext) -> TrainingData:
    """Join, fit the features and divide the rows into windows; print warnings about the data.

    Raises NotFoundError for tables and groups that do not exist yet, and DataError if the data does not allow a model.
    """

    def tell(counts: RowCounts, when: Windows) -> None:
        context.progress.stage(", ".join(_counted(name, counts) for name in when.bounds))

    model, as_of = parse_model_name(context.request.model).name, context.request.as_of
    prepared = preparation.prepare(context.spark, context.documents, model, context.spec, as_of, tell)
    features = prepared.fitted.features
    learning = prepared.timely.where(F.col(WINDOW).isin(*TRAINING_WINDOWS))
    matrix = matrix_frame(learning, prepared.fitted, prepared.compiled.partition, prepared.columns)
    matrix = matrix.persist(StorageLevel.MEMORY_AND_DISK)
    categories = {features.names.index(name): codes for name, codes in features.categories.items()}
    outputs = prepared.signature.outputs
    searched = search_data(matrix, prepared.counts, context.type, features.names, categories, outputs)
    context.progress.stage(
        f"features joined and fitted; the search sees {len(searched.train.target)} + "
        f"{len(searched.validation.target)} rows"
    )
    warnings = warnings_about(context, prepared, searched)
    warn(warnings)
    return TrainingData(prepared, matrix, categories, searched, warnings)


def search(context: TrainingContext, data: TrainingData) -> SearchRecord:
    """Choose the parameters on the validation rows. Raises DataError if all trials fail."""
    fair = unseen_in_search(context.earlier, data.prepared.when)
    spec, plan = context.spec, plan_of(context.spec)
    first = best_of(fair.version if fair else None, spec, plan)
    return tune(
        context.spark,
        spec,
        context.type,
        plan,
        spec.parameters,
        first,
        data.searched,
        context.tracking,
        context.progress,
    )


def fit(context: TrainingContext, data: TrainingData, found: SearchRecord) -> FittedVersion:
    """Fit the parts, and select those to keep. Raises DataError if the root cannot be fitted."""
    prepared, spec, names = data.prepared, context.spec, data.prepared.fitted.features.names
    sets = parameter_sets(spec, context.type, found)
    config = FitConfig(
        context.type,
        spec.task,
        sets,
        plan_of(spec).seed,
        len(names),
        data.categories,
        names,
        prepared.signature.outputs,
    )
    partition = prepared.compiled.partition
    fitted_parts = fit_model(data.matrix, spec, config, partition, context.progress)
    version = unevaluated_version(context, data, found, sets[0], fitted_parts)
    written = partition.to_json() if partition else None
    return FittedVersion(
        config, fitted_parts, Bundle(version, prepared.fitted.features.to_json(), written, fitted_parts.parts)
    )


def evaluate(context: TrainingContext, data: TrainingData, fitted: FittedVersion) -> Evaluation:
    """Evaluate the version on the test period, with its root alone, the baseline and the previous version."""
    version, columns = fitted.bundle.version, data.prepared.columns
    unseen = unseen_in_training(context.earlier, data.prepared.when)
    comparable = unseen if unseen and is_comparable(unseen.version, version, columns) else None
    return evaluate_bundle(
        data.test,
        data.prepared.counts.rows["test"],
        write_bundle(fitted.bundle),
        columns,
        baseline(data.matrix, context.spec, fitted.config, fitted.bundle),
        comparable.bundle if comparable else None,
        context.type.evaluate,
    )


def record(
    context: TrainingContext, data: TrainingData, fitted: FittedVersion, measured: Evaluation
) -> tuple[ModelVersion, bytes]:
    """The record with its metrics and the bundle with its self-test, as they are to be saved; after the refit, if
    any."""
    earlier = context.earlier.version if context.earlier else None
    version = with_metrics(fitted.bundle.version, measured, earlier, context.now())
    bundle = fitted.bundle
    if context.spec.is_refitted:
        version, fitted_parts = _refitted(context, data, fitted, version)
        version = version.model_copy(update={"finished_at": context.now()})
        bundle = dataclasses.replace(bundle, parts=fitted_parts.parts)
    report(version)
    rows = _self_test_rows(data.test, data.prepared.columns)
    return version, write_bundle(with_self_test(dataclasses.replace(bundle, version=version), rows))


def warn(sentences: Sequence[str]) -> None:
    """Print each sentence as a warning."""
    for sentence in sentences:
        say("train", f"WARNING: {sentence}")


def _refitted(
    context: TrainingContext, data: TrainingData, fitted: FittedVersion, version: ModelVersion
) -> tuple[ModelVersion, FittedParts]:
    """The selected parts, fitted again with their parameters to the rows of all windows, and the record that says so.

    Labels are those known at the end. Rows with a class that first occurs in the test period are left out: the version
    does not have it.
    """
    prepared = data.prepared
    rows = prepared.joined.where(F.col(LATER_LABEL).isNotNull()).withColumn(LABEL, F.col(LATER_LABEL))
    if TASKS[version.signature.task].label == "class":
        rows = rows.where(F.col(LABEL) >= 0)
    matrix = matrix_frame(rows, prepared.fitted, prepared.compiled.partition, prepared.columns)
    matrix = matrix.persist(StorageLevel.MEMORY_AND_DISK)
    count = matrix.count()
    context.progress.stage(f"fitting once more, to the {count} rows of all periods")
    again = refit(matrix, version.configuration, fitted.config, fitted.fitted_parts, context.progress)
    matrix.unpersist()
    sizes = {part.name: part.size for part in again.records}
    window = RecordedWindow(
        start=version.windows["train"].start, end=version.windows["test"].end, rows=count, unlabelled=0
    )
    changes = {
        "refit": window,
        "parts": [part.model_copy(update={"size": sizes[part.name]}) for part in version.parts],
        "importances": combined_importances(context.type, prepared.fitted.features, again),
    }
    return version.model_copy(update=changes), again


def _counted(window: str, counts: RowCounts) -> str:
    left_out = counts.unlabelled[window]
    return f"{counts.rows[window]} {window} rows" + (f" ({left_out} without a label)" if left_out else "")


def _self_test_rows(test: DataFrame, columns: Mapping[str, str]) -> list[dict[str, object]]:
    """Some rows of the test period, and one without values."""
    chosen = input_frame(test, columns, ORDER).orderBy(ORDER).limit(SELF_TEST_ROWS).toArrow().to_pylist()
    return [*({name: row[name] for name in columns} for row in chosen), dict.fromkeys(columns)]
