"""Removes a project for good: from Hive, from Cassandra, from the servers and from the prediction log.

Its unfinished DAG runs in Airflow are marked as failed: without their DAG they would stay running for ever.
"""

import shutil
from collections.abc import Callable, Iterator
from urllib.parse import quote

from cassandra.cluster import Session

from giornata.airflow_api import AirflowApi
from giornata.deployment import project_to_disk
from giornata.documents.suggestions import did_you_mean
from giornata.errors import GiornataError, NotFoundError, StoreError
from giornata.names import check_project_name, keyspace
from giornata.settings import Settings
from giornata.stores import hive
from giornata.stores.cassandra import CASSANDRA_FAULTS

__all__ = ["StillThereError", "check_folder_is_gone", "check_is_known", "fail_runs", "remove_project"]

DROP_TIMEOUT = 60.0

_FEATURES = keyspace("x").removesuffix("x")
_UNFINISHED = ("queued", "running")
_RUNS_AT_ONCE = 100

# Tables in the keyspace `giornata` whose partitions belong to one model, with their partition keys.
_OF_MODELS = {
    "metric_series": ("model", "tag", "mode", "metric", "time_window"),
    "alerts": ("model", "tag", "mode", "rule"),
    "training_runs": ("model",),
    "training_trials": ("model", "uuid", "search"),
}


class StillThereError(GiornataError):
    """The project's folder still exists, so its DAGs would bring back what is removed."""


def remove_project(settings: Settings, session: Session, project: str) -> Iterator[str]:
    """Remove all stored data of a project whose folder is gone; yields a line about each step when it is done.

    Deployments go first, so that servers stop answering for models that are about to be deleted. After an interruption,
    running it again completes it. Raises StillThereError, before anything is removed, and StoreError.
    """
    check_folder_is_gone(settings, project)

    def is_ours(model: str) -> bool:
        return model.startswith(f"{project}/")

    try:
        deployed = _delete(session, "deployments", ("model", "tag"), is_ours)
        project_to_disk(session, settings.bundles)
        yield f"{deployed} deployments"
        yield f"{_delete_versions(session, is_ours)} model versions"
        series = sum(_delete(session, table, key, is_ours) for table, key in _OF_MODELS.items())
        yield f"{series} series of metrics, alerts and runs of training"
        _delete_statistics(session, project)
        _delete(session, "validations", ("project", "group_name"), project.__eq__)
        pushed = _delete(session, "pushed_partitions", ("project", "group_name"), project.__eq__)
        session.execute("DELETE FROM giornata.online_history WHERE project = %s", (project,))
        session.execute(f"DROP KEYSPACE IF EXISTS {keyspace(project)}", timeout=DROP_TIMEOUT)
        yield f"{pushed} feature groups in Cassandra"
    except CASSANDRA_FAULTS as fault:
        raise StoreError(f"Cassandra does not remove {project}: {fault}") from fault
    hive.query(settings, f"DROP DATABASE IF EXISTS {project} CASCADE")
    yield f"the Hive database {project}"
    log = settings.prediction_log / project
    if log.exists():
        shutil.rmtree(log)
        yield f"the prediction log {log}"


def check_folder_is_gone(settings: Settings, project: str) -> None:
    """Raise StillThereError if the project's folder exists. Raises InvalidNameError for an invalid project name."""
    check_project_name(project)
    folder = settings.projects / project
    if folder.exists():
        raise StillThereError(
            f"{folder} is still there, and its DAGs would fill the stores again: delete the folder first"
        )


def check_is_known(settings: Settings, session: Session, airflow: AirflowApi | None, project: str) -> None:
    """Raise NotFoundError, with the nearest known name, if nothing is stored of a project and Airflow, if it answers,
    has no unfinished runs of it."""
    known = _projects(session)
    if project in known or (settings.prediction_log / project).exists():
        return
    if hive.query(settings, f"SHOW DATABASES LIKE '{project}'") or (
        airflow and _unfinished_runs(airflow, project)
    ):
        return
    hint = did_you_mean(project, known)
    raise NotFoundError(
        f"there is no project {project}: it has no folder in {settings.projects}, and nothing is stored of it"
        + (f" ({hint})" if hint else "")
    )


def fail_runs(airflow: AirflowApi, project: str) -> int:
    """Mark the running and queued runs of a project's DAGs as failed; returns how many. Raises AirflowError."""
    failed: set[tuple[str, str]] = set()
    while runs := _unfinished_runs(airflow, project) - failed:
        for dag_id, run_id in runs:
            path = f"/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
            airflow.call("PATCH", path, json={"state": "failed"})
        failed |= runs
    return len(failed)


def _unfinished_runs(airflow: AirflowApi, project: str) -> set[tuple[str, str]]:
    """DAG and name of unfinished runs of a project; only the first ones if they are many."""
    ours = f"{project}."
    asked = {"state": _UNFINISHED, "dag_id_prefix_pattern": ours, "limit": _RUNS_AT_ONCE}
    found = airflow.call("GET", "/dags/~/dagRuns", params=asked)["dag_runs"]
    return {(run["dag_id"], run["dag_run_id"]) for run in found if run["dag_id"].startswith(ours)}


def _projects(session: Session) -> set[str]:
    """The projects with data in Cassandra."""
    try:
        models = [row.model for row in session.execute("SELECT model FROM giornata.model_versions")]
        for table, key in {**_OF_MODELS, "deployments": ("model", "tag")}.items():
            rows = session.execute(f"SELECT DISTINCT {', '.join(key)} FROM giornata.{table}")
            models += [row.model for row in rows]
        found = {model.partition("/")[0] for model in models}
        for table in ("pushed_partitions", "validations"):
            rows = session.execute(f"SELECT DISTINCT project, group_name FROM giornata.{table}")
            found |= {row.project for row in rows}
        rows = session.execute("SELECT keyspace_name FROM system_schema.keyspaces")
        return found | {
            row.keyspace_name.removeprefix(_FEATURES)
            for row in rows
            if row.keyspace_name.startswith(_FEATURES)
        }
    except CASSANDRA_FAULTS as fault:
        raise StoreError(f"Cassandra does not say which projects it has: {fault}") from fault


def _delete(session: Session, table: str, key: tuple[str, ...], is_ours: Callable[[str], bool]) -> int:
    """Delete the partitions of a table whose first key column belongs to the project; returns how many."""
    columns = ", ".join(key)
    found = [
        row for row in session.execute(f"SELECT DISTINCT {columns} FROM giornata.{table}") if is_ours(row[0])
    ]
    delete = session.prepare(
        f"DELETE FROM giornata.{table} WHERE {' AND '.join(f'{name} = ?' for name in key)}"
    )
    for row in found:
        session.execute(delete, tuple(row))
    return len(found)


def _delete_statistics(session: Session, project: str) -> None:
    """Delete the statistics of the project's features, for the groups that were pushed: no group has some before.

    The table itself is not scanned: Cassandra 5.0 fails a SELECT DISTINCT over deleted ranges of rows, which every
    replacement of a day leaves behind.
    """
    delete = session.prepare("DELETE FROM giornata.feature_statistics WHERE project = ? AND group_name = ?")
    for row in session.execute("SELECT DISTINCT project, group_name FROM giornata.pushed_partitions"):
        if row.project == project:
            session.execute(delete, tuple(row))


def _delete_versions(session: Session, is_ours: Callable[[str], bool]) -> int:
    """Delete the versions of the project's models: the row that makes one visible first, then the chunks of its
    bundle."""
    rows = session.execute("SELECT uuid, model, bundle_sha256 FROM giornata.model_versions")
    found = [row for row in rows if is_ours(row.model)]
    version = session.prepare("DELETE FROM giornata.model_versions WHERE uuid = ?")
    files = session.prepare("DELETE FROM giornata.model_files WHERE uuid = ? AND sha256 = ?")
    for row in found:
        session.execute(version, (row.uuid,))
        session.execute(files, (row.uuid, row.bundle_sha256))
    return len(found)
