"""The DAG `<project>.monitor`: checks served features, joins labels with predictions, measures accuracy, mails
alerts."""

from datetime import timedelta

from airflow.sdk import Asset

from dags.spark import chained, days_job, days_params, spark_dag, spark_job, unless_covered
from giornata.documents import ProjectDocuments
from giornata.names import dag_id


def monitor_dag(documents: ProjectDocuments, source: Asset | None) -> None:
    """Create the DAG of a project with models to deploy; online predictions are loaded into Hive first."""
    modes = {mode for model in documents.models.values() if model.deploy for mode in model.deploy.modes}
    if not modes:
        return
    schedule = chained(documents, source)
    with spark_dag(
        dag_id(documents.name, "monitor"),
        documents,
        does="Checks the features served on these days, joins labels that became known, measures, mails alerts.",
        schedule=schedule,
        params=days_params(schedule),
    ):
        first = unless_covered(source)
        if "online" not in modes:
            days_job("monitor", documents, limit=timedelta(hours=2), **first)
            return
        collect = spark_job("collect_log", ["--project", documents.name], limit=timedelta(hours=1), **first)
        check = days_job("check_consistency", documents, limit=timedelta(hours=1))
        collect >> check >> days_job("monitor", documents, limit=timedelta(hours=2))
