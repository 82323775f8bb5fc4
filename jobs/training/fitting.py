"""Fits the models of all parts: candidates on the training rows, then the selected ones on validation rows as well."""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame

from dsl import CompiledFeatures
from giornata.bundle import Part
from giornata.documents.model import ModelSpec
from giornata.documents.resources import Resources
from giornata.errors import DataError
from giornata.models import ModelType
from giornata.partitions import Decision, Key, PartRows, candidates, level_of, part_names
from giornata.records.model_version import PartRecord, SearchRecord, TrialRecord
from giornata.schema import Scalar
from giornata.tasks import TASKS
from giornata.tasks.metrics import HIGHER_IS_BETTER
from jobs.runtime.cluster import megabytes
from jobs.training.dataset import LATER, TRAINING_WINDOWS
from jobs.training.part_fitting import Candidate, FitConfig, FittedPart, fit_parts, fit_together, path_rows
from jobs.training.part_selection import Chosen, choose, part_order
from jobs.training.run_status import Progress

__all__ = ["FittedParts", "fit_model", "parameter_sets", "plain_parts", "refit"]

_TASKS_PER_SLOT = 4

SHARE = 1 / 6
"""Share of an executor's memory that the rows of a part may take before all executors fit it together: during the fit
there are several copies of the rows."""


@dataclass(frozen=True)
class FittedParts:
    """The models of the selected parts, root first, with their parameters, and a record of every part."""

    parts: tuple[Part, ...]
    records: list[PartRecord]
    parameters: Sequence[Mapping[str, Scalar]]


def parameter_sets(spec: ModelSpec, type_: ModelType, found: SearchRecord) -> list[dict[str, Scalar]]:
    """The parameter sets that parts can choose from: the best of the search and, if parts may differ, the next best."""
    best = found.trials[found.best]
    sign = -1 if found.metric in HIGHER_IS_BETTER else 1

    def rank(trial: TrialRecord) -> tuple[bool, float, int]:
        return trial is not best, sign * (trial.value or 0.0), trial.number

    complete = sorted((trial for trial in found.trials if trial.value is not None), key=rank)
    with_rounds = type_.with_rounds
    return [with_rounds(trial.parameters, trial.rounds or 1) for trial in complete[: spec.sets]]


def fit_model(
    matrix: DataFrame,
    spec: ModelSpec,
    config: FitConfig,
    partition: CompiledFeatures | None,
    progress: Progress,
) -> FittedParts:
    """Fit and select the parts of a model. Raises DataError when the root cannot be fitted."""
    levels = list(partition.names) if partition else []
    rows, dropped = candidates(path_rows(matrix), spec.partition.min_rows if spec.partition else 1)
    tried = [key for key in rows if key not in dropped]
    large = frozenset(key for key in tried if is_large(spec.resources, config, rows[key].total))
    if large:
        progress.stage(f"all executors together fit {len(large)} of {len(tried)} parts, the largest")
    sizes = {key: rows[key].total for key in tried}

    def fit(asked: Mapping[Candidate, int], config: FitConfig) -> dict[Candidate, FittedPart]:
        return _fit(matrix, asked, ["train"], spec, config, large, progress)

    if spec.partition and tried != [()]:
        error = TASKS[spec.task].error_of
        asked = spec.partition.model_copy(update={"tune": spec.tune})
        chosen = choose(matrix, asked, spec.search, config, sizes, error, fit)
    else:
        alone = Decision(True, "predicts where no part does")
        chosen = Chosen({(): alone}, {(): config.parameter_sets[0]}, {(): 1})
    if levels:
        progress.stage(
            f"parts: {len(chosen.kept) - 1} kept of {len(tried) - 1} candidates and {len(rows) - 1} values"
        )
    chosen_config = replace(config, parameter_sets=[chosen.parameters[key] for key in chosen.kept])
    kept = {(key, number): sizes[key] for number, key in enumerate(chosen.kept)}
    names = part_names(rows, levels)
    files = _files(_fit(matrix, kept, TRAINING_WINDOWS, spec, chosen_config, large, progress), names)
    parts = tuple(Part(key, level_of(key, levels), names[key], files[key]) for key in chosen.kept)
    decisions = {**chosen.decisions, **{key: Decision(False, reason) for key, reason in dropped.items()}}
    records = _records(spec, config, rows, names, levels, chosen, decisions, files, large)
    return FittedParts(parts, records, chosen_config.parameter_sets)


def refit(
    matrix: DataFrame, spec: ModelSpec, config: FitConfig, fitted: FittedParts, progress: Progress
) -> FittedParts:
    """Fit the selected parts again, with their parameters, on the rows of all periods.

    Raises DataError when one cannot be fitted.
    """
    known = {tuple(record.key): record for record in fitted.records}
    large = {key for key, record in known.items() if record.kept and record.distributed}
    asked = {(part.key, number): known[part.key].rows for number, part in enumerate(fitted.parts)}
    chosen_config = replace(config, parameter_sets=fitted.parameters)
    names = {part.key: part.name for part in fitted.parts}
    files = _files(
        _fit(matrix, asked, (*TRAINING_WINDOWS, LATER, "test"), spec, chosen_config, large, progress), names
    )
    described = {key: _described(config, content) for key, content in files.items()}
    return FittedParts(
        tuple(replace(part, files=files[part.key]) for part in fitted.parts),
        [record.model_copy(update=described.get(tuple(record.key), {})) for record in fitted.records],
        fitted.parameters,
    )


def _described(config: FitConfig, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Size and method of a part's model, for the record."""
    model = config.type.fitted.from_files(files)
    return {"size": model.size(), "method": model.method}


def _files(
    fitted: Mapping[Candidate, FittedPart], names: Mapping[Key, str]
) -> dict[Key, Mapping[str, bytes]]:
    """The model files of each part. Raises DataError when one could not be fitted."""
    for (key, _), part in fitted.items():
        if part.problem:
            raise DataError(f"the part {names[key]} cannot be fitted: {part.problem}")
    return {key: part.files for (key, _), part in fitted.items()}


def is_large(resources: Resources, config: FitConfig, rows: int) -> bool:
    """Whether a part with so many rows is fitted by all executors together, if its type can.

    With `distribute: automatic`, if its rows take more than SHARE of an executor's memory during the fit.
    """
    if resources.distribute == "never" or config.type.distributed is None:
        return False
    taken = rows * config.type.bytes_of_row(config.features, config.categories)
    return resources.distribute == "always" or taken > SHARE * megabytes(resources.memory) * 2**20


def _fit(
    matrix: DataFrame,
    asked: Mapping[Candidate, int],
    used: Sequence[str],
    spec: ModelSpec,
    config: FitConfig,
    large: Set[Key],
    progress: Progress,
) -> dict[Candidate, FittedPart]:
    """Fit each candidate of `asked`, with its number of rows, to its part's rows in the periods `used`.

    The `large` ones are fitted one by one.
    """
    small = {(key, number): rows for (key, number), rows in asked.items() if key not in large}
    fitted: dict[Candidate, FittedPart] = {}

    def tell(count: int) -> None:
        # A task that was run again has counted again.
        done = min(len(fitted) + count, len(asked))
        rows = "all rows" if "test" in used else f"the rows of {' and '.join(used)}"
        progress.stage(f"{done} of {len(asked)} models fitted to {rows}")

    workers = spec.resources.executors * spec.resources.cores
    for key, number in asked:
        if key in large:
            fitted[key, number] = fit_together(matrix, key, number, used, config, workers)
            tell(0)
    return fitted | (fit_parts(matrix, small, used, config, _tasks(spec), tell) if small else {})


def plain_parts(
    matrix: DataFrame, spec: ModelSpec, config: FitConfig, parts: Sequence[Part]
) -> tuple[Part, ...]:
    """The same parts as a baseline: with the baseline parameters of the task on top of the document's own.

    Parameters found by the search would make the baseline look worse than it is, such as a season of 1. Parts that
    cannot be fitted are left out. Raises DataError when the root cannot be fitted.
    """
    plain = replace(config, parameter_sets=[{**spec.parameters, **TASKS[spec.task].baseline_parameters}])
    rows, _ = candidates(path_rows(matrix), min_rows=1)
    asked = {(part.key, 0): rows[part.key].total for part in parts}
    fitted = fit_parts(matrix, asked, TRAINING_WINDOWS, plain, _tasks(spec))
    if fitted[parts[0].key, 0].problem:
        raise DataError(f"the baseline cannot be fitted: {fitted[parts[0].key, 0].problem}")
    return tuple(
        replace(part, files=fitted[part.key, 0].files) for part in parts if not fitted[part.key, 0].problem
    )


def _tasks(spec: ModelSpec) -> int:
    return spec.resources.executors * spec.resources.cores * _TASKS_PER_SLOT


def _records(
    spec: ModelSpec,
    config: FitConfig,
    rows: Mapping[Key, PartRows],
    names: Mapping[Key, str],
    levels: Sequence[str],
    chosen: Chosen,
    decisions: Mapping[Key, Decision],
    files: Mapping[Key, Mapping[str, bytes]],
    large: Set[Key],
) -> list[PartRecord]:
    described = {key: _described(config, content) for key, content in files.items()}
    error = TASKS[spec.task].error_of

    def defined(loss: float | None) -> float | None:
        return error(loss) if loss is not None and math.isfinite(loss) else None

    return [
        PartRecord(
            name=names[key],
            level=level_of(key, levels),
            key=list(key),
            rows=rows[key].total,
            validation_rows=rows[key].validation,
            kept=decisions[key].kept,
            reason=decisions[key].reason,
            metric=defined(decisions[key].loss),
            parent_metric=defined(decisions[key].parent_loss),
            distributed=key in large,
            parameters=_unless_same(chosen.parameters.get(key, {}), config.parameter_sets[0]),
            tried=chosen.tried.get(key, 0),
            **described.get(key, {}),
        )
        for key in sorted(rows, key=part_order)
    ]


def _unless_same(chosen_config: Mapping[str, Scalar], usual: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The parameters of a part, or {} if they are those of the version."""
    return {} if chosen_config == usual else dict(chosen_config)
