"""What the trials of a search are judged by: the metrics of their answers, and those that a search alone has."""

from giornata.dataset import Dataset
from giornata.documents.model import SEARCHED
from giornata.evaluation.metrics import LOSS, metrics
from giornata.models.base import FittedModel
from giornata.models.k_means import KMeans

__all__ = ["searched_metric", "usual_metric"]


def usual_metric(task: str) -> str:
    """What a search improves that no document states.

    The error of the task, except for clusters: the more there are, the less is their distance, so that every search by
    it would end at the most.
    """
    return next(iter(SEARCHED.get(task, ())), LOSS[task])


def searched_metric(metric: str, fitted: FittedModel, task: str, rows: Dataset) -> float:
    """A metric of a model on rows; NaN where it is not defined. Raises DataError."""
    if metric == "silhouette" and isinstance(fitted, KMeans):
        return fitted.silhouette(rows.matrix)
    return metrics(task, rows.target, fitted.predict(rows.matrix), rows.outputs)[metric]
