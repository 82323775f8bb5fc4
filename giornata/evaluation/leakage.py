"""Features that know the label, and inputs that lie in the future: what tells them, and what warns of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from giornata.dataset import Dataset, Vector
from giornata.documents.model import ModelSpec
from giornata.documents.table import Table
from giornata.tasks import TASKS
from giornata.tasks.base import LabelKind

__all__ = [
    "EQUAL",
    "EXPLAINED",
    "FEW_ROWS",
    "FEW_SHARE",
    "LEAST_ROWS",
    "SEPARATED",
    "Ahead",
    "future_timestamps",
    "leakage",
]

LEAST_ROWS = 50
"""Rows with a value below which a feature is not judged."""

EQUAL = 0.99
"""Share of rows in which a feature has the label's very value: of all, and of those without the commonest label."""

EXPLAINED = 0.995
"""Squared correlation of a feature with a numeric label, of their values or of their ranks."""

ROWS_OF_A_VALUE = 5
"""Rows that a value of a feature has on average at least, for it to be judged whether it tells a class."""

SEPARATED = 0.995
"""AUC of a feature alone, whichever way round, for a binary label; for classes, the share of rows that it tells."""

FEW_ROWS = 10
"""Rows in which a moment may lie after the moment of asking, as wrong clocks have it."""

FEW_SHARE = 0.001
"""Share of the rows with a moment in which it may do so."""


@dataclass(frozen=True)
class Ahead:
    """Of the `rows` that have a moment in a column, those in which it is `later` than the moment of asking."""

    later: int
    rows: int


def future_timestamps(found: Mapping[str, Ahead], spec: ModelSpec, table: Table) -> list[str]:
    """A sentence for every timestamp column that a model reads and that lies after its moment of asking.

    None for one that its table declares: it is a plan, or it is known when the model is asked.
    """
    name, asked = spec.data.table, spec.data.event_time
    return [
        f"column {column} lies after {asked}, the moment of asking, in {ahead.later:,} of the {ahead.rows:,} rows that "
        "have it. Is it known then? If it is a plan that is made before, list it under `planned` in "
        f"tables/{name}.yaml; if not, say there under `known_at` when it is known"
        for column, ahead in found.items()
        if ahead.later > max(FEW_ROWS, FEW_SHARE * ahead.rows)
        and column not in {*table.planned, *table.known_at}
    ]


def leakage(names: Sequence[str], examples: Dataset, task: str) -> list[str]:
    """A sentence for every feature that tells the label by itself, alone or by being missing.

    Real features of a real problem do not: most often such a column is filled in after the moment of asking.
    """
    found: list[str] = []
    if not TASKS[task].shows_leaks:
        return found
    label = TASKS[task].label
    for column, name in enumerate(names):
        values, target = examples.matrix[:, column].astype(np.float64), examples.target
        present = ~np.isnan(values)
        reason = _alone(values[present], target[present], label)
        if reason is None and label == "truth" and min(present.sum(), (~present).sum()) >= LEAST_ROWS:
            missing = _separation((~present).astype(np.float64), target)
            if missing is not None and missing >= SEPARATED:
                reason = f"whether it is missing tells the label (AUC {missing:.4f})"
        if reason:
            found.append(f"feature {name}: {reason}. Is it known at the moment of asking?")
    return found


def _alone(values: Vector, target: Vector, label: LabelKind | None) -> str | None:
    if len(values) < LEAST_ROWS or np.ptp(values) == 0 or np.ptp(target) == 0:
        return None
    uncommon = _uncommon(target)
    if label != "class":
        same = np.isclose(values, target, rtol=1e-6, atol=0)
        equal, of_uncommon = float(np.mean(same)), float(np.mean(same[uncommon]))
        if min(equal, of_uncommon) >= EQUAL:
            return (
                f"it equals the label in {equal:.1%} of the rows, and in {of_uncommon:.1%} of those whose label is "
                "not the commonest"
            )
    if label == "class":
        share = _majorities(values, target)
        return f"it tells the class alone (in {share:.1%} of the rows)" if share >= SEPARATED else None
    if label == "truth":
        auc = _separation(values, target)
        return f"it separates the labels alone (AUC {auc:.4f})" if auc and auc >= SEPARATED else None
    explained = _explained(values, target)
    if explained >= EXPLAINED:
        return f"it explains the label alone (squared correlation {explained:.4f})"
    ordered = _ordered(values, target, uncommon)
    if ordered >= EXPLAINED:
        return (
            f"it puts the rows into the order of their labels alone (squared rank correlation {ordered:.4f})"
        )
    return None


def _uncommon(target: Vector) -> NDArray[np.bool_]:
    """The rows whose label is not the commonest: where nearly all are 0, what is 0 as well tells nothing."""
    labels, counts = np.unique(target, return_counts=True)
    uncommon: NDArray[np.bool_] = target != labels[np.argmax(counts)]
    return uncommon


def _explained(values: Vector, target: Vector) -> float:
    """The squared correlation; 0 where one of them is always the same."""
    if np.ptp(values) == 0 or np.ptp(target) == 0:
        return 0.0
    return float(np.corrcoef(values, target)[0, 1] ** 2)


def _ordered(values: Vector, target: Vector, uncommon: NDArray[np.bool_]) -> float:
    """The squared rank correlation (Spearman): of all rows, or of the uncommon ones where it is less.

    0 where few are uncommon: of a few rows any feature may have the order.
    """
    if uncommon.sum() < LEAST_ROWS:
        return 0.0
    ordered = _explained(_ranks(values), _ranks(target))
    if ordered < EXPLAINED:
        return ordered
    return min(ordered, _explained(_ranks(values[uncommon]), _ranks(target[uncommon])))


def _ranks(values: Vector) -> Vector:
    """The places of the values in their order, from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Vector = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _majorities(values: Vector, target: Vector) -> float:
    """The share of rows that have the commonest class of their value; 0 where values hardly ever repeat."""
    pairs, counts = np.unique(np.column_stack([values, target]), axis=0, return_counts=True)
    different, of_value = np.unique(pairs[:, 0], return_inverse=True)
    if len(different) > len(values) / ROWS_OF_A_VALUE:
        return 0.0
    largest = np.zeros(len(different))
    np.maximum.at(largest, of_value, counts)
    return float(largest.sum() / len(values))


def _separation(values: Vector, target: Vector) -> float | None:
    """AUC of a score, whichever way round; None where there is one class only."""
    low, high = values.min(), values.max()
    auc = TASKS["binary"].measure(target, (values - low) / (high - low))["auc"]
    return None if np.isnan(auc) else max(auc, 1 - auc)
