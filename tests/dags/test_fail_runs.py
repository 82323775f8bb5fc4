"""Unfinished runs of a removed project end, on a real Airflow; those of other projects go on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.processes


def test_unfinished_runs_of_a_project_that_is_gone_are_failed(airflow: Any, tmp_path: Path) -> None:
    home = tmp_path / "airflow"
    shutil.copytree(airflow.environment["AIRFLOW_HOME"], home)
    (home / "passwords.json").write_text('{"admin": "admin"}')
    environment = airflow.environment | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
    }
    script, answer = Path(__file__).with_name("fail_runs.py"), tmp_path / "answer"
    done = subprocess.run(
        [sys.executable, script, "visits", answer],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    found = json.loads(answer.read_text())
    going_on = {run for run, state in found["before"].items() if state in ("running", "queued")}
    unfinished = {run for run in going_on if run.startswith("visits.")}
    assert {found["before"][run] for run in unfinished} == {"running", "queued"}
    assert going_on - unfinished == {"handmade.amount.train other"}
    assert found["failed"] == [len(unfinished), 0]
    assert found["after"] == {
        run: "failed" if run in unfinished else state for run, state in found["before"].items()
    }
