"""The operator of a Spark job: spark-submit, retried only after a failure that may pass."""

from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from giornata.errors import FINAL_EXIT


class SparkJob(SparkSubmitOperator):
    """Runs a job. Errors in documents, data or the request are not retried."""

    def execute(self, context: Any) -> None:
        """Submit the job and wait. Raises AirflowFailException if the job says that a retry would not help."""
        try:
            super().execute(context)
        except AirflowException as failure:
            if f"Error code is: {FINAL_EXIT}." in str(failure):
                raise AirflowFailException(
                    "the job ended with an error that no retry can fix; its last lines above say which"
                ) from failure
            raise
