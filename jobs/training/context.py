"""What all stages of a training read: what was asked, what it is about, and where progress is told."""

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
    """A training under way. `spec` is the model's document with what the request asks over it, `earlier` the newest
    other version; `now` gives the moments that the record states, and nothing else depends on it."""

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
