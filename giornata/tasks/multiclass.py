"""The task multiclass: a prediction is a probability for each class."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from giornata.tasks.base import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from giornata.dataset import Predictions
    from giornata.tasks.measures import Floats


class Multiclass(Task):
    """One of several classes."""

    name = "multiclass"
    label = "class"
    metrics = ("log_loss", "accuracy", "macro_f1")
    loss = "log_loss"
    answer = "the likeliest class"
    baseline = "the training shares of the classes for every row"
    has_outputs = True

    def outputs(self, classes: Sequence[str] = (), quantiles: Sequence[float] = ()) -> tuple[str, ...]:
        """The classes."""
        return tuple(classes)

    def predictions(self, outputs: Sequence[str], answers: "Predictions") -> "NDArray[np.object_]":
        """The likeliest class as text, the first of equals."""
        import numpy as np

        likeliest: NDArray[np.object_] = np.array(outputs, object)[np.argmax(answers, axis=1)]
        return likeliest

    def measure(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> dict[str, float]:
        """log_loss = -mean(log p of the actual class), p kept off 0 by the precision of a double; accuracy is the share
        of rows whose likeliest class is the actual one; macro_f1 the mean, over the classes that are actual or
        predicted somewhere, of 2 · both / (actual + predicted).

        `actual` holds the positions of the classes; a position outside of them is a class that the model does not know,
        whose probability is 0. Without rows, none is defined.
        """
        from giornata.tasks import measures

        actual, answers = measures.checked_rows(actual, answers)
        if not len(actual):
            return dict.fromkeys(self.metrics, math.nan)
        likeliest = answers.argmax(axis=1)
        return {
            "log_loss": measures.mean(measures.class_log_losses(actual, answers)),
            "accuracy": measures.share(likeliest == actual),
            "macro_f1": measures.macro_f1(actual, likeliest),
        }

    def losses(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> "Floats":
        """Log losses."""
        from giornata.tasks import measures

        return measures.class_log_losses(*measures.checked_rows(actual, answers))
