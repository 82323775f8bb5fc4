"""Deep nets trained by all executors together, by Spark's TorchDistributor and PyTorch's DistributedDataParallel.

Each worker has a share of the rows, which Spark writes to a file on the worker's own machine.
"""

import time
from collections.abc import Sequence
from typing import Any

from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import DataFrame, SparkSession

from giornata.dataset import Dataset
from giornata.models.base import DEVICE, FitError, Parameters
from giornata.models.deep_net.initialization import NetParameters, finished, first_net
from giornata.models.deep_net.network import DeepNet
from jobs.runtime.code_archive import ARCHIVE
from jobs.runtime.spark_errors import SPARK_ERRORS, is_shut_down
from jobs.training.dataset import LABEL, matrix_columns
from jobs.training.distributed.sharding import shares, workers_for

__all__ = ["fit"]

SLOT_SECONDS = 60.0
"""Seconds within which a cluster must have a slot for each worker."""

_ENDED = "TorchDistributor failed during training"  # all that it says of a process that ends by an error


def fit(
    rows: DataFrame, sample: Dataset, task: str, parameters: Parameters, seed: int, workers: int
) -> DeepNet:
    """The net begins with what a single process draws, scaled by the sample, and takes as many steps of as many rows.

    With early_stopping_rounds every tenth row is held out to stop by.
    """
    plan = NetParameters.of(parameters)
    first = first_net(sample, task, plan, seed)
    if not first.layers:
        return first
    workers = workers_for(sample, workers)
    columns = matrix_columns(sample.matrix.shape[1])
    own = shares(rows, [*columns, LABEL], workers)
    files, problem = _run(own, workers, columns, first, parameters, seed)
    if problem:
        raise FitError(problem)
    return finished(DeepNet.from_files(files), plan, sample.matrix, seed)


def _run(
    own: DataFrame, workers: int, columns: Sequence[str], first: DeepNet, parameters: Parameters, seed: int
) -> tuple[dict[str, bytes], str]:
    """The result of the workers on their own rows: see `jobs.training.distributed.deep_net_worker.learn`."""
    archive = ARCHIVE

    # Defined here, and given nothing of ours, it is read by a process that does not find our code before it looks.
    def train(*arguments: Any) -> tuple[dict[str, bytes], str]:
        import os
        import sys
        from pathlib import Path

        rows = Path(os.environ["SPARK_PARTITION_ARROW_DATA_FILE"])
        # Beside it Spark keeps the files that it sent: our code, where executors do not see this machine's.
        sys.path.insert(1, str(rows.parent.parent / archive))
        from jobs.training.distributed.deep_net_worker import learn

        return learn(rows, *arguments)

    spark = own.sparkSession
    gpus = _on_gpus(spark)
    _wait_for_slots(spark, workers)
    try:
        distributor = TorchDistributor(num_processes=workers, local_mode=False, use_gpu=gpus)
        learned: tuple[dict[str, bytes], str] = distributor._train_on_dataframe(
            train, own, list(columns), LABEL, first.to_files(), dict(parameters), seed
        )
        return learned
    except SPARK_ERRORS as error:
        if is_shut_down(error) or _ENDED not in str(error):
            raise
        raise FitError(
            f"PyTorch cannot fit on {workers} workers: a worker ended before the net was trained; "
            "the run's log has its last output"
        ) from error
    except RuntimeError as error:
        # What it finds wrong with Spark's settings, such as encryption that it does not have.
        raise FitError(f"PyTorch cannot fit on {workers} workers: {' '.join(str(error).split())}") from error


def _on_gpus(spark: SparkSession) -> bool:
    """Whether executors train on GPUs. Raises FitError unless each worker has one of its own."""
    if spark.conf.get(f"spark.executorEnv.{DEVICE}", "") != "cuda":
        return False
    each = spark.conf.get("spark.task.resource.gpu.amount", "0")
    if each != "1":
        raise FitError(
            f"a worker of a deep_net needs one GPU, and Spark gives it {each}: ask for as many cores as gpus"
        )
    return True


def _wait_for_slots(spark: SparkSession, workers: int) -> None:
    """All workers train at once: raise FitError if Spark has fewer slots than workers and gets no more in time."""
    context = spark.sparkContext._jsc.sc()
    profile = context.resourceProfileManager().defaultResourceProfile()
    ends = time.monotonic() + SLOT_SECONDS
    while (slots := context.maxNumConcurrentTasks(profile)) < workers:
        if time.monotonic() > ends:
            raise FitError(
                f"{workers} workers learn a deep_net at the same time, and Spark has {slots} slots for them: "
                "ask for fewer executors or cores"
            )
        time.sleep(1.0)
