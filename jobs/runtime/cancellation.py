"""Cancellation of a job: by a signal, or because the spark-submit that runs it is gone.

`spark-submit` is a JVM that starts Python as its child. Ctrl-C reaches both, and so does Airflow when it ends a task's
process group; but on a task's timeout Airflow kills only the JVM, and Python is not told. So a job also checks whether
its parent still exists.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from signal import SIGINT, SIGTERM
from types import FrameType

from pyspark.sql import SparkSession

from giornata.errors import GiornataError

__all__ = ["Cancelled", "hearing_signals", "stop", "stopping_jobs_of", "waiting_for_the_end"]

# How often a job looks for its parent, and cancels again what Spark may have begun after it was told to end.
LOOK_SECONDS = 0.5

# What a job has to record its end and to stop Spark, before it ends whatever it is doing.
END_SECONDS = 20.0

_told = threading.Event()
_parent = os.getppid()
_cancel: list[Callable[[], None]] = []
_ends: list["Cancelled"] = []


class Cancelled(KeyboardInterrupt):
    """The job is cancelled; `code` is its exit code as in a shell: 128 plus the number of the signal."""

    def __init__(self, reason: str, number: int):
        super().__init__(reason)
        self.code = 128 + number


@contextmanager
def hearing_signals() -> Iterator[None]:
    """In the block, SIGINT, SIGTERM and the end of the parent process raise Cancelled, in the main thread, once.

    From then on Spark's jobs are cancelled, and after END_SECONDS the process ends even if it does not by itself.
    """
    before = {number: signal.signal(number, _tell) for number in (SIGINT, SIGTERM)}
    over = threading.Event()
    threading.Thread(target=_watch, args=(over,), name="cancelling", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        if not _told.is_set():
            for number, handler in before.items():
                signal.signal(number, handler)


def stopping_jobs_of(spark: SparkSession) -> None:
    """Cancel Spark's jobs when this job is cancelled.

    Takes SIGINT back from PySpark, whose own handler calls the JVM in the middle of another call.
    """
    _cancel.append(spark.sparkContext.cancelAllJobs)
    if signal.getsignal(SIGTERM) is _tell:
        signal.signal(SIGINT, _tell)


@contextmanager
def waiting_for_the_end() -> Iterator[None]:
    """When the JVM is killed, Python sees a broken connection before it notices the cancellation, or while it cleans up
    after it: in the block, that is raised as Cancelled instead."""
    try:
        yield
    except GiornataError:
        raise
    except Exception:
        if not _ends:
            time.sleep(3 * LOOK_SECONDS)
            raise
        raise _ends[0] from None


def stop(spark: SparkSession) -> None:
    """Stop the session. If the job was cancelled, the JVM may be gone, which is not an error then."""
    try:
        spark.stop()
    except Exception:
        if not _told.is_set():
            raise


def _tell(number: int, frame: FrameType | None) -> None:
    for each in (SIGINT, SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    # Libraries log with stack traces that they were interrupted, which is what people are told in one line.
    logging.disable()
    _told.set()
    reason = f"stopped by {signal.Signals(number).name}"
    if os.getppid() != _parent:
        reason = "spark-submit, which ran the job, was ended or ran out of memory"
    _ends.append(Cancelled(reason, number))
    raise _ends[0]


def _watch(over: threading.Event) -> None:
    while not _told.wait(LOOK_SECONDS):
        if over.is_set():
            return
        if os.getppid() != _parent:
            signal.pthread_kill(threading.main_thread().ident or 0, SIGTERM)
    last = threading.Timer(END_SECONDS, os._exit, [128 + SIGTERM])
    last.daemon = True
    last.start()
    while True:
        for cancel in _cancel:
            # Of what is stopped already, or gone with its JVM, there is nothing left to cancel.
            with suppress(Exception):
                cancel()
        time.sleep(LOOK_SECONDS)
