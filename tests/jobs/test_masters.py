"""One training on every kind of Spark master: the executors are those of the document, the models are the same.

The executors of these tests are as on another machine: their Python has the libraries and knows nothing of this
folder, and both that Python and our code reach them as archives.
"""

import json
import subprocess
import sys
import tarfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyspark
import pytest
from py4j.java_gateway import JavaObject, is_instance_of

from giornata.bundle import open_bundle
from giornata.documents.resources import Resources
from giornata.errors import SettingsError
from giornata.records.model_version import ModelVersion
from giornata.settings import Settings
from giornata.spark_submit import LOG4J
from giornata.stores import cassandra
from giornata.stores.repository import Repository
from giornata.stores.training_runs import TrainingRuns
from jobs import train
from jobs.hive.publish import ensure_table, publish
from jobs.runtime.cluster import sizes
from jobs.runtime.session import ROOT
from jobs.training.request import checked
from stack.installation import Installation
from stack.ports import free_ports

pytestmark = pytest.mark.timeout(900)

LOOPBACK = "127.0.0.1"
NOWHERE = Path("/nowhere")  # of a stack that has no servers
FIRST, AS_OF = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 11, tzinfo=UTC)
ROWS = 800
LIMIT_SECONDS = 240.0

FILES = {
    "project.yaml": "description: Trips\nowner: tests\nstart_date: 2013-01-01\n",
    "tables/departures.yaml": """
description: Generated trips
key: [trip_id]
event_time: left_at
columns: {trip_id: str, left_at: timestamp, distance: float, city: str}
""",
    "tables/arrivals.yaml": """
description: Generated arrivals
key: [trip_id]
event_time: arrived_at
columns: {trip_id: str, arrived_at: timestamp, minutes: float}
""",
    "models/minutes.yaml": """
description: Minutes of a trip
owner: tests
type: xgboost
task: regression
data: {table: departures, key: [trip_id], event_time: left_at}
label: {table: arrivals, value: minutes, event_time: arrived_at}
split: {train: 7d, validation: 0.3, test: 3d}
features:
  distance: row.distance
  city: vocabulary(row.city)
partition: {by: [row.city], min_rows: 50}
parameters: {n_estimators: 10, max_depth: 3, learning_rate: 0.3}
resources: {executors: 2, cores: 2, memory: 600m}
""",
}


@dataclass(frozen=True)
class World:
    """A project with its tables in Hive, and the version of its model that was trained in this process."""

    settings: Settings
    model: str
    version: ModelVersion

    def trained(self, version: str) -> ModelVersion:
        with cassandra.session(self.settings) as opened:
            return Repository(opened).get(version)

    def parts(self, version: str) -> list[dict[str, bytes]]:
        with cassandra.session(self.settings) as opened:
            return [dict(part.files) for part in open_bundle(Repository(opened).bundle(version)).parts]


@pytest.fixture(scope="module")
def world(spark, stores, tmp_path_factory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("masters")
    project = f"test_{uuid.uuid4().hex[:10]}"
    for path, text in FILES.items():
        file = folder / "projects" / project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    settings = replace(
        stores,
        variables={
            **stores.variables,
            "GIORNATA_PROJECTS": str(folder / "projects"),
            "GIORNATA_MLFLOW": f"sqlite:///{folder}/mlflow.db",
        },
    )
    random = np.random.default_rng(5)
    distance, steep = random.uniform(100, 1000, ROWS), random.random(ROWS) < 0.4
    left = [FIRST + timedelta(minutes=minute) for minute in range(0, ROWS * 18, 18)]
    trips = {
        "trip_id": [f"t{number:04}" for number in range(ROWS)],
        "left_at": left,
        "arrived_at": [at + timedelta(hours=2) for at in left],
        "distance": distance,
        "city": np.where(steep, "Steep", "Plain"),
        "minutes": distance * np.where(steep, 0.8, 0.1) + random.normal(0, 4, ROWS),
    }
    # fmt: off
    _publish(spark, settings, f"{project}.departures", trips, {
        "trip_id": "str", "left_at": "timestamp", "distance": "float", "city": "str",
    }, "left_at")
    _publish(spark, settings, f"{project}.arrivals", trips, {
        "trip_id": "str", "arrived_at": "timestamp", "minutes": "float",
    }, "arrived_at")
    # fmt: on
    model, version = f"{project}/minutes", str(uuid.uuid4())
    training = train.TrainingRequest(model, AS_OF, version, "anna")
    yield World(settings, model, train.run(spark, settings, training, lambda: AS_OF))
    for table in spark.catalog.listTables(project):
        spark.sql(f"DROP TABLE {project}.{table.name}")


def _publish(spark, settings, table, columns, types, day) -> None:
    frame = pl.DataFrame({name: columns[name] for name in types})
    ensure_table(spark, table, types)
    rows = frame.with_columns(day=frame[day].dt.strftime("%Y-%m-%d"))
    arrow = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    publish(spark, spark.createDataFrame(arrow), table, settings=settings)


@dataclass(frozen=True)
class Archive:
    """A Python environment as an archive; each process of its Python adds its working folder to the file `folders`."""

    path: Path
    folders: Path

    def seen(self) -> set[Path]:
        return {Path(line) for line in self.folders.read_text().splitlines()}


@pytest.fixture
def archive(tmp_path) -> Archive:
    """The libraries of this environment, without the link to this folder that an editable installation has."""
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    libraries = Path(pyspark.__file__).parents[1]
    folders = tmp_path / "folders"
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        # YARN hands the driver's on; on another machine there is no such folder.
        f"others=$(printf %s \":$PYTHONPATH:\" | sed 's#:{ROOT}:#:#g')\n"
        f'export PYTHONPATH="{libraries}$others"\n'
        f'pwd >> "{folders}"\n'
        f'exec "{base}" "$@"\n'
    )
    python.chmod(0o755)
    with tarfile.open(tmp_path / "python.tar.gz", "w:gz") as written:
        written.add(python, "bin/python")
    return Archive(tmp_path / "python.tar.gz", folders)


@dataclass(frozen=True)
class Standalone:
    """A standalone master with one worker of 4 cores and 2 GB, all on the loopback interface."""

    master: str
    web: str
    worker_web: str
    work: Path


@pytest.fixture(scope="module")
def standalone(tmp_path_factory) -> Iterator[Standalone]:
    folder = tmp_path_factory.mktemp("standalone")
    ports = free_ports()
    found = Standalone(
        f"spark://{LOOPBACK}:{ports.yarn}",
        f"http://{LOOPBACK}:{ports.yarn_web}",
        f"http://{LOOPBACK}:{ports.yarn_node_web}",
        folder / "work",
    )
    environment = Installation(NOWHERE, ports).environment()
    # What executors inherit from their worker does not lead to our code.
    del environment["PYTHONPATH"]
    environment["SPARK_DAEMON_MEMORY"] = "256m"
    servers = {
        "master.Master": ["--host", LOOPBACK, "--port", ports.yarn, "--webui-port", ports.yarn_web],
        "worker.Worker": [
            *["--host", LOOPBACK, "--port", ports.yarn_node, "--webui-port", ports.yarn_node_web],
            *["--cores", 4, "--memory", "2g", "--work-dir", found.work, found.master],
        ],
    }
    with ExitStack() as stack:
        for name, arguments in servers.items():
            log = stack.enter_context((folder / f"{name}.log").open("w"))
            process = subprocess.Popen(
                ["spark-class", f"org.apache.spark.deploy.{name}", *map(str, arguments)],
                env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
            stack.callback(_end, process)
        _wait(lambda: any(each["state"] == "ALIVE" for each in asked(f"{found.web}/json/")["workers"]))
        yield found


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)


def _wait(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    ends = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
        except OSError:
            pass  # it does not listen yet
        assert time.monotonic() < ends
        time.sleep(0.3)


def asked(url: str) -> dict:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        return json.load(answer)


def submit(
    environment: dict[str, str],
    folder: Path,
    world: World,
    version: str,
    look: Callable[[], object] = lambda: None,
) -> tuple[int, str, list]:
    """Run the job as a task of Airflow does, from a folder of its own; exit code, output, what `look` saw meanwhile."""
    java = f"-Dlog4j2.configurationFile={LOG4J} -Duser.timezone=UTC"
    command = ["spark-submit", "--master", "local[2]", "--conf", f"spark.driver.extraJavaOptions={java}"]
    command += ["--name", f"{world.model}.train", str(ROOT / "jobs" / "train.py")]
    command += ["--model", world.model, "--as-of", f"{AS_OF:%Y-%m-%d}", "--uuid", version]
    command += ["--trained-by", "anna", "--parameters", "{}", "--resources", "{}"]
    seen: list = []
    output = folder / "output"
    ends = time.monotonic() + LIMIT_SECONDS
    with output.open("w") as written:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=written, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None and time.monotonic() < ends:
                seen.append(look())
                time.sleep(0.3)
        finally:
            _end(process)
    return process.returncode, output.read_text(), seen


def check_same(world: World, version: str) -> None:
    """The version is recorded, with its resources, and is the one that was trained in this process."""
    found = world.trained(version)
    asked_for = found.configuration.resources
    assert (asked_for.executors, asked_for.cores, asked_for.memory) == (2, 2, "600m")
    assert found.metrics == world.version.metrics
    assert found.metrics["rmse"] < 0.3 * found.baseline_metrics["rmse"]
    assert {part.name for part in found.parts if part.kept} > {"all"}
    assert world.parts(version) == world.parts(world.version.uuid)


def refused(world: World, variables: dict[str, str], resources: dict[str, object]) -> str:
    settings = replace(world.settings, variables={**world.settings.variables, **variables})
    with pytest.raises(SettingsError) as error:
        checked(
            settings,
            train.TrainingRequest(world.model, AS_OF, str(uuid.uuid4()), "anna", resources=resources),
        )
    return str(error.value)


def test_on_a_standalone_master(world, standalone, archive, tmp_path):
    variables = {
        "GIORNATA_SPARK_MASTER": standalone.master,
        "GIORNATA_SPARK_MASTER_WEB": standalone.web,
        "GIORNATA_SPARK_ENVIRONMENT": str(archive.path),
    }
    environment = {
        **Installation(NOWHERE, free_ports()).environment(), **world.settings.variables, **variables,
    }  # fmt: skip
    version = str(uuid.uuid4())
    code, output, _ = submit(environment, tmp_path, world, version)
    assert code == 0, output[-4000:]
    check_same(world, version)

    (application,) = asked(f"{standalone.web}/json/")["completedapps"]
    assert application["name"] == f"train {world.model}"
    assert (application["cores"], application["memoryperexecutor"]) == (4, 600)
    executors = asked(f"{standalone.worker_web}/json/")["finishedexecutors"]
    assert [each["memory"] for each in executors] == [600, 600]
    assert archive.seen() == {standalone.work / application["id"] / number for number in "01"}

    told = refused(world, variables, {"executors": 9})
    assert "9 executors of 600m have 5400 MB together, and it has 2048 MB" in told
    assert "9 executors of 2 cores ask for 18 together, and it has 4" in told
    assert len(asked(f"{standalone.web}/json/")["completedapps"]) == 1

    # A master that is not asked first lets a job wait for what it never gets.
    file = Path(environment["GIORNATA_PROJECTS"], world.model.split("/")[0], "models/minutes.yaml")
    text = file.read_text()
    file.write_text(text.replace("cores: 2", "cores: 5"))
    del environment["GIORNATA_SPARK_MASTER_WEB"]
    waiting = str(uuid.uuid4())
    code, output, _ = submit({**environment, "GIORNATA_EXECUTOR_WAIT": "12"}, tmp_path, world, waiting)
    file.write_text(text)
    assert code == 1
    assert f"error: {standalone.master} has given no executor in 12 s. Ask for less" in output
    assert "Traceback" not in output
    with cassandra.session(world.settings) as opened:
        (run,) = (run for run in TrainingRuns(opened).list(world.model) if run.uuid == waiting)
    assert run.state == "failed"
    assert run.reason.startswith(f"{standalone.master} has given no executor in 12 s")
    _wait(lambda: not asked(f"{standalone.web}/json/")["activeapps"])


def test_on_yarn(world, start_stack, archive, tmp_path):
    installation = start_stack(["yarn-node"]).installation
    web = f"http://{LOOPBACK}:{installation.ports.yarn_web}/ws/v1/cluster"
    variables = {"GIORNATA_SPARK_MASTER": "yarn", "GIORNATA_SPARK_ENVIRONMENT": str(archive.path)}
    environment = {**installation.environment(), **world.settings.variables, **variables}

    def look() -> tuple[int, int, int]:
        running = (asked(f"{web}/apps?states=RUNNING")["apps"] or {}).get("app", [])
        return max(
            ((app["runningContainers"], app["allocatedMB"], app["allocatedVCores"]) for app in running),
            default=(0, 0, 0),
        )

    version = str(uuid.uuid4())
    code, output, seen = submit(environment, tmp_path, world, version, look)
    assert code == 0, output[-4000:]
    check_same(world, version)

    (application,) = asked(f"{web}/apps")["apps"]["app"]
    assert (application["name"], application["finalStatus"]) == (f"train {world.model}", "SUCCEEDED")
    # Two executors of 600 MB and Spark's overhead of 384, and one container that asks for them (512 + 384), in steps
    # of 256 MB; two cores each, and one. For a moment YARN may hold one more, which Spark gives back unused.
    assert (3, 3 * 1024, 5) in seen
    containers = archive.seen()
    assert len(containers) == 2
    assert all(folder.is_relative_to(installation.home / "yarn" / "local") for folder in containers)
    assert all(application["id"] in folder.parts for folder in containers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HADOOP_CONF_DIR", str(installation.hadoop_configuration))
        told = refused(world, variables, {"executors": 9})
    assert (
        "9 executors of 600m with Spark's overhead of 384 MB in steps of 256 MB have 9216 MB together, beside 1024 MB "
        "of the container that asks for them, and it has 6144" in told
    )
    assert len(asked(f"{web}/apps")["apps"]["app"]) == 1


KUBERNETES = {
    "GIORNATA_KUBERNETES_IMAGE": "registry.example.com/giornata:1",
    "GIORNATA_KUBERNETES_NAMESPACE": "learning",
    "GIORNATA_KUBERNETES_SERVICE_ACCOUNT": "trainer",
}


def test_the_pods_of_kubernetes(spark):
    """The requests that Spark itself would send to Kubernetes with our settings, without a cluster."""
    resources = Resources(executors=3, cores=2, memory="2g", gpus=1)
    settings = Settings(Path("/home"), KUBERNETES)
    found = sizes("k8s://https://kubernetes.example.com:6443", resources, settings)
    jvm = spark.sparkContext._jvm
    assert jvm is not None
    config = _object(jvm.org.apache.spark.deploy.k8s, "Config")
    constants = [getattr(config, name)() for name in dir(config) if name.isupper() and "_" in name]
    entry = "org.apache.spark.internal.config.ConfigEntry"
    gateway = spark.sparkContext._gateway
    known = {each.key() for each in constants if _is(gateway, each, entry)}
    ours = {key for key in found if key.startswith("spark.kubernetes.")}
    assert ours
    assert ours <= known

    configuration = jvm.org.apache.spark.SparkConf(False)
    for key, value in {**found, "spark.driver.host": "driver", "spark.driver.port": "7078"}.items():
        configuration.set(key, value)
    spec = _executor(jvm, configuration)
    pod, container = spec.pod().pod(), spec.pod().container()
    assert container.getImage() == "registry.example.com/giornata:1"
    assert pod.getSpec().getServiceAccountName() == "trainer"
    requests, limits = container.getResources().getRequests(), container.getResources().getLimits()
    # Two GiB and two fifths of it for Python.
    assert str(requests["memory"]) == str(limits["memory"]) == "2867Mi"
    assert str(requests["cpu"]) == str(limits["cpu"]) == "2"
    assert str(limits["nvidia.com/gpu"]) == "1"
    variables = {each.getName(): each.getValue() for each in container.getEnv()}
    assert variables["SPARK_EXECUTOR_CORES"] == "2"
    assert variables["SPARK_EXECUTOR_MEMORY"] == "2048m"
    assert variables["GIORNATA_DEVICE"] == "cuda"
    assert found["spark.executor.instances"] == "3"


def _is(gateway, value, java_class):
    return isinstance(value, JavaObject) and is_instance_of(gateway, value, java_class)


def _object(package, name):
    return getattr(getattr(package, f"{name}$"), "MODULE$")


def _executor(jvm, configuration):
    """The pod of one executor, by the code of Spark that makes it."""
    none = jvm.scala.Option.empty()
    kubernetes = jvm.org.apache.spark.deploy.k8s.KubernetesConf.createExecutorConf(
        configuration, "1", "app", none, 0
    )
    # The JVM remembers one default profile, of the session that runs in it.
    profiles = _object(jvm.org.apache.spark.resource, "ResourceProfile")
    profiles.clearDefaultProfile()
    profile = profiles.getOrCreateDefaultProfile(configuration)
    profiles.clearDefaultProfile()
    security = jvm.org.apache.spark.SparkEnv.get().securityManager()
    builder = jvm.org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBuilder()
    return builder.buildFromFeatures(kubernetes, security, None, profile)
