"""The task quantile: a prediction is a value for each of the requested quantiles."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from giornata.tasks.base import Task

if TYPE_CHECKING:
    from giornata.dataset import Predictions
    from giornata.tasks.measures import Floats


class Quantile(Task):
    """Quantiles of the label."""

    name = "quantile"
    label = "number"
    metrics = ("pinball", "mae", "coverage")
    loss = "pinball"
    answer = "the quantile nearest to 0.5"
    baseline = "the quantiles of the training labels for every row"
    has_outputs = True
    own_key = "quantiles"

    def outputs(self, classes: Sequence[str] = (), quantiles: Sequence[float] = ()) -> tuple[str, ...]:
        """The quantiles as text, "0.1", with all their digits."""
        return tuple(repr(float(share)) for share in quantiles)

    def predictions(self, outputs: Sequence[str], answers: "Predictions") -> "Predictions":
        """The value of the quantile nearest to 0.5, the lower of two."""
        return answers[:, min(range(len(outputs)), key=lambda place: abs(float(outputs[place]) - 0.5))]

    def measure(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> dict[str, float]:
        """pinball = mean over rows and quantiles q of max(q · (a - p), (q - 1) · (a - p)) (Koenker and Bassett 1978);
        mae is that of the quantile nearest to 0.5; coverage the share of rows from the first to the last value, both
        included.

        Without rows, none is defined.
        """
        from giornata.tasks import measures

        actual, answers = measures.checked_rows(actual, answers)
        if not len(actual):
            return dict.fromkeys(self.metrics, math.nan)
        middle = self.predictions(outputs, answers)
        return {
            "pinball": measures.mean(self.losses(actual, answers, outputs)),
            "mae": measures.mean(abs(measures.differences(middle, actual))),
            "coverage": measures.coverage(actual, answers[:, 0], answers[:, -1]),
        }

    def losses(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> "Floats":
        """Pinball losses, the mean over the quantiles."""
        from giornata.tasks import measures

        actual, answers = measures.checked_rows(actual, answers)
        return measures.pinball_losses(actual, answers, [float(share) for share in outputs])
