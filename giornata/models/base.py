"""What a model type is: how it is fitted, how it answers, and the open formats it is kept in."""

from collections.abc import Callable, Mapping
from typing import Protocol, Self

from giornata.dataset import Dataset, Matrix, Predictions
from giornata.documents.model import Dimension, Scalar
from giornata.errors import GiornataError

__all__ = [
    "DEVICE",
    "Callback",
    "EvaluationError",
    "FitError",
    "FittedModel",
    "ModelType",
    "ParameterError",
    "Parameters",
    "PredictionError",
    "PrunedError",
]

Parameters = Mapping[str, Scalar]

DEVICE = "GIORNATA_DEVICE"
"""The environment variable by which a process says where model types that can use a GPU learn: `cuda`, else the
processor. Models answer on the processor always."""

Callback = Callable[[int, float], None]
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


class FittedModel(Protocol):
    """A model that has learned; immutable, and safe to ask from several threads."""

    @property
    def rounds(self) -> int:
        """Rounds of training that the model holds (boosting rounds, epochs, iterations); 1 where there are none."""
        ...

    def predict(self, matrix: Matrix) -> Predictions:
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
    def fitted(self) -> type[FittedModel]:
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
        examples: Dataset,
        task: str,
        parameters: Parameters,
        seed: int,
        threads: int = 1,
        validation: Dataset | None = None,
        watch: Callback | None = None,
    ) -> FittedModel:
        """Learn from the rows; the same rows, parameters, seed and threads give the same model.

        `validation` rows are looked at only to stop early, where the parameters ask for it, and to tell `watch`,
        which types without rounds never call. Rows may be few, of one label, and hold columns that are constant or
        have no value. Raises FitError, ParameterError, and what `watch` raises.
        """
        ...
