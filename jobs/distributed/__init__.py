"""Fits one model to more rows than an executor should hold: all executors learn it together.

What comes out is the same kind of model as a single process learns, with the same files. A learner takes the rows as a
frame of `jobs.training_data.matrix_frame`, and a bounded sample of them.
"""

from collections.abc import Callable, Mapping

from pyspark.sql import DataFrame

from giornata.models import ModelType
from giornata.models.base import Examples, Fitted, Parameters
from giornata.models.boosted_trees import BoostedTreesType
from giornata.models.deep_net import DeepNetType
from giornata.models.k_means import KMeansType
from giornata.models.linear import LinearType
from giornata.models.logistic import LogisticType
from jobs.distributed import boosted_trees, clusters, deep_net, linear

__all__ = ["LEARNERS", "Learner", "learner_of"]

Learner = Callable[[DataFrame, Examples, str, Parameters, int, int], Fitted]
"""Rows, a sample of them, the task, parameters, seed, and how many workers learn. Raises FitError."""

LEARNERS: Mapping[type, Learner] = {
    BoostedTreesType: boosted_trees.fit,
    LinearType: linear.fit_linear,
    LogisticType: linear.fit_logistic,
    KMeansType: clusters.fit,
    DeepNetType: deep_net.fit,
}


def learner_of(type_: ModelType) -> Learner | None:
    """What learns a model of the type on all executors, None where one process does whatever the rows are."""
    return LEARNERS.get(type(type_))
