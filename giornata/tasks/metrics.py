"""All metrics: which direction is better, their range, and on which rows they are not defined."""

import math
from dataclasses import dataclass

__all__ = ["HIGHER_IS_BETTER", "METRICS", "NO_GOAL", "Metric", "defined"]


@dataclass(frozen=True)
class Metric:
    """A metric: whether more is better (None: neither more nor less is), its minimum and maximum, and the condition on
    rows, in words, under which it is not defined; every metric is undefined without rows."""

    higher_is_better: bool | None
    least: float
    greatest: float
    undefined: str = ""


METRICS: dict[str, Metric] = {
    "rmse": Metric(False, 0, math.inf),
    "mae": Metric(False, 0, math.inf),
    "r2": Metric(True, -math.inf, 1, "their labels are all the same"),
    "rmsle": Metric(False, 0, math.inf, "a label or a prediction is -1 or less"),
    "smape": Metric(False, 0, 2),
    "auc": Metric(True, 0, 1, "they are all of one class"),
    "log_loss": Metric(False, 0, math.inf),
    "accuracy": Metric(True, 0, 1),
    "macro_f1": Metric(True, 0, 1),
    "pinball": Metric(False, 0, math.inf),
    "coverage": Metric(None, 0, 1),
    "distance": Metric(False, 0, math.inf),
    "largest_share": Metric(None, 0, 1),
    "silhouette": Metric(True, -1, 1),
}
"""The metrics of all tasks, by name; each task lists its own."""

NO_GOAL = frozenset(name for name, metric in METRICS.items() if metric.higher_is_better is None)
"""Metrics without a better direction, which no search can optimise."""

HIGHER_IS_BETTER = frozenset(name for name, metric in METRICS.items() if metric.higher_is_better)
"""Metrics of which more is better; for all others with a direction, less is."""


def defined(values: dict[str, float]) -> dict[str, float | None]:
    """The same metrics with None, which JSON can carry, for undefined ones."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
