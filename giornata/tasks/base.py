"""The base class of tasks: the labels and predictions of a task, and how predictions are measured against labels."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from giornata.dataset import Predictions
    from giornata.tasks.measures import Floats

__all__ = ["LABEL_TYPES", "LabelKind", "Task"]

LabelKind = Literal["number", "truth", "class"]
"""Kind of label: a number, a bool (held as 1 and 0), or one of several classes (held as text in tables, as the position
of the class, 0, 1, …, in datasets)."""

LABEL_TYPES: dict[LabelKind | None, tuple[str, ...]] = {
    "number": ("float", "int"),
    "truth": ("bool",),
    "class": ("str", "int"),
    None: (),
}
"""The types that a label column may have, by kind of label; a task without labels has none."""


class Task(ABC):
    """A task. Documents read its attributes without NumPy, which is loaded when predictions are measured. A new task is
    a class in a module of its own here, and an entry in `giornata.tasks.TASKS`.

    `metrics` are the metrics of its predictions, `loss` the one that decides between a part and its parent (the mean
    over rows of `losses`, converted by `error_of`), `searched` metrics that only a search can optimise: they need more
    than the predictions. `answer` and `baseline` describe a prediction and the baseline in words; `baseline_parameters`
    are the parameters of the baseline model if the baseline is not a constant.
    """

    name: ClassVar[str]
    label: ClassVar[LabelKind | None]
    metrics: ClassVar[tuple[str, ...]]
    loss: ClassVar[str]
    answer: ClassVar[str]
    baseline: ClassVar[str]
    searched: ClassVar[tuple[str, ...]] = ()
    baseline_parameters: ClassVar[Mapping[str, bool | int | float | str]] = {}
    has_outputs: ClassVar[bool] = False
    """Whether a prediction has several numbers, which `outputs` names."""
    own_key: ClassVar[str] = ""
    """The key of a model's document that belongs to this task alone."""
    parts_search: ClassVar[bool] = False
    """Whether every part has a search of its own by default."""
    is_refitted: ClassVar[bool] = False
    """Whether a version is fitted again by default, on the test period too."""
    asked_ahead: ClassVar[timedelta] = timedelta(days=1)
    """How far ahead of now a request may ask if neither the document nor its table says."""
    shows_leaks: ClassVar[bool] = True
    """Whether a feature that determines the label by itself is a sign of a leak."""

    def outputs(self, classes: Sequence[str] = (), quantiles: Sequence[float] = ()) -> tuple[str, ...]:
        """The names of the numbers of a prediction; empty if a prediction is one number."""
        return ()

    def predictions(
        self, outputs: Sequence[str], answers: "Predictions"
    ) -> "Predictions | NDArray[np.object_]":
        """The predicted value of each row: a number, or a class as text."""
        return answers[:, 0] if outputs else answers

    @abstractmethod
    def measure(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> dict[str, float]:
        """The metrics of `answers`, whose columns are `outputs`, against the labels `actual`; NaN for those that are
        not defined.

        Raises DataError if their numbers of rows differ, or a value is missing.
        """

    @abstractmethod
    def losses(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> "Floats":
        """The loss of every row. Raises DataError as `measure` does."""

    def error_of(self, mean_loss: float) -> float:
        """The value of the metric `loss` for a mean of losses."""
        return mean_loss
