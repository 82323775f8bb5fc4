"""Finds features that know the label and inputs that lie in the future, and describes them in warnings."""

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
"""Values that a feature needs to be examined."""

EQUAL = 0.99
"""Share of rows in which a feature equals the label: of all rows, and of those without the most frequent label."""

EXPLAINED = 0.995
"""Squared correlation of a feature with a numeric label, of values or of ranks."""

ROWS_OF_A_VALUE = 5
"""Rows per value that a feature needs on average to be examined for determining the class."""

SEPARATED = 0.995
"""AUC of a feature alone for a binary label, in either direction; for classes, the share of rows that it determines."""

FEW_ROWS = 10
"""Rows in which a timestamp may lie after the event time, because of wrong clocks."""

FEW_SHARE = 0.001
"""Share of the rows with a timestamp in which it may lie after the event time."""


@dataclass(frozen=True)
class Ahead:
    """Number of `rows` with a value in a timestamp column, and of those in which it is `later` than the event time."""

    later: int
    rows: int


def future_timestamps(found: Mapping[str, Ahead], spec: ModelSpec, table: Table) -> list[str]:
    """A warning for every timestamp column that a model reads and that lies after its event time.

    Columns that their table declares as plans, or as known at the event time, are left out.
    """
    name, asked = spec.data.table, spec.data.event_time
    return [
        f"column {column} lies after {asked}, the event time, in {ahead.later:,} of the {ahead.rows:,} rows that "
        "have it. Is it known then? If it is a plan that is made before, list it under `planned` in "
        f"tables/{name}.yaml; if not, say there under `known_at` when it is known"
        for column, ahead in found.items()
        if ahead.later > max(FEW_ROWS, FEW_SHARE * ahead.rows)
        and column not in {*table.planned, *table.known_at}
    ]


def leakage(names: Sequence[str], examples: Dataset, task: str) -> list[str]:
    """A warning for every feature that determines the label by itself, by its value or by being missing.

    Such a column is usually filled in after the event time.
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
                reason = f"whether it is missing determines the label (AUC {missing:.4f})"
        if reason:
            found.append(f"feature {name}: {reason}. Is it known at the event time?")
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
                "not the most frequent one"
            )
    if label == "class":
        share = _majorities(values, target)
        return f"it alone determines the class (in {share:.1%} of the rows)" if share >= SEPARATED else None
    if label == "truth":
        auc = _separation(values, target)
        return f"it alone separates the labels (AUC {auc:.4f})" if auc and auc >= SEPARATED else None
    explained = _explained(values, target)
    if explained >= EXPLAINED:
        return f"it alone explains the label (squared correlation {explained:.4f})"
    ordered = _ordered(values, target, uncommon)
    if ordered >= EXPLAINED:
        return f"it alone orders the rows like their labels (squared rank correlation {ordered:.4f})"
    return None


def _uncommon(target: Vector) -> NDArray[np.bool_]:
    """The rows whose label is not the most frequent one: where nearly all labels are 0, a feature that is 0 means
    nothing."""
    labels, counts = np.unique(target, return_counts=True)
    uncommon: NDArray[np.bool_] = target != labels[np.argmax(counts)]
    return uncommon


def _explained(values: Vector, target: Vector) -> float:
    """The squared correlation; 0 if one of the two is constant."""
    if np.ptp(values) == 0 or np.ptp(target) == 0:
        return 0.0
    return float(np.corrcoef(values, target)[0, 1] ** 2)


def _ordered(values: Vector, target: Vector, uncommon: NDArray[np.bool_]) -> float:
    """The squared rank correlation (Spearman), the lower one of all rows and of the uncommon rows.

    0 if there are few uncommon rows: in a few rows any feature may have the same order.
    """
    if uncommon.sum() < LEAST_ROWS:
        return 0.0
    ordered = _explained(_ranks(values), _ranks(target))
    if ordered < EXPLAINED:
        return ordered
    return min(ordered, _explained(_ranks(values[uncommon]), _ranks(target[uncommon])))


def _ranks(values: Vector) -> Vector:
    """The ranks of the values, from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Vector = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _majorities(values: Vector, target: Vector) -> float:
    """The share of rows that have the most frequent class of their value; 0 if values hardly ever repeat."""
    pairs, counts = np.unique(np.column_stack([values, target]), axis=0, return_counts=True)
    different, of_value = np.unique(pairs[:, 0], return_inverse=True)
    if len(different) > len(values) / ROWS_OF_A_VALUE:
        return 0.0
    largest = np.zeros(len(different))
    np.maximum.at(largest, of_value, counts)
    return float(largest.sum() / len(values))


def _separation(values: Vector, target: Vector) -> float | None:
    """AUC of a score, in either direction; None if there is only one class."""
    low, high = values.min(), values.max()
    auc = TASKS["binary"].measure(target, (values - low) / (high - low))["auc"]
    return None if np.isnan(auc) else max(auc, 1 - auc)
