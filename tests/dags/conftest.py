"""Small projects, and what a real Airflow makes of them: parsed, rendered and run in processes of its own.

Airflow takes its settings from the environment of the process that imports it, so no test imports it: the
session's `airflow` runs the steps once and hands over what they found.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from giornata.settings import Settings

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parents[1]

DOCUMENTS = {
    "project.yaml": """\
description: Visits to shops
owner: visits-team
schedule: "@daily"
start_date: 2024-01-01
""",
    "tables/visits.yaml": """\
description: One row a visit
key: [visit_id]
event_time: came_at
columns: {visit_id: int, shop: str, came_at: timestamp, basket: float}
""",
    "tables/visits.py": """\
def load(spark, start, end):
    visits = spark.sql(
        "SELECT id AS visit_id, 'north' AS shop, timestamp'2024-02-01 12:00:00' + id * interval 12 hours AS came_at, "
        "CAST(id AS DOUBLE) AS basket FROM range(20)"
    )
    return visits.where((visits.came_at >= start) & (visits.came_at < end))
""",
    "tables/sales.yaml": """\
description: What was paid
key: [visit_id]
event_time: paid_at
columns: {visit_id: int, paid_at: timestamp, amount: float, large: bool}
""",
    "features/shop_load.yaml": """\
description: How full a shop is
owner: shops-team
entity: {shop: str}
schedule: "@hourly"
features:
  visits: {type: int, description: Visits in the last hour}
""",
    "features/shop_load.sql": "SELECT shop, came_at AS event_time, 1 AS visits FROM visits\n"
    "WHERE came_at >= :from AND came_at < :to\n",
    "models/amount.yaml": """\
description: What a visitor will pay
owner: money-team
schedule: "0 6 1 * *"
type: xgboost
task: regression
data: {table: visits, key: [visit_id], event_time: came_at}
label: {table: sales, value: amount, event_time: paid_at}
split: {train: 30d, validation: 0.2, test: 7d}
features:
  basket: row.basket
search: {trials: 7, metric: rmse, space: {max_depth: {int: [2, 4]}}}
deploy: {tag: production, modes: [batch, online]}
""",
    "models/large.yaml": """\
description: Whether a sale is large
owner: money-team
type: xgboost
task: binary
data: {table: visits, key: [visit_id], event_time: came_at}
label: {table: sales, value: large, event_time: paid_at}
split: {train: 30d, validation: 0.2, test: 7d}
features:
  basket: row.basket
deploy: {tag: champion, modes: [batch], approval: manual}
""",
}

RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "chain": ("visits.ingest", {"from": "2024-02-01", "to": "2024-02-04"}),
    "no days": ("visits.score", {}),
    # First of its DAG: in one process, the parameters of a run would be the defaults of the next one.
    "train by hand": ("visits.amount.train", {}),
    "train": ("visits.amount.train", {"as_of": "2024-03-01", "tag": "shadow"}),
    "train only": ("visits.amount.train", {"as_of": "2024-03-01", "deploy": False}),
    "train with what is no field": ("visits.amount.train", {"as_of": "2024-03-01", "trails": 3}),
}

# A program that notes how it was called, one JSON line a call, in the file named by CALLS.
RECORDER = """\
#!{python}
import json, os, sys
if code := int(os.environ.get("EXIT", 0)):
    sys.exit(code)
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv) + "\\n")
"""


@pytest.fixture(scope="session")
def write_project() -> Callable[..., Path]:
    """Write the documents of a project; `changes` replaces them by path, None leaves one out."""

    def write(folder: Path, changes: dict[str, str | None] | None = None) -> Path:
        for path, text in (DOCUMENTS | (changes or {})).items():
            if text is not None:
                file = folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        return folder

    return write


@dataclass(frozen=True)
class Airflow:
    """The DAGs that Airflow made of four projects: `visits` in full, `broken`, `bare` and `handmade`."""

    environment: dict[str, str]
    """In which all this happened: `spark-submit` and `giornata` only note how they are called."""
    known: list[str]
    """Ids of the DAGs that the dag-processor put into the database."""
    import_errors: dict[str, str]
    """Import error by DAG file, as the UI shows it."""
    next_runs: dict[str, str | None]
    """When the scheduler is to start the next run of each, by its own clock."""
    dags: dict[str, dict[str, Any]]
    """Structure of every DAG of the DagBag."""
    rendered: dict[str, dict[str, Any]]
    """Rendered template fields by case (those of inspect_dags.py) and task."""
    runs: dict[str, dict[str, Any]]
    """State, states of tasks, calls of the programs and asset events of each of RUNS."""
    failures: dict[str, str]
    """By exit code of a job, the error that its task ends with."""
    skips: dict[str, bool]
    """By case, whether the first task of a DAG skips its run."""
    imported: list[str]
    """Heavy packages that parsing imported."""
    pinned: dict[str, Any]
    """The DAG of a run after a document has changed."""
    seconds: float
    """Time to parse all DAG files once, in a process that has Airflow loaded."""


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory, write_project: Callable[..., Path]) -> Airflow:
    """Four projects in an Airflow with a database of its own, processed by the real dag-processor."""
    base = tmp_path_factory.mktemp("airflow")
    projects = base / "projects"
    write_project(projects / "visits")
    broken = {
        "models/amount.yaml": DOCUMENTS["models/amount.yaml"].replace('"0 6 1 * *"', '"0 25 1 * *"'),
        "models/large.yaml": DOCUMENTS["models/large.yaml"].replace("task: binary", "task: bynary"),
    }
    write_project(projects / "broken", broken)
    write_project(
        projects / "bare",
        {path: None for path in DOCUMENTS if path.startswith(("features", "models"))}
        | {"project.yaml": DOCUMENTS["project.yaml"].replace('schedule: "@daily"\n', "")},
    )
    no_deploy = "\n".join(
        line
        for line in DOCUMENTS["models/amount.yaml"].splitlines()
        if not line.startswith(("deploy", "schedule"))
    )
    write_project(
        projects / "handmade",
        {"tables/visits.py": None, "models/large.yaml": None, "models/amount.yaml": no_deploy},
    )

    programs = base / "bin"
    programs.mkdir()
    for name in ("spark-submit", "giornata"):
        (programs / name).write_text(RECORDER.format(python=sys.executable))
        (programs / name).chmod(0o755)

    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "GIORNATA_HOME": str(base / "home"),
        "GIORNATA_PROJECTS": str(projects),
        "GIORNATA_SPARK_POOL": "jobs_of_spark",
        "CALLS": str(base / "calls"),
        "AIRFLOW_HOME": str(base / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACKS": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
            [{"name": "projects", "classpath": "dags.projects.ProjectsBundle", "kwargs": {}}]
        ),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(base / "bundles"),
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[2]"}),
    }

    step(environment, "airflow", "db", "migrate")
    step(environment, "airflow", "dag-processor", "--num-runs", "1")
    step(environment, sys.executable, str(SCRIPTS / "inspect_dags.py"), str(base / "found.json"))
    found = json.loads((base / "found.json").read_text())
    return Airflow(environment=environment, runs=run_dags(environment, base / "runs.json", RUNS), **found)


def step(environment: dict[str, str], *command: str) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, f"{command}:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"


def run_dags(
    environment: dict[str, str], answer: Path, cases: dict[str, tuple[str, dict[str, Any]]]
) -> dict[str, dict[str, Any]]:
    step(environment, sys.executable, str(SCRIPTS / "run_dags.py"), str(answer), json.dumps(cases))
    return json.loads(answer.read_text())


@pytest.fixture
def run_with_spark(
    airflow: Airflow, stores: Settings, tmp_path: Path
) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """Run a DAG of the project `visits` with the real spark-submit, on the session's stores."""
    servers = {name: value for name, value in stores.variables.items() if name != "GIORNATA_HOME"}
    _, rest = airflow.environment["PATH"].split(os.pathsep, 1)
    environment = airflow.environment | {
        **servers,
        "GIORNATA_PROJECTS": airflow.environment["GIORNATA_PROJECTS"],
        "PATH": rest,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }

    def run(dag_id: str, params: dict[str, Any]) -> dict[str, Any]:
        return run_dags(environment, tmp_path / "run.json", {"run": (dag_id, params)})["run"]

    return run
