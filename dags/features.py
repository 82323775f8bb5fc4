"""The DAG `<project>.features` of all feature groups, and one for each group with its own schedule."""

from datetime import timedelta

from airflow.sdk import Asset, Param

from dags.spark import by_clock, chained, days_job, days_params, spark_dag, stage_asset
from giornata.documents import ProjectDocuments
from giornata.names import dag_id

LIMIT = timedelta(hours=4)

GROUPS = ("--groups", "{{ params.groups | join(',') }}")

# A task that is tried again leaves the days that this run has published as they are.
SINCE = ("--since", "{{ dag_run.start_date.isoformat() }}")


def features_dag(documents: ProjectDocuments, source: Asset | None) -> Asset | None:
    """Create the DAG and return its asset; None if the project has no feature group."""
    if not documents.groups:
        return None
    features = stage_asset(documents.name, "features")
    schedule = chained(documents, source)
    with spark_dag(
        dag_id(documents.name, "features"),
        documents,
        does="Computes and checks feature groups for a range of days, into Hive and Cassandra.",
        schedule=schedule,
        params={**days_params(schedule), "groups": groups_param(documents)},
    ):
        days_job("materialize", documents, limit=LIMIT, asset=features, more=(*GROUPS, *SINCE))
    return features


def groups_param(documents: ProjectDocuments) -> Param:
    """The field of a trigger form for choosing among the project's feature groups."""
    groups = sorted(documents.groups)
    return Param(
        [],
        title="Groups",
        description="Which feature groups; none chosen: all of them",
        type="array",
        items={"type": "string", "enum": groups},
        examples=groups,
    )


def group_dags(documents: ProjectDocuments) -> None:
    """Create a DAG `<project>.<group>.features` for every group with a schedule, so that its values stay fresh.

    It updates no asset: fresher values are read online, and the chain computes the group again anyway.
    """
    for name, group in documents.groups.items():
        if not group.schedule:
            continue
        schedule = by_clock(group.schedule)
        with spark_dag(
            dag_id(documents.name, name, "features"),
            documents,
            does=f"Computes the feature group {name} by its own schedule.",
            schedule=schedule,
            params=days_params(schedule),
            description=group.description,
            owner=group.owner,
        ):
            days_job("materialize", documents, limit=LIMIT, more=("--groups", name, *SINCE))
