"""Divides rows among workers, in an order that does not depend on Spark."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.dataset import Dataset
from jobs.training.dataset import ORDER

__all__ = ["shares", "workers_for"]

_LEAST_ROWS = 100  # of a worker: with fewer it is not worth its start, and by chance may have none
_SHARE = "_share"


def workers_for(sample: Dataset, workers: int) -> int:
    """How many of the workers get enough rows; the sample is all rows, or very many of them."""
    return max(1, min(workers, len(sample.target) // _LEAST_ROWS))


def shares(rows: DataFrame, columns: Sequence[str], workers: int) -> DataFrame:
    """These columns of the rows, a partition for each worker: the same rows in the same order, however Spark moved
    them."""
    share = F.pmod(F.xxhash64(ORDER), F.lit(workers)).cast("int").alias(_SHARE)
    return (
        rows.select(*columns, ORDER, share)
        .repartitionById(workers, _SHARE)
        .sortWithinPartitions(ORDER)
        .select(*columns)
    )
