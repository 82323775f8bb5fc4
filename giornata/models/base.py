"""What a model type is: what documents may ask of it, how it is fitted, how its models answer and what they keep."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from giornata.errors import GiornataError
from giornata.models.custom.code import CustomCode
from giornata.models.parameters import Parameters, ParameterTable
from giornata.models.search_space import Dimension
from giornata.schema import Bounds, Scalar

if TYPE_CHECKING:
    from giornata.dataset import Dataset, Matrix, Predictions, Vector

__all__ = [
    "DEVICE",
    "Callback",
    "DistributedFit",
    "EvaluationError",
    "FitError",
    "FitRequest",
    "FittedModel",
    "ModelType",
    "ParameterError",
    "Parameters",
    "PredictionError",
    "PrunedError",
]

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


class FittedModel(ABC):
    """A model that has learned; immutable, and safe to ask from several threads."""

    @property
    def rounds(self) -> int:
        """Rounds of training that the model holds (boosting rounds, epochs, iterations); 1 where there are none."""
        return 1

    @property
    def method(self) -> str:
        """The method in use, where the type has several and may take another than the one asked for; else empty."""
        return ""

    @abstractmethod
    def predict(self, matrix: "Matrix") -> "Predictions":
        """One answer a row, always finite: the value (regression) or the probability of true (binary); or a row of
        numbers: the probability of every class, which add up to 1 (multiclass), the value of every share, none below
        the one before it (quantile), the number of the nearest centre and the distance to it (clustering), the
        forecast and the bounds that it lies between (forecasting).

        A row's answer does not depend on the rows beside it, down to the last bit. A type of a project's own may
        raise PredictionError.
        """

    @abstractmethod
    def to_files(self) -> dict[str, bytes]:
        """The learned parameters as files in open formats; `from_files` reads them."""

    @classmethod
    @abstractmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The model that `to_files` wrote. Raises BundleError when the files hold something else."""

    @classmethod  # noqa: B027 - most types have nothing to look at
    def check_files(cls, files: Mapping[str, bytes]) -> None:
        """Look at files that a library would read by itself, before it does. Raises BundleError for what could lead it
        out of its memory."""

    @abstractmethod
    def importance(self) -> dict[int, float]:
        """What each feature, by its column, contributes, as a share: adds up to 1, or is empty for a constant model."""

    @abstractmethod
    def size(self) -> dict[str, int]:
        """How large the model is, in the terms of its type, such as trees and nodes."""

    def searched(self, metric: str, matrix: "Matrix") -> float:
        """A metric of the model on rows that a search alone can improve (see `giornata.tasks.Task`), NaN where it is
        not defined. Raises FitError where the type does not have it."""
        raise FitError(f"models of this type have no {metric}")


@dataclass(frozen=True)
class FitRequest:
    """What a fit is given: checked rows of the task, all parameters with their defaults, the seed of all that is drawn,
    the threads it may use, rows to stop by and to judge, and who is told of the rounds; see `ModelType.fit`."""

    examples: "Dataset"
    task: str
    parameters: Mapping[str, Scalar]
    seed: int
    threads: int = 1
    validation: "Dataset | None" = None
    watch: Callback | None = None


class DistributedFit(NamedTuple):
    """What fits one model on all executors together: the function, `module:name`, which only jobs import, and the
    library by which it learns, as people know it."""

    function: str
    library: str


class ModelType(ABC):
    """A type of models: the one place that knows its parameters and its library. What documents read of it needs no
    NumPy, which is loaded when a model is fitted or read. A new one is a class in a folder of its own here, and its
    place in `giornata.models.MODEL_TYPES`.

    `name` is what documents call it, `tasks` are those that it can be given, `parameters` all that it takes;
    `default_space` is a search space that suits most data.
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]]
    parameters: ClassVar[ParameterTable]
    default_space: ClassVar[Mapping[str, Dimension]] = {}
    rounds_parameter: ClassVar[str] = ""
    """The parameter that says of how many rounds a fit is; none where a fit has no rounds."""
    learns_on_gpus: ClassVar[bool] = False
    """Whether documents may ask for GPUs to learn on."""
    distributed: ClassVar[DistributedFit | None] = None
    """What fits a model on all executors together; None where one process does whatever the rows are."""
    has_class: ClassVar[bool] = False
    """Whether its models are of a class of the project, which documents name and which never runs in a server's own
    process."""

    @property
    @abstractmethod
    def fitted(self) -> type[FittedModel]:
        """The class of its models, which reads their files."""

    @abstractmethod
    def learn(self, request: FitRequest) -> FittedModel:
        """What `fit` gives, of what it has checked."""

    def of(self, code: CustomCode | None = None, bounds: Bounds | None = None) -> "ModelType":
        """The type as one document has it: with the model's class, and what answers are kept within."""
        return self

    def check(self, parameters: Parameters, space: Mapping[str, Dimension]) -> None:
        """Raise ParameterError when the type has no such parameter, or cannot take a value of it."""
        if problem := self.parameters.problem(self.name, parameters, space):
            raise ParameterError(problem)

    def with_rounds(self, parameters: Parameters, rounds: int) -> dict[str, Scalar]:
        """`parameters` for a fit of exactly `rounds` rounds, without early stopping."""
        if not self.rounds_parameter:
            return dict(parameters)
        kept = {name: value for name, value in parameters.items() if name != "early_stopping_rounds"}
        return kept | {self.rounds_parameter: rounds}

    def fit(
        self,
        examples: "Dataset",
        task: str,
        parameters: Parameters,
        seed: int,
        threads: int = 1,
        validation: "Dataset | None" = None,
        watch: Callback | None = None,
    ) -> FittedModel:
        """Learn from the rows; the same rows, parameters, seed and threads give the same model.

        `validation` rows are looked at only to stop early, where the parameters ask for it, and to tell `watch`,
        which types without rounds never call. Rows may be few, of one label, and hold columns that are constant or
        have no value. Raises FitError, ParameterError, and what `watch` raises.
        """
        from giornata.models.label_checks import check_labels, check_task

        check_task(self, task)
        self.check(parameters, {})
        check_labels(examples, task)
        filled = self.parameters.filled(parameters)
        return self.learn(FitRequest(examples, task, filled, seed, threads, validation, watch))

    def bytes_of_row(self, features: int, categories: Mapping[int, int]) -> int:
        """How much memory a single process takes for each row that it fits a model to; `categories` maps the features
        that are codes to how many codes there are. Unless a type says otherwise, four for each feature."""
        return 4 * features

    @property
    def code_version(self) -> str:
        """The hash of the code of the project that fits; empty where none does."""
        return ""

    def evaluate(self, actual: "Vector", predicted: "Vector") -> dict[str, float]:
        """Metrics of the type's own, beside those of the task. Raises EvaluationError where there are none of these
        rows."""
        return {}
