"""The task binary: a prediction is the probability of true."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from giornata.errors import DataError
from giornata.tasks.base import Task

if TYPE_CHECKING:
    from giornata.tasks.measures import Floats


class Binary(Task):
    """A yes-or-no question."""

    name = "binary"
    label = "truth"
    metrics = ("auc", "log_loss", "accuracy")
    loss = "log_loss"
    answer = "the probability of true"
    baseline = "the training share of true for every row"

    def measure(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> dict[str, float]:
        """auc is the probability that a true row ranks above a false one, ties counting half (Mann-Whitney); log_loss =
        -mean(a log p + (1 - a) log(1 - p)), p kept off 0 and 1 by the precision of a double; accuracy is the share of
        rows with (p > 0.5) = a.

        Not defined: all of them without rows, auc with one class. Also raises DataError for labels other than 0 and 1.
        """
        from giornata.tasks import measures

        actual, answers = measures.checked(actual, answers)
        if not ((actual == 0) | (actual == 1)).all():
            raise DataError("the labels of a binary model must be 0 or 1 (false or true); others were found")
        if not len(actual):
            return dict.fromkeys(self.metrics, math.nan)
        return {
            "auc": measures.auc(actual, answers),
            "log_loss": measures.mean(measures.log_losses(actual, answers)),
            "accuracy": measures.share((answers > 0.5) == (actual == 1)),
        }

    def losses(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> "Floats":
        """Log losses."""
        from giornata.tasks import measures

        return measures.log_losses(*measures.checked(actual, answers))
