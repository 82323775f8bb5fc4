"""Accuracy of predictions against what came true, with NumPy alone."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from giornata.documents.model import HIGHER_IS_BETTER
from giornata.errors import DataError
from giornata.tasks.outputs import predictions

__all__ = [
    "HIGHER_IS_BETTER",
    "LOSS",
    "UNDEFINED",
    "binary_metrics",
    "clustering_metrics",
    "defined",
    "forecasting_metrics",
    "metrics",
    "multiclass_metrics",
    "part_losses",
    "quantile_metrics",
    "regression_metrics",
]

# The error that decides between a part and its parent: it is a mean over rows, so that parts can be added up.
LOSS = {
    "regression": "rmse",
    "binary": "log_loss",
    "multiclass": "log_loss",
    "quantile": "pinball",
    "forecasting": "mae",
    "clustering": "distance",
}

UNDEFINED = {
    "r2": "their labels are all the same",
    "auc": "they are all of one class",
    "rmsle": "a label or an answer of theirs is -1 or less",
}
"""By metric, what is so of the rows on which it is not defined; every metric is undefined without rows."""

_EPSILON = np.finfo(np.float64).eps

Floats = NDArray[np.float64]


def regression_metrics(actual: NDArray, predicted: NDArray) -> dict[str, float]:
    """rmse, mae, r2 and rmsle of predicted against actual values, two vectors of one length.

    rmse = sqrt(mean (p - a)²), mae = mean |p - a|, r2 = 1 - sum (p - a)² / sum (a - mean a)²,
    rmsle = sqrt(mean (log(1 + p) - log(1 + a))²). A metric that is not defined is NaN: all of them without rows,
    r2 where the actual values are all the same, rmsle where a value is -1 or less, and any that no double can hold.
    Raises DataError when the lengths differ or a value is missing.
    """
    actual, predicted = _checked(actual, predicted)
    if not actual.size:
        return dict.fromkeys(("rmse", "mae", "r2", "rmsle"), math.nan)
    error = _differences(predicted, actual)
    return {
        "rmse": _root_mean_square(error),
        "mae": _mean(np.abs(error)),
        "r2": _r2(actual, error),
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


def multiclass_metrics(actual: NDArray, answers: NDArray) -> dict[str, float]:
    """log_loss, accuracy and macro_f1 of `answers`, a probability for each class, against `actual`.

    `actual` holds the places of the classes; a place outside of them is a class that the model does not know, whose
    probability is 0. log_loss = -mean(log p of the actual class), p kept off 0 by the precision of a double; accuracy
    is the share of rows whose likeliest class is the actual one; macro_f1 the mean, over the classes that are actual
    or answered somewhere, of 2 · both / (actual + answered). Without rows all are NaN. Raises DataError.
    """
    actual, answers = _checked_rows(actual, answers)
    if not len(actual):
        return dict.fromkeys(("log_loss", "accuracy", "macro_f1"), math.nan)
    likeliest = np.argmax(answers, axis=1)
    f1 = []
    for place in np.union1d(actual, likeliest):
        is_actual, is_answer = actual == place, likeliest == place
        f1.append(2 * np.sum(is_actual & is_answer) / (is_actual.sum() + is_answer.sum()))
    return {
        "log_loss": float(np.mean(part_losses("multiclass", actual, answers))),
        "accuracy": float(np.mean(likeliest == actual)),
        "macro_f1": float(np.mean(f1)),
    }


def quantile_metrics(actual: NDArray, answers: NDArray, outputs: Sequence[str]) -> dict[str, float]:
    """pinball, mae and coverage of `answers`, a value for each of the shares `outputs`, against actual values.

    pinball = mean over rows and shares q of max(q · (a - p), (q - 1) · (a - p)) (Koenker and Bassett 1978); mae is
    that of the share nearest to 0.5; coverage the share of rows from the first to the last value, both included.
    Without rows all are NaN. Raises DataError.
    """
    actual, answers = _checked_rows(actual, answers)
    if not len(actual):
        return dict.fromkeys(("pinball", "mae", "coverage"), math.nan)
    middle = predictions("quantile", outputs, answers)
    return {
        "pinball": _mean(part_losses("quantile", actual, answers, outputs)),
        "mae": _mean(np.abs(_differences(middle, actual))),
        "coverage": _coverage(actual, answers[:, 0], answers[:, -1]),
    }


def forecasting_metrics(actual: NDArray, answers: NDArray) -> dict[str, float]:
    """mae, rmse, smape and coverage of `answers`, which are forecast, low and high, against actual values.

    smape = mean 2 |p - a| / (|p| + |a|), 0 where both are 0; coverage is the share of rows from low to high.
    Without rows all are NaN. Raises DataError.
    """
    actual, answers = _checked_rows(actual, answers)
    if not len(actual):
        return dict.fromkeys(("mae", "rmse", "smape", "coverage"), math.nan)
    forecast = answers[:, 0]
    error = np.abs(_differences(forecast, actual))
    return {
        "mae": _mean(error),
        "rmse": _root_mean_square(error),
        "smape": _smape(actual, forecast),
        "coverage": _coverage(actual, answers[:, 1], answers[:, 2]),
    }


def clustering_metrics(answers: NDArray) -> dict[str, float]:
    """distance and largest_share of `answers`, which are cluster and distance to its centre.

    distance is the mean of the distances, largest_share the share of rows in the cluster that has most. Without
    rows both are NaN.
    """
    if not len(answers):
        return dict.fromkeys(("distance", "largest_share"), math.nan)
    _, counts = np.unique(answers[:, 0], return_counts=True)
    return {"distance": _mean(answers[:, 1]), "largest_share": float(counts.max() / len(answers))}


def metrics(task: str, actual: NDArray, answers: NDArray, outputs: Sequence[str] = ()) -> dict[str, float]:
    """The metrics of a task (see the functions above). `answers` are what `FittedModel.predict` gives, `outputs` the
    names of their columns; `actual` is not looked at for clustering. Raises DataError."""
    if task == "multiclass":
        return multiclass_metrics(actual, answers)
    if task == "quantile":
        return quantile_metrics(actual, answers, outputs)
    if task == "forecasting":
        return forecasting_metrics(actual, answers)
    if task == "clustering":
        return clustering_metrics(answers)
    return {"regression": regression_metrics, "binary": binary_metrics}[task](actual, answers)


def part_losses(task: str, actual: NDArray, answers: NDArray, outputs: Sequence[str] = ()) -> Floats:
    """The loss of every row, whose mean decides about parts: squared error (regression), log loss (binary and
    multiclass), mean pinball loss (quantile), absolute error (forecasting) or distance (clustering)."""
    if task == "clustering":
        return np.asarray(answers[:, 1], np.float64)
    if task in ("regression", "binary"):
        actual, answers = _checked(actual, answers)
        if task == "regression":
            with np.errstate(over="ignore"):
                return np.square(answers - actual)
        chance = np.clip(answers, _EPSILON, 1 - _EPSILON)
        return -(actual * np.log(chance) + (1 - actual) * np.log1p(-chance))
    actual, answers = _checked_rows(actual, answers)
    if task == "forecasting":
        return np.abs(_differences(answers[:, 0], actual))
    if task == "quantile":
        above = _differences(actual[:, None], answers)
        shares = np.array([float(share) for share in outputs])
        with np.errstate(over="ignore"):
            return np.maximum(shares * above, (shares - 1) * above).mean(axis=1)
    places = actual.astype(int)
    known = (actual >= 0) & (actual < answers.shape[1])
    chance = np.where(known, answers[np.arange(len(answers)), np.where(known, places, 0)], 0.0)
    return -np.log(np.clip(chance, _EPSILON, 1))


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


def _checked_rows(actual: NDArray, answers: NDArray) -> tuple[Floats, Floats]:
    actual, answers = np.asarray(actual, np.float64), np.asarray(answers, np.float64)
    if answers.ndim != 2 or actual.shape != answers.shape[:1]:
        raise DataError(f"metrics need as many labels as answers, not {actual.shape} and {answers.shape}")
    if not (np.isfinite(actual).all() and np.isfinite(answers).all()):
        raise DataError("metrics need a number in every row: leave out rows without a label or a prediction")
    return actual, answers


def _coverage(actual: Floats, low: Floats, high: Floats) -> float:
    return float(np.mean((low <= actual) & (actual <= high)))


def _differences(values: Floats, others: Floats) -> Floats:
    """values - others; infinite where no double can hold it."""
    with np.errstate(over="ignore"):
        return values - others


def _exponent(values: Floats) -> int:
    """The power of two above all values: those divided by it have squares that neither overflow nor vanish together."""
    return int(np.frexp(np.abs(values).max())[1])


def _mean(values: Floats) -> float:
    """NaN where a value is more than a double can hold."""
    if not np.isfinite(values).all():
        return math.nan
    exponent = _exponent(values)
    return float(np.ldexp(np.mean(np.ldexp(values, -exponent)), exponent))


def _root_mean_square(values: Floats) -> float:
    """NaN where a value is more than a double can hold."""
    if not np.isfinite(values).all():
        return math.nan
    exponent = _exponent(values)
    return float(np.ldexp(np.sqrt(np.mean(np.square(np.ldexp(values, -exponent)))), exponent))


def _r2(actual: Floats, error: Floats) -> float:
    """NaN where the actual values are all the same, whatever bit their mean is off by."""
    if actual.min() == actual.max() or not np.isfinite(error).all():
        return math.nan
    # From one of them: the mean of values that lie close together, far from 0, would be off by more than they differ.
    from_first = np.ldexp(actual, -2) - np.ldexp(actual[0], -2)
    spreads, errors = _exponent(from_first), _exponent(error)
    scaled = np.ldexp(from_first, -spreads)
    spread = float(np.sum(np.square(scaled - scaled.mean())))
    left = float(np.sum(np.square(np.ldexp(error, -errors))))
    if not spread:  # they differ by less than a quarter of what a double can hold
        return math.nan
    with np.errstate(over="ignore"):
        r2 = 1 - float(np.ldexp(left / spread, 2 * (errors - spreads - 2)))
    return r2 if math.isfinite(r2) else math.nan


def _smape(actual: Floats, forecast: Floats) -> float:
    # Of halves, whose sum and difference are no more than a double can hold.
    actual, forecast = actual / 2, forecast / 2
    size = np.abs(forecast) + np.abs(actual)
    error = np.abs(forecast - actual)
    return float(np.mean(2 * np.divide(error, size, out=np.zeros_like(error), where=size > 0)))


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
