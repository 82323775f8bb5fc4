"""Fail the unfinished runs of a project whose DAGs are gone, through Airflow's API: `fail_runs.py PROJECT ANSWER`.

The API is Airflow's own, called in this process. States before and after are written as JSON to the file ANSWER.
"""

import json
import sys
from pathlib import Path

import httpx
from airflow.api_fastapi.app import create_app
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from fastapi.testclient import TestClient
from sqlalchemy import select

from giornata.airflow_api import AirflowApi
from giornata.removal import fail_runs


def states() -> dict[str, str]:
    """State of every run, by DAG and name of the run."""
    with create_session() as session:
        return {f"{run.dag_id} {run.run_id}": str(run.state) for run in session.scalars(select(DagRun))}


def leave_unfinished(project: str) -> None:
    """Two runs of the project go on and wait; its DAGs are gone, as the dag-processor notes it."""
    with create_session() as session:
        runs = session.scalars(
            select(DagRun).where(DagRun.dag_id.startswith(f"{project}.")).order_by(DagRun.id)
        )
        for run, state in zip(runs, ("running", "queued"), strict=False):
            run.state = state
        for dag in session.scalars(select(DagModel)):
            dag.is_stale = dag.is_stale or dag.dag_id.startswith(f"{project}.")


def main(project: str, answer: str) -> None:
    with TestClient(create_app()) as client:
        httpx.Client = lambda base_url, timeout: client  # type: ignore[assignment, misc]
        airflow = AirflowApi("http://testserver", "admin", "admin")
        airflow.start("handmade.amount.train", "other", {})
        leave_unfinished(project)
        before = states()
        failed = fail_runs(airflow, project)
        again = fail_runs(airflow, project)
    Path(answer).write_text(json.dumps({"failed": [failed, again], "before": before, "after": states()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
