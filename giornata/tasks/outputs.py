"""The numbers of an answer by task: what they are called, and which of them is the prediction."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from giornata.dataset import Predictions

__all__ = ["CLUSTERING", "FORECASTING", "outputs_of", "predictions"]

CLUSTERING = ("cluster", "distance")
FORECASTING = ("forecast", "low", "high")


def outputs_of(task: str, classes: Sequence[str] = (), quantiles: Sequence[float] = ()) -> tuple[str, ...]:
    """The names of the numbers of an answer to a task: none where an answer is one number.

    They are the `classes` of the task multiclass, and the `quantiles` of the task quantile as text, "0.1", which has
    all their digits.
    """
    named: Mapping[str, Sequence[str]] = {
        "multiclass": classes,
        "quantile": [repr(float(share)) for share in quantiles],
        "clustering": CLUSTERING,
        "forecasting": FORECASTING,
    }
    return tuple(named.get(task, ()))


def predictions(task: str, outputs: Sequence[str], answers: Predictions) -> NDArray:
    """What each answer predicts: a number, or the likeliest class as text, the first of equals.

    Of quantiles it is the one that is nearest to the median, the lower of two.
    """
    if task == "multiclass":
        return np.array(outputs, object)[np.argmax(answers, axis=1)]
    if task == "quantile":
        return answers[:, min(range(len(outputs)), key=lambda place: abs(float(outputs[place]) - 0.5))]
    return answers[:, 0] if outputs else answers
