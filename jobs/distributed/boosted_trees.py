"""Boosted trees that all executors grow together, by XGBoost's own estimator for Spark."""

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.models.base import Examples, Parameters
from giornata.models.boosted_trees import BoostedTrees, options_of, shift_of
from jobs.training_data import LABEL, matrix_columns

__all__ = ["fit"]


def fit(
    rows: DataFrame, sample: Examples, task: str, parameters: Parameters, seed: int, workers: int
) -> BoostedTrees:
    """The trees are other ones than a single process grows: each worker sketches the rows that it has.

    Labels far from 0 are learned less the median of the sample.
    """
    from xgboost.spark import SparkXGBRegressor

    options, rounds = options_of(sample, task, parameters, seed)
    options["random_state"] = options.pop("seed")
    # The regressor takes any objective; the classifier would take the classes from the rows it sees.
    estimator = SparkXGBRegressor(
        features_col=matrix_columns(sample.matrix.shape[1]),
        label_col=LABEL,
        num_workers=workers,
        n_estimators=rounds,
        missing=np.nan,
        **options,
    )
    offset = shift_of(sample, task)
    if offset:
        rows = rows.withColumn(LABEL, F.col(LABEL) - offset)
    booster = estimator.fit(rows).get_booster()
    # As in a model that was fitted to a matrix without names.
    booster.feature_names = None
    return BoostedTrees(booster, offset)
