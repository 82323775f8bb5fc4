"""Rows as arrays: features, labels and predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dataset", "Matrix", "Predictions", "Vector"]

Matrix = NDArray[np.float32]
"""One row per prediction, one column per feature; NaN is missing, infinity does not occur."""

Vector = NDArray[np.float64]

Predictions = NDArray[np.float64]
"""One row per prediction: a number each, or a column for each of the outputs of the dataset."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows to fit a model to: a matrix of features and the label of each row. Datasets compare by identity.

    `categories` maps columns that hold codes to the number of codes: codes are 0, 1, … (whole numbers as floats), or
    NaN. All other columns are numbers. `names` are the names of the columns, if known.

    `outputs` names the numbers of a prediction that has several (see `giornata.tasks`): the classes of the task
    multiclass, whose labels are their positions 0, 1, …, or the quantiles "0.1" … of the task quantile.
    """

    matrix: Matrix
    target: Vector
    categories: Mapping[int, int] = field(default_factory=dict)
    names: Sequence[str] = ()
    outputs: Sequence[str] = ()
