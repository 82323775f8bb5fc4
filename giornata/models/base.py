"""The interface of model types: what documents read of them, how they are fitted, predict and are stored."""

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
"""Environment variable that says where model types that can use a GPU are fitted: `cuda`, else on the processor. Models
always predict on the processor."""

Callback = Callable[[int, float], None]
"""Called after every round of a fit with its number, from 1, and the loss on the validation rows (lower is better: root
mean squared error for regression, log loss for binary and multiclass, pinball loss for quantile). Raises PrunedError to
stop the fit."""


class ParameterError(GiornataError):
    """A model type does not have the parameter, or does not accept its value."""


class FitError(GiornataError):
    """A model type could not be fitted to the data with the parameters."""


class EvaluationError(FitError):
    """A project's own model type cannot evaluate some predictions."""


class PredictionError(GiornataError):
    """A project's own model type has no prediction for a row."""


class PrunedError(GiornataError):
    """A search stopped a fit, because others were better after as many rounds."""


class FittedModel(ABC):
    """A fitted model; immutable, and safe to use from several threads."""

    @property
    def rounds(self) -> int:
        """Rounds of training in the model (boosting rounds, epochs, iterations); 1 if the type has none."""
        return 1

    @property
    def method(self) -> str:
        """The method in use, if the type has several and may use another than the requested one; else empty."""
        return ""

    @abstractmethod
    def predict(self, matrix: "Matrix") -> "Predictions":
        """One prediction per row, always finite: the value (regression) or the probability of true (binary); or several
        numbers: the probability of every class, adding up to 1 (multiclass), the quantiles in ascending order
        (quantile), the number of the nearest centre and the distance to it (clustering), the forecast and its bounds
        (forecasting).

        The prediction for a row does not depend on other rows, down to the last bit. A project's own type may raise
        PredictionError.
        """

    @abstractmethod
    def to_files(self) -> dict[str, bytes]:
        """The fitted parameters as files in open formats; `from_files` reads them."""

    @classmethod
    @abstractmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The model that `to_files` wrote. Raises BundleError if the files hold something else."""

    @classmethod  # noqa: B027 - most types have nothing to look at
    def check_files(cls, files: Mapping[str, bytes]) -> None:
        """Check files that a library would read by itself, before it does. Raises BundleError for content that could
        make it read outside its memory."""

    @abstractmethod
    def importance(self) -> dict[int, float]:
        """Contribution of each feature, by its column, as a share: adds up to 1, or is empty for a constant model."""

    @abstractmethod
    def size(self) -> dict[str, int]:
        """How large the model is, in the terms of its type, such as trees and nodes."""

    def searched(self, metric: str, matrix: "Matrix") -> float:
        """A metric of the model on rows that only a search can optimise (see `giornata.tasks.Task`), NaN if it is not
        defined. Raises FitError if the type does not have it."""
        raise FitError(f"models of this type have no {metric}")


@dataclass(frozen=True)
class FitRequest:
    """The input of a fit: checked rows of the task, all parameters with their defaults, the random seed, the number of
    threads, rows for early stopping and evaluation, and a callback; see `ModelType.fit`."""

    examples: "Dataset"
    task: str
    parameters: Mapping[str, Scalar]
    seed: int
    threads: int = 1
    validation: "Dataset | None" = None
    watch: Callback | None = None


class DistributedFit(NamedTuple):
    """How one model is fitted on all executors together: the function, `module:name`, which only jobs import, and the
    library that it uses, for messages."""

    function: str
    library: str


class ModelType(ABC):
    """A model type: the one place that knows its parameters and its library. Documents read its attributes without
    NumPy, which is loaded when a model is fitted or read. A new type is a class in a folder of its own here, and an
    entry in `giornata.models.MODEL_TYPES`.

    `name` is its name in documents, `tasks` are those that it can have, `parameters` all that it accepts;
    `default_space` is a search space that suits most data.
    """

    name: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]]
    parameters: ClassVar[ParameterTable]
    default_space: ClassVar[Mapping[str, Dimension]] = {}
    rounds_parameter: ClassVar[str] = ""
    """The parameter with the number of rounds of a fit; empty if a fit has no rounds."""
    learns_on_gpus: ClassVar[bool] = False
    """Whether documents may request GPUs for it."""
    distributed: ClassVar[DistributedFit | None] = None
    """How a model is fitted on all executors together; None if one process always does."""
    has_class: ClassVar[bool] = False
    """Whether its models are of a project's class, which documents name and which never runs in a server's own
    process."""

    @property
    @abstractmethod
    def fitted(self) -> type[FittedModel]:
        """The class of its models, which reads their files."""

    @abstractmethod
    def learn(self, request: FitRequest) -> FittedModel:
        """The fit itself, on checked input."""

    def of(self, code: CustomCode | None = None, bounds: Bounds | None = None) -> "ModelType":
        """The type as used by one document: with the model's class, and the limits of its predictions."""
        return self

    def check(self, parameters: Parameters, space: Mapping[str, Dimension]) -> None:
        """Raise ParameterError if the type has no such parameter, or does not accept its value."""
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
        """Fit a model to the rows; the same rows, parameters, seed and threads give the same model.

        `validation` rows are only used to stop early, if the parameters ask for it, and for the losses passed to
        `watch`, which types without rounds never call. Rows may be few, of one label, and have columns that are
        constant or empty. Raises FitError, ParameterError, and the errors of `watch`.
        """
        from giornata.models.label_checks import check_labels, check_task

        check_task(self, task)
        self.check(parameters, {})
        check_labels(examples, task)
        filled = self.parameters.filled(parameters)
        return self.learn(FitRequest(examples, task, filled, seed, threads, validation, watch))

    def bytes_of_row(self, features: int, categories: Mapping[int, int]) -> int:
        """Memory that a single process takes for each row during a fit; `categories` maps the features that are codes
        to the number of codes. By default, four bytes for each feature."""
        return 4 * features

    @property
    def code_version(self) -> str:
        """The hash of the project's code that fits; empty if there is none."""
        return ""

    def evaluate(self, actual: "Vector", predicted: "Vector") -> dict[str, float]:
        """Metrics of the type's own, in addition to those of the task. Raises EvaluationError if they cannot be
        computed on these rows."""
        return {}
