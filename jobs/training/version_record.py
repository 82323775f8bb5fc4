"""The record of a version: what it was made from, its metrics on the test period, and its report in the log."""

from collections.abc import Mapping
from datetime import datetime

from dsl import CompiledFeatures
from giornata.documents.group_source import read_source
from giornata.evaluation.distributions import distributions
from giornata.evaluation.importance import combined_importance
from giornata.models import ModelType
from giornata.partitions import Key
from giornata.records.model_version import (
    LevelMetrics,
    ModelVersion,
    PartRecord,
    Previous,
    RecordedWindow,
    SearchRecord,
)
from giornata.schema import Scalar
from giornata.tasks import TASKS
from jobs.runtime.session import say
from jobs.training.context import TrainingContext
from jobs.training.evaluation import Evaluation, Measured
from jobs.training.fitting import FittedParts
from jobs.training.training_data import TrainingData

__all__ = ["combined_importances", "report", "unevaluated_version", "with_metrics"]


def unevaluated_version(
    context: TrainingContext,
    data: TrainingData,
    found: SearchRecord,
    parameters: dict[str, Scalar],
    fitted_parts: FittedParts,
) -> ModelVersion:
    """The record of a fitted version: all but its metrics and the time of its end."""
    documents, spec, prepared = context.documents, context.spec, data.prepared
    read = prepared.inputs.store.values()
    return ModelVersion(
        uuid=context.request.uuid,
        model=context.request.model,
        trained_by=context.request.trained_by,
        started_at=context.started,
        finished_at=context.started,
        configuration=spec,
        table=documents.tables[spec.data.table],
        groups={store.group: documents.group(store.group) for store in read},
        sources={store.group: read_source(documents, store.group) for store in read},
        windows={
            name: RecordedWindow(
                start=start,
                end=end,
                rows=prepared.counts.rows[name],
                unlabelled=prepared.counts.unlabelled[name],
            )
            for name, (start, end) in prepared.when.bounds.items()
        },
        signature=prepared.signature,
        parameters=parameters,
        metrics={},
        metrics_by_level=[],
        single_model_metrics={},
        baseline_metrics={},
        warnings=data.warnings,
        part_metric=TASKS[spec.task].loss,
        parts=fitted_parts.records,
        importances=combined_importances(context.type, prepared.fitted.features, fitted_parts),
        mlflow_run=context.tracking.run_id,
        search=found,
        distributions=distributions(prepared.fitted.features.names, data.searched.train.matrix),
    )


def with_metrics(
    version: ModelVersion, measured: Evaluation, earlier: ModelVersion | None, finished: datetime
) -> ModelVersion:
    """The record with its metrics on the test period, and the comparison with the previous version."""
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


def combined_importances(
    type_: ModelType, features: CompiledFeatures, fitted_parts: FittedParts
) -> dict[str, float]:
    """The importances of features over all parts, weighted by the rows for which each model predicts: a part's rows
    without those of the kept parts inside it."""
    kept: dict[Key, int] = {tuple(record.key): record.rows for record in fitted_parts.records if record.kept}
    answered = dict(kept)
    for key, rows in kept.items():
        if key:
            parent = next(key[:depth] for depth in range(len(key) - 1, -1, -1) if key[:depth] in kept)
            answered[parent] -= rows
    shares = [type_.fitted.from_files(part.files).importance() for part in fitted_parts.parts]
    return combined_importance(features.names, shares, [answered[part.key] for part in fitted_parts.parts])


def report(version: ModelVersion) -> None:
    """Print the metrics of a version in the log of its training."""
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
            f"{model}: fitted once more to {version.refit.rows} rows; the metrics are of the first fit",
        )


def _shown(values: Mapping[str, float | None]) -> str:
    return ", ".join(
        f"{name} {'undefined' if value is None else format(value, '.4g')}" for name, value in values.items()
    )
