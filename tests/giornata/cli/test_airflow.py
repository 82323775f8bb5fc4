"""`giornata run`: which run it starts, what it says of it, and how it ends; Airflow's API stands in as far as asked."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from giornata.airflow_api import AirflowError
from giornata.cli import airflow as cli_airflow
from giornata.days import DaysError
from giornata.errors import NotFoundError

DAYS = ("--from", "2013-11-01", "--to", "2013-11-04")
PROJECT = "description: Shops\nowner: shops-team\nstart_date: 2013-01-01\n"
GROUP = """\
description: {0}
owner: shops-team
entity: {{shop: str}}
features: {{{0}: {{type: int, description: {0}}}}}
"""
SOURCE = "SELECT shop, at AS event_time, 1 AS {} FROM visits WHERE at >= :from AND at < :to\n"


class Airflow(ThreadingHTTPServer):
    """Knows the DAGs of one project; `ends` is the state that its runs are in as soon as they are started."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.ends = "success"
        self.dags = {f"shops.{stage}": False for stage in ("ingest", "features", "score", "monitor")}
        self.started: list[tuple[str, dict[str, Any]]] = []

    def answer(self, method: str, path: str, body: Any) -> Any:
        match path.partition("?")[0].strip("/").split("/"):
            case ["auth", "token"]:
                return {"access_token": f"of {body['username']} {body['password']}"}
            case ["api", "v2", "dags"]:
                dags = [{"dag_id": dag, "is_paused": paused} for dag, paused in self.dags.items()]
                return {"dags": dags, "total_entries": len(dags)}
            case ["api", "v2", "importErrors"]:
                return {"import_errors": [{"filename": "/dags/bad.dags.py", "stack_trace": "bad: 1 problem"}]}
            case ["api", "v2", "dags", dag, "dagRuns"]:
                if method == "POST":
                    self.started.append((dag, body))
                runs = [
                    {"dag_run_id": body["dag_run_id"], "state": self.ends, "conf": body["conf"]}
                    for of, body in self.started
                    if of == dag
                ]
                return {"dag_runs": runs}
            case [*_, "taskInstances"]:
                return {
                    "task_instances": [
                        {"task_id": "load", "state": self.ends, "try_number": 1, "map_index": -1}
                    ]
                }
            case [*_, "load", "logs", "1"]:
                return {"content": [{"event": "[ingest] no such file"}]}
        raise AssertionError(f"{method} {path} is nothing that the command asks for")


class _Answers(BaseHTTPRequestHandler):
    server: Airflow

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers["content-length"] or 0))
        content = json.dumps(self.server.answer(self.command, self.path, json.loads(sent or "null"))).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    """Airflow's API, which the settings lead to, and beside it a project with two feature groups."""
    folder = tmp_path / "projects" / "shops"
    (folder / "features").mkdir(parents=True)
    (folder / "project.yaml").write_text(PROJECT)
    for name in ("load", "size"):
        (folder / "features" / f"{name}.yaml").write_text(GROUP.format(name))
        (folder / "features" / f"{name}.sql").write_text(SOURCE.format(name))
    with Airflow() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("GIORNATA_PROJECTS", str(folder.parent))
        monkeypatch.setenv("GIORNATA_AIRFLOW", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("GIORNATA_AIRFLOW_USER", "anna")
        monkeypatch.setenv("GIORNATA_AIRFLOW_PASSWORD", "secret")
        yield server
        server.shutdown()
        thread.join()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli_airflow.app, list(arguments))


@pytest.mark.parametrize("stage", ["ingest", "features", "score", "monitor"])
def test_a_stage_is_started_for_its_days_and_not_waited_for(airflow: Airflow, stage: str) -> None:
    airflow.ends = "running"
    result = run(stage, "shops", *DAYS)
    assert result.exit_code == 0, result.exception
    ((dag, body),) = airflow.started
    assert (dag, body["conf"]) == (f"shops.{stage}", {"from": "2013-11-01", "to": "2013-11-04"})
    assert result.output == (
        f"shops.{stage}: run {body['dag_run_id']}, see http://127.0.0.1:{airflow.server_port}"
        f"/dags/shops.{stage}/runs/{body['dag_run_id']}\n"
    )


def test_of_features_some_groups_may_be_run(airflow: Airflow) -> None:
    assert run("features", "shops", *DAYS, "--groups", "size,load").exit_code == 0
    ((_, body),) = airflow.started
    assert body["conf"] == {"from": "2013-11-01", "to": "2013-11-04", "groups": ["size", "load"]}


def test_a_run_may_have_executors_of_its_own(airflow: Airflow) -> None:
    assert run("ingest", "shops", *DAYS, "--resources", '{"executors": 3}').exit_code == 0
    ((_, body),) = airflow.started
    assert body["conf"] == {"from": "2013-11-01", "to": "2013-11-04", "resources": {"executors": 3}}
    wrong = run("ingest", "shops", *DAYS, "--resources", "3")
    assert wrong.exit_code == 2
    assert "is not a JSON object" in wrong.output
    assert len(airflow.started) == 1


def test_who_waits_is_told_how_it_ends(airflow: Airflow) -> None:
    result = run("ingest", "shops", *DAYS, "--wait")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "shops.ingest: success")
    airflow.ends = "failed"
    failed = run("ingest", "shops", *DAYS, "--wait").exception
    assert isinstance(failed, AirflowError)
    assert str(failed).splitlines()[1:] == ["last lines of task load:", "  [ingest] no such file"]


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("ingest", "shops", "--from", "2013-11-04", "--to", "2013-11-01"), DaysError, "there is no day"),
        (("ingest", "shops", "--from", "2013-11-31", "--to", "2013-12-02"), DaysError, "is not a date"),
        (("features", "shops", *DAYS, "--groups", "load,sizes"), NotFoundError, "did you mean 'size'?"),
        (("ingest", "shop", *DAYS), NotFoundError, "no DAG of a project shop; did you mean shops?"),
        (("ingest", "bad", *DAYS), NotFoundError, "the documents of bad are broken:\nbad: 1 problem"),
        (("score", "shops", *DAYS), AirflowError, "shops.score is paused in Airflow"),
    ],
)
def test_what_cannot_run_is_told_and_nothing_is_started(
    airflow: Airflow, arguments: tuple[str, ...], error: type[Exception], said: str
) -> None:
    airflow.dags["shops.score"] = True
    result = run(*arguments)
    assert isinstance(result.exception, error)
    assert said in str(result.exception)
    assert airflow.started == []


def test_groups_are_of_features_alone(airflow: Airflow) -> None:
    result = run("ingest", "shops", *DAYS, "--groups", "load")
    assert (result.exit_code, airflow.started) == (2, [])
    assert "only `giornata run features` has --groups" in " ".join(result.output.replace("│", " ").split())
