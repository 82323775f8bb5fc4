"""The task regression: a prediction is a number."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from giornata.tasks.base import Task

if TYPE_CHECKING:
    from giornata.tasks.measures import Floats


class Regression(Task):
    """A number from features."""

    name = "regression"
    label = "number"
    metrics = ("rmse", "mae", "r2", "rmsle")
    loss = "rmse"
    answer = "a number"
    baseline = "the mean of the training labels for every row"

    def measure(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> dict[str, float]:
        """rmse = sqrt(mean (p - a)²), mae = mean |p - a|, r2 = 1 - sum (p - a)² / sum (a - mean a)², rmsle = sqrt(mean
        (log(1 + p) - log(1 + a))²).

        Not defined: all of them without rows, r2 if the actual values are all the same, rmsle if a value is -1 or less,
        and any that a double cannot hold.
        """
        from giornata.tasks import measures

        actual, answers = measures.checked(actual, answers)
        if not len(actual):
            return dict.fromkeys(self.metrics, math.nan)
        error = measures.differences(answers, actual)
        return {
            "rmse": measures.root_mean_square(error),
            "mae": measures.mean(abs(error)),
            "r2": measures.r2(actual, error),
            "rmsle": measures.rmsle(actual, answers),
        }

    def losses(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> "Floats":
        """Squared errors."""
        from giornata.tasks import measures

        actual, answers = measures.checked(actual, answers)
        return measures.squares(measures.differences(answers, actual))

    def error_of(self, mean_loss: float) -> float:
        """The root of a mean squared error."""
        return math.sqrt(mean_loss)
