"""Runs the trials of a search on executors, several at a time, each as a Spark job of one task."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession

from giornata.dataset import Dataset
from giornata.errors import GiornataError
from giornata.models import ModelType
from giornata.models.base import FitError, PrunedError
from giornata.schema import Scalar
from giornata.search.objective import searched_metric
from giornata.search.optuna_search import TrialResult
from giornata.search.pruning import CurveWatch, PruningBounds
from jobs.runtime.reused_worker import keep_libraries
from jobs.runtime.spark_errors import SPARK_ERRORS, cause, is_shut_down

__all__ = ["TrialData", "TrialRunner", "in_flight", "trial_runner"]


def in_flight(slots: int) -> int:
    """How many trials are submitted before the oldest is reported, on so many slots.

    Trials are reported in order, which makes a search the same whichever is faster. With half as many again waiting, a
    slot is not idle while an older trial runs on another.
    """
    return slots + (slots + 1) // 2


@dataclass(frozen=True)
class TrialData:
    """The data of all trials: the rows to fit to, and those to evaluate on."""

    train: Dataset
    validation: Dataset


class TrialRunner:
    """Starts trials on the executors; the data is sent to them once."""

    def __init__(
        self,
        spark: SparkSession,
        pool: ThreadPoolExecutor,
        data: TrialData,
        type_: ModelType,
        task: str,
        metric: str,
        seed: int,
    ):
        self._spark = spark
        self._context = spark.sparkContext
        self._pool = pool
        self._data = self._context.broadcast(data)
        self._type, self._task, self._metric, self._seed = type_, task, metric, seed

    def submit(self, parameters: dict[str, Scalar], limits: PruningBounds) -> "Future[TrialResult]":
        """Start a trial, pruned by `limits`. Its future raises FitError if the trial fails, wherever."""
        return self._pool.submit(inheritable_thread_target(self._spark)(self._run), parameters, limits)

    def close(self) -> None:
        """Remove the data from the executors."""
        self._data.destroy()

    def _run(self, parameters: dict[str, Scalar], limits: PruningBounds) -> TrialResult:
        data, type_, task, metric, seed = self._data, self._type, self._task, self._metric, self._seed

        def trial(parameters: dict[str, Scalar]) -> TrialResult | str:
            try:
                return run_trial(data.value, type_, task, metric, seed, parameters, limits)
            finally:
                keep_libraries()

        try:
            (result,) = self._context.parallelize([parameters], 1).map(trial).collect()
        except SPARK_ERRORS as error:
            if is_shut_down(error):
                # Spark ended, not the trial: a run that goes on later is to make it again.
                raise
            raise FitError(f"its Spark task failed: {cause(error)}") from error
        if isinstance(result, str):
            raise FitError(result)
        return result


@contextmanager
def trial_runner(
    spark: SparkSession, slots: int, data: TrialData, type_: ModelType, task: str, metric: str, seed: int
) -> Iterator[TrialRunner]:
    """A runner of up to `slots` trials at a time, whose data and threads are freed at the end of the block."""
    with ThreadPoolExecutor(slots, thread_name_prefix="trial") as pool:
        runner = TrialRunner(spark, pool, data, type_, task, metric, seed)
        try:
            yield runner
        finally:
            pool.shutdown(cancel_futures=True)
            runner.close()


def run_trial(
    data: TrialData,
    type_: ModelType,
    task: str,
    metric: str,
    seed: int,
    parameters: dict[str, Scalar],
    limits: PruningBounds,
) -> TrialResult | str:
    """Fit and evaluate one parameter set: the result, or the reason of its failure. A loss above `limits` stops the
    fit."""
    began = time.monotonic()
    watch = CurveWatch(limits)
    try:
        fitted = type_.fit(data.train, task, parameters, seed, validation=data.validation, watch=watch)
        value = searched_metric(metric, fitted, task, data.validation)
    except PrunedError:
        return TrialResult(None, watch.curve[-1][0], time.monotonic() - began, watch.curve)
    except GiornataError as error:
        return str(error)
    return TrialResult(value, fitted.rounds, time.monotonic() - began, watch.curve)
