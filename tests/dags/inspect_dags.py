"""Write what Airflow knows of the DAGs, and the commands they would run, as JSON to the file named first."""

import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pendulum
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag
from airflow.models.dag import DagModel
from airflow.models.errors import ParseImportError
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowSkipException
from airflow.utils.session import create_session
from sqlalchemy import select

from dags.spark import HANDED_ON

FIELDS = ("application", "application_args", "conf", "env_vars", "bash_command", "env", "subject", "body")
HEAVY = ("pyspark", "polars", "pandas", "numpy", "xgboost", "cassandra", "mlflow", "great_expectations")


def run(**values: Any) -> SimpleNamespace:
    """A DAG run as a task sees it."""
    defaults = {
        "run_id": "manual__1",
        "run_type": "manual",
        "clear_number": 0,
        "partition_key": None,
        "data_interval_start": None,
        "data_interval_end": None,
        "start_date": pendulum.datetime(2024, 3, 9, 23, 31),
        "run_after": pendulum.datetime(2024, 3, 9, 23, 30),
        "triggering_user_name": None,
    }
    return SimpleNamespace(**(defaults | values))


CASES: dict[str, tuple[str, dict[str, Any], SimpleNamespace]] = {
    "ingest by hand": ("visits.ingest", {"from": "2024-02-01", "to": "2024-02-04"}, run()),
    "ingest by schedule": (
        "visits.ingest",
        {},
        run(
            data_interval_start=pendulum.datetime(2024, 2, 7),
            data_interval_end=pendulum.datetime(2024, 2, 8),
        ),
    ),
    "features by hand": (
        "visits.features",
        {
            "groups": ["shop_load"],
            "from": "2024-02-01",
            "to": "2024-02-04",
            "resources": {"executors": 3},
        },
        run(),
    ),
    "features by asset": ("visits.features", {}, run(partition_key="2024-02-01/2024-02-04")),
    "group by schedule": (
        "visits.shop_load.features",
        {},
        run(
            data_interval_start=pendulum.datetime(2024, 2, 7, 13),
            data_interval_end=pendulum.datetime(2024, 2, 7, 14),
        ),
    ),
    "repush all": ("visits.repush", {}, run()),
    "repush some": ("visits.repush", {"groups": ["shop_load", "shop_size"]}, run()),
    "score by asset": ("visits.score", {}, run(partition_key="2024-02-01/2024-02-04")),
    "monitor by asset": ("visits.monitor", {}, run(partition_key="2024-02-01/2024-02-04")),
    "train as it stands": ("visits.large.train", {}, run()),
    "train as told": (
        "visits.amount.train",
        {
            "as_of": "2024-03-01",
            "trials": 3,
            "parameters": {"max_depth": 3, "objective": "reg:'a' <b>"},
            "resources": {"executors": 2, "memory": "600m"},
            "tag": "shadow",
        },
        run(run_id="manual__2", triggering_user_name="ada"),
    ),
    "train by schedule": (
        "visits.amount.train",
        {},
        run(
            run_id="scheduled__1",
            data_interval_start=pendulum.datetime(2024, 3, 1, 6),
            data_interval_end=pendulum.datetime(2024, 3, 1, 6),
        ),
    ),
}


def structure(dag: DAG) -> dict[str, Any]:
    """The parts of a DAG that a person would look at."""
    condition = getattr(dag.timetable, "asset_condition", None)
    return {
        "owner": dag.owner,
        "tags": sorted(dag.tags),
        "doc": dag.doc_md,
        "schedule": type(dag.timetable).__name__,
        "cron": getattr(dag.timetable, "expression", None),
        "after": condition.name if condition else None,
        "start": dag.start_date.isoformat() if dag.start_date else None,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "descriptions": {name: dag.params.get_param(name).description for name in dag.params},
        "defaults": {name: repr(dag.params.get_param(name).value) for name in dag.params},
        "tasks": {
            task.task_id: {
                "kind": type(task).__name__,
                "then": sorted(task.downstream_task_ids),
                "retries": task.retries,
                "retry_delay": task.retry_delay.total_seconds(),
                "limit": (task.execution_timeout or task.response_timeout).total_seconds(),
                "outlets": [outlet.name for outlet in task.outlets],
                "inlets": [inlet.name for inlet in task.inlets],
                "pool": task.pool,
                "priority": task.priority_weight,
                "weight_rule": type(task.weight_rule).__name__,
            }
            for task in dag.tasks
        },
    }


def rendered(dag: DAG, params: dict[str, Any], dag_run: SimpleNamespace) -> dict[str, dict[str, Any]]:
    """The template fields of every task as they are for one run."""
    dag_run.dag_id = dag.dag_id
    defaults = {name: dag.params[name] for name in dag.params}
    context = {"dag": dag, "dag_run": dag_run, "run_id": dag_run.run_id, "params": defaults | params}
    environment = dag.get_template_env()
    return {
        task.task_id: {
            field: task.render_template(getattr(task, field), context, environment)
            for field in FIELDS
            if field in task.template_fields
        }
        for task in dag.tasks
    }


def failure_of(task: Any, code: int) -> str:
    """Which error a task ends with when the program that it submits ends with an exit code."""
    os.environ["EXIT"] = str(code)
    task.application_args = []
    try:
        task.execute({})
    except AirflowException as error:
        return type(error).__name__
    finally:
        del os.environ["EXIT"]
    return ""


def skips(task: Any, key: str | None, newer: list[str], tries: int = 1) -> bool:
    """Whether a task skips its run for the partition `key` when its asset was renewed for `newer` since."""
    asset = task.inlets[0]
    handed = ["2024-01-01/2024-12-31", *([key] if key else []), *newer]
    context = {
        "dag_run": run(partition_key=key),
        "params": {"from": None, "to": None},
        "ti": SimpleNamespace(try_number=tries),
        "asset_state_store": {asset: {HANDED_ON: handed}},
    }
    try:
        task._pre_execute_hook(context)
    except AirflowSkipException:
        return True
    return False


def pinned() -> dict[str, Any]:
    """The DAG of a run after a document has changed since it was requested."""
    with create_session() as session:
        version = session.scalar(
            select(DagModel.bundle_version).where(DagModel.dag_id == "visits.amount.train")
        )
    document = Path(os.environ["GIORNATA_PROJECTS"]) / "visits" / "models" / "amount.yaml"
    before = document.read_text()
    document.write_text(before.replace("trials: 7", "trials: 8"))
    try:
        bundle = DagBundlesManager().get_bundle("projects", version=version)
        bundle.initialize()
        bag = DagBag(str(bundle.path), bundle_path=bundle.path, bundle_name="projects")
        newer = DagBundlesManager().get_bundle("projects").get_current_version()
    finally:
        document.write_text(before)
    return {
        "trials": bag.dags["visits.amount.train"].params["trials"],
        "is newer": newer.version != version,
        "version": version,
    }


def main(answer: str) -> None:
    bundle = DagBundlesManager().get_bundle("projects")
    bundle.initialize()
    start = time.perf_counter()
    bag = DagBag(str(bundle.path), bundle_path=bundle.path, bundle_name="projects")
    seconds = time.perf_counter() - start
    imported = sorted(name for name in HEAVY if name in sys.modules)  # before the texts of tasks are made
    with create_session() as session:
        known = session.scalars(select(DagModel).where(~DagModel.is_stale)).all()
        next_runs = {dag.dag_id: dag.next_dagrun_create_after for dag in known}
        errors = {error.filename: error.stacktrace for error in session.scalars(select(ParseImportError))}
    found = {
        "known": sorted(next_runs),
        "next_runs": next_runs,
        "import_errors": errors,
        "dags": {name: structure(dag) for name, dag in bag.dags.items()},
        "rendered": {case: rendered(bag.dags[dag], *rest) for case, (dag, *rest) in CASES.items()},
        "imported": imported,
        "failures": {
            code: failure_of(bag.dags["visits.ingest"].get_task("ingest"), code) for code in (1, 65, 143)
        },
        "skips": {
            case: skips(bag.dags[f"visits.{dag}"].get_task(task), *arguments)
            for dag, task in (("score", "score"), ("monitor", "monitor"))
            for case, arguments in {
                f"{dag}: nothing newer": ("2024-02-02/2024-02-03", []),
                f"{dag}: a newer one beside it": ("2024-02-02/2024-02-03", ["2024-02-03/2024-02-09"]),
                f"{dag}: a newer one with a part of it": ("2024-02-01/2024-02-05", ["2024-02-02/2024-02-09"]),
                f"{dag}: a newer one that covers it": (
                    "2024-02-02/2024-02-03",
                    ["2024-01-01/2024-01-02", "2024-02-01/2024-02-03"],
                ),
                f"{dag}: the same days anew": (
                    "2024-02-02/2024-02-03",
                    ["2024-02-01/2024-02-05", "2024-02-02/2024-02-03"],
                ),
                f"{dag}: covered, but cleared by hand": (
                    "2024-02-02/2024-02-03",
                    ["2024-02-01/2024-02-03"],
                    2,
                ),
                f"{dag}: started by hand": (None, ["2024-02-01/2024-02-03"]),
            }.items()
        },
        "seconds": seconds,
        "pinned": pinned(),
    }
    Path(answer).write_text(json.dumps(found, default=str))


if __name__ == "__main__":
    main(sys.argv[1])
