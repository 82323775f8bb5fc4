"""Objectives of a search: the metrics of the task, and those that only a search can optimise."""

from giornata.dataset import Dataset
from giornata.models.base import FittedModel
from giornata.tasks import TASKS

__all__ = ["searched_metric", "usual_metric"]


def usual_metric(task: str) -> str:
    """The metric that a search optimises by default.

    The error of the task, except for clusters: more clusters always have smaller distances, so that every search by
    distance would end at the largest number.
    """
    return next(iter(TASKS[task].searched), TASKS[task].loss)


def searched_metric(metric: str, fitted: FittedModel, task: str, rows: Dataset) -> float:
    """A metric of a model on rows; NaN where it is not defined. Raises DataError."""
    if metric in TASKS[task].searched:
        return fitted.searched(metric, rows.matrix)
    return TASKS[task].measure(rows.target, fitted.predict(rows.matrix), rows.outputs)[metric]
