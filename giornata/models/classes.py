"""Shared by model types that distinguish several classes; needs only NumPy.

Every row is computed by itself, in the order of the classes, so that its bits do not depend on other rows.
"""

import math

import numpy as np
from numpy.typing import NDArray

from giornata.dataset import Dataset, Predictions, Vector
from giornata.models.base import FitError

__all__ = ["class_shares", "places_of", "scaled_to_one", "shares_of_counts", "softmax"]


def places_of(examples: Dataset) -> NDArray[np.intp]:
    """The position of each row's class among the outputs.

    Raises FitError without rows, and if a label is not a position.
    """
    classes = len(examples.outputs)
    if not len(examples.target):
        raise FitError("there are no rows to learn from")
    if not np.isin(examples.target, np.arange(classes)).all():
        raise FitError(
            f"the labels of a model of {classes} classes must be their places, 0 to {classes - 1}; others were found"
        )
    return examples.target.astype(np.intp)


def class_shares(places: NDArray[np.intp], classes: int) -> Vector:
    """The share of the rows that each of the classes has, as `shares_of_counts` gives it."""
    return shares_of_counts(np.bincount(places, minlength=classes))


def shares_of_counts(counts: NDArray[np.intp]) -> Vector:
    """The shares of the classes, given their numbers of rows; they add up to 1.

    No class is impossible: a class without rows gets the share that one more row of every class would give it, 1 /
    (rows + classes), and the others make room for it.
    """
    rows = counts.sum()
    shares = counts / rows
    lacking = shares == 0
    least = 1 / (rows + len(counts))
    smoothed: Vector = np.where(lacking, least, shares * (1 - lacking.sum() * least))
    return smoothed


def softmax(scores: NDArray[np.float64]) -> Predictions:
    """The probabilities whose logarithms differ as the scores do, of shape (rows, classes), without overflow."""
    with np.errstate(over="ignore"):
        below = scores - scores.max(axis=1, keepdims=True)
    # Not NumPy's exp: which of its versions runs, and so the last bit, depends on the processor.
    powers = np.fromiter(map(math.exp, below.ravel().tolist()), np.float64, below.size)
    return scaled_to_one(powers.reshape(below.shape))


def scaled_to_one(weights: NDArray[np.float64]) -> Predictions:
    """The weights, of shape (rows, classes), as shares of their row's sum, which is not 0."""
    # Not NumPy's sum, which adds in an order that depends on the shape and the layout.
    return weights / np.add.accumulate(weights, axis=1)[:, -1:]
