"""The DAG `<project>.repush`: writes feature groups from Hive to Cassandra again, on request."""

from datetime import timedelta

from airflow.sdk import Param

from dags.spark import spark_dag, spark_job
from giornata.documents import ProjectDocuments
from giornata.names import dag_id


def repush_dag(documents: ProjectDocuments) -> None:
    """Make the DAG of a project that has feature groups; the trigger form asks which of them."""
    if not documents.groups:
        return
    groups = sorted(documents.groups)
    with spark_dag(
        dag_id(documents.name, "repush"),
        documents,
        does="Writes all that should be online of feature groups to Cassandra again, as Hive has it.",
        schedule=None,
        params={
            "groups": Param(
                [],
                title="Groups",
                description="Which feature groups; none chosen: all of them",
                type="array",
                items={"type": "string", "enum": groups},
                examples=groups,
            )
        },
    ):
        arguments = ["--project", documents.name, "--groups", "{{ params.groups | join(',') }}"]
        spark_job("repush", arguments, limit=timedelta(hours=4))
