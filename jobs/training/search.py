"""The search of a training run: its data on the executors, its trials recorded, an interrupted one continued."""

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np
from pyspark.sql import SparkSession

from giornata.documents.model import ModelSpec, Search
from giornata.models import ModelType
from giornata.records.model_version import ModelVersion, SearchRecord, TrialRecord
from giornata.schema import Scalar
from giornata.search.description import describe_base, describe_grid
from giornata.search.optuna_search import best_trial, search, trial_count
from giornata.search.report import parameter_importances
from giornata.tasks import TASKS
from giornata.tasks.metrics import HIGHER_IS_BETTER
from jobs.training.mlflow_tracking import Tracking
from jobs.training.run_status import Progress
from jobs.training.trials import TrialData, in_flight, trial_runner

__all__ = ["best_of", "plan_of", "tune"]


def plan_of(spec: ModelSpec) -> Search:
    """The requested search or, without one, one trial of the document's own parameters."""
    # A document's search has a space; that of one trial is empty, which no document can say.
    return spec.search or Search.model_construct(trials=1, metric=TASKS[spec.task].loss, space={})


def best_of(earlier: ModelVersion | None, spec: ModelSpec, plan: Search) -> list[dict[str, Scalar]]:
    """Parameters of the best trials of an earlier version's search, best first, as many as `warm_start` says.

    None if that version has another type or its search another metric.
    """
    record = earlier.search if earlier and earlier.configuration.type == spec.type else None
    if record is None or record.metric != plan.metric:
        return []
    sign = -1 if record.metric in HIGHER_IS_BETTER else 1
    complete = [trial for trial in record.trials if trial.value is not None]
    ranked = sorted(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number))
    return [trial.parameters for trial in ranked[: plan.warm_start]]


def tune(
    spark: SparkSession,
    spec: ModelSpec,
    type_: ModelType,
    plan: Search,
    base: Mapping[str, Scalar],
    warm_start: Sequence[Mapping[str, Scalar]],
    data: TrialData,
    tracking: Tracking,
    progress: Progress,
) -> SearchRecord:
    """Run the search; each trial is logged, tracked and saved as it finishes. Raises DataError when all fail."""
    slots = spec.resources.executors * spec.resources.cores
    of = _digest(spec, type_, plan, base, warm_start, data)
    # A trial that failed is run again: the cause may be gone.
    known = {number: trial for number, trial in progress.trials(of).items() if trial.state != "failed"}
    if known:
        progress.stage(f"{len(known)} trials were finished before an interruption")
    # As long as they took on all slots together.
    spent = sum(trial.seconds for trial in known.values()) / slots
    records: list[TrialRecord] = []
    count, first_trial = trial_count(plan, base), describe_base(plan, base)
    if plan.sampler == "grid":
        progress.stage(describe_grid(plan, base, count))
    with trial_runner(spark, slots, data, type_, spec.task, plan.metric, plan.seed) as runner:
        for record in search(runner.submit, base, plan, in_flight(slots), warm_start, known, spent):
            records.append(record)
            tracking.trial(record, plan.metric, first_trial if record.is_own else "")
            progress.keep(of, record)
            what = f" ({first_trial})" if record.is_own else ""
            progress.stage(f"trial {record.place} of {count}{what}: {_told(record, plan, records)}")
    return SearchRecord(
        metric=plan.metric,
        best=best_trial(records, plan.metric).number,
        train_rows=len(data.train.target),
        validation_rows=len(data.validation.target),
        trials=records,
        importances=parameter_importances(records, plan.space, plan.seed),
    )


def _told(record: TrialRecord, plan: Search, records: Sequence[TrialRecord]) -> str:
    result = record.state if record.value is None else f"{plan.metric} {record.value:.5g}"
    reason = f": {record.reason}" if record.reason else ""
    if not any(trial.value is not None for trial in records):
        return f"{result}{reason}"
    best = best_trial(records, plan.metric)
    return f"{result}{reason}; best so far {best.value:.5g} (trial {best.place})"


def _digest(
    spec: ModelSpec,
    type_: ModelType,
    plan: Search,
    base: Mapping[str, Scalar],
    warm_start: Sequence[Mapping[str, Scalar]],
    data: TrialData,
) -> str:
    """Hash of all that a trial's result depends on: the document, the project's code, the plan and the rows."""
    asked = [
        spec.model_dump(mode="json"),
        type_.code_version,
        plan.model_dump(mode="json"),
        dict(base),
        [dict(one) for one in warm_start],
    ]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
    for rows in (data.train, data.validation):
        digest.update(np.ascontiguousarray(rows.matrix).data)
        digest.update(np.ascontiguousarray(rows.target).data)
    return digest.hexdigest()
