"""Clusters that all executors find together, by Spark ML's k-means."""

from functools import partial

from pyspark.ml.clustering import KMeans as Estimator
from pyspark.sql import DataFrame

from giornata.models.base import Examples, FitError, Parameters
from giornata.models.k_means import KMeans, clusters_of, columns_of, points_of
from jobs.distributed.vectors import FEATURES, vectors

__all__ = ["fit"]


def fit(
    rows: DataFrame, sample: Examples, task: str, parameters: Parameters, seed: int, workers: int
) -> KMeans:
    """The centres are found in all rows from one start; what is missing is at the sample's mean. Raises FitError."""
    columns = columns_of(sample)
    if not columns:
        raise FitError("no feature has two values: there is nothing to learn from")
    points = vectors(rows, sample.matrix.shape[1], partial(points_of, columns=columns))
    fitted = Estimator(
        featuresCol=FEATURES,
        k=int(parameters.get("clusters", 8)),
        maxIter=int(parameters.get("max_iterations", 300)),
        tol=float(parameters.get("tolerance", 1e-4)),
        seed=seed,
    ).fit(points)
    return clusters_of(sample, columns, fitted.clusterCenters(), fitted.summary.clusterSizes)
