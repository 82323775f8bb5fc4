"""A whole training on Spark against what was planted in the data, and against plain XGBoost on the same rows.

The trips: minutes = 0.1 * distance + wind + noise, but in the state Hilly 0.4 * distance, and inside it in the
city Steep 0.8 * distance. The state Flat and its city Plain are like everywhere else; the city Few is rare.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest
import xgboost
from mlflow.tracking import MlflowClient

from giornata.bundle import open_bundle
from giornata.deployment import deploy
from giornata.errors import DataError, StoreError
from giornata.models.base import FitError, ParameterError
from giornata.partitions import PartRows, key_text
from giornata.records.model_version import ModelVersion
from giornata.scorer import Scorer
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.repository import Repository
from giornata.stores.training_runs import TrainingRuns
from jobs import export_training_data, score, train
from jobs.hive.publish import ensure_table, publish
from jobs.training import part_fitting, stages
from jobs.training.dataset import PARTS, WINDOW
from jobs.training.trials import TrialRunner

ROOT = Path(__file__).parents[2]
FIRST = datetime(2013, 3, 1, tzinfo=UTC)
AS_OF = datetime(2013, 4, 10, tzinfo=UTC)  # 24 days of training, 6 of validation, 10 of test
TEST = datetime(2013, 3, 31, tzinfo=UTC)
# A trip takes five hours, so that too many of the last day before either end have no label by then: it is left out.
LEARNED, END = TEST - timedelta(days=1), AS_OF - timedelta(days=1)
VALIDATION = LEARNED - (LEARNED - FIRST) * 0.2
EMPTY_DAY = datetime(2013, 4, 8, tzinfo=UTC)

FILES = {
    "tables/departures.yaml": """
description: Generated trips
key: [trip_id]
event_time: left_at
columns:
  trip_id: str
  left_at: timestamp
  planned_at: timestamp
  distance: float
  carrier: str
  city: str
  state: str
  settled: float          # the cube of its minutes, filled in when it has arrived
  settled_at: timestamp
planned: [planned_at]
""",
    "tables/arrivals.yaml": """
description: Generated arrivals
key: [trip_id]
event_time: arrived_at
columns: {trip_id: str, arrived_at: timestamp, minutes: float}
""",
    "features/weather.yaml": """
description: Wind by state
owner: tests
entity: {state: str}
schedule: "@daily"
ttl: 12h
features: {wind: {type: float, description: Wind speed}}
""",
    "features/weather.sql": "SELECT state, event_time, wind FROM wind WHERE event_time >= :from AND event_time < :to",
    "models/minutes.yaml": """
description: Minutes of a trip
owner: tests
type: xgboost
task: regression
data: {table: departures, key: [trip_id], event_time: left_at}
label: {table: arrivals, value: minutes, event_time: arrived_at}
split: {train: 30d, validation: 0.2, test: 10d}
features:
  distance: row.distance
  carrier: vocabulary(row.carrier)
  wind: coalesce(store.weather.wind, 0)
partition: {by: [row.city, row.state], min_rows: 100}
parameters: {n_estimators: 30, max_depth: 3, learning_rate: 0.3}
search: {trials: 4, metric: rmse, space: {max_depth: {int: [2, 5]}, learning_rate: {float: [0.05, 0.5], log: true}}}
resources: {executors: 2, cores: 1, memory: 600m}
deploy: {tag: production, modes: [batch, online], gate: {rmse: {max: 40}}}
""",
}

# A model type of the project's own: the example's class, asked about the city, the carrier and how windy it is.
FILES["models/usual.py"] = (ROOT / "projects/flights/models/usual.py").read_text()
FILES["models/usual_minutes.yaml"] = """
description: Usual minutes of a trip
owner: tests
type: custom
class: usual.MedianOfSimilar
task: regression
data: {table: departures, key: [trip_id], event_time: left_at}
label: {table: arrivals, value: minutes, event_time: arrived_at}
split: {train: 30d, validation: 0.2, test: 10d}
features:
  pace: bucketize(row.distance, 250, 400, 550, 700, 850)
  wind: bucketize(coalesce(store.weather.wind, 0), 10, 20)
  carrier: vocabulary(row.carrier)
partition: {by: [row.city, row.state], min_rows: 100}
parameters: {min_rows: 30}
search: {trials: 3, metric: mae, space: {min_rows: {choice: [10, 10000]}}}
resources: {executors: 2, cores: 1, memory: 600m}
"""


# A model that is told the answer: by a number that grows with it, and by the moment at which it was filled in.
FILES["models/told_minutes.yaml"] = """
description: Minutes of a trip, from what is known after it
owner: tests
type: linear
task: regression
data: {table: departures, key: [trip_id], event_time: left_at}
label: {table: arrivals, value: minutes, event_time: arrived_at}
split: {train: 30d, validation: 0.2, test: 10d}
features:
  distance: row.distance
  settled: row.settled
  ahead: minutes_between(row.left_at, row.planned_at)
  taken: hour(row.settled_at, "UTC")
  second: floor(to_epoch(row.left_at))
resources: {executors: 2, cores: 1, memory: 600m}
"""


@dataclass(frozen=True)
class World:
    """A project with its tables in Hive, and the same data beside it."""

    settings: Settings
    project: str
    trips: pl.DataFrame
    weather: pl.DataFrame

    @property
    def model(self) -> str:
        return f"{self.project}/minutes"


def generated() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Trips with their arrivals, and the hourly wind, of 40 days."""
    random = np.random.default_rng(7)
    rows = 6000
    place = random.choice(6, rows, p=[0.3, 0.2, 0.25, 0.02, 0.13, 0.1])
    city = np.array(["Gentle", "Steep", "Plain", "Few", None, "Any"], object)[place]
    state = np.array(["Hilly", "Hilly", "Flat", "Flat", "Hilly", None], object)[place]
    pace = np.array([0.4, 0.8, 0.1, 0.1, 0.4, 0.1])[place]
    left = [FIRST + timedelta(minutes=int(minute)) for minute in np.sort(random.integers(0, 40 * 1440, rows))]
    hours = [FIRST + timedelta(hours=hour - 24) for hour in range(41 * 24)]
    weather = pl.DataFrame(
        {
            "state": ["Hilly"] * len(hours) + ["Flat"] * len(hours),
            "event_time": hours * 2,
            "wind": random.uniform(0, 30, 2 * len(hours)),
        },
        schema_overrides={"event_time": pl.Datetime("us", "UTC")},
    )
    wind = {(row["state"], row["event_time"]): row["wind"] for row in weather.to_dicts()}
    # Known from the next instant on: a trip that leaves on the hour sees the wind of the hour before.
    seen = [
        wind.get((at, (when - timedelta(microseconds=1)).replace(minute=0, second=0, microsecond=0)), 0.0)
        for at, when in zip(state, left, strict=True)
    ]
    distance = random.uniform(100, 1000, rows)
    minutes = distance * pace + np.array(seen) + random.normal(0, 4, rows)
    trips = pl.DataFrame(
        {
            "trip_id": [f"t{number:05}" for number in range(rows)],
            "left_at": left,
            # Before or after it leaves, on the same day or the next: rows are filed by the plan.
            "planned_at": [
                when + timedelta(minutes=(number * 7919) % 601 - 300) for number, when in enumerate(left)
            ],
            "distance": distance,
            "carrier": random.choice(["UA", "AA"], rows),
            "city": city.tolist(),
            "state": state.tolist(),
            "minutes": minutes,
            "arrived_at": [when + timedelta(hours=5) for when in left],
            "seen_wind": seen,
        },
        schema_overrides={"left_at": pl.Datetime("us", "UTC"), "arrived_at": pl.Datetime("us", "UTC")},
    )
    random_rows = pl.Series(random.random(rows))
    trips = trips.with_columns(
        # Cancelled: never asked. Never arrived: no label.
        left_at=pl.when(random_rows < 0.02).then(None).otherwise(pl.col("left_at")),
        minutes=pl.when((random_rows > 0.02) & (random_rows < 0.03)).then(None).otherwise(pl.col("minutes")),
        settled=pl.col("minutes") ** 3,
        # Of every fourth trip it is not told when.
        settled_at=pl.when(pl.int_range(pl.len()) % 4 > 0).then(pl.col("arrived_at")),
    )
    return trips.filter(scored_on(trips) != EMPTY_DAY), weather


def scored_on(trips: pl.DataFrame) -> pl.Series:
    """The first day on which a trip has both left and been filed; of one that never left, the day it was filed."""
    return trips.select(pl.max_horizontal("left_at", "planned_at").dt.truncate("1d")).to_series()


def publish_frame(spark, settings, table, frame, columns, day):
    ensure_table(spark, table, columns)
    rows = frame.select(columns.keys()).with_columns(day=frame[day].dt.strftime("%Y-%m-%d"))
    publish(
        spark,
        spark.createDataFrame(rows.to_arrow(compat_level=pl.CompatLevel.oldest())),
        table,
        settings=settings,
    )


@pytest.fixture(scope="module")
def world(spark, stores, tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    project = f"test_{uuid.uuid4().hex[:10]}"
    files = {"project.yaml": "description: Trips\nowner: tests\nstart_date: 2013-01-01\n", **FILES}
    for path, text in files.items():
        file = folder / "projects" / project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    variables = {
        **stores.variables,
        "GIORNATA_PROJECTS": str(folder / "projects"),
        "GIORNATA_BUNDLES": str(folder / "bundles"),
        "GIORNATA_MLFLOW": f"sqlite:///{folder}/mlflow.db",
        "GIORNATA_SPARK_MASTER": "local-cluster[2,1,600]",
    }
    settings = replace(stores, variables=variables)
    trips, weather = generated()
    departures = {
        "trip_id": "str",
        "left_at": "timestamp",
        "planned_at": "timestamp",
        "distance": "float",
        "carrier": "str",
        "city": "str",
        "state": "str",
        "settled": "float",
        "settled_at": "timestamp",
    }
    arrivals = {"trip_id": "str", "arrived_at": "timestamp", "minutes": "float"}
    wind = {"state": "str", "event_time": "timestamp", "wind": "float"}
    # Cancelled trips have no day of their own to lie in: the plan says it.
    publish_frame(spark, settings, f"{project}.departures", trips, departures, "planned_at")
    publish_frame(spark, settings, f"{project}.arrivals", trips, arrivals, "arrived_at")
    publish_frame(spark, settings, f"{project}.weather", weather, wind, "event_time")
    with cassandra.session(stores) as opened:
        cassandra.apply(opened, ROOT / "sql" / "cassandra" / "giornata.cql")
    yield World(settings, project, trips, weather)
    for table in spark.catalog.listTables(project):
        spark.sql(f"DROP TABLE {project}.{table.name}")


def clock():
    return datetime(2013, 4, 10, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def version(spark, world) -> ModelVersion:
    training = train.TrainingRequest(world.model, AS_OF, str(uuid.uuid4()), "anna")
    return train.run(spark, world.settings, training, clock)


def in_window(trips: pl.DataFrame, start: datetime, end: datetime, known: datetime) -> pl.DataFrame:
    """The rows a window may use, by hand."""
    left, arrived = pl.col("left_at"), pl.col("arrived_at")
    return trips.filter((left >= start) & (left < end) & (arrived < known) & pl.col("minutes").is_not_null())


def without_label(trips: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """The rows of a window that never get a label."""
    return trips.filter(
        (pl.col("left_at") >= start) & (pl.col("left_at") < end) & pl.col("minutes").is_null()
    )


def plain_matrix(frame: pl.DataFrame, codes: dict[str, int]) -> np.ndarray:
    carrier = np.array([codes[name] for name in frame["carrier"]], float)
    return np.column_stack([frame["distance"], carrier, frame["seen_wind"]]).astype(np.float32)


def test_windows_hold_the_rows_whose_labels_were_known(world, version):
    train_rows = in_window(world.trips, FIRST, VALIDATION, TEST)
    validation = in_window(world.trips, VALIDATION, LEARNED, TEST)
    test = in_window(world.trips, TEST, END, AS_OF)
    assert {name: window.rows for name, window in version.windows.items()} == {
        "train": train_rows.height,
        "validation": validation.height,
        "test": test.height,
    }
    # Every trip of the windows has arrived by then; some have no minutes.
    assert validation.height == in_window(world.trips, VALIDATION, LEARNED, AS_OF).height
    assert {name: (window.start, window.end) for name, window in version.windows.items()} == {
        "train": (FIRST, VALIDATION),
        "validation": (VALIDATION, LEARNED),
        "test": (TEST, END),
    }
    assert {name: window.unlabelled for name, window in version.windows.items()} == {
        name: without_label(world.trips, window.start, window.end).height
        for name, window in version.windows.items()
    }
    assert version.refit is None


def test_of_the_last_days_it_is_told_how_many_had_no_label(world, version):
    """By hand: what had not arrived, and what had without minutes."""
    for sentence, name, (start, end), known, ends in zip(
        version.warnings,
        ("validation", "test"),
        ((TEST - timedelta(days=6), TEST), (TEST, AS_OF)),
        (TEST, AS_OF),
        ("training and validation end on 2013-03-30", "it ends on 2013-04-09"),
        strict=True,
    ):
        left = pl.col("left_at")
        rows = world.trips.filter((left >= start) & (left < end))
        missing = rows.height - in_window(world.trips, start, end, known).height
        assert missing > without_label(world.trips, start, end).height + 20
        assert sentence == (
            f"{missing} of the {rows.height:,} rows of the {name} period had no label yet on {known:%Y-%m-%d} "
            f"(99% of labels come within 5 hours): {ends}, up to which labels are complete"
        )


def test_planted_parts_are_kept_and_the_others_dropped(version):
    parts = {part.name: part for part in version.parts}
    assert {name: part.kept for name, part in parts.items()} == {
        "all": True,
        "state=Hilly": True,
        "city=Steep": True,
        "city=Gentle": True,
        "state=Flat": parts["state=Flat"].kept,
        "city=Plain": parts["city=Plain"].kept,
        "city=Few": False,
    }
    assert parts["city=Few"].reason.endswith("rows, fewer than 100")
    assert parts["city=Few"].metric is None
    for part in parts.values():
        if part.metric is not None and part.parent_metric is not None:
            assert part.kept == (part.metric < part.parent_metric)
    # Steep's own slope is worth far more than noise.
    assert parts["city=Steep"].metric < 0.5 * parts["city=Steep"].parent_metric


def test_rows_of_parts(world, version):
    learned = pl.concat(
        [in_window(world.trips, FIRST, VALIDATION, TEST), in_window(world.trips, VALIDATION, LEARNED, TEST)]
    )
    parts = {part.name: part.rows for part in version.parts}
    assert parts["all"] == learned.height
    assert parts["state=Hilly"] == learned.filter(pl.col("state") == "Hilly").height
    assert parts["city=Few"] == learned.filter(pl.col("city") == "Few").height


def test_single_model_is_plain_xgboost(world, version):
    learned = pl.concat(
        [in_window(world.trips, FIRST, VALIDATION, TEST), in_window(world.trips, VALIDATION, LEARNED, TEST)]
    )
    test = in_window(world.trips, TEST, END, AS_OF)
    counts = in_window(world.trips, FIRST, VALIDATION, TEST)["carrier"].value_counts()
    order = sorted(counts.to_dicts(), key=lambda row: (-row["count"], row["carrier"]))
    codes = {row["carrier"]: 2 + place for place, row in enumerate(order)}
    options = {k: v for k, v in version.parameters.items() if k != "n_estimators"}
    data = xgboost.DMatrix(plain_matrix(learned, codes), learned["minutes"].to_numpy())
    booster = xgboost.train(
        options | {"tree_method": "hist", "nthread": 1}, data, version.parameters["n_estimators"]
    )
    predicted = booster.predict(xgboost.DMatrix(plain_matrix(test, codes)))
    rmse = math.sqrt(np.mean((predicted - test["minutes"].to_numpy()) ** 2))
    # The rows come in another order, so that float32 sums differ in their last digits.
    assert version.single_model_metrics["rmse"] == pytest.approx(rmse, rel=0.01)
    mean = learned["minutes"].mean()
    baseline = math.sqrt(np.mean((test["minutes"].to_numpy() - mean) ** 2))
    assert version.baseline_metrics["rmse"] == pytest.approx(baseline, rel=1e-9)
    assert version.metrics["rmse"] < 0.6 * version.single_model_metrics["rmse"]


def test_levels_answer_the_rows_they_should(world, version):
    test = in_window(world.trips, TEST, END, AS_OF)
    kept = {tuple(part.key): part.level for part in version.parts if part.kept}
    expected: dict[str, int] = {}
    for row in test.to_dicts():
        paths = [(row["state"], row["city"]), (row["state"],), ()]
        level = next(kept[path] for path in paths if path in kept)
        expected[level] = expected.get(level, 0) + 1
    assert {level.level: level.rows for level in version.metrics_by_level} == expected
    whole = sum(level.rows * level.metrics["rmse"] ** 2 for level in version.metrics_by_level) / test.height
    assert version.metrics["rmse"] == pytest.approx(math.sqrt(whole))
    steep = next(part for part in version.parts if part.name == "city=Steep")
    assert steep.test_rows == test.filter(pl.col("city") == "Steep").height
    assert steep.size["trees"] == version.parameters["n_estimators"]


def test_the_bundle_answers_as_the_record_says(world, version):
    with cassandra.session(world.settings) as opened:
        repository = Repository(opened)
        bundle = open_bundle(repository.bundle(version.uuid))
        assert repository.get(version.uuid) == version
    scorer = Scorer(bundle)
    scorer.check_self_test()
    assert len(bundle.self_test) == stages.SELF_TEST_ROWS + 1
    test = in_window(world.trips, TEST, END, AS_OF)
    answers = scorer.columns(test.with_columns(weather__wind=pl.col("seen_wind")))
    error = answers["prediction"].to_numpy() - test["minutes"].to_numpy()
    assert math.sqrt(np.mean(error**2)) == pytest.approx(version.metrics["rmse"], rel=1e-9)


def test_what_it_learned_from_can_be_looked_at(spark, world, version, tmp_path):
    """Every row of the windows, once, with what the join found and the features that the model was given."""
    out = tmp_path / "frame.parquet"
    rows = export_training_data.run(spark, world.settings, world.model, AS_OF, out)
    found = pl.read_parquet(out).sort("key.trip_id")
    assert found.height == rows == found["key.trip_id"].n_unique()
    assert [path.name for path in tmp_path.iterdir()] == ["frame.parquet"]
    timely = found.filter(pl.col("label").is_not_null())
    assert dict(timely["window"].value_counts().iter_rows()) == {
        name: window.rows for name, window in version.windows.items()
    }
    learned = in_window(world.trips, FIRST, VALIDATION, TEST)
    expected = learned.sort("trip_id")
    mine = timely.filter(pl.col("window") == "train")
    assert mine["key.trip_id"].to_list() == expected["trip_id"].to_list()
    assert mine["label"].to_list() == expected["minutes"].to_list()
    assert mine["event_time"].to_list() == expected["left_at"].to_list()
    assert mine["store.weather.wind"].fill_null(0).to_list() == expected["seen_wind"].to_list()
    assert mine["store.weather.wind"].null_count() > 0
    assert mine["feature.distance"].to_list() == expected["distance"].cast(pl.Float32).to_list()
    assert mine["feature.wind"].to_list() == expected["seen_wind"].cast(pl.Float32).to_list()
    path = zip(expected["state"], expected["city"], strict=True)
    assert mine["part"].list.len().to_list() == [
        1 + (state is not None) + (state is not None and city is not None) for state, city in path
    ]
    assert mine["fold"].null_count() == mine.height  # nothing here learns from labels


def test_record(version):
    assert version.signature.inputs["distance"].nullable is False
    assert version.signature.inputs["state"].nullable is True
    assert version.signature.store["weather"].keys == {"state": "state"}
    assert set(version.groups) == {"weather"}
    assert sum(version.importances.values()) == pytest.approx(1)
    assert next(iter(version.importances)) == "distance"
    assert version.distributions["distance"].rows == version.windows["train"].rows
    assert 100 <= version.distributions["distance"].quantiles["0"] < 110
    trials = version.search.trials
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert trials[0].parameters == {"n_estimators": 30, "max_depth": 3, "learning_rate": 0.3}
    assert trials[version.search.best].value == min(trial.value for trial in trials)


def test_mlflow_holds_every_trial(world, version):
    client = MlflowClient(tracking_uri=world.settings.mlflow)
    experiment = client.get_experiment_by_name(world.model)
    parent = client.get_run(version.mlflow_run)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["test_rmse"] == pytest.approx(version.metrics["rmse"])
    nested = client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{version.mlflow_run}'"
    )
    assert sorted(run.data.metrics["validation_rmse"] for run in nested) == pytest.approx(
        sorted(trial.value for trial in version.search.trials)
    )
    assert {run.data.params["n_estimators"] for run in nested} == {"30"}


def test_on_separate_executors_the_same_training_gives_the_same_model(world, version):
    """The job as it is submitted, on two executor processes, in another division of the data."""
    other = str(uuid.uuid4())
    environment = {
        **os.environ,
        **world.settings.variables,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
    }
    command = [
        "spark-submit",
        "jobs/train.py",
        "--model",
        world.model,
        "--as-of",
        "2013-04-10",
        "--uuid",
        other,
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"[train] {world.model}: trial 4 of 4: rmse" in done.stdout
    with cassandra.session(world.settings) as opened:
        again = Repository(opened).get(other)
        bundles = [open_bundle(Repository(opened).bundle(each)) for each in (version.uuid, other)]
    assert [part.files for part in bundles[0].parts] == [part.files for part in bundles[1].parts]
    assert again.metrics == version.metrics
    assert [trial.value for trial in again.search.trials] == [trial.value for trial in version.search.trials]


def test_others_are_measured_on_the_rows_that_a_part_answers(world, version):
    """The baseline is the mean of what was learned from, whoever answers; the root answers all rows alone."""
    learned = pl.concat(
        [in_window(world.trips, FIRST, VALIDATION, TEST), in_window(world.trips, VALIDATION, LEARNED, TEST)]
    )
    steep_rows = in_window(world.trips, TEST, END, AS_OF).filter(pl.col("city") == "Steep")
    off = steep_rows["minutes"].to_numpy() - learned["minutes"].mean()
    steep = next(part for part in version.parts if part.name == "city=Steep")
    assert steep.beside.baseline["rmse"] == pytest.approx(math.sqrt(np.mean(off**2)), rel=1e-9)
    assert steep.test["rmse"] < 0.5 * steep.beside.single_model["rmse"]
    assert steep.beside.previous == {}, "it is the first version"
    for name in ("single_model", "baseline"):
        levels = [(level.rows, getattr(level.beside, name)["rmse"]) for level in version.metrics_by_level]
        parts = [
            (part.test_rows, getattr(part.beside, name)["rmse"]) for part in version.parts if part.test_rows
        ]
        whole = getattr(version, f"{name}_metrics")["rmse"]
        rows = version.windows["test"].rows
        for divided in (levels, parts):
            assert sum(count for count, _ in divided) == rows
            mean = sum(count * rmse**2 for count, rmse in divided) / rows
            assert math.sqrt(mean) == pytest.approx(whole, rel=1e-9)


def test_an_interrupted_training_goes_on_and_meets_the_version_before(spark, world, version, monkeypatch):
    """With its uuid again: trials that were finished are not run, one that failed is. The same rows and seed give the
    same model as before, which answers the same rows alike, as a whole and by part."""
    ran = []
    submit = TrialRunner.submit

    def counted(runner, parameters, limits):
        ran.append(parameters)
        if len(ran) == 2:
            failed = Future()
            failed.set_exception(FitError("an executor was lost"))
            return failed
        return submit(runner, parameters, limits)

    monkeypatch.setattr(TrialRunner, "submit", counted)
    training = train.TrainingRequest(world.model, AS_OF, str(uuid.uuid4()), "anna")
    with monkeypatch.context() as patched:
        patched.setattr(stages, "parameter_sets", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train.run(spark, world.settings, training, clock)
    assert len(ran) == 4
    first, failed, *others = ran
    ran.append(None)
    found = train.run(spark, world.settings, training, clock)
    again = ran[5:]
    assert again[0] == failed
    # What was drawn after the trial that failed may be drawn otherwise now that it has an answer.
    assert first not in again
    assert [trial.parameters for trial in found.search.trials][:2] == [first, failed]
    assert [trial.value for trial in found.search.trials] == [trial.value for trial in version.search.trials]
    assert len(others) == 2
    assert found.previous is not None
    assert found.previous.same_rows
    assert found.previous.metrics == found.metrics
    for part in found.parts:
        assert part.beside.previous == part.test
    with cassandra.session(world.settings) as opened:
        (run,) = (run for run in TrainingRuns(opened).list(world.model) if run.uuid == training.uuid)
    assert run.state == "trained"


def test_overrides(spark, world):
    training = train.TrainingRequest(
        world.model,
        AS_OF,
        str(uuid.uuid4()),
        "anna",
        trials=1,
        parameters={"n_estimators": 5},
        resources={"memory": "700m"},
    )
    found = train.run(spark, world.settings, training, clock)
    assert len(found.search.trials) == 1
    assert found.parameters == {"n_estimators": 5, "max_depth": 3, "learning_rate": 0.3}
    kept = found.configuration
    assert (kept.parameters["n_estimators"], kept.search.trials) == (5, 1)
    assert (kept.resources.memory, kept.resources.executors) == ("700m", 2)


def test_a_model_that_is_told_the_answer_is_warned_of(spark, world, capfd):
    """In the log before the search and at the end, and in the record; not of a plan, and not of honest features."""
    training = train.TrainingRequest(f"{world.project}/told_minutes", AS_OF, str(uuid.uuid4()), "anna")
    found = train.run(spark, world.settings, training, clock)
    learned = pl.concat(
        [in_window(world.trips, FIRST, VALIDATION, TEST), in_window(world.trips, VALIDATION, LEARNED, TEST)]
    )
    assert learned.filter(pl.col("planned_at") > pl.col("left_at")).height > 1000
    told = learned["settled_at"].count()
    assert 0.7 < told / learned.height < 0.8
    *late, moment, feature, precision = found.warnings
    assert len(late) == 2
    seconds = in_window(world.trips, FIRST, VALIDATION, TEST)["left_at"].dt.epoch("s").unique().to_numpy()
    left = np.unique(seconds.astype(np.float32)).size
    assert left < seconds.size - 100
    assert precision.startswith(
        f"feature second: its {seconds.size:,} different values become {left:,}, {seconds.size - left:,} are lost: "
    )
    assert moment.startswith(
        f"column settled_at lies after left_at, the event time, in {told:,} of the {told:,} rows that have it."
    )
    assert feature.startswith("feature settled: it alone orders the rows like their labels (squared rank")
    with cassandra.session(world.settings) as opened:
        assert Repository(opened).get(found.uuid).warnings == found.warnings
    said = [line for line in capfd.readouterr().out.splitlines() if line.startswith("[train] ")]
    assert [line.removeprefix("[train] WARNING: ") for line in said[-5:]] == found.warnings
    first = next(place for place, line in enumerate(said) if "WARNING" in line)
    assert said[first : first + 5] == said[-5:]
    assert first < next(place for place, line in enumerate(said) if "test period" in line)


def test_a_training_that_airflow_ends(world):
    """Airflow's way: SIGTERM to the whole group of processes, and SIGKILL to spark-submit."""
    other = str(uuid.uuid4())
    environment = {
        **os.environ,
        **world.settings.variables,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
    }
    order = ["--model", world.model, "--as-of", "2013-04-10", "--uuid", other, "--trials", "500"]
    process = subprocess.Popen(
        ["spark-submit", "jobs/train.py", *order],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert any("trial 1 of 500" in line for line in process.stdout)
    os.killpg(process.pid, signal.SIGTERM)
    process.kill()
    process.wait(30)
    process.stdout.close()
    ends = time.monotonic() + 30
    with cassandra.session(world.settings) as opened:
        runs = TrainingRuns(opened)
        while True:
            (run,) = (run for run in runs.list(world.model) if run.uuid == other)
            if run.state != "running" or time.monotonic() > ends:
                break
            time.sleep(0.5)
    assert (run.state, run.reason) == ("cancelled", "stopped by SIGTERM")
    client = MlflowClient(tracking_uri=world.settings.mlflow)
    experiment = client.get_experiment_by_name(world.model)
    (killed,) = client.search_runs([experiment.experiment_id], f"tags.`giornata.uuid` = '{other}'")
    assert killed.info.status == "KILLED"


def test_errors_for_people(spark, world):
    def training(**changes):
        return replace(
            train.TrainingRequest(world.model, AS_OF, str(uuid.uuid4()), "anna", trials=1), **changes
        )

    with pytest.raises(DataError, match="no labelled train rows in departures from 2012-01-22 to 2012-02-15"):
        train.run(spark, world.settings, training(as_of=datetime(2012, 3, 2, tzinfo=UTC)), clock)
    client = MlflowClient(tracking_uri=world.settings.mlflow)
    experiment = client.get_experiment_by_name(world.model)
    failed = client.search_runs([experiment.experiment_id], "attributes.status = 'FAILED'")
    reasons = [run.data.tags["reason"] for run in failed if "mlflow.parentRunId" not in run.data.tags]
    assert [reason.startswith("there are no labelled") for reason in reasons] == [True]
    with pytest.raises(ParameterError, match="did you mean max_depth"):
        train.run(spark, world.settings, training(parameters={"max_deph": 3}), clock)


def test_a_group_that_was_never_computed_is_refused_before_rows_are_counted(spark, world):
    folder = world.settings.projects / world.project
    added = {
        "features/gusts.yaml": FILES["features/weather.yaml"],
        "features/gusts.sql": FILES["features/weather.sql"],
        "models/gusty.yaml": FILES["models/minutes.yaml"].replace("store.weather", "store.gusts"),
    }
    for path, text in added.items():
        (folder / path).write_text(text)
    # Of these days there are no rows either, which is found out by counting.
    when = datetime(2012, 3, 2, tzinfo=UTC)
    order = train.TrainingRequest(f"{world.project}/gusty", when, str(uuid.uuid4()), "anna", trials=1)
    try:
        with pytest.raises(StoreError) as refused:
            train.run(spark, world.settings, order, clock)
    finally:
        for path in added:
            (folder / path).unlink()
    assert str(refused.value) == (
        f"no day is published yet of the feature group gusts: trigger {world.project}.features with a range of days "
        "first"
    )


def test_scores_every_live_version(spark, world, version):
    """Two tags for one version: rows once, with both; a day without trips is published empty."""
    begin, end = datetime(2013, 4, 7, tzinfo=UTC), datetime(2013, 4, 10, tzinfo=UTC)
    with cassandra.session(world.settings) as opened:
        deploy(world.settings, opened, version.uuid, "anna", "first", clock())
        deploy(world.settings, opened, version.uuid, "anna", "try", clock(), tag="canary")
        bundle = open_bundle(Repository(opened).bundle(version.uuid))
    try:
        live = score.deployed(world.settings, world.project)
        rows = [score.run(spark, world.settings, world.project, begin, end, live) for _ in range(2)]
    finally:
        with cassandra.session(world.settings) as opened:
            for tag in ("production", "canary"):
                opened.execute(
                    "DELETE FROM giornata.deployments WHERE model = %s AND tag = %s", (world.model, tag)
                )
    day = scored_on(world.trips)
    asked = world.trips.filter(pl.col("left_at").is_not_null() & (day >= begin) & (day < end))
    assert asked.filter(pl.col("left_at") < begin).height > 5
    assert asked.filter(pl.col("planned_at") < begin).height > 5
    assert rows == [asked.height, asked.height]
    table = pl.from_arrow(spark.table(f"{world.project}.minutes_predictions").toArrow()).sort("trip_id")
    assert table["trip_id"].to_list() == sorted(asked["trip_id"])
    asked = asked.sort("trip_id")
    expected = Scorer(bundle).columns(asked.with_columns(weather__wind=pl.col("seen_wind")))
    # Without a state there is no wind: what was asked of the store is null, and the features make it 0.
    assert table["prediction"].to_list() == expected["prediction"].to_list()
    assert table["part"].to_list() == expected["part"].to_list()
    assert table["event_time"].to_list() == asked["left_at"].to_list()
    assert table["predicted_at"].to_list() == asked["left_at"].to_list()
    assert set(table["tag"]) == {"canary,production"}
    assert set(table["mode"]) == {"batch"}
    assert set(table["model_uuid"]) == {version.uuid}
    assert table["day"].to_list() == scored_on(asked).dt.strftime("%Y-%m-%d").to_list()
    assert table["prediction_id"].n_unique() == table.height
    inputs = json.loads(table["inputs"][0])
    assert set(inputs) == {"carrier", "city", "distance", "state", "weather__wind"}
    assert inputs["distance"] == asked["distance"][0]
    days = {row[0] for row in spark.sql(f"SHOW PARTITIONS {world.project}.minutes_predictions").collect()}
    assert days == {f"day=2013-04-0{day}/mode=batch/model_uuid={version.uuid}" for day in (7, 8, 9)}


def test_a_model_type_of_the_project(spark, world):
    """Search, parts, metrics of its own and bundle, by the ordinary job; the answers again by hand."""
    training = train.TrainingRequest(f"{world.project}/usual_minutes", AS_OF, str(uuid.uuid4()), "anna")
    found = train.run(spark, world.settings, training, clock)
    assert found.configuration.class_ == "usual.MedianOfSimilar"
    assert found.parameters["min_rows"] in (10, 30), "a median of everything is worse"
    assert all(trial.state == "complete" for trial in found.search.trials)
    kept = {part.name: part for part in found.parts if part.kept}
    assert {"all", "state=Hilly", "city=Steep"} <= set(kept)
    assert kept["city=Steep"].size["medians"] > 6
    assert found.metrics["mae"] < 0.6 * found.baseline_metrics["mae"]
    with cassandra.session(world.settings) as opened:
        bundle = open_bundle(Repository(opened).bundle(found.uuid))
    scorer = Scorer(bundle)
    scorer.check_self_test()
    test = in_window(world.trips, TEST, END, AS_OF)
    answers = scorer.columns(test.with_columns(weather__wind=pl.col("seen_wind")))["prediction"].to_numpy()
    near = np.abs(answers - test["minutes"].to_numpy()) <= 10
    assert found.metrics["within_10_minutes"] == pytest.approx(near.mean())
    for level in found.metrics_by_level:
        assert 0 <= level.metrics["within_10_minutes"] <= 1
    learned = pl.concat(
        [in_window(world.trips, FIRST, VALIDATION, TEST), in_window(world.trips, VALIDATION, LEARNED, TEST)]
    )
    steep = learned.filter(
        (pl.col("city") == "Steep") & pl.col("distance").is_between(250, 400, closed="left")
    )
    part = next(part for part in bundle.parts if part.key == ("Hilly", "Steep"))
    medians = {tuple(key): value for key, value in json.loads(part.files["medians.json"])}
    assert medians[(1,)] == pytest.approx(steep["minutes"].median())


def test_a_version_that_has_seen_the_test_period_is_not_asked_about_it(spark, world, capsys):
    """Nor does its search lead: here there is none, since the order states all that there is to search."""
    later, earlier = AS_OF, AS_OF - timedelta(days=5)
    model = f"{world.project}/usual_minutes"
    stated = {"min_rows": 30}
    one = train.TrainingRequest(model, later, str(uuid.uuid4()), "anna", parameters=stated)
    before = train.run(spark, world.settings, one, lambda: clock() + timedelta(days=1))
    assert before.configuration.search is None
    assert [trial.parameters for trial in before.search.trials] == [stated]
    two = train.TrainingRequest(model, earlier, str(uuid.uuid4()), "anna", parameters=stated)
    found = train.run(spark, world.settings, two, lambda: clock() + timedelta(days=1))
    assert found.previous.uuid == before.uuid
    assert not found.previous.same_rows
    assert found.previous.metrics == before.metrics
    assert all(part.beside.previous == {} for part in found.parts)
    assert (
        f"version {before.uuid} before was trained on data up to 2013-03-30, and the test period begins on 2013-03-26"
        in (capsys.readouterr().out)
    )


def test_a_partition_by_what_every_row_has_its_own_of(spark, monkeypatch):
    monkeypatch.setattr(part_fitting, "MAX_PATHS", 3)
    rows = [([key_text(()), key_text((f"t{place}",))], "train") for place in range(4)]
    frame = spark.createDataFrame(
        [*rows[:3], (rows[0][0], "validation"), (rows[3][0], "test")], [PARTS, WINDOW]
    )
    assert part_fitting.path_rows(frame) == {
        ("t0",): PartRows(1, 1),
        ("t1",): PartRows(1, 0),
        ("t2",): PartRows(1, 0),
    }
    with pytest.raises(
        DataError, match=r'more than 3 paths, such as \["t0"\], \["t1"\], \["t2"\]: a level is by few'
    ):
        part_fitting.path_rows(spark.createDataFrame(rows, [PARTS, WINDOW]))
