"""The data of a training: the prepared rows as a matrix, the rows for the search, and warnings about them."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.evaluation.leakage import future_timestamps, leakage
from giornata.evaluation.precision import large_features, lost_values
from giornata.evaluation.scales import uneven_scales
from jobs.training.context import TrainingContext
from jobs.training.dataset import WINDOW, distinct_values
from jobs.training.preparation import Prepared
from jobs.training.trials import TrialData

__all__ = ["TrainingData", "warnings_about"]


@dataclass(frozen=True)
class TrainingData:
    """`matrix` holds the rows of the training and validation windows, `categories` which of its columns are codes and
    how many there are, `searched` the rows for the search."""

    prepared: Prepared
    matrix: DataFrame
    categories: Mapping[int, int]
    searched: TrialData
    warnings: list[str]

    @property
    def test(self) -> DataFrame:
        """The rows of the test period whose label was known in time."""
        return self.prepared.timely.where(F.col(WINDOW) == "test")

    def release(self) -> None:
        """Give the memory of the frames back to Spark."""
        self.matrix.unpersist()
        self.prepared.release()


def warnings_about(context: TrainingContext, prepared: Prepared, searched: TrialData) -> list[str]:
    """Warnings about rows and features that may make the model or its metrics misleading."""
    spec, features = context.spec, prepared.fitted.features
    train = prepared.timely.where(F.col(WINDOW) == "train")
    large = large_features(features.names, searched.train)
    return [
        *prepared.late,
        *future_timestamps(prepared.counts.ahead, spec, context.documents.tables[spec.data.table]),
        *leakage(features.names, searched.train, spec.task),
        *uneven_scales(features.names, searched.train, spec.task),
        *lost_values(distinct_values(train, features, prepared.columns, large)),
    ]
