"""The plugin with Airflow's real login: in a process of its own, since Airflow reads its settings at import."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
NOBODY = "127.0.0.1:9"  # the discard port: Cassandra is not there


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the console in Airflow answers to each kind of user, without Cassandra."""
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-this-test-only-for-this-test-only-for-this-test-only-for",
        "GIORNATA_HOME": str(home),
        "GIORNATA_PROJECTS": str(home),
        "GIORNATA_CASSANDRA": NOBODY,
    }
    script = Path(__file__).with_name("ask_console.py")
    done = subprocess.run(
        [sys.executable, script], env=environment, cwd=home, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_nobody_gets_in_without_login(answers: dict[str, Any]) -> None:
    assert len(answers["routes"]) >= 12
    assert set(answers["statuses"]["None"].values()) == {401}


def test_a_page_without_login_leads_to_it_and_back(answers: dict[str, Any]) -> None:
    status, location = answers["login"]
    assert status == 307
    assert location == ("/auth/login?next=http%3A%2F%2Ftestserver%2Fgiornata%2Fmodels%2Fa%2Fb%3Fwindow%3D7d")


def test_a_viewer_reads_and_cannot_deploy(answers: dict[str, Any]) -> None:
    statuses = answers["statuses"]["VIEWER"]
    deploying = {
        "GET /giornata/versions/none/deploy",
        *(route for route in statuses if route.startswith("POST")),
    }
    assert len(deploying) == 3
    assert {statuses[route] for route in deploying} == {403}
    # Let in: what is missing is Cassandra, a parameter, or the feature group.
    reading = {route: status for route, status in statuses.items() if route not in deploying}
    assert set(reading.values()) <= {503, 422, 404}
    assert all("/features/none" in route for route, status in reading.items() if status == 404)


def test_who_may_trigger_runs_may_deploy(answers: dict[str, Any]) -> None:
    statuses = answers["statuses"]["USER"]
    assert statuses["GET /giornata/versions/none/deploy"] == 503
    assert statuses["POST /giornata/api/deployments"] == 503


def test_no_description_of_the_api_is_public(answers: dict[str, Any]) -> None:
    assert set(answers["unlisted"].values()) == {404}


def test_the_entry_in_the_navigation(answers: dict[str, Any]) -> None:
    (view,) = answers["views"]
    assert view["href"].endswith("/"), "without the slash Airflow answers with its own page"
    assert (view["name"], view["destination"], view["url_route"]) == ("Models", "nav", "giornata-models")
    assert answers["icon"] == 200
