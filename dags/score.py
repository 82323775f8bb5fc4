"""The DAG `<project>.score`: every deployed model predicts for a range of days."""

from datetime import timedelta

from airflow.sdk import Asset

from dags.spark import chained, days_job, days_params, spark_dag, stage_asset, unless_covered
from giornata.documents import ProjectDocuments
from giornata.names import dag_id


def score_dag(documents: ProjectDocuments, source: Asset | None) -> Asset | None:
    """Create the DAG and return its asset; None if no model is meant for batch use."""
    if not any(model.deploy and "batch" in model.deploy.modes for model in documents.models.values()):
        return None
    schedule = chained(documents, source)
    predictions = stage_asset(documents.name, "predictions")
    with spark_dag(
        dag_id(documents.name, "score"),
        documents,
        does="Lets every model deployed for batches predict the rows of a range of days, into Hive.",
        schedule=schedule,
        params=days_params(schedule),
    ):
        days_job("score", documents, limit=timedelta(hours=4), asset=predictions, **unless_covered(source))
    return predictions
