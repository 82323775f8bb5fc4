"""Fits one model to more rows than an executor should hold: all executors learn it together.

What comes out is the same kind of model as a single process learns, with the same files. A learner takes the rows as a
frame of `jobs.training_data.matrix_frame`, and a bounded sample of them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame

from giornata.models import ModelType
from giornata.models.base import Examples, FitError, Fitted, Parameters
from giornata.models.boosted_trees import BoostedTreesType
from giornata.models.deep_net import DeepNetType
from giornata.models.k_means import KMeansType
from giornata.models.linear import LinearType
from giornata.models.logistic import LogisticType
from giornata.models.tasks import check_labels
from jobs.distributed import boosted_trees, clusters, deep_net, linear
from jobs.faults import SPARK_ERRORS, cause, is_shut_down

__all__ = ["LEARNERS", "Learner", "learner_of"]

_CLOCK = re.compile(r"^\[\d\d:\d\d:\d\d\] ")  # with which XGBoost begins what it says


@dataclass(frozen=True)
class Learner:
    """Learns models of one type on all executors, by a library.

    `learn` takes the rows, a sample of them, the task, parameters, seed, and how many workers learn.
    """

    library: str
    learn: Callable[[DataFrame, Examples, str, Parameters, int, int], Fitted]

    def fit(
        self,
        rows: DataFrame,
        sample: Examples,
        task: str,
        parameters: Parameters,
        seed: int,
        workers: int,
    ) -> Fitted:
        """What `learn` gives. Raises FitError, also of what fails in Spark; that Spark was stopped is no fault of the
        fit."""
        check_labels(sample, task)
        try:
            return self.learn(rows, sample, task, parameters, seed, workers)
        except SPARK_ERRORS as error:
            if is_shut_down(error):
                raise
            said = _CLOCK.sub("", cause(error))
            raise FitError(f"{self.library} cannot fit on {workers} workers: {said}") from error


LEARNERS: Mapping[type, Learner] = {
    BoostedTreesType: Learner("XGBoost", boosted_trees.fit),
    LinearType: Learner("Spark ML", linear.fit_linear),
    LogisticType: Learner("Spark ML", linear.fit_logistic),
    KMeansType: Learner("Spark ML", clusters.fit),
    DeepNetType: Learner("PyTorch", deep_net.fit),
}


def learner_of(type_: ModelType) -> Learner | None:
    """What learns a model of the type on all executors, None where one process does whatever the rows are."""
    return LEARNERS.get(type(type_))
