"""Fits the model of every part: candidates at once, the decision on validation rows, then the kept ones on all rows."""

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from dsl import CompiledFeatures
from giornata.bundle import Part
from giornata.documents.model import ModelSpec, Resources, Scalar
from giornata.documents.record import PartRecord, SearchRecord, TrialRecord
from giornata.errors import DataError
from giornata.evaluation.metrics import HIGHER_IS_BETTER
from giornata.models import ModelType
from giornata.models.partitions import (
    Decision,
    Key,
    PartRows,
    candidates,
    choose_sets,
    chosen_losses,
    decide,
    level_of,
    part_names,
)
from jobs.cluster import megabytes
from jobs.distributed import bytes_of_row, learner_of
from jobs.parts import Candidate, FittedPart, Recipe, fit_parts, fit_together, path_rows, validation_losses
from jobs.progress import Progress

__all__ = ["PLAINEST", "Learned", "learn", "parameter_sets", "plain_parts"]

_TASKS_PER_SLOT = 4

SHARE = 1 / 6
"""The share of an executor's memory that the rows of a part, as its type learns from them, may take before all
executors learn it together: while they are read and learned from there are several copies of them."""

PLAINEST: Mapping[str, Mapping[str, Scalar]] = {
    "forecasting": {"method": "seasonal_naive"},
    "clustering": {"clusters": 1},
}
"""By task, the parameters of the models that a model is compared with, where no constant answer is its baseline."""


@dataclass(frozen=True)
class Learned:
    """What fitting gave: the models of the kept parts, root first, and what was decided about every part."""

    parts: tuple[Part, ...]
    records: list[PartRecord]


@dataclass(frozen=True)
class _Chosen:
    """What is decided about every part, and the set of parameters of those that were fitted."""

    decisions: Mapping[Key, Decision]
    sets: Mapping[Key, int]

    @property
    def kept(self) -> list[Key]:
        return sorted((key for key, decision in self.decisions.items() if decision.kept), key=_order)


def parameter_sets(spec: ModelSpec, type_: ModelType, found: SearchRecord) -> list[dict[str, Scalar]]:
    """What parts choose their parameters from: the best of the search, and where they may differ the next best too."""
    count = spec.partition.sets if spec.partition and spec.partition.tune != "once" else 1
    best = found.trials[found.best]
    sign = -1 if found.metric in HIGHER_IS_BETTER else 1

    def rank(trial: TrialRecord) -> tuple[bool, float, int]:
        return trial is not best, sign * (trial.value or 0.0), trial.number

    complete = sorted((trial for trial in found.trials if trial.value is not None), key=rank)
    with_rounds = type_.with_rounds
    return [with_rounds(trial.parameters, trial.rounds or 1) for trial in complete[:count]]


def learn(
    matrix: DataFrame,
    spec: ModelSpec,
    recipe: Recipe,
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
    chosen = _choose(matrix, spec, recipe, sizes, dropped, large, progress)
    if levels:
        progress.stage(
            f"parts: {len(chosen.kept) - 1} kept of {len(tried) - 1} candidates and {len(rows) - 1} values"
        )
    kept = {(key, chosen.sets[key]): sizes[key] for key in chosen.kept}
    final = _fit(matrix, kept, ["train", "validation"], spec, recipe, large, progress)
    names = part_names(rows, levels)
    for (key, _), fitted in final.items():
        if fitted.problem:
            raise DataError(f"the part {names[key]} cannot be fitted: {fitted.problem}")
    files = {key: fitted.files for (key, _), fitted in final.items()}
    parts = tuple(Part(key, level_of(key, levels), names[key], files[key]) for key in chosen.kept)
    return Learned(parts, _records(spec, recipe, rows, names, levels, chosen, files, large))


def is_large(resources: Resources, recipe: Recipe, rows: int) -> bool:
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
    recipe: Recipe,
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
        progress.stage(f"{done} of {len(asked)} models fitted to the rows of {' and '.join(used)}")

    workers = spec.resources.executors * spec.resources.cores
    for key, number in asked:
        if key in large:
            fitted[key, number] = fit_together(matrix, key, number, used, recipe, workers)
            tell(0)
    return fitted | (fit_parts(matrix, small, used, recipe, _tasks(spec), tell) if small else {})


def plain_parts(
    matrix: DataFrame, spec: ModelSpec, recipe: Recipe, parts: Sequence[Part]
) -> tuple[Part, ...]:
    """The same parts with models of PLAINEST, otherwise with the document's own parameters: what the search found for
    another model, such as a season of 1, would make a straw man of the plainest. Those that cannot be fitted are left
    out.

    Raises DataError when the root cannot be fitted.
    """
    plain = replace(recipe, sets=[{**spec.parameters, **PLAINEST[spec.task]}])
    rows, _ = candidates(path_rows(matrix), min_rows=1)
    asked = {(part.key, 0): rows[part.key].total for part in parts}
    fitted = fit_parts(matrix, asked, ["train", "validation"], plain, _tasks(spec))
    if fitted[parts[0].key, 0].problem:
        raise DataError(f"the baseline cannot be fitted: {fitted[parts[0].key, 0].problem}")
    return tuple(
        replace(part, files=fitted[part.key, 0].files) for part in parts if not fitted[part.key, 0].problem
    )


def _tasks(spec: ModelSpec) -> int:
    return spec.resources.executors * spec.resources.cores * _TASKS_PER_SLOT


def _choose(
    matrix: DataFrame,
    spec: ModelSpec,
    recipe: Recipe,
    tried: Mapping[Key, int],
    dropped: Mapping[Key, str],
    large: Set[Key],
    progress: Progress,
) -> _Chosen:
    """Decide which parts are kept, of those that are `tried`, each with so many rows."""
    decisions = {key: Decision(False, reason) for key, reason in dropped.items()}
    if list(tried) == [()]:
        return _Chosen(decisions | {(): Decision(True, "answers where no part does")}, {(): 0})
    partition = spec.partition
    assert partition, "parts come of a partition"
    # The root keeps the best of the search, which was made on its rows.
    asked = {
        (key, number): rows for key, rows in tried.items() for number in range(len(recipe.sets) if key else 1)
    }
    fitted = _fit(matrix, asked, ["train"], spec, recipe, large, progress)
    files = {candidate: part.files for candidate, part in fitted.items() if not part.problem}
    decisions |= _unfitted(tried, fitted)
    if () in decisions:
        raise DataError(f"the model cannot be fitted: {decisions[()].reason}")
    losses = validation_losses(matrix, files, recipe)
    sets = choose_sets(files, losses, partition.tune)
    decisions |= decide(sets, chosen_losses(losses, sets), partition.margin, _error(spec.task))
    return _Chosen(decisions, sets)


def _unfitted(tried: Sequence[Key], fitted: Mapping[Candidate, FittedPart]) -> dict[Key, Decision]:
    """The parts that no set of parameters could be fitted to, with the first problem."""
    problems: dict[Key, list[str]] = {key: [] for key in tried}
    for (key, _), part in fitted.items():
        problems[key].append(part.problem)
    return {key: Decision(False, found[0]) for key, found in problems.items() if all(found)}


def _records(
    spec: ModelSpec,
    recipe: Recipe,
    rows: Mapping[Key, PartRows],
    names: Mapping[Key, str],
    levels: Sequence[str],
    chosen: _Chosen,
    files: Mapping[Key, Mapping[str, bytes]],
    large: Set[Key],
) -> list[PartRecord]:
    read = recipe.type.fitted.from_files
    sizes = {key: read(kept).size() for key, kept in files.items()}
    error = _error(spec.task)

    def defined(loss: float | None) -> float | None:
        return error(loss) if loss is not None and math.isfinite(loss) else None

    return [
        PartRecord(
            name=names[key],
            level=level_of(key, levels),
            key=list(key),
            rows=rows[key].total,
            validation_rows=rows[key].validation,
            kept=chosen.decisions[key].kept,
            reason=chosen.decisions[key].reason,
            metric=defined(chosen.decisions[key].loss),
            parent_metric=defined(chosen.decisions[key].parent_loss),
            distributed=key in large,
            parameters=recipe.sets[chosen.sets[key]] if chosen.sets.get(key) else {},
            size=sizes.get(key, {}),
        )
        for key in sorted(rows, key=_order)
    ]


def _error(task: str) -> Callable[[float], float]:
    """The metric that a mean loss stands for: its root for squared errors."""
    return math.sqrt if task == "regression" else float


def _order(key: Key) -> tuple[int, str]:
    return len(key), repr(key)
