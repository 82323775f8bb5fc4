"""The whole loop on real flights, run through Airflow: `make demo`.

Ten months of history are loaded and two models trained and deployed. Then five days arrive: they are scored in batch
and online, get their labels, and a bad day sends a mail. Running it again finds the finished runs.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from examples import results
from giornata.airflow_api import AirflowApi, Run
from giornata.documents import load_project
from giornata.errors import GiornataError
from giornata.names import Name, predictions_table
from giornata.settings import Settings, load_settings
from giornata.stores import cassandra, hive
from giornata.stores.deployments import Deployments
from giornata.stores.repository import Repository
from stack.installation import AIRFLOW_PASSWORDS, installation

PROJECT = "flights"
MODELS = ("trip_minutes", "late")
TAG = "production"
ROWS_PER_REQUEST = 100

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """The days of the demo: history in [start, today), training as of `as_of`; then [today, until) arrives.

    `training` goes into the trigger forms of the training DAGs, `online` is the number of online requests.
    """

    start: str = "2013-01-01"
    as_of: str = "2013-11-01"
    today: str = "2013-11-11"
    until: str = "2013-11-16"
    training: Mapping[str, Any] = field(default_factory=dict)
    online: int = 1000

    def run_id(self, what: str) -> str:
        """The name of a run of this plan in Airflow."""
        return f"demo_{self.start}_{self.as_of}_{self.today}_{self.until}_{what}"


class Stages:
    """Shows on the terminal which stage runs and its progress, and records how long each took."""

    def __init__(self, console: Console):
        self.console = console
        self.seconds: list[tuple[str, float]] = []

    def run(self, title: str, work: Callable[[Progress], Any]) -> Any:
        """Do `work`, which gets a function to report progress; returns its result."""
        started = time.monotonic()
        shown = None
        self.console.print(f"\n[bold]{title}[/bold]", highlight=False)

        def progress(text: str) -> None:
            nonlocal shown
            if text != shown:
                shown = text
                elapsed = time.monotonic() - started
                self.console.print(
                    f"  {elapsed:4.0f} s  {text}",
                    highlight=False,
                    markup=False,
                    overflow="ellipsis",
                    no_wrap=True,
                )

        result = work(progress)
        self.seconds.append((title, time.monotonic() - started))
        return result


def play(settings: Settings, plan: Plan, airflow: AirflowApi, stages: Stages) -> None:
    """Run the loop. Raises GiornataError with the last lines of the task if a run fails."""
    ids = [f"{PROJECT}.{part}" for part in ("ingest", "features", "score", "monitor")]
    ids += [f"{PROJECT}.{model}.train" for model in MODELS]
    stages.run("Airflow reads the project's documents", lambda progress: airflow.wait_for_dags(ids))
    history, days = f"{plan.start} to {plan.today}", f"{plan.today} to {plan.until}"
    run = load(airflow, stages, plan.run_id("history"), plan.start, plan.today, history)
    follow(airflow, stages, run, f"{plan.start}/{plan.today}", history)
    for model in MODELS:
        run = airflow.start(
            f"{PROJECT}.{model}.train", plan.run_id("train"), {"as_of": plan.as_of, **plan.training}
        )
        stages.run(
            f"{PROJECT}/{model}: search, train, evaluate, deploy",
            partial(airflow.wait, run, timeout=1500),
        )
    run = load(airflow, stages, plan.run_id("days"), plan.today, plan.until, days)
    if not are_answered(settings, plan):
        stages.run(
            "Flights of these days ask the prediction server", lambda progress: ask(settings, plan, progress)
        )
    follow(airflow, stages, run, f"{plan.today}/{plan.until}", days)
    if not are_answered(settings, plan):  # the monitor was faster than the flights
        run = airflow.start(
            f"{PROJECT}.monitor", plan.run_id("online"), {"from": plan.today, "to": plan.until}
        )
        stages.run("Online predictions meet their labels", lambda progress: airflow.wait(run, progress, 900))


def load(airflow: AirflowApi, stages: Stages, run_id: str, first: str, last: str, days: str) -> Run:
    """Load the tables of the days [first, last); the features follow. Returns the runs of both."""
    run = airflow.start(f"{PROJECT}.ingest", run_id, {"from": first, "to": last})
    stages.run(f"Tables of {days}", lambda progress: airflow.wait(run, progress, 900))
    return follow_part(
        airflow, stages, run, "features", f"{first}/{last}", f"Features into Hive and Cassandra, {days}"
    )


def follow(airflow: AirflowApi, stages: Stages, features: Run, key: str, days: str) -> None:
    """Wait for scoring and monitoring, which the features of days have started one after the other."""
    scores = follow_part(airflow, stages, features, "score", key, f"Deployed models score, {days}")
    follow_part(airflow, stages, scores, "monitor", key, f"Labels meet predictions, {days}")


def follow_part(airflow: AirflowApi, stages: Stages, source: Run, part: str, key: str, title: str) -> Run:
    """Follow the run of a stage of the chain that the run before, `source`, has started; returns it."""
    run = airflow.started_by(source, f"{PROJECT}.{part}", key)
    airflow.repair(run)
    stages.run(title, lambda progress: airflow.wait(run, progress, 900))
    return run


def are_answered(settings: Settings, plan: Plan) -> bool:
    """Whether Hive has online predictions of each model for as many flights as were requested."""
    present = {row["tableName"] for row in hive.query(settings, f"SHOW TABLES IN {PROJECT}")}
    tables = [predictions_table(Name(PROJECT, model)) for model in MODELS]
    if not present.issuperset(table.partition(".")[2] for table in tables):
        return False
    counted = [
        hive.query(
            settings, f"SELECT count(DISTINCT flight_id) AS flights FROM {table} WHERE mode = 'online'"
        )
        for table in tables
    ]
    return all(int(str(rows[0]["flights"])) >= plan.online for rows in counted)


def ask(settings: Settings, plan: Plan, progress: Progress) -> None:
    """Send flights of the arrived days to the prediction server, each about its own moment."""
    wait_for_server(settings)
    flights = hive.query(
        settings,
        f"SELECT * FROM {PROJECT}.departures WHERE day >= %s AND day < %s AND pushed_back_at IS NOT NULL "
        "ORDER BY hash(flight_id) LIMIT " + str(int(plan.online)),
        (plan.today, plan.until),
    )
    for model in MODELS:
        for first in range(0, len(flights), ROWS_PER_REQUEST):
            rows = [_request_row(flight) for flight in flights[first : first + ROWS_PER_REQUEST]]
            _predict(settings, model, {"rows": rows, "all_or_nothing": True})
        progress(f"{PROJECT}/{model}: {len(flights)} flights answered")


def _request_row(flight: Mapping[str, object]) -> dict[str, object]:
    """A flight as JSON for the server, without Hive's partition column."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in flight.items()
        if name != "day"
    }


def _predict(settings: Settings, model: str, body: Mapping[str, object]) -> dict[str, Any]:
    answer = httpx.post(f"{settings.serving}/models/{PROJECT}/{model}/{TAG}/predict", json=body, timeout=30)
    if answer.status_code != 200:
        raise GiornataError(f"the prediction server answers {answer.status_code}: {answer.text[:500]}")
    predicted: dict[str, Any] = answer.json()
    return predicted


def wait_for_server(settings: Settings, timeout: float = 30) -> None:
    """Return when the prediction server answers by the tag for all models. Raises GiornataError after `timeout` s."""
    deadline = time.monotonic() + timeout
    while True:
        listed = httpx.get(f"{settings.serving}/models", timeout=10).text
        if all(f"{PROJECT}/{model}" in listed for model in MODELS):
            return
        if time.monotonic() > deadline:
            raise GiornataError(
                f"the prediction server has not loaded the models after {timeout:.0f} s: {listed}"
            )
        time.sleep(0.5)


def show(settings: Settings, plan: Plan, console: Console, mails: Path) -> None:
    """Print the results: the catalogue of features, accuracy on the test period, predictions, an online prediction,
    live accuracy, consistency of features and the alert mails."""
    with cassandra.session(settings) as session:
        deployments, repository = Deployments(session), Repository(session)
        versions = []
        for model in MODELS:
            deployed = deployments.current(f"{PROJECT}/{model}", TAG)
            if deployed is None:
                raise GiornataError(f"no version of {PROJECT}/{model} is deployed to {TAG}")
            versions.append(repository.get(deployed.uuid))
        results.show_catalogue(console, session, load_project(settings.projects / PROJECT))
    flight = hive.query(
        settings,
        f"SELECT * FROM {PROJECT}.departures WHERE day = %s AND pushed_back_at IS NOT NULL "
        "ORDER BY flight_id LIMIT 1",
        (plan.today,),
    )[0]
    for version in versions:
        results.show_accuracy(console, version)
    results.show_predictions(console, settings, PROJECT, MODELS[0])
    results.show_online(console, settings, versions[0], TAG, _request_row(flight))
    results.show_monitored(console, settings, PROJECT, ("rmse", "auc"))
    results.show_consistency(console, settings, PROJECT)
    results.show_mails(console, mails)


def main() -> int:
    """Play the demo on the running stack and show its results; an expected error ends it with its message."""
    console = Console()
    try:
        settings, here = load_settings(), installation()
        stages, plan = Stages(console), Plan()
        airflow = AirflowApi.of(settings)
        play(settings, plan, airflow, stages)
        show(settings, plan, console, here.mails)
        results.show_stages(console, stages.seconds)
    except GiornataError as problem:
        console.print(f"\n{problem}", highlight=False, markup=False, soft_wrap=True)
        return 1
    console.print(
        f"\nAirflow: {settings.airflow} (login admin / {AIRFLOW_PASSWORDS['admin']}); models: Models in its menu"
    )
    console.print("The stack stays up: `make down` ends it, `make up` brings it back with its data.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
