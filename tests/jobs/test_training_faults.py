"""Bad rows, bad orders and faults of training: a model that says what it left out, or a sentence for people.

The trips of most places are late by chance of their distance; those of some places can teach a part nothing (`PLACES`).
"""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import psutil
import pytest

from giornata.bundle import open_bundle
from giornata.deployment import deploy
from giornata.errors import DataError, NotFoundError
from giornata.models.base import ParameterError
from giornata.records.model_version import ModelVersion
from giornata.scorer import Scorer
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.repository import Repository
from giornata.stores.training_runs import TrainingRuns
from jobs import score, train
from jobs.hive.publish import ensure_table, publish
from jobs.training.request import TrainingRequest, checked

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
AS_OF = datetime(2013, 3, 1, tzinfo=UTC)
FIRST = AS_OF - timedelta(days=25)
VALIDATION, TEST = AS_OF - timedelta(days=10), AS_OF - timedelta(days=5)
SCORED = AS_OF, AS_OF + timedelta(days=1)
SPLIT = "{train: 20d, validation: 0.25, test: 5d}"

TRIPS = {
    "trip_id": "str",
    "left_at": "timestamp",
    "distance": "float",
    "carrier": "str",
    "place": "str",
    "same": "float",
    "nothing": "float",
    "silent": "str",
}
ENDS = {"trip_id": "str", "arrived_at": "timestamp", "minutes": "float", "late": "bool"}

# Distances of one row each, in each of the windows, of the place "small".
IN_VALIDATION, IN_TEST, IN_SCORED = 1001.0, 1002.0, 1003.0

# A class that has no answer to some row, and trials that end in the ways there are.
FRAGILE = '''
import json
import os

import numpy as np


class Fragile:
    """The mean; without an answer to the distance `fails_at`, in models of fewer rows than `below`."""

    def fit(self, examples, setting):
        fault = setting.parameters["fault"]
        if fault == "raises":
            raise RuntimeError("told to\\nraise")
        if fault == "dies":
            os._exit(1)
        if fault == "memory":
            raise MemoryError
        self.mean = float(np.clip(examples.target, 0, 1000).mean())
        self.fails_at = 1001 if fault == "answers" else setting.parameters["fails_at"]
        if len(examples.target) >= setting.parameters["below"]:
            self.fails_at = -1

    def predict(self, matrix):
        if (matrix[:, 0] == self.fails_at).any():
            raise ValueError(f"no answer to {self.fails_at}")
        return np.full(len(matrix), self.mean)

    def save(self):
        return {"mean.json": json.dumps([self.mean, self.fails_at]).encode()}

    def load(self, files):
        self.mean, self.fails_at = json.loads(files["mean.json"])
'''
RAISES = 1 + FRAGILE.splitlines().index('            raise ValueError(f"no answer to {self.fails_at}")')
AT = f"class Fragile fails to answer: models/fragile.py, line {RAISES}: ValueError: no answer to"

# A class that tells the test of every fit before it begins, and waits for its word.
HELD = """
import json
import os
import socket

import numpy as np


class Held:
    def fit(self, examples, setting):
        phase = "parts" if setting.validation is None else "search"
        shift = setting.parameters["shift"]
        learned = [len(examples.target), float(examples.target.mean())]
        told = {"worker": os.getpid(), "phase": phase, "learned": learned, "shift": shift}
        with socket.create_connection(("127.0.0.1", setting.parameters["port"]), timeout=60) as line:
            line.sendall(json.dumps(told).encode() + b"\\n")
            assert line.recv(1) == b"!"
        self.value = float(examples.target.mean()) + shift

    def predict(self, matrix):
        return np.full(len(matrix), self.value)

    def save(self):
        return {"value.json": json.dumps(self.value).encode()}

    def load(self, files):
        self.value = json.loads(files["value.json"])
"""


def document(label: str, features: str, more: str) -> str:
    return f"""
description: A model of the tests
owner: tests
data: {{table: trips, key: [trip_id], event_time: left_at}}
label: {{table: ends, value: {label}, event_time: arrived_at}}
split: {SPLIT}
features: {features}
{more}
"""


FEATURES = """
  distance: normalize(row.distance)
  carrier: vocabulary(row.carrier)
  same: normalize(row.same)
  nothing: normalize(row.nothing)
  silent: vocabulary(row.silent)
  learned: target_mean(row.silent)
"""
BY_PLACE = "partition: {by: [row.place], min_rows: 1}"
MODELS = {
    "late": document("late", FEATURES, f"type: deep_net\ntask: binary\n{BY_PLACE}\nparameters: {{epochs: 2}}"),
    "minutes": document("minutes", FEATURES, f"type: linear\ntask: regression\n{BY_PLACE}"),
    "fragile": document(
        "minutes",
        "{distance: row.distance}",
        f"""
type: custom
class: fragile.Fragile
task: regression
{BY_PLACE}
parameters: {{fault: none, fails_at: 1003, below: 1000000}}
search: {{trials: 5, metric: mae, sampler: grid, space: {{fault: {{choice: [raises, dies, memory, answers]}}}}}}
deploy: {{tag: production, modes: [batch, online]}}
""",
    ),
}  # fmt: skip


def held(port: int) -> str:
    return document(
        "minutes",
        "{distance: row.distance}",
        f"""
type: custom
class: held.Held
task: regression
{BY_PLACE}
parameters: {{shift: 3.5, port: {port}}}
search: {{trials: 4, metric: mae, space: {{shift: {{float: [-5, 5]}}}}}}
resources: {{executors: 2, cores: 1, memory: 600m}}
""",
    )


def generated() -> pl.DataFrame:
    """Trips of 26 days with their ends."""
    random = np.random.default_rng(5)
    rows: list[dict[str, object]] = []

    def add(place: str | None, left_at: datetime, **values: object) -> None:
        distance = float(random.uniform(100, 900))
        row = {
            "trip_id": f"t{len(rows):05}",
            "left_at": left_at,
            "distance": distance,
            "carrier": str(random.choice(["A", "B"])),
            "place": place,
            "same": 5.0,
            "nothing": None,
            "silent": None,
            "arrived_at": left_at + timedelta(hours=1),
            "minutes": 0.2 * distance + float(random.normal(0, 3)),
            "late": bool(distance + random.normal(0, 150) > 500),
        }
        rows.append(row | values)

    def over(place: str | None, number: int, first: datetime = FIRST, **values: object) -> None:
        span = (SCORED[1] - first).total_seconds()
        for place_in_time in range(number):
            add(place, first + timedelta(seconds=(place_in_time + 0.5) * span / number), **values)

    over("broad", 800)
    over(None, 50)
    # Of no place of these there is something to learn.
    over("always", 60, late=True, minutes=30.0)
    over("alike", 60, distance=500.0, carrier="A")
    over("blank", 60, distance=None, carrier=None)
    over("small", 60)
    add("one", FIRST + timedelta(days=1))
    add("one", VALIDATION + timedelta(days=1))
    add("once", FIRST + timedelta(days=1))
    add("lately", VALIDATION + timedelta(days=1))
    # What training never sees.
    over("new", 10, first=TEST)
    add("small", VALIDATION + timedelta(days=2), distance=IN_VALIDATION, carrier="Z")
    add("small", TEST + timedelta(days=2), distance=IN_TEST, carrier="Y")
    add("small", SCORED[0] + timedelta(hours=2), distance=IN_SCORED, carrier="X")
    # Labels that are none.
    for start in (FIRST, VALIDATION, TEST):
        for minutes in (math.nan, math.inf, -math.inf, None):
            add("broad", start + timedelta(hours=3), minutes=minutes, late=None)
    return pl.DataFrame(
        rows,
        schema_overrides={
            "left_at": pl.Datetime("us", "UTC"),
            "arrived_at": pl.Datetime("us", "UTC"),
            "nothing": pl.Float64,
            "silent": pl.String,
        },
        infer_schema_length=None,
    )


class Gate:
    """Lets fits of `Held` begin, and kills the executor of the first that comes in a phase in `killing`."""

    def __init__(self) -> None:
        self.fits: list[dict[str, object]] = []
        self.killing: set[str] = set()
        self.killed: list[dict[str, object]] = []
        self.job = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line, line.makefile() as text:
                self._answer(line, json.loads(text.readline()))

    def _answer(self, line: socket.socket, fit: dict[str, object]) -> None:
        executor = self._executor(int(fit.pop("worker")))
        fit["executor"] = executor.pid if executor else 0
        if fit["phase"] in self.killing and executor:
            self.killing.remove(str(fit["phase"]))
            self.killed.append(fit)
            executor.kill()
            executor.wait(30)
            return
        self.fits.append(fit)
        line.sendall(b"!")

    def _executor(self, worker: int) -> psutil.Process | None:
        """The executor that a Python worker belongs to, where it is one of the job's."""
        above = psutil.Process(worker).parents()
        if not self.job or self.job not in [process.pid for process in above]:
            return None
        return next(each for each in above if "CoarseGrainedExecutorBackend" in " ".join(each.cmdline()))


@dataclass(frozen=True)
class World:
    """A project with its tables in Hive, the same rows beside it, and the gate before its fits of type `Held`."""

    settings: Settings
    project: str
    trips: pl.DataFrame
    gate: Gate

    def training(self, model: str, **changes: object) -> TrainingRequest:
        order = TrainingRequest(f"{self.project}/{model}", AS_OF, str(uuid.uuid4()), "anna")
        return replace(order, **changes)


@pytest.fixture(scope="module")
def world(spark, stores, tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    project = f"test_{uuid.uuid4().hex[:10]}"
    gate = Gate()
    files = {
        "project.yaml": "description: Faults\nowner: tests\nstart_date: 2013-01-01\n",
        "models/fragile.py": FRAGILE,
        "models/held.py": HELD,
        "models/held.yaml": held(gate.port),
        **{f"models/{name}.yaml": text for name, text in MODELS.items()},
    }
    for name, columns, moment in (("trips", TRIPS, "left_at"), ("ends", ENDS, "arrived_at")):
        files[f"tables/{name}.yaml"] = (
            f"description: Generated\nkey: [trip_id]\nevent_time: {moment}\ncolumns: {json.dumps(columns)}\n"
        )
    for path, text in files.items():
        file = folder / "projects" / project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "bundles").mkdir()
    variables = {
        **stores.variables,
        "GIORNATA_PROJECTS": str(folder / "projects"),
        "GIORNATA_BUNDLES": str(folder / "bundles"),
        "GIORNATA_PREDICTION_LOG": str(folder / "log"),
        "GIORNATA_MLFLOW": f"sqlite:///{folder}/mlflow.db",
        "GIORNATA_SPARK_MASTER": "local-cluster[2,1,600]",
    }
    settings = replace(stores, variables=variables)
    trips = generated()
    for name, columns, moment in (("trips", TRIPS, "left_at"), ("ends", ENDS, "arrived_at")):
        table = f"{project}.{name}"
        ensure_table(spark, table, columns)
        rows = trips.select(columns.keys()).with_columns(day=trips[moment].dt.strftime("%Y-%m-%d"))
        arrow = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        publish(spark, spark.createDataFrame(arrow), table, settings=settings)
    with cassandra.session(stores) as opened:
        cassandra.apply(opened, ROOT / "sql" / "cassandra" / "giornata.cql")
    yield World(settings, project, trips, gate)
    gate.close()
    with cassandra.session(stores) as opened:
        opened.execute(
            "DELETE FROM giornata.deployments WHERE model = %s AND tag = 'production'",
            (f"{project}/fragile",),
        )
    for table in spark.catalog.listTables(project):
        spark.sql(f"DROP TABLE {project}.{table.name}")


def trained(spark, world: World, model: str, **changes: object) -> ModelVersion:
    return train.run(spark, world.settings, world.training(model, **changes), lambda: AS_OF)


def saved(world: World, version: ModelVersion):
    with cassandra.session(world.settings) as opened:
        return open_bundle(Repository(opened).bundle(version.uuid))


def assert_sound(world: World, version: ModelVersion, label: str) -> None:
    """The rows without a label left out, every number of the record a number, an answer to every row there is."""
    left, arrived, value = pl.col("left_at"), pl.col("arrived_at"), pl.col(label).cast(pl.Float64)
    known = world.trips.filter(value.abs() < math.inf)
    learned, tested = known.filter(arrived < TEST), known.filter((left >= TEST) & (arrived < AS_OF))
    assert {name: window.rows for name, window in version.windows.items()} == {
        "train": learned.filter(left < VALIDATION).height,
        "validation": learned.filter(left >= VALIDATION).height,
        "test": tested.height,
    }
    json.dumps(version.model_dump(mode="json"), allow_nan=False)
    scorer = Scorer(saved(world, version))
    scorer.check_self_test()
    answers = scorer.columns(world.trips)
    assert answers["prediction"].is_finite().all()
    of_new = answers.filter(world.trips["place"].is_in(["new", "once", "lately"]))
    assert set(of_new["part"]) == {"all"}, "parts that training did not have"
    assert sum(version.importances.values()) == pytest.approx(1)
    assert not {"same", "nothing", "silent", "learned"} & {
        name for name, share in version.importances.items() if share
    }


COMPARED = "accurate than its parent"


@pytest.mark.parametrize("model", ["late", "minutes"])
def test_parts_that_can_learn_nothing(spark, world, model):
    """One row, one class, constant or all-null features: a constant that is judged, or the reason why there is none."""
    version = trained(spark, world, model)
    assert_sound(world, version, "minutes" if model == "minutes" else "late")
    reasons = {part.name.removeprefix("place="): part.reason for part in version.parts}
    assert set(reasons) == {"all", "broad", "always", "alike", "blank", "small", "one", "once", "lately"}
    assert reasons.pop("once") == "no validation rows"
    assert reasons.pop("lately") == "no training rows"
    assert reasons.pop("all") == "predicts where no part does"
    if model == "late":
        for place in ("one", "always"):
            assert reasons.pop(place).endswith(": a deep net needs rows of both kinds")
    else:
        (always,) = [part for part in version.parts if part.name == "place=always"]
        assert always.kept
        assert always.metric == pytest.approx(0, abs=1e-9)
    assert all(COMPARED in reason for reason in reasons.values()), reasons


def run_of(world: World, order: TrainingRequest):
    with cassandra.session(world.settings) as opened:
        (run,) = [run for run in TrainingRuns(opened).list(order.model) if run.uuid == order.uuid]
        return run


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 1, "parameters": {"fails_at": 1001}}, f"^all 2 trials of the search failed: {AT} 1001$"),
        ({"trials": 1, "parameters": {"fails_at": 1001, "below": 100}}, f"^training .* fails: {AT} 1001$"),
        ({"trials": 1, "parameters": {"fails_at": 1002}}, f"^training .* fails: {AT} 1002$"),
        (
            {"as_of": AS_OF + timedelta(days=9)},
            "no labelled test rows in trips from 2013-03-05 to 2013-03-10",
        ),
        (
            {"as_of": AS_OF - timedelta(days=20)},
            "no labelled train rows in trips from 2013-01-15 to 2013-01-30",
        ),
    ],
    ids=["in the search", "in a part", "in the test", "empty test window", "empty training window"],
)
def test_a_training_that_fails_says_why_and_leaves_nothing(spark, world, changes, message):
    order = world.training("fragile", **changes)
    with pytest.raises(DataError, match=message):
        train.run(spark, world.settings, order, lambda: AS_OF)
    run = run_of(world, order)
    assert run.state == "failed"
    assert "\n" not in run.reason
    with cassandra.session(world.settings) as opened, pytest.raises(NotFoundError):
        Repository(opened).get(order.uuid)


@pytest.fixture(scope="module")
def fragile(spark, world) -> ModelVersion:
    """A version that has no answer to one row that training does not have."""
    version = trained(spark, world, "fragile")
    with cassandra.session(world.settings) as opened:
        deploy(world.settings, opened, version.uuid, "anna", "try", AS_OF)
    return version


def test_trials_that_crash_are_recorded_and_the_others_go_on(fragile):
    found = {trial.parameters["fault"]: trial for trial in fragile.search.trials}
    assert fragile.search.trials[fragile.search.best] is found["none"]
    assert found["none"].state == "complete"
    reasons = {fault: trial.reason for fault, trial in found.items() if trial.state == "failed"}
    assert set(reasons) == {"raises", "dies", "memory", "answers"}
    assert "cannot be fitted: models/fragile.py, line" in reasons["raises"]
    assert reasons["raises"].endswith("RuntimeError: told to raise")
    assert "Python worker exited unexpectedly" in reasons["dies"]
    assert reasons["memory"].endswith("MemoryError")
    assert reasons["answers"] == f"{AT} 1001"
    assert not any("\n" in reason or "Traceback" in reason for reason in reasons.values())


def test_a_version_that_cannot_be_scored_publishes_nothing_and_does_not_stop_the_others(
    spark, world, fragile, capsys
):
    (live,) = score.deployed(world.settings, world.project)
    gone = replace(live, model=f"{world.project}/zebra", uuid="gone", bundle=b"no bundle")
    capsys.readouterr()
    with pytest.raises(
        DataError, match=rf"^2 of 2 versions were not scored: .*fragile {fragile.uuid}, .*zebra gone\.$"
    ):
        score.run(spark, world.settings, world.project, *SCORED, [gone, live])
    said = capsys.readouterr().out
    assert f"version {fragile.uuid} of {world.project}/fragile cannot be scored: {AT} 1003\n" in said
    assert spark.table(f"{world.project}.fragile_predictions").count() == 0


def test_a_request_that_fails_is_told_where(world, fragile, tmp_path):
    row = {"trip_id": "t1", "left_at": AS_OF.isoformat(), "distance": 7.0, "place": None}
    failing = row | {"distance": IN_SCORED}
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "giornata.serving", "--port", str(port)]
    environment = {**os.environ, **world.settings.variables}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until_ready(client, server, f"{world.project}/fragile")
            path = f"/models/{world.project}/fragile/production/predict"
            both = client.post(path, json={"rows": [row, failing]})
            alone = client.post(path, json={"rows": [failing]})
    finally:
        server.terminate()
        server.wait(30)
    assert both.status_code == 200
    answered, failed = both.json()["predictions"]
    assert answered["prediction"] == pytest.approx(
        json.loads(saved(world, fragile).parts[0].files["mean.json"])[0]
    )
    assert failed == {"error": f"{AT} 1003", "status": 500}
    assert alone.status_code == 500
    assert f"{AT} 1003" in alone.text
    assert "Traceback" not in alone.text


def wait_until_ready(client: httpx.Client, server: subprocess.Popen, model: str) -> None:
    """Return when the server has loaded the model."""
    deadline = datetime.now(UTC) + timedelta(seconds=60)
    while datetime.now(UTC) < deadline:
        assert server.poll() is None
        try:
            if model in client.get("/models").text:
                return
        except httpx.TransportError:
            continue
    raise AssertionError(f"the server has not loaded {model}")


def test_killed_executors_change_nothing(spark, world):
    """One while it makes a trial, one while it fits a part: others take their work, and the model is the same."""
    undisturbed = trained(spark, world, "held")
    fits_of_each = sorted(map(work, world.gate.fits))
    world.gate.fits.clear()
    other = str(uuid.uuid4())
    environment = {
        **os.environ,
        **world.settings.variables,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
    }
    order = ["--model", f"{world.project}/held", "--as-of", f"{AS_OF:%Y-%m-%d}", "--uuid", other]
    job = subprocess.Popen(
        ["spark-submit", "jobs/train.py", *order],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    world.gate.killing, world.gate.job = {"search", "parts"}, job.pid
    try:
        said, _ = job.communicate(timeout=450)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
            job.wait(30)
    assert job.returncode == 0, said[-3000:]
    assert [fit["phase"] for fit in world.gate.killed] == ["search", "parts"]
    for killed in world.gate.killed:
        again = [fit for fit in world.gate.fits if work(fit) == work(killed)]
        assert again
        assert killed["executor"] not in {fit["executor"] for fit in again}
    assert set(map(work, world.gate.fits)) == set(fits_of_each)
    with cassandra.session(world.settings) as opened:
        version = Repository(opened).get(other)
    assert [trial.state for trial in version.search.trials] == ["complete"] * 4
    assert [trial.value for trial in version.search.trials] == [
        trial.value for trial in undisturbed.search.trials
    ]
    assert version.metrics == undisturbed.metrics
    parts = [saved(world, each).parts for each in (undisturbed, version)]
    assert [part.files for part in parts[0]] == [part.files for part in parts[1]]
    assert "Traceback" not in said


def work(fit: dict[str, object]) -> tuple[object, ...]:
    """What a fit is about, whoever makes it."""
    return fit["phase"], *fit["learned"], fit["shift"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "search: {trials: 2, metric: auc, space: {hidden_layer: {int: [2, 5]}}}",
            "did you mean hidden_layers",
        ),
        (
            "search: {trials: 2, metric: auc, space: {epochs: {float: [2, 5]}}}",
            "epochs is a whole number",
        ),
        (
            "search: {trials: 2, metric: auc, space: {dropout: {float: [0.5, 2]}}}",
            "dropout is .* at most 0.9",
        ),
    ],
)
def test_a_space_that_does_not_fit_the_type_is_refused_before_spark(world, tmp_path, change, message):
    """By the check that Airflow and the command line make; a whole order, as its document."""
    folder = tmp_path / world.project
    (folder / "tables").mkdir(parents=True)
    (folder / "models").mkdir()
    own = world.settings.projects / world.project
    for path in ("project.yaml", "tables/trips.yaml", "tables/ends.yaml"):
        (folder / path).write_text((own / path).read_text())
    (folder / "models" / "late.yaml").write_text(f"{MODELS['late']}\n{change}\n")
    settings = replace(
        world.settings, variables={**world.settings.variables, "GIORNATA_PROJECTS": str(tmp_path)}
    )
    with pytest.raises(ParameterError, match=message):
        checked(settings, world.training("late"))
