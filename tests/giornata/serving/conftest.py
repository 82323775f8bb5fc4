"""Real bundles, deployed to a folder as deployment does it, and the real server as a process of its own."""

import atexit
import dataclasses
import hashlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import httpx
import numpy as np
import pytest
import xgboost
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from dsl import GroupSchema, Schema, compile_features, parse_udfs
from giornata.bundle import Bundle, Part, open_bundle, write_bundle
from giornata.dataset import Dataset
from giornata.documents import FeatureGroup, ModelSpec, Table
from giornata.models.custom.code import CustomCode
from giornata.models.custom.model_type import CustomType
from giornata.records.model_version import (
    InputColumn,
    ModelSignature,
    ModelVersion,
    PartRecord,
    RecordedStoreInput,
    RecordedWindow,
)
from giornata.scorer import with_self_test
from giornata.serving.bundle_checks import BundleChecks

DAY = datetime(2013, 11, 1, tzinfo=UTC)
SECONDS = 60


@dataclass(frozen=True)
class Truth:
    """The expected predictions of a bundle: from the trees alone, through XGBoost, with features computed by hand."""

    uuid: str
    content: bytes
    booster: xgboost.Booster

    def answers(self, features):
        return self.booster.predict(xgboost.DMatrix(np.array(features, np.float32))).tolist()


def make_bundle(
    model: str,
    features: Mapping[str, str],
    table: Table,
    required: set[str],
    seed: int,
    groups: Mapping[str, FeatureGroup] | None = None,
    share: str = "100%",
    udfs: str = "",
    online: Mapping[str, object] | None = None,
) -> Truth:
    """A bundle of `model` with trees fitted to noise of `seed`, so that every version answers differently."""
    groups = groups or {}
    schema = Schema(
        row=dict(table.columns),
        store={
            name: GroupSchema(group.entity, {feature: f.type for feature, f in group.features.items()})
            for name, group in groups.items()
        },
        udfs=parse_udfs(udfs),
    )
    compiled = compile_features(features, schema)
    noise = np.random.default_rng(seed)
    matrix = noise.normal(size=(400, len(features))).astype(np.float32) * 100
    matrix[noise.random(matrix.shape) < 0.1] = np.nan
    booster = xgboost.train(
        {"max_depth": 4, "seed": seed}, xgboost.DMatrix(matrix, noise.normal(size=400) * 50), 20
    )
    identity = str(uuid.UUID(int=noise.bit_generator.random_raw() | seed << 64, version=4))
    window = RecordedWindow(start=DAY, end=DAY, rows=400)
    version = ModelVersion(
        uuid=identity,
        model=model,
        trained_by="tests",
        started_at=DAY,
        finished_at=DAY,
        configuration=ModelSpec.model_validate(
            {
                "description": "Fitted to noise",
                "owner": "tests",
                "type": "xgboost",
                "task": "regression",
                "data": {"table": "departures", "key": table.key, "event_time": table.event_time},
                "label": {"table": "arrivals", "value": "minutes", "event_time": "arrived_at"},
                "split": {"train": "30d", "validation": 0.2, "test": "7d"},
                "features": features,
                "monitor": {"log": share},
                "online": online or {},
            }
        ),
        table=table,
        groups=groups,
        windows=dict.fromkeys(("train", "validation", "test"), window),
        signature=ModelSignature(
            inputs={
                name: InputColumn(type=str(type_), nullable=name not in required)
                for name, type_ in compiled.inputs.row.items()
            },
            store={
                name: RecordedStoreInput(
                    group=store.group,
                    keys=dict(store.keys),
                    features={f: str(t) for f, t in store.features.items()},
                )
                for name, store in compiled.inputs.store.items()
            },
            key=table.key,
            event_time=table.event_time,
            task="regression",
        ),
        parameters={},
        metrics={"rmse": 1.0},
        metrics_by_level=[],
        single_model_metrics={},
        baseline_metrics={},
        part_metric="rmse",
        parts=[
            PartRecord(
                name="all", level="all", key=[], rows=400, validation_rows=0, kept=True, reason="the root"
            )
        ],
        importances={},
    )
    files = {"model.ubj": bytes(booster.save_raw("ubj"))}
    bundle = Bundle(version, compiled.to_json(), None, (Part((), "all", "all", files),))
    columns = [*compiled.inputs.row]
    columns += [f"{use}__{name}" for use, store in compiled.inputs.store.items() for name in store.features]
    return Truth(identity, write_bundle(with_self_test(bundle, [dict.fromkeys(columns)])), booster)


TABLE = Table.model_validate(
    {
        "description": "Departures",
        "key": ["flight_id"],
        "event_time": "pushed_back_at",
        "columns": {
            "flight_id": "str",
            "pushed_back_at": "timestamp",
            "sched_dep": "timestamp",
            "distance": "float",
            "seats": "int",
            "origin": "str",
            "dest": "str",
            "tailnum": "str",
        },
    }
)
FEATURES = {
    "distance": "row.distance",
    "seats": "row.seats",
    "waited": "minutes_between(row.sched_dep, row.pushed_back_at)",
}
WEATHER = FeatureGroup.model_validate(
    {
        "description": "Weather",
        "owner": "tests",
        "entity": {"origin": "str"},
        "ttl": "3h",
        "features": {"wind": {"type": "float", "description": "Wind, mph"}},
    }
)

PLANE = FeatureGroup.model_validate(
    {
        "description": "Planes",
        "owner": "tests",
        "entity": {"tailnum": "str"},
        "features": {"seats": {"type": "int", "description": "Seats"}},
    }
)


SPIN = """
def _count(x: float) -> float:
    while x > 0:
        x = x + 1.0
    return x


def spin(x: float) -> float:
    if x == 7.0:
        raise ValueError("seven")
    return _count(x)
"""

ODD = """
import os
import signal
import time

import numpy as np


class Odd:
    def fit(self, examples, setting):
        pass

    def predict(self, matrix):
        for value in matrix[:, 0]:
            if value == 1:
                os.kill(os.getpid(), signal.SIGSEGV)
            if value == 2:
                os._exit(3)
            if value == 3:
                raise SystemExit(4)
            if value == 4:
                bytearray(2**40)
            if value == 5:
                time.sleep(0.1)
            if value == 6:
                time.sleep(3600)
        return np.nan_to_num(matrix[:, 0].astype(float))

    def save(self):
        return {"nothing.json": b"{}"}

    def load(self, files):
        pass
"""


@pytest.fixture(scope="session")
def versions() -> list[Truth]:
    """Two versions of the model flights/minutes, with one signature."""
    return [
        make_bundle("flights/minutes", FEATURES, TABLE, {"distance", "pushed_back_at"}, seed)
        for seed in (1, 2)
    ]


@pytest.fixture(scope="session")
def rooted() -> Truth:
    """A version of flights/rooted, whose own function fails for a negative distance."""
    source = "import math\n\n\ndef root(x: float) -> float:\n    return math.sqrt(x)\n"
    return make_bundle("flights/rooted", {"root": "udfs.root(row.distance)"}, TABLE, set(), 5, udfs=source)


@pytest.fixture(scope="session")
def spinning() -> Truth:
    """A version of flights/spinning, whose own function loops for a positive distance."""
    return make_bundle("flights/spinning", {"x": "udfs.spin(row.distance)"}, TABLE, set(), 11, udfs=SPIN)


@pytest.fixture(scope="session")
def odd_like():
    """Makes versions of flights/odd, of a class of the project's own, by replacing words of the class."""
    truth = make_bundle("flights/odd", {"x": "row.distance"}, TABLE, set(), 12)

    def make(old: str = "", new: str = "") -> Truth:
        return replace(
            truth, content=with_class(truth, CustomCode("Odd", "models/odd.py", ODD.replace(old, new)))
        )

    return make


@pytest.fixture(scope="session")
def odd(odd_like) -> Truth:
    """A version of flights/odd, whose class answers the distance, and does something else for distances 1 to 6."""
    return odd_like()


def with_class(truth: Truth, code: CustomCode) -> bytes:
    """The bundle of `truth` with a class of a project in place of its trees."""
    bundle = open_bundle(truth.content)
    examples = Dataset(np.zeros((20, 1), np.float32), np.zeros(20))
    files = CustomType(code).fit(examples, "regression", {}, 1).to_files()
    own = {"type": "custom", "class_": f"odd.{code.class_name}"}
    configuration = bundle.version.configuration.model_copy(update=own)
    version = bundle.version.model_copy(update={"configuration": configuration})
    made = Bundle(version, bundle.features, None, (replace(bundle.parts[0], files=files),))
    return write_bundle(with_self_test(made, [{"distance": None}]))


@pytest.fixture(scope="session")
def windy() -> Truth:
    """A version of breezes/windy, which reads the feature store."""
    features = {"distance": "row.distance", "wind": "store.weather.wind"}
    return make_bundle("breezes/windy", features, TABLE, {"distance", "origin"}, 3, {"weather": WEATHER})


@pytest.fixture(scope="session")
def windy_there() -> Truth:
    """A version of breezes/there, which reads one feature group by two keys, and how old its rows are."""
    features = {
        "here": "store.weather.wind",
        "there": "store.weather(origin=row.dest).wind",
        "age": "store.weather(origin=row.dest).event_age",
    }
    return make_bundle("breezes/there", features, TABLE, set(), 4, {"weather": WEATHER})


@pytest.fixture(scope="session")
def lenient() -> Truth:
    """A version of gales/lenient, which answers without a feature group that it cannot read in a second."""
    return make_gale("gales/lenient", 6, {"deadline": "1s", "missing": None})


@pytest.fixture(scope="session")
def strict() -> Truth:
    """A version of gales/strict, which refuses then."""
    return make_gale("gales/strict", 7, {"deadline": "1s"})


def make_gale(model: str, seed: int, online: Mapping[str, object]) -> Truth:
    """A bundle of `model`, which reads two feature groups."""
    features = {"distance": "row.distance", "wind": "store.weather.wind", "seats": "store.plane.seats"}
    groups = {"weather": WEATHER, "plane": PLANE}
    return make_bundle(model, features, TABLE, {"distance"}, seed, groups, online=online)


@pytest.fixture(scope="session")
def bundle_checks(tmp_path_factory):
    """What tries bundles in a process of its own, with a memory that no server shares."""
    bundle_checks = BundleChecks(tmp_path_factory.mktemp("bundle_checks"))
    yield bundle_checks
    bundle_checks.close()


def _of_class(truth: Truth, source: str) -> bytes:
    """The bundle of the version with the class `Odd` of this source, which answers 1, in the place of its trees."""
    bundle = open_bundle(truth.content)
    configuration = bundle.version.configuration.model_copy(update={"type": "custom", "class_": "odd.Odd"})
    facts = {
        "class": "Odd",
        "file": "models/odd.py",
        "source": source,
        "sha256": hashlib.sha256(source.encode()).hexdigest(),
        "task": "regression",
        "features": len(bundle.features["features"]),
        "importance": {},
    }
    root = dataclasses.replace(bundle.parts[0], files={"custom.json": json.dumps(facts).encode()})
    self_test = tuple(dataclasses.replace(row, prediction=1.0) for row in bundle.self_test)
    version = bundle.version.model_copy(update={"configuration": configuration})
    return write_bundle(dataclasses.replace(bundle, version=version, parts=(root,), self_test=self_test))


@pytest.fixture(scope="session")
def of_class():
    """Makes, of a version and the source of a class `Odd`, a bundle of type custom."""
    return _of_class


@cache
def known_bundles() -> Path:
    """The folder in which all servers of the tests remember the bundles that they tried."""
    folder = tempfile.mkdtemp(prefix="giornata-checks-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@dataclass
class Server:
    """The prediction server over a folder of its own."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    descriptors: int | None = None
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self):
        self.bundles, self.log = self.home / "bundles", self.home / "log"
        self.bundles.mkdir(parents=True)
        (self.home / "bundle_checks").symlink_to(known_bundles(), target_is_directory=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=SECONDS)

    def put(self, identity: str, content: bytes) -> None:
        """Put a bundle in place by rename."""
        (self.bundles / "new").write_bytes(content)
        (self.bundles / "new").rename(self.bundles / f"{identity}.zip")

    def deploy(self, deployments: Mapping[str, Mapping[str, str]]) -> None:
        """Write what is under which tag: `{model: {tag: uuid}}`."""
        content = {
            model: {"tags": tags, "uuids": sorted(set(tags.values()))} for model, tags in deployments.items()
        }
        (self.bundles / "new").write_text(json.dumps(content))
        (self.bundles / "new").rename(self.bundles / "deployments.json")

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("GIORNATA_")
        } | {
            "GIORNATA_HOME": str(self.home),
            "GIORNATA_BUNDLES": str(self.bundles),
            "GIORNATA_PREDICTION_LOG": str(self.log),
            **self.environment,
        }
        limit = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (self.descriptors,) * 2)
        with (self.home / "stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "giornata.serving", "--port", str(self.port)],
                env=environment,
                stderr=errors,
                cwd=Path(__file__).parents[3],
                preexec_fn=limit if self.descriptors else None,
            )
        self.until(lambda: self.http.get("/health/ready").status_code == 200)

    def until(self, is_so) -> None:
        """Ask again and again until it is so, at most SECONDS."""
        for attempt in Retrying(
            wait=wait_fixed(0.02),
            stop=stop_after_delay(SECONDS),
            retry=retry_if_exception_type((AssertionError, httpx.TransportError)),
            reraise=True,
        ):
            with attempt:
                assert self.process.poll() is None, self.errors()
                assert is_so(), self.errors()

    def errors(self) -> str:
        """The server's output on stderr."""
        return (self.home / "stderr").read_text()

    def predict(self, path: str, document: object) -> httpx.Response:
        """POST a document to `/models/<path>/predict`."""
        return self.http.post(f"/models/{path}/predict", json=document)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def logged(self, model: str) -> list[dict]:
        """The lines of the closed segments of a model."""
        paths = sorted((self.log / model).glob("segment-*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def metric(self, name: str) -> float:
        """The value of a sample on the metrics page, by its name with labels; 0 for one that is not there yet."""
        lines = self.http.get("/metrics").text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)


@pytest.fixture
def server(tmp_path):
    """A server that is not started yet; it is stopped at the end."""
    server = Server(tmp_path / "server")
    yield server
    server.http.close()
    if server.process and server.process.poll() is None:
        server.process.kill()
        server.process.wait(SECONDS)


@pytest.fixture(scope="module")
def running(tmp_path_factory, versions):
    """A started server with one version of flights/minutes under the tag production, for a file's tests.

    It may have 96 descriptors, as on a machine that gives it few.
    """
    server = Server(tmp_path_factory.mktemp("running") / "server", descriptors=96)
    server.put(versions[0].uuid, versions[0].content)
    server.deploy({"flights/minutes": {"production": versions[0].uuid}})
    server.start()
    yield server
    server.http.close()
    server.stop()
