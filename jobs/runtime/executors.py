"""Executors on other machines: the Python that they run, and limited waiting for them."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from giornata.errors import StoreError
from giornata.settings import Settings
from jobs.runtime.kubernetes import is_kubernetes

__all__ = ["python_of", "starting", "wait_for_one"]

# The folder that the archive becomes in the working folder of an executor.
ENVIRONMENT = "environment"

_LOOK_SECONDS = 0.5


def python_of(settings: Settings, master: str) -> tuple[str, dict[str, str]]:
    """The Python that executors on other machines run, and Spark's settings that bring it to them.

    From the archive if there is one, else the image's on Kubernetes, else PYSPARK_PYTHON, else at the same path as
    here.
    """
    archive = settings.spark_environment
    if archive:
        return f"./{ENVIRONMENT}/bin/python", {"spark.archives": f"{archive}#{ENVIRONMENT}"}
    return "python3" if is_kubernetes(master) else os.environ.get("PYSPARK_PYTHON", sys.executable), {}


class _Late(BaseException):
    """The time is over. Not an Exception, which Py4J would take for a broken connection."""


@contextmanager
def starting(master: str, seconds: int) -> Iterator[None]:
    """Raise StoreError if the block, which starts Spark on `master`, fails or takes longer than `seconds`.

    Only in the main thread: a thread that waits in the JVM can only be interrupted by a signal. The JVM is not told,
    since the job ends then.
    """

    def late(number: int, frame: FrameType | None) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _Late:
        raise StoreError(
            f"{master} has given no executor in {seconds} s. Ask for less in the document's resources, look whether "
            "the cluster is busy or has lost its machines, or raise GIORNATA_EXECUTOR_WAIT."
        ) from None
    except (Py4JError, PySparkException) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise StoreError(f"Spark does not start on {master}: {' '.join(lines[:3])}") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def wait_for_one(spark: SparkSession, master: str) -> None:
    """Return when Spark has an executor. Raises StoreError if the master provides none because it is gone."""
    context = spark.sparkContext._jsc.sc()
    # The driver counts as one.
    while len(context.statusTracker().getExecutorInfos()) < 2:
        if context.isStopped():
            raise StoreError(f"Spark's master {master} does not answer, or has ended the job. Is it running?")
        time.sleep(_LOOK_SECONDS)
