"""A client of Airflow's REST API: starts DAG runs, waits for them, reports their progress."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from giornata.errors import GiornataError
from giornata.settings import Settings

FINISHED = {"success", "failed"}


class AirflowError(GiornataError):
    """Airflow does not answer or refuses a request, or a run failed."""


@dataclass(frozen=True)
class Run:
    """A DAG run as the API reports it."""

    dag_id: str
    run_id: str
    state: str
    partition_key: str | None
    conf: dict[str, Any]
    queued_at: str


class AirflowApi:
    """A logged-in client. All calls have a time limit of 30 seconds."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=30)
        try:
            answer = self._http.post("/auth/token", json={"username": user, "password": password})
        except httpx.TransportError as problem:
            raise AirflowError(f"Airflow at {url} does not answer: {problem}") from problem
        if answer.status_code >= 400:
            raise AirflowError(f"Airflow at {url} refuses the login of {user}: {answer.text[:300]}")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    @classmethod
    def of(cls, settings: Settings) -> "AirflowApi":
        """A client logged in as the settings say. Raises SettingsError and AirflowError."""
        return cls(settings.airflow, settings.airflow_user, settings.airflow_password)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """The answer of an API call as plain data. A refused call raises AirflowError; a busy server (503) or a broken
        connection is retried for up to a minute."""
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = self._http.request(method, f"/api/v2{path}", **arguments)
            except httpx.TransportError as problem:
                if time.monotonic() > deadline:
                    raise AirflowError(f"Airflow at {self.url} does not answer: {problem}") from problem
            else:
                if answer.status_code < 400:
                    return answer.json() if answer.content else None
                if answer.status_code != 503 or time.monotonic() > deadline:
                    raise AirflowError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
            time.sleep(2)

    def dags(self) -> list[dict[str, Any]]:
        """Every DAG that the scheduler knows, as the API reports it."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", "/dags", params={"limit": 100, "offset": len(found)})
            found += page["dags"]
            if not page["dags"] or len(found) >= page["total_entries"]:
                return found

    def import_errors(self) -> list[dict[str, Any]]:
        """The DAG files that cannot be read, and why."""
        errors: list[dict[str, Any]] = self.call("GET", "/importErrors")["import_errors"]
        return errors

    def run_url(self, run: "Run") -> str:
        """The page of a run in Airflow."""
        return f"{self.url}/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}"

    def wait_for_dags(self, dag_ids: list[str], timeout: float = 180) -> None:
        """Return once the scheduler knows all `dag_ids`. Raises AirflowError with the import errors if it does not."""
        deadline = time.monotonic() + timeout
        while True:
            known = {dag["dag_id"] for dag in self.dags()}
            missing = sorted(set(dag_ids) - known)
            if not missing:
                return
            if time.monotonic() > deadline:
                detail = "\n".join(error["stack_trace"] for error in self.import_errors())
                raise AirflowError(
                    f"Airflow does not know {', '.join(missing)} after {timeout:.0f} s\n{detail}"
                )
            time.sleep(2)

    def set_pool(self, name: str, slots: int, description: str) -> None:
        """Create a pool, or set the number of slots of the pool with this name."""
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        known = self.call("GET", "/pools", params={"pool_name_pattern": name})["pools"]
        if any(pool["name"] == name for pool in known):
            self.call("PATCH", f"/pools/{name}", json=body)
        else:
            self.call("POST", "/pools", json=body)

    def run(self, dag_id: str, run_id: str) -> Run | None:
        """The run with this name, or None."""
        return next((run for run in self.runs(dag_id) if run.run_id == run_id), None)

    def runs(self, dag_id: str) -> list[Run]:
        """All runs of a DAG, newest first."""
        found = self.call("GET", f"/dags/{dag_id}/dagRuns", params={"limit": 100, "order_by": "-run_after"})
        return [
            Run(
                dag_id,
                run["dag_run_id"],
                run["state"],
                run.get("partition_key"),
                run.get("conf") or {},
                run.get("queued_at") or run.get("run_after") or "",
            )
            for run in found["dag_runs"]
        ]

    def start(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> Run:
        """Start a run, or return the run with this name; a failed one is cleared, so that it runs again."""
        known = self.run(dag_id, run_id)
        if known is None:
            body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
            self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)
        else:
            self.repair(known)
        started = self.run(dag_id, run_id)
        if started is None:
            raise AirflowError(f"Airflow lost the run {run_id} of {dag_id}")
        return started

    def repair(self, run: Run) -> None:
        """Run the failed tasks of a failed run, and those after them, again."""
        if run.state == "failed":
            path = f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}/clear"
            self.call("POST", path, json={"dry_run": False, "only_failed": True})

    def started_by(self, source: Run, dag_id: str, key: str, timeout: float = 120) -> Run:
        """The run of `dag_id` for the partition `key` that `source` has started; waits up to `timeout` s for it."""
        deadline = time.monotonic() + timeout
        while True:
            for run in self.runs(dag_id):
                if run.partition_key == key and run.queued_at > source.queued_at:
                    return run
            if time.monotonic() > deadline:
                raise AirflowError(
                    f"{source.dag_id} {source.run_id} has started no run of {dag_id} for {key}"
                )
            time.sleep(2)

    def tasks(self, run: Run) -> list[dict[str, Any]]:
        """Task instances of a run as the API reports them."""
        path = f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}/taskInstances"
        instances: list[dict[str, Any]] = self.call("GET", path)["task_instances"]
        return instances

    def log(self, run: Run, task: dict[str, Any]) -> list[str]:
        """The lines that the latest try of a task has logged so far."""
        path = (
            f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/{task['task_id']}"
            f"/logs/{max(task['try_number'], 1)}"
        )
        content = self.call("GET", path, params={"map_index": task["map_index"]}).get("content") or []
        return [str(entry.get("event", "")) if isinstance(entry, dict) else str(entry) for entry in content]

    def wait(self, run: Run, progress: Callable[[str], None], timeout: float) -> Run:
        """Follow a run to its end; `progress` is called with the running task and the last line that it reported.

        Raises AirflowError with the end of the failed task's log, or when `timeout` seconds have passed.
        """
        deadline = time.monotonic() + timeout
        while True:
            now = self.run(run.dag_id, run.run_id)
            if now is None:
                raise AirflowError(f"Airflow lost the run {run.run_id} of {run.dag_id}")
            tasks = self.tasks(now)
            if now.state == "success":
                return now
            if now.state == "failed":
                raise AirflowError(self._failure(now, tasks))
            if time.monotonic() > deadline:
                raise AirflowError(f"{run.dag_id} {run.run_id} is still {now.state} after {timeout:.0f} s")
            progress(self._doing(now, tasks))
            time.sleep(1.5)

    def _doing(self, run: Run, tasks: list[dict[str, Any]]) -> str:
        running = [task for task in tasks if task["state"] == "running"]
        if not running:
            return f"{run.dag_id}: {run.state}"
        # Jobs report their progress in lines that begin with their name in brackets.
        said = [
            line.rsplit(" - ", 1)[-1] for line in self.log(run, running[0]) if "[" in line and "] " in line
        ]
        reported = [line[line.index("[") :] for line in said if line.lstrip().startswith("[")]
        return f"{run.dag_id}: {reported[-1] if reported else running[0]['task_id']}"

    def _failure(self, run: Run, tasks: list[dict[str, Any]]) -> str:
        failed = [task for task in tasks if task["state"] == "failed"]
        lines = [f"{run.dag_id} failed (run {run.run_id}); see {self.url}/dags/{run.dag_id}"]
        for task in failed:
            lines.append(f"last lines of task {task['task_id']}:")
            lines += [f"  {line}" for line in self.log(run, task)[-40:]]
        return "\n".join(lines)
