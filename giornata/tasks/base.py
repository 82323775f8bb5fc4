"""What a task is: what its labels and answers are, and how answers are measured against labels."""

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
"""What a label is: a number, true or false (held as 1 and 0), or one of several classes (held as text in tables, as
the place of the class, 0, 1, …, in datasets)."""

LABEL_TYPES: dict[LabelKind | None, tuple[str, ...]] = {
    "number": ("float", "int"),
    "truth": ("bool",),
    "class": ("str", "int"),
    None: (),
}
"""The types that a table's column of such labels may have; a task without labels has none."""


class Task(ABC):
    """A task; what documents read of it needs no NumPy, which is loaded when answers are measured. A new one is a
    class in a module of its own here, and its place in `giornata.tasks.TASKS`.

    `metrics` are what answers are measured by, `loss` that of them which decides between a part and its parent (the
    mean over rows of `losses`, seen through `error_of`), `searched` metrics that a search alone can improve: they take
    more than the answers. `answer` and `baseline` say in words what an answer and what the baseline is;
    `baseline_parameters` are the parameters of models to compare with where no constant answer is the baseline.
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
    """Whether an answer has several numbers, which `outputs` names."""
    own_key: ClassVar[str] = ""
    """The key of a model's document that belongs to this task alone."""
    parts_search: ClassVar[bool] = False
    """Whether every part has a search of its own where the document does not say."""
    is_refitted: ClassVar[bool] = False
    """Whether a version is fitted once more, to the test period too, where the document does not say."""
    asked_ahead: ClassVar[timedelta] = timedelta(days=1)
    """How far ahead of now a request may ask where neither the document nor its table says."""
    shows_leaks: ClassVar[bool] = True
    """Whether a feature that tells the label by itself is a sign of a leak."""

    def outputs(self, classes: Sequence[str] = (), quantiles: Sequence[float] = ()) -> tuple[str, ...]:
        """The names of the numbers of an answer; none where an answer is one number."""
        return ()

    def predictions(
        self, outputs: Sequence[str], answers: "Predictions"
    ) -> "Predictions | NDArray[np.object_]":
        """What each answer predicts: a number, or a class as text."""
        return answers[:, 0] if outputs else answers

    @abstractmethod
    def measure(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> dict[str, float]:
        """The metrics of `answers`, whose columns are `outputs`, against the labels `actual`; NaN for those that are
        not defined. Raises DataError when there are not as many, or one is missing."""

    @abstractmethod
    def losses(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> "Floats":
        """The loss of every row. Raises DataError as `measure` does."""

    def error_of(self, mean_loss: float) -> float:
        """The value of the metric `loss` that a mean of losses stands for."""
        return mean_loss
