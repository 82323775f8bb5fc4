"""Fits the model of every part: candidates to the training rows, then the kept ones to validation rows, too."""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame

from dsl import CompiledFeatures
from giornata.bundle import Part
from giornata.documents.model import ModelSpec, Resources, Scalar
from giornata.errors import DataError
from giornata.models import ModelType
from giornata.models.forecast.model_type import Forecast
from giornata.partitions import Decision, Key, PartRows, candidates, level_of, part_names
from giornata.records.model_version import PartRecord, SearchRecord, TrialRecord
from giornata.tasks import TASKS
from giornata.tasks.metrics import HIGHER_IS_BETTER
from jobs.runtime.cluster import megabytes
from jobs.training.dataset import LATER, LEARNED
from jobs.training.distributed import bytes_of_row, learner_of
from jobs.training.part_fitting import Candidate, FitConfig, FittedPart, fit_parts, fit_together, path_rows
from jobs.training.part_selection import Chosen, choose, part_order
from jobs.training.run_status import Progress

__all__ = ["Learned", "learn", "parameter_sets", "plain_parts", "refit"]

_TASKS_PER_SLOT = 4

SHARE = 1 / 6
"""The share of an executor's memory that the rows of a part, as its type learns from them, may take before all
executors learn it together: while they are read and learned from there are several copies of them."""


@dataclass(frozen=True)
class Learned:
    """What fitting gave: the models of the kept parts, root first, with the parameters of each, and what was decided
    about every part."""

    parts: tuple[Part, ...]
    records: list[PartRecord]
    parameters: Sequence[Mapping[str, Scalar]]


def parameter_sets(spec: ModelSpec, type_: ModelType, found: SearchRecord) -> list[dict[str, Scalar]]:
    """What parts choose their parameters from: the best of the search, and where they may differ the next best too."""
    best = found.trials[found.best]
    sign = -1 if found.metric in HIGHER_IS_BETTER else 1

    def rank(trial: TrialRecord) -> tuple[bool, float, int]:
        return trial is not best, sign * (trial.value or 0.0), trial.number

    complete = sorted((trial for trial in found.trials if trial.value is not None), key=rank)
    with_rounds = type_.with_rounds
    return [with_rounds(trial.parameters, trial.rounds or 1) for trial in complete[: spec.sets]]


def learn(
    matrix: DataFrame,
    spec: ModelSpec,
    recipe: FitConfig,
    partition: CompiledFeatures | None,
    progress: Progress,
) -> Learned:
    """Fit and choose the parts of a model. Raises DataError when the root cannot be fitted."""
    levels = list(partition.names) if partition else []
    rows, dropped = candidates(path_rows(matrix), spec.partition.min_rows if spec.partition else 1)
    tried = [key for key in rows if key not in dropped]
    large = frozenset(key for key in tried if is_large(spec.resources, recipe, rows[key].total))
    if large:
        progress.stage(f"all executors together learn {len(large)} of {len(tried)} parts, the largest")
    sizes = {key: rows[key].total for key in tried}

    def fit(asked: Mapping[Candidate, int], recipe: FitConfig) -> dict[Candidate, FittedPart]:
        return _fit(matrix, asked, ["train"], spec, recipe, large, progress)

    if spec.partition and tried != [()]:
        error = TASKS[spec.task].error_of
        asked = spec.partition.model_copy(update={"tune": spec.tune})
        chosen = choose(matrix, asked, spec.search, recipe, sizes, error, fit)
    else:
        alone = Decision(True, "answers where no part does")
        chosen = Chosen({(): alone}, {(): recipe.sets[0]}, {(): 1})
    if levels:
        progress.stage(
            f"parts: {len(chosen.kept) - 1} kept of {len(tried) - 1} candidates and {len(rows) - 1} values"
        )
    own = replace(recipe, sets=[chosen.parameters[key] for key in chosen.kept])
    kept = {(key, number): sizes[key] for number, key in enumerate(chosen.kept)}
    names = part_names(rows, levels)
    files = _files(_fit(matrix, kept, LEARNED, spec, own, large, progress), names)
    parts = tuple(Part(key, level_of(key, levels), names[key], files[key]) for key in chosen.kept)
    decisions = {**chosen.decisions, **{key: Decision(False, reason) for key, reason in dropped.items()}}
    records = _records(spec, recipe, rows, names, levels, chosen, decisions, files, large)
    return Learned(parts, records, own.sets)


def refit(
    matrix: DataFrame, spec: ModelSpec, recipe: FitConfig, learned: Learned, progress: Progress
) -> Learned:
    """The kept parts with their parameters, fitted to the rows of all windows. Raises DataError when one cannot be."""
    known = {tuple(record.key): record for record in learned.records}
    large = {key for key, record in known.items() if record.kept and record.distributed}
    asked = {(part.key, number): known[part.key].rows for number, part in enumerate(learned.parts)}
    own = replace(recipe, sets=learned.parameters)
    names = {part.key: part.name for part in learned.parts}
    files = _files(_fit(matrix, asked, (*LEARNED, LATER, "test"), spec, own, large, progress), names)
    described = {key: _described(recipe, content) for key, content in files.items()}
    return Learned(
        tuple(replace(part, files=files[part.key]) for part in learned.parts),
        [record.model_copy(update=described.get(tuple(record.key), {})) for record in learned.records],
        learned.parameters,
    )


def _described(recipe: FitConfig, files: Mapping[str, bytes]) -> dict[str, Any]:
    """What the record of a part says of its model."""
    model = recipe.type.fitted.from_files(files)
    return {"size": model.size(), "method": model.method if isinstance(model, Forecast) else ""}


def _files(
    fitted: Mapping[Candidate, FittedPart], names: Mapping[Key, str]
) -> dict[Key, Mapping[str, bytes]]:
    """The files of the models of parts. Raises DataError where one could not be fitted."""
    for (key, _), part in fitted.items():
        if part.problem:
            raise DataError(f"the part {names[key]} cannot be fitted: {part.problem}")
    return {key: part.files for (key, _), part in fitted.items()}


def is_large(resources: Resources, recipe: FitConfig, rows: int) -> bool:
    """Whether so many rows are learned by all executors together: where the type can, and as `resources` say.

    Automatically where the rows, as the type learns from them, take more than the SHARE of an executor's memory.
    """
    if resources.distribute == "never" or learner_of(recipe.type) is None:
        return False
    taken = rows * bytes_of_row(recipe.type, recipe.features, recipe.categories)
    return resources.distribute == "always" or taken > SHARE * megabytes(resources.memory) * 2**20


def _fit(
    matrix: DataFrame,
    asked: Mapping[Candidate, int],
    used: Sequence[str],
    spec: ModelSpec,
    recipe: FitConfig,
    large: Set[Key],
    progress: Progress,
) -> dict[Candidate, FittedPart]:
    """Fit each candidate to the rows of its part that lie in the windows `used`, the `large` ones one by one.

    `asked` says how many rows each has.
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
            fitted[key, number] = fit_together(matrix, key, number, used, recipe, workers)
            tell(0)
    return fitted | (fit_parts(matrix, small, used, recipe, _tasks(spec), tell) if small else {})


def plain_parts(
    matrix: DataFrame, spec: ModelSpec, recipe: FitConfig, parts: Sequence[Part]
) -> tuple[Part, ...]:
    """The same parts with the baseline parameters of the task, otherwise with the document's own parameters: what
    the search found for another model, such as a season of 1, would make a straw man of the plainest. Those that
    cannot be fitted are left out.

    Raises DataError when the root cannot be fitted.
    """
    plain = replace(recipe, sets=[{**spec.parameters, **TASKS[spec.task].baseline_parameters}])
    rows, _ = candidates(path_rows(matrix), min_rows=1)
    asked = {(part.key, 0): rows[part.key].total for part in parts}
    fitted = fit_parts(matrix, asked, LEARNED, plain, _tasks(spec))
    if fitted[parts[0].key, 0].problem:
        raise DataError(f"the baseline cannot be fitted: {fitted[parts[0].key, 0].problem}")
    return tuple(
        replace(part, files=fitted[part.key, 0].files) for part in parts if not fitted[part.key, 0].problem
    )


def _tasks(spec: ModelSpec) -> int:
    return spec.resources.executors * spec.resources.cores * _TASKS_PER_SLOT


def _records(
    spec: ModelSpec,
    recipe: FitConfig,
    rows: Mapping[Key, PartRows],
    names: Mapping[Key, str],
    levels: Sequence[str],
    chosen: Chosen,
    decisions: Mapping[Key, Decision],
    files: Mapping[Key, Mapping[str, bytes]],
    large: Set[Key],
) -> list[PartRecord]:
    described = {key: _described(recipe, content) for key, content in files.items()}
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
            parameters=_unless_same(chosen.parameters.get(key, {}), recipe.sets[0]),
            tried=chosen.tried.get(key, 0),
            **described.get(key, {}),
        )
        for key in sorted(rows, key=part_order)
    ]


def _unless_same(own: Mapping[str, Scalar], usual: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """A part's own parameters; none where they are those of the version."""
    return {} if own == usual else dict(own)
