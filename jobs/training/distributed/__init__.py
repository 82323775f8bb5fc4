"""Fits one model to more rows than an executor should hold: all executors fit it together.

The result is the same kind of model as a single process fits, with the same files. A learner takes the rows as a frame
of `jobs.training.dataset.matrix_frame`, and a bounded sample of them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pkgutil import resolve_name

from pyspark.sql import DataFrame

from giornata.dataset import Dataset
from giornata.models import ModelType
from giornata.models.base import FitError, FittedModel, Parameters
from giornata.models.label_checks import check_labels
from jobs.runtime.spark_errors import SPARK_ERRORS, cause, is_shut_down

__all__ = ["Learner", "learner_of"]

_CLOCK = re.compile(r"^\[\d\d:\d\d:\d\d\] ")  # with which XGBoost begins what it says


@dataclass(frozen=True)
class Learner:
    """Fits models of one type on all executors, by a library.

    `learn` takes the rows, a sample of them, the task, parameters, seed, and the number of workers; `defaults` are
    those of missing parameters.
    """

    library: str
    learn: Callable[[DataFrame, Dataset, str, Parameters, int, int], FittedModel]
    defaults: Parameters = field(default_factory=dict)

    def fit(
        self,
        rows: DataFrame,
        sample: Dataset,
        task: str,
        parameters: Parameters,
        seed: int,
        workers: int,
    ) -> FittedModel:
        """The model that `learn` fits. Raises FitError, also for errors of Spark, except that Spark was stopped."""
        check_labels(sample, task)
        try:
            return self.learn(rows, sample, task, {**self.defaults, **parameters}, seed, workers)
        except SPARK_ERRORS as error:
            if is_shut_down(error):
                raise
            said = _CLOCK.sub("", cause(error))
            raise FitError(f"{self.library} cannot fit on {workers} workers: {said}") from error


def learner_of(type_: ModelType) -> Learner | None:
    """The learner that fits a model of the type on all executors; None if one process always does."""
    if type_.distributed is None:
        return None
    learn = resolve_name(type_.distributed.function)
    return Learner(type_.distributed.library, learn, type_.parameters.filled({}))
