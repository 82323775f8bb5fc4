"""Errors of Spark tasks in plain form: the error itself, without the traces of Java and Python around it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from giornata.errors import DataError, GiornataError, StoreError

__all__ = ["SPARK_ERRORS", "as_data_errors", "cause", "is_shut_down", "may_pass"]

SPARK_ERRORS = (PySparkException, Py4JJavaError)
"""The errors that PySpark raises for a failed job: the first for DataFrames, the second for RDDs."""

_SHUT_DOWN = "SparkContext was shut down"
# What a cluster loses and may have again: an executor, its memory or disk, a file that another one held or that
# storage did not give.
_OF_THE_CLUSTER = re.compile(
    r"ExecutorLostFailure|FetchFailed|OutOfMemoryError|No space left on device|FAILED_READ_FILE"
    r"|Connection (refused|reset)|Exception thrown in awaitResult"
)
_TRACEBACK = "Traceback (most recent call last):\n"
_TASK = re.compile(r"^Job aborted due to stage failure: .*?\(TID \d+\) \([^)]*\): ")
_OWN_ERROR = re.compile(r"^(giornata|dsl|jobs)(\.\w+)*\.(\w+Error): ")
_JAVA_ERROR = re.compile(r"^(\w+\.)+\w*(Exception|Error): ")


@contextmanager
def as_data_errors(what: str) -> Iterator[None]:
    """Raise errors of Spark as DataError, in one line that begins with `what`; not if Spark was stopped."""
    try:
        yield
    except SPARK_ERRORS as error:
        if is_shut_down(error):
            raise
        raise DataError(f"{what}: {cause(error)}") from error


def is_shut_down(error: Exception) -> bool:
    """Whether the error only says that Spark was stopped."""
    return _SHUT_DOWN in str(error)


def may_pass(error: GiornataError) -> bool:
    """Whether a retry may succeed: a store did not answer, or the cluster lost something, as opposed to wrong
    documents, data or requests."""
    if isinstance(error, StoreError):
        return True
    behind = error.__cause__ or error.__context__
    while behind:
        if isinstance(behind, StoreError):
            return True
        if isinstance(behind, SPARK_ERRORS) and _OF_THE_CLUSTER.search(str(behind)):
            return True
        behind = behind.__cause__ or behind.__context__
    return False


def cause(error: Exception) -> str:
    """The cause of a Spark error in one line; for a Python error on an executor, the error at the end of its trace.

    An error of our own is reduced to its message, and a Java error loses its class name.
    """
    # With the causes of the error, where Python's may be.
    _, trace, lines = str(error).rpartition(_TRACEBACK)
    if not trace and isinstance(error, Py4JJavaError):
        lines = str(error.java_exception.getMessage())
    # The steps of a trace are indented.
    said = [line for line in lines.splitlines() if line.strip() and not (trace and line.startswith(" "))]
    if not said:
        return type(error).__name__
    return _JAVA_ERROR.sub("", _OWN_ERROR.sub("", _TASK.sub("", said[0].strip())))
