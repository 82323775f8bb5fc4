"""Messages about failed Spark jobs; the originals are Spark's own."""

import pytest
from pyspark.errors import PySparkException

from giornata.errors import DataError
from jobs.runtime.spark_errors import as_data_errors, cause

TASK = (
    "Job aborted due to stage failure: Task 0 in stage 2.0 failed 4 times, most recent failure: "
    "Lost task 0.3 in stage 2.0 (TID 9) (127.0.0.1 executor 1): "
)
TRACE = """org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "/pyspark/worker.py", line 2044, in main
    process()
KeyError: 9

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/giornata/models/custom/loading.py", line 46, in told_as
    raise kind(text) from error
{error}

\tat org.apache.spark.api.python.BasePythonRunner.handlePythonException(PythonRunner.scala:581)

Driver stacktrace:
"""
UDF = "udfs.root(-1.0): raises ValueError: math domain error"
OWN = "class Fragile fails to answer: models/fragile.py, line 21: KeyError: 9"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (TASK + TRACE.format(error=f"giornata.models.base.PredictionError: {OWN}"), OWN),
        (TRACE.format(error=f"dsl.errors.UdfError: {UDF}"), UDF),
        (TRACE.format(error="ValueError: two\nlines"), "ValueError: two"),
        (
            TASK + "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)\n\tat x\nCaused by: y",
            "Python worker exited unexpectedly (crashed)",
        ),
        ("[TABLE_NOT_FOUND] There is no `t`.\n'UnresolvedRelation [t]", "[TABLE_NOT_FOUND] There is no `t`."),
        ("", "PySparkException"),
    ],
)  # fmt: skip
def test_the_error_itself(message: str, said: str) -> None:
    assert cause(PySparkException(message)) == said


def test_an_error_for_people_and_its_cause() -> None:
    fault = PySparkException(TASK + "java.lang.OutOfMemoryError: Java heap space")
    with (
        pytest.raises(DataError, match=r"^training f/late fails: Java heap space$") as caught,
        as_data_errors("training f/late fails"),
    ):
        raise fault
    assert caught.value.__cause__ is fault


def test_what_is_no_fault_of_the_job_stays_as_it_is() -> None:
    ended = PySparkException("Job 3 cancelled because SparkContext was shut down")
    for error in (ended, DataError("no rows"), ZeroDivisionError()):
        with pytest.raises(type(error)) as caught, as_data_errors("training f/late fails"):
            raise error
        assert caught.value is error
