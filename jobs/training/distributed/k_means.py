"""Clusters found by all executors together, by Spark ML's k-means."""

import math
from functools import partial

import numpy as np
from pyspark.ml.clustering import KMeans as Estimator
from pyspark.ml.clustering import KMeansModel
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame

from giornata.dataset import Dataset
from giornata.models.base import Parameters
from giornata.models.k_means.clusters import KMeans, clusters_of, columns_of, points_of
from jobs.training.distributed.vectors import FEATURES, vectors

__all__ = ["fit"]


def fit(
    rows: DataFrame, sample: Dataset, task: str, parameters: Parameters, seed: int, workers: int
) -> KMeans:
    """The best centres of several starts; missing values are at the sample's mean."""
    columns = columns_of(sample)
    if not columns:
        return clusters_of(sample, columns, np.zeros((1, 0)), [rows.count()])
    points = vectors(rows, sample.matrix.shape[1], partial(points_of, columns=columns), workers).persist()
    clusters = int(parameters["clusters"])
    estimator = Estimator(
        featuresCol=FEATURES,
        k=clusters,
        maxIter=int(parameters["max_iterations"]),
        tol=_farthest(points, float(parameters["tolerance"]), clusters),
    )
    try:
        starts = (estimator.setSeed(seed + start).fit(points) for start in range(int(parameters["starts"])))
        best = min(starts, key=_cost)
        return clusters_of(sample, columns, best.clusterCenters(), best.summary.clusterSizes)
    finally:
        points.unpersist()


def _cost(model: KMeansModel) -> float:
    return float(model.summary.trainingCost)


def _farthest(points: DataFrame, tolerance: float, clusters: int) -> float:
    """The tolerance in Spark's terms: how far each centre may move in the last step.

    scikit-learn's tolerance limits the sum of the squares of these distances, as a share of the columns' mean variance.
    """
    row = points.select(Summarizer.variance(points[FEATURES]).alias("variance")).first()
    assert row, "an aggregate of all rows is one row"
    return math.sqrt(tolerance * float(row["variance"].toArray().mean()) / clusters)
