"""The DAG `<project>.ingest`: loads the project's tables, which starts the chain."""

from datetime import timedelta

from airflow.sdk import Asset

from dags.spark import chained, days_job, days_params, spark_dag, stage_asset
from giornata.documents import ProjectDocuments
from giornata.names import dag_id


def ingest_dag(documents: ProjectDocuments, source: Asset | None) -> Asset | None:
    """Create the DAG and return its asset; None if no table has a loader."""
    if not any(documents.has_loader(table) for table in documents.tables):
        return None
    schedule = chained(documents, source)
    tables = stage_asset(documents.name, "tables")
    with spark_dag(
        dag_id(documents.name, "ingest"),
        documents,
        does="Loads the tables for a range of days; features, scores and monitoring of these days follow.",
        schedule=schedule,
        params=days_params(schedule),
    ):
        days_job("ingest", documents, limit=timedelta(hours=2), asset=tables)
    return tables
