"""Reports the progress of a Spark job while it runs."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from pyspark.accumulators import Accumulator
from pyspark.sql import SparkSession

__all__ = ["counting"]

LOOK_SECONDS = 5.0


@contextmanager
def counting(spark: SparkSession, tell: Callable[[int], None]) -> Iterator["Accumulator[int]"]:
    """A counter that tasks add to and that is reported by another thread when it has grown; it grows as tasks end.

    A task that is run again counts again. Errors of `tell` are raised at the end of the block.
    """
    count = spark.sparkContext.accumulator(0)
    over = threading.Event()

    def watch() -> None:
        told = 0
        while not over.wait(LOOK_SECONDS):
            if count.value > told:
                told = count.value
                tell(told)

    with ThreadPoolExecutor(1, thread_name_prefix="counting") as pool:
        watching = pool.submit(watch)
        try:
            yield count
        finally:
            over.set()
    watching.result()
