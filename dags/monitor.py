"""The DAG `<project>.monitor`: collects logged predictions, checks served features, joins labels with predictions,
measures accuracy, mails alerts."""

from datetime import timedelta

from airflow.sdk import Asset

from dags.spark import chained, days_job, days_params, spark_dag, unless_covered
from giornata.documents import ProjectDocuments
from giornata.names import dag_id


def monitor_dag(documents: ProjectDocuments, source: Asset | None) -> None:
    """Create the DAG of a project with models to deploy."""
    if not any(model.deploy for model in documents.models.values()):
        return
    schedule = chained(documents, source)
    with spark_dag(
        dag_id(documents.name, "monitor"),
        documents,
        does="Collects the prediction log, checks the features served on these days, joins labels that became known, "
        "measures, mails alerts.",
        schedule=schedule,
        params=days_params(schedule),
    ):
        days_job("monitor", documents, limit=timedelta(hours=3), **unless_covered(source))
