"""Boosted trees fitted by all executors together, by XGBoost's own estimator for Spark."""

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.dataset import Dataset
from giornata.models.base import FitError, Parameters
from giornata.models.xgboost.boosted_trees import BoostedTrees, options_of, shift_of
from jobs.runtime.spark_errors import SPARK_ERRORS, cause, is_shut_down
from jobs.training.dataset import LABEL, matrix_columns
from jobs.training.distributed.sharding import shares, workers_for

__all__ = ["fit"]

_WAITED = "/src/collective/"  # where XGBoost says of a worker that it waited for one that had ended


def fit(
    rows: DataFrame, sample: Dataset, task: str, parameters: Parameters, seed: int, workers: int
) -> BoostedTrees:
    """The trees differ from those of a single process: each worker sketches the rows that it has.

    Labels far from 0 are fitted as differences from the sample's median.
    """
    from xgboost.spark import SparkXGBRegressor

    options, rounds = options_of(sample, task, parameters, seed)
    options["random_state"] = options.pop("seed")
    columns = matrix_columns(sample.matrix.shape[1])
    workers = workers_for(sample, workers)
    # The regressor takes any objective; the classifier would take the classes from the rows it sees.
    estimator = SparkXGBRegressor(
        features_col=columns,
        label_col=LABEL,
        num_workers=workers,
        n_estimators=rounds,
        missing=np.nan,
        **options,
    )
    offset = shift_of(sample, task)
    if offset:
        rows = rows.withColumn(LABEL, F.col(LABEL) - offset)
    # With a partition for each worker XGBoost leaves the rows where they are.
    own = shares(rows, [*columns, LABEL], workers)
    try:
        booster = estimator.fit(own).get_booster()
    except SPARK_ERRORS as error:
        # Spark tells of the worker that failed first, which may be one that another has left alone.
        if is_shut_down(error) or _WAITED not in cause(error):
            raise
        raise FitError(
            f"XGBoost cannot fit on {workers} workers: one ended before the trees were grown; "
            "the log of its executor has its last output"
        ) from error
    # As in a model that was fitted to a matrix without names.
    booster.feature_names = None
    return BoostedTrees(booster, offset)
