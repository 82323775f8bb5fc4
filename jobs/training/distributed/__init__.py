"""Fits one model to more rows than an executor should hold: all executors learn it together.

What comes out is the same kind of model as a single process learns, with the same files. A learner takes the rows as a
frame of `jobs.training.dataset.matrix_frame`, and a bounded sample of them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame

from giornata.dataset import Dataset
from giornata.models import ModelType
from giornata.models.base import FitError, FittedModel, Parameters
from giornata.models.deep_net.model_type import DeepNetType
from giornata.models.k_means import KMeansType
from giornata.models.label_checks import check_labels
from giornata.models.linear.logistic import LogisticType
from giornata.models.linear.regression import LinearType
from giornata.models.trees.xgboost import BoostedTreesType
from jobs.runtime.spark_errors import SPARK_ERRORS, cause, is_shut_down
from jobs.training.distributed import boosted_trees, deep_net, k_means, linear

__all__ = ["LEARNERS", "Learner", "bytes_of_row", "learner_of"]

_CLOCK = re.compile(r"^\[\d\d:\d\d:\d\d\] ")  # with which XGBoost begins what it says


def _as_matrix(features: int, categories: Mapping[int, int]) -> int:
    """Bytes of a row that is learned from as it is: four for each feature."""
    return 4 * features


def _as_design(features: int, categories: Mapping[int, int]) -> int:
    """Bytes of a row that is learned from by a column of eight bytes for each amount and each code."""
    return 8 * (features - len(categories) + sum(categories.values()))


@dataclass(frozen=True)
class Learner:
    """Learns models of one type on all executors, by a library.

    `learn` takes the rows, a sample of them, the task, parameters, seed, and how many workers learn. `row` says how
    many bytes a row takes in a single process that learns from it: of so many features, some of which are codes.
    """

    library: str
    learn: Callable[[DataFrame, Dataset, str, Parameters, int, int], FittedModel]
    row: Callable[[int, Mapping[int, int]], int] = _as_matrix

    def fit(
        self,
        rows: DataFrame,
        sample: Dataset,
        task: str,
        parameters: Parameters,
        seed: int,
        workers: int,
    ) -> FittedModel:
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
    LinearType: Learner("Spark ML", linear.fit_linear, _as_design),
    LogisticType: Learner("Spark ML", linear.fit_logistic, _as_design),
    KMeansType: Learner("Spark ML", k_means.fit, _as_design),
    DeepNetType: Learner("PyTorch", deep_net.fit),
}


def learner_of(type_: ModelType) -> Learner | None:
    """What learns a model of the type on all executors, None where one process does whatever the rows are."""
    return LEARNERS.get(type(type_))


def bytes_of_row(type_: ModelType, features: int, categories: Mapping[int, int]) -> int:
    """How much memory a single process takes for each row that it fits a model of the type to.

    `categories` maps the features that are codes to how many codes there are.
    """
    learner = learner_of(type_)
    return (learner.row if learner else _as_matrix)(features, categories)
