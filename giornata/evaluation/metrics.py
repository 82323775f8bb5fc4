"""Accuracy of predictions against what came true, with NumPy alone."""

import math

import numpy as np
from numpy.typing import NDArray

from giornata.errors import DataError

__all__ = [
    "HIGHER_IS_BETTER",
    "LOSS",
    "binary_metrics",
    "defined",
    "metrics",
    "part_losses",
    "regression_metrics",
]

HIGHER_IS_BETTER = frozenset({"r2", "auc", "accuracy"})

# The error that decides between a part and its parent: it is a mean over rows, so that parts can be added up.
LOSS = {"regression": "rmse", "binary": "log_loss"}

_EPSILON = np.finfo(np.float64).eps

Floats = NDArray[np.float64]


def regression_metrics(actual: NDArray, predicted: NDArray) -> dict[str, float]:
    """rmse, mae, r2 and rmsle of predicted against actual values, two vectors of one length.

    rmse = sqrt(mean (p - a)²), mae = mean |p - a|, r2 = 1 - sum (p - a)² / sum (a - mean a)²,
    rmsle = sqrt(mean (log(1 + p) - log(1 + a))²). A metric that is not defined is NaN: all of them without rows,
    r2 where the actual values are all the same, rmsle where a value is -1 or less.
    Raises DataError when the lengths differ or a value is missing.
    """
    actual, predicted = _checked(actual, predicted)
    if not actual.size:
        return dict.fromkeys(("rmse", "mae", "r2", "rmsle"), math.nan)
    error = predicted - actual
    spread = float(np.sum((actual - actual.mean()) ** 2))
    return {
        "rmse": math.sqrt(np.mean(error**2)),
        "mae": float(np.mean(np.abs(error))),
        "r2": 1 - float(np.sum(error**2)) / spread if spread > 0 else math.nan,
        "rmsle": _rmsle(actual, predicted),
    }


def binary_metrics(actual: NDArray, predicted: NDArray) -> dict[str, float]:
    """auc, log_loss and accuracy of the probabilities `predicted` against `actual`, which is 0 or 1.

    auc is the probability that a true row is placed above a false one, ties counting half (Mann-Whitney);
    log_loss = -mean(a log p + (1 - a) log(1 - p)), p kept off 0 and 1 by the precision of a double;
    accuracy is the share of rows with (p > 0.5) = a. Without rows all are NaN; with one class auc is.
    Raises DataError when the lengths differ, a value is missing or `actual` holds anything but 0 and 1.
    """
    actual, predicted = _checked(actual, predicted)
    if not np.isin(actual, (0, 1)).all():
        raise DataError("the labels of a binary model must be 0 or 1 (false or true); others were found")
    if not actual.size:
        return dict.fromkeys(("auc", "log_loss", "accuracy"), math.nan)
    return {
        "auc": _auc(actual, predicted),
        "log_loss": float(np.mean(part_losses("binary", actual, predicted))),
        "accuracy": float(np.mean((predicted > 0.5) == (actual == 1))),
    }


def metrics(task: str, actual: NDArray, predicted: NDArray) -> dict[str, float]:
    """The metrics of a task: those of `regression_metrics` or of `binary_metrics`."""
    return {"regression": regression_metrics, "binary": binary_metrics}[task](actual, predicted)


def part_losses(task: str, actual: NDArray, predicted: NDArray) -> Floats:
    """The loss of every row: squared error (regression) or log loss (binary); its mean decides about parts."""
    actual, predicted = _checked(actual, predicted)
    if task == "regression":
        return np.square(predicted - actual)
    chance = np.clip(predicted, _EPSILON, 1 - _EPSILON)
    return -(actual * np.log(chance) + (1 - actual) * np.log1p(-chance))


def defined(values: dict[str, float]) -> dict[str, float | None]:
    """The same metrics with None, which JSON can carry, for those that are not defined."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _checked(actual: NDArray, predicted: NDArray) -> tuple[Floats, Floats]:
    actual, predicted = np.asarray(actual, np.float64), np.asarray(predicted, np.float64)
    if actual.shape != predicted.shape or actual.ndim != 1:
        raise DataError(
            f"metrics need as many labels as predictions, not {actual.shape} and {predicted.shape}"
        )
    if not (np.isfinite(actual).all() and np.isfinite(predicted).all()):
        raise DataError("metrics need a number in every row: leave out rows without a label or a prediction")
    return actual, predicted


def _rmsle(actual: Floats, predicted: Floats) -> float:
    if min(actual.min(), predicted.min()) <= -1:
        return math.nan
    return math.sqrt(np.mean((np.log1p(predicted) - np.log1p(actual)) ** 2))


def _auc(actual: Floats, predicted: Floats) -> float:
    positives = int(actual.sum())
    negatives = actual.size - positives
    if not positives or not negatives:
        return math.nan
    _, place, count = np.unique(predicted, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks = (last - (count - 1) / 2)[place]  # of tied rows, the mean of their ranks
    above = float(ranks[actual == 1].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)
