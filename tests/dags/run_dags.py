"""Run DAGs to their end, without a scheduler: `run_dags.py ANSWER CASES`.

CASES is JSON: by case the id of a DAG and its parameters. What happened is written as JSON to the file ANSWER.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.models.asset import AssetEvent, AssetModel, AssetPartitionDagRun
from airflow.utils.session import create_session
from sqlalchemy import select


def calls() -> list[list[str]]:
    """The calls of the recording programs since the last question."""
    file = Path(os.environ["CALLS"])
    lines = file.read_text().splitlines() if file.exists() else []
    file.write_text("")
    return [[Path(program).name, *arguments] for program, *arguments in map(json.loads, lines)]


def main(answer: str, cases: str) -> None:
    bundle = DagBundlesManager().get_bundle("projects")
    bundle.initialize()
    bag = BundleDagBag(str(bundle.path), bundle_path=bundle.path, bundle_name="projects")
    found: dict[str, Any] = {}
    for case, (dag_id, params) in json.loads(cases).items():
        dag_run = bag.dags[dag_id].test(run_conf=params)
        tasks = dag_run.get_task_instances()
        with create_session() as session:
            events = session.execute(
                select(AssetModel.name, AssetEvent.partition_key, AssetEvent.extra)
                .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
                .where(AssetEvent.source_run_id == dag_run.run_id)
            ).all()
            queued = session.execute(
                select(AssetPartitionDagRun.target_dag_id, AssetPartitionDagRun.partition_key)
            ).all()
        found[case] = {
            "run_id": dag_run.run_id,
            "state": str(dag_run.state),
            "tasks": {task.task_id: str(task.state) for task in tasks},
            "tries": {task.task_id: task.try_number for task in tasks},
            "calls": calls(),
            "events": [{"asset": asset, "key": key, "extra": extra} for asset, key, extra in events],
            "queued": [list(row) for row in queued],
        }
    Path(answer).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
