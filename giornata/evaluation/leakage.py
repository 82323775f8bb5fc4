"""Features that know the label: what no feature known before the label's event can do, and what warns of it."""

from collections.abc import Sequence

import numpy as np

from giornata.evaluation.metrics import binary_metrics
from giornata.models.base import Examples, Vector

__all__ = ["EQUAL", "EXPLAINED", "LEAST_ROWS", "SEPARATED", "leakage"]

LEAST_ROWS = 50
"""Rows with a value below which a feature is not judged."""

EQUAL = 0.99
"""Share of rows in which a feature has the label's very value."""

EXPLAINED = 0.995
"""Squared correlation of a feature with a numeric label."""

ROWS_OF_A_VALUE = 5
"""Rows that a value of a feature has on average at least, for it to be judged whether it tells a class."""

SEPARATED = 0.995
"""AUC of a feature alone, whichever way round, for a binary label; for classes, the share of rows that it tells."""


def leakage(names: Sequence[str], examples: Examples, task: str) -> list[str]:
    """A sentence for every feature that tells the label by itself, alone or by being missing.

    Real features of a real problem do not: most often such a column is filled in after the moment of asking.
    """
    found: list[str] = []
    if task in ("forecasting", "clustering"):
        return found
    for column, name in enumerate(names):
        values, target = examples.matrix[:, column].astype(np.float64), examples.target
        present = ~np.isnan(values)
        reason = _alone(values[present], target[present], task)
        if reason is None and task == "binary" and min(present.sum(), (~present).sum()) >= LEAST_ROWS:
            missing = _separation((~present).astype(np.float64), target)
            if missing is not None and missing >= SEPARATED:
                reason = f"whether it is missing tells the label (AUC {missing:.4f})"
        if reason:
            found.append(f"feature {name}: {reason}. Is it known at the moment of asking?")
    return found


def _alone(values: Vector, target: Vector, task: str) -> str | None:
    if len(values) < LEAST_ROWS or np.ptp(values) == 0 or np.ptp(target) == 0:
        return None
    equal = 0.0 if task == "multiclass" else float(np.mean(np.isclose(values, target, rtol=1e-6, atol=0)))
    if equal >= EQUAL:
        return f"it equals the label in {equal:.1%} of the rows"
    if task == "multiclass":
        share = _majorities(values, target)
        return f"it tells the class alone (in {share:.1%} of the rows)" if share >= SEPARATED else None
    if task == "binary":
        auc = _separation(values, target)
        return f"it separates the labels alone (AUC {auc:.4f})" if auc and auc >= SEPARATED else None
    explained = float(np.corrcoef(values, target)[0, 1] ** 2)
    return (
        f"it explains the label alone (squared correlation {explained:.4f})"
        if explained >= EXPLAINED
        else None
    )


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
    auc = binary_metrics(target, (values - low) / (high - low))["auc"]
    return None if np.isnan(auc) else max(auc, 1 - auc)
