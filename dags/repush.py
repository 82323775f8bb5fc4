"""The DAG `<project>.repush`: writes feature groups from Hive to Cassandra again, on request."""

from datetime import timedelta

from dags.features import GROUPS, groups_param
from dags.spark import RESOURCES, resources_param, spark_dag, spark_job
from giornata.documents import ProjectDocuments
from giornata.names import dag_id


def repush_dag(documents: ProjectDocuments) -> None:
    """Create the DAG of a project with feature groups; they can be chosen in the trigger form."""
    if not documents.groups:
        return
    with spark_dag(
        dag_id(documents.name, "repush"),
        documents,
        does="Writes all that should be online of feature groups to Cassandra again, as Hive has it.",
        schedule=None,
        params={"groups": groups_param(documents), "resources": resources_param()},
    ):
        spark_job("repush", ["--project", documents.name, *GROUPS, *RESOURCES], limit=timedelta(hours=4))
