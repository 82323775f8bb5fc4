"""What the trials of a search are judged by: the metrics of their answers, and those that a search alone has."""

from giornata.dataset import Dataset
from giornata.models.base import FittedModel
from giornata.tasks import TASKS

__all__ = ["searched_metric", "usual_metric"]


def usual_metric(task: str) -> str:
    """What a search improves that no document states.

    The error of the task, except for clusters: the more there are, the less is their distance, so that every search by
    it would end at the most.
    """
    return next(iter(TASKS[task].searched), TASKS[task].loss)


def searched_metric(metric: str, fitted: FittedModel, task: str, rows: Dataset) -> float:
    """A metric of a model on rows; NaN where it is not defined. Raises DataError."""
    if metric in TASKS[task].searched:
        return fitted.searched(metric, rows.matrix)
    return TASKS[task].measure(rows.target, fitted.predict(rows.matrix), rows.outputs)[metric]
