"""Rows as models learn from them and answer them: arrays of features, labels and predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dataset", "Matrix", "Predictions", "Vector"]

Matrix = NDArray[np.float32]
"""One row a request, one column a feature; NaN is missing, infinity does not occur."""

Vector = NDArray[np.float64]

Predictions = NDArray[np.float64]
"""One row a request: a number each, or a column for each of the outputs of the dataset."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows to learn from: a matrix of features and the label of each row. Equal to nothing but themselves.

    `categories` maps the columns that hold codes of categories, not amounts, to how many codes there are: codes
    are 0, 1, … (whole numbers as floats), or NaN. Columns that it lacks are amounts. `names` are those of the
    columns, where they are known.

    `outputs` names the numbers of an answer, where these are several (see `giornata.tasks`): the classes of
    the task multiclass, whose target holds their places 0, 1, …, and the shares of the task quantile, "0.1" ….
    """

    matrix: Matrix
    target: Vector
    categories: Mapping[int, int] = field(default_factory=dict)
    names: Sequence[str] = ()
    outputs: Sequence[str] = ()
