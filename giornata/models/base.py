"""What a model type is: how it is fitted, how it answers, and the open formats it is kept in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from giornata.documents.model import Dimension, Scalar
from giornata.errors import GiornataError

__all__ = [
    "DEVICE",
    "Answers",
    "EvaluationError",
    "Examples",
    "FitError",
    "Fitted",
    "Matrix",
    "ModelType",
    "ParameterError",
    "Parameters",
    "PredictionError",
    "PrunedError",
    "Vector",
    "Watch",
]

Matrix = NDArray[
    np.float32
]  # one row a request, one column a feature; NaN is missing, infinity does not occur
Vector = NDArray[np.float64]
Answers = NDArray[
    np.float64
]  # one row a request: a number each, or a column for each of the outputs of the examples
Parameters = Mapping[str, Scalar]

DEVICE = "GIORNATA_DEVICE"
"""The environment variable by which a process says where model types that can use a GPU learn: `cuda`, else the
processor. Models answer on the processor always."""

Watch = Callable[[int, float], None]
"""Told after every round of a fit its number, from 1, and the loss on the validation rows (lower is better: root mean
squared error for regression, log loss for binary and multiclass, pinball loss for quantile). Raises PrunedError to
end the fit."""


class ParameterError(GiornataError):
    """A model type does not have the parameter, or not with that value."""


class FitError(GiornataError):
    """A model type could not be fitted to the data with the parameters."""


class EvaluationError(FitError):
    """A model type of a project's own has no metrics of some answers."""


class PredictionError(GiornataError):
    """A model type of a project's own has no answer to a row."""


class PrunedError(GiornataError):
    """A search ended a fit, because others did better after as many rounds."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows to learn from: a matrix of features and the label of each row. Equal to nothing but themselves.

    `categories` maps the columns that hold codes of categories, not amounts, to how many codes there are: codes
    are 0, 1, … (whole numbers as floats), or NaN. Columns that it lacks are amounts. `names` are those of the
    columns, where they are known.

    `outputs` names the numbers of an answer, where these are several (see `giornata.models.outputs`): the classes of
    the task multiclass, whose target holds their places 0, 1, …, and the shares of the task quantile, "0.1" ….
    """

    matrix: Matrix
    target: Vector
    categories: Mapping[int, int] = field(default_factory=dict)
    names: Sequence[str] = ()
    outputs: Sequence[str] = ()


class Fitted(Protocol):
    """A model that has learned; immutable, and safe to ask from several threads."""

    @property
    def rounds(self) -> int:
        """Rounds of training that the model holds (boosting rounds, epochs, iterations); 1 where there are none."""
        ...

    def predict(self, matrix: Matrix) -> Answers:
        """One answer a row, always finite: the value (regression) or the probability of true (binary); or a row of
        numbers: the probability of every class, which add up to 1 (multiclass), the value of every share, none below
        the one before it (quantile), the number of the nearest centre and the distance to it (clustering), the
        forecast and the bounds that it lies between (forecasting).

        A row's answer does not depend on the rows beside it, down to the last bit. A type of a project's own may
        raise PredictionError.
        """
        ...

    def to_files(self) -> dict[str, bytes]:
        """The learned parameters as files in open formats; `from_files` reads them."""
        ...

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The model that `to_files` wrote. Raises BundleError when the files hold something else."""
        ...

    def importance(self) -> dict[int, float]:
        """What each feature, by its column, contributes, as a share: adds up to 1, or is empty for a constant model."""
        ...

    def size(self) -> dict[str, int]:
        """How large the model is, in the terms of its type, such as trees and nodes."""
        ...


class ModelType(Protocol):
    """A kind of model: the one place that knows its parameters and its library."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it can be given (see `giornata.documents.model.TYPES`)."""
        ...

    @property
    def fitted(self) -> type[Fitted]:
        """The class of its models, which reads their files."""
        ...

    def check(self, parameters: Parameters, space: Mapping[str, Dimension]) -> None:
        """Raise ParameterError when the type has no such parameter, or cannot take a value of it."""
        ...

    def default_space(self) -> dict[str, Dimension]:
        """A search space that suits most data."""
        ...

    def with_rounds(self, parameters: Parameters, rounds: int) -> dict[str, Scalar]:
        """`parameters` for a fit of exactly `rounds` rounds, without early stopping."""
        ...

    def fit(
        self,
        examples: Examples,
        task: str,
        parameters: Parameters,
        seed: int,
        threads: int = 1,
        validation: Examples | None = None,
        watch: Watch | None = None,
    ) -> Fitted:
        """Learn from the rows; the same rows, parameters, seed and threads give the same model.

        `validation` rows are looked at only to stop early, where the parameters ask for it, and to tell `watch`,
        which types without rounds never call. Rows may be few, of one label, and hold columns that are constant or
        have no value. Raises FitError, ParameterError, and what `watch` raises.
        """
        ...
