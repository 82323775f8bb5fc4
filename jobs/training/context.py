"""The context that all stages of a training share: the request, the model, and the progress report."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import SparkSession

from giornata.documents import ProjectDocuments
from giornata.documents.model import ModelSpec
from giornata.models import ModelType
from jobs.training.earlier_version import EarlierVersion
from jobs.training.mlflow_tracking import Tracking
from jobs.training.request import TrainingRequest
from jobs.training.run_status import Progress

__all__ = ["TrainingContext"]


@dataclass(frozen=True)
class TrainingContext:
    """A running training. `spec` is the model's document with the overrides of the request, `earlier` the newest other
    version; `now` gives the moments in the record, and nothing else depends on it."""

    spark: SparkSession
    documents: ProjectDocuments
    request: TrainingRequest
    spec: ModelSpec
    type: ModelType
    earlier: EarlierVersion | None
    tracking: Tracking
    progress: Progress
    started: datetime
    now: Callable[[], datetime]
