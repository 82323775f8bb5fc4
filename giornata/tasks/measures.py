"""The formulas of metrics on checked arrays; means do not overflow."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from giornata.errors import DataError

Floats = NDArray[np.float64]

_EPSILON = np.finfo(np.float64).eps


def checked(actual: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Labels and predictions of one number each, as doubles. Raises DataError if their lengths differ or one is
    missing."""
    actual, predicted = np.asarray(actual, np.float64), np.asarray(predicted, np.float64)
    if actual.shape != predicted.shape or actual.ndim != 1:
        raise DataError(
            f"metrics need as many labels as predictions, not {actual.shape} and {predicted.shape}"
        )
    if not (np.isfinite(actual).all() and np.isfinite(predicted).all()):
        raise DataError("metrics need a number in every row: leave out rows without a label or a prediction")
    return actual, predicted


def checked_rows(actual: Floats, answers: Floats) -> tuple[Floats, Floats]:
    """Labels, and predictions of several numbers each, as doubles. Raises DataError as `checked` does."""
    actual, answers = np.asarray(actual, np.float64), np.asarray(answers, np.float64)
    if answers.ndim != 2 or actual.shape != answers.shape[:1]:
        raise DataError(f"metrics need as many labels as answers, not {actual.shape} and {answers.shape}")
    if not (np.isfinite(actual).all() and np.isfinite(answers).all()):
        raise DataError("metrics need a number in every row: leave out rows without a label or a prediction")
    return actual, answers


def coverage(actual: Floats, low: Floats, high: Floats) -> float:
    """The share of labels from `low` to `high`, both included."""
    return float(np.mean((low <= actual) & (actual <= high)))


def differences(values: Floats, others: Floats) -> Floats:
    """values - others; infinite where no double can hold it."""
    with np.errstate(over="ignore"):
        return values - others


def _exponent(values: Floats) -> int:
    """A power of two above all values: divided by it, values have squares that neither overflow nor all vanish."""
    return int(np.frexp(np.abs(values).max())[1])


def mean(values: Floats) -> float:
    """The mean; NaN if a value is more than a double can hold."""
    if not np.isfinite(values).all():
        return math.nan
    exponent = _exponent(values)
    return float(np.ldexp(np.mean(np.ldexp(values, -exponent)), exponent))


def root_mean_square(values: Floats) -> float:
    """The root of the mean square; NaN if a value is more than a double can hold."""
    if not np.isfinite(values).all():
        return math.nan
    exponent = _exponent(values)
    return float(np.ldexp(np.sqrt(np.mean(np.square(np.ldexp(values, -exponent)))), exponent))


def r2(actual: Floats, error: Floats) -> float:
    """1 - the squared errors / the squared differences from the mean label, summed; NaN if the labels are all the same,
    even if their computed mean is off by a bit."""
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


def rmsle(actual: Floats, predicted: Floats) -> float:
    """The root mean squared difference of log(1 + p) and log(1 + a); NaN if a value is -1 or less."""
    if min(actual.min(), predicted.min()) <= -1:
        return math.nan
    return math.sqrt(np.mean((np.log1p(predicted) - np.log1p(actual)) ** 2))


def auc(actual: Floats, predicted: Floats) -> float:
    """The probability that a true row ranks above a false one, ties counting half; NaN with one class."""
    positives = int(actual.sum())
    negatives = actual.size - positives
    if not positives or not negatives:
        return math.nan
    _, place, count = np.unique(predicted, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks = (last - (count - 1) / 2)[place]  # of tied rows, the mean of their ranks
    above = float(ranks[actual == 1].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def smape(actual: Floats, forecast: Floats) -> float:
    """The mean of 2 |p - a| / (|p| + |a|), 0 if both are 0."""
    # Of halves, whose sum and difference are no more than a double can hold.
    actual, forecast = actual / 2, forecast / 2
    size = np.abs(forecast) + np.abs(actual)
    error = np.abs(forecast - actual)
    return float(np.mean(2 * np.divide(error, size, out=np.zeros_like(error), where=size > 0)))


def squares(values: Floats) -> Floats:
    """Squares; infinite where no double can hold one."""
    with np.errstate(over="ignore"):
        return np.square(values)


def log_losses(actual: Floats, chances: Floats) -> Floats:
    """-(a log p + (1 - a) log(1 - p)), p kept off 0 and 1 by the precision of a double."""
    chances = np.clip(chances, _EPSILON, 1 - _EPSILON)
    return -(actual * np.log(chances) + (1 - actual) * np.log1p(-chances))


def class_log_losses(places: Floats, chances: Floats) -> Floats:
    """-log of the probability of the class at each row's position, kept off 0; a position outside of the classes has
    probability 0."""
    known = (places >= 0) & (places < chances.shape[1])
    own = np.where(known, chances[np.arange(len(chances)), np.where(known, places.astype(int), 0)], 0.0)
    losses: Floats = -np.log(np.clip(own, _EPSILON, 1))
    return losses


def macro_f1(places: Floats, answered: NDArray[np.intp]) -> float:
    """The mean, over the classes that are actual or predicted somewhere, of 2 · both / (actual + predicted)."""
    each = []
    for place in np.union1d(places, answered):
        is_actual, is_answer = places == place, answered == place
        each.append(2 * np.sum(is_actual & is_answer) / (is_actual.sum() + is_answer.sum()))
    return float(np.mean(each))


def pinball_losses(actual: Floats, answers: Floats, shares: Sequence[float]) -> Floats:
    """The mean over shares q of max(q · (a - p), (q - 1) · (a - p))."""
    above = differences(actual[:, None], answers)
    levels = np.array(shares)
    with np.errstate(over="ignore"):
        losses: Floats = np.maximum(levels * above, (levels - 1) * above).mean(axis=1)
    return losses


def share(condition: NDArray[np.bool_]) -> float:
    """The share of rows for which a condition holds."""
    return float(np.mean(condition))


def largest_share(clusters: Floats) -> float:
    """The share of rows in the largest cluster."""
    _, counts = np.unique(clusters, return_counts=True)
    return float(counts.max() / len(clusters))
