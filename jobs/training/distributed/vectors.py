"""Rows as Spark ML takes them: a vector of numbers each, made on the executors."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame

from giornata.dataset import Matrix
from jobs.training.dataset import LABEL, matrix_columns
from jobs.training.distributed.sharding import shares

__all__ = ["FEATURES", "vectors"]

FEATURES = "features"


def vectors(
    rows: DataFrame, features: int, made: Callable[[Matrix], NDArray[np.float64]], workers: int
) -> DataFrame:
    """LABEL and FEATURES, the vector that `made` makes of each row of a matrix of so many features, in the workers'
    shares."""
    names = matrix_columns(features)

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in names]
            numbers = made(np.column_stack(columns).astype(np.float32))
            offsets = np.arange(len(numbers) + 1, dtype=np.int32) * numbers.shape[1]
            lists = pa.ListArray.from_arrays(offsets, np.ascontiguousarray(numbers).reshape(-1))
            yield pa.RecordBatch.from_arrays([batch.column(LABEL), lists], [LABEL, FEATURES])

    own = shares(rows, [*names, LABEL], workers)
    listed = own.mapInArrow(make, f"{LABEL} double, {FEATURES} array<double>")
    return listed.withColumn(FEATURES, array_to_vector(listed[FEATURES]))
