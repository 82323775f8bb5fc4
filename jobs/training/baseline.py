"""The baseline of a model: a constant prediction, or models with the baseline parameters of the task."""

import dataclasses

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.bundle import Bundle, write_bundle
from giornata.documents.model import ModelSpec
from giornata.tasks import TASKS
from jobs.training.dataset import LABEL
from jobs.training.fitting import plain_parts
from jobs.training.part_fitting import FitConfig

__all__ = ["baseline"]


def baseline(matrix: DataFrame, spec: ModelSpec, config: FitConfig, bundle: Bundle) -> list[float] | bytes:
    """The baseline of a bundle: the mean, the share of true or of each class, or the quantiles of the training labels;
    or a bundle with parts fitted with the baseline parameters of the task."""
    if TASKS[spec.task].baseline_parameters:
        return write_bundle(
            dataclasses.replace(bundle, parts=plain_parts(matrix, spec, config, bundle.parts))
        )
    if spec.shares:
        (row,) = matrix.agg(F.percentile(LABEL, F.array(*map(F.lit, spec.shares))).alias("values")).collect()
        return list(row["values"])
    if TASKS[spec.task].label == "class":
        places = [F.avg((F.col(LABEL) == place).cast("double")) for place in range(len(config.outputs))]
        (row,) = matrix.agg(*places).collect()
        return list(row)
    (row,) = matrix.agg(F.avg(LABEL).alias("mean")).collect()
    return [float(row["mean"])]
