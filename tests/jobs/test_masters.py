"""The chain on every kind of Spark master: the executors are those of the documents, tables and models are the same.

The executors of these tests are as on another machine: their Python has the libraries and knows nothing of this
folder, and both that Python and our code reach them as archives.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyspark
import pytest
from py4j.java_gateway import JavaObject, is_instance_of

from giornata.documents.resources import Resources
from giornata.errors import SettingsError
from giornata.settings import Settings
from giornata.spark_submit import LOG4J
from giornata.stores import cassandra
from giornata.stores.training_runs import TrainingRuns
from jobs import train
from jobs.runtime.cluster import sizes
from jobs.runtime.session import ROOT
from jobs.training.request import checked
from stack.installation import Installation
from stack.ports import free_ports
from tests.cassandra_ring import Ring
from tests.jobs.run_chain import AS_OF, run_chain

pytestmark = pytest.mark.timeout(900)

LOOPBACK = "127.0.0.1"
NOWHERE = Path("/nowhere")  # of a stack that has no servers
LIMIT_SECONDS = 300.0
PROJECT = Path(__file__).with_name("trips")
CHAIN = Path(__file__).with_name("run_chain.py")


@dataclass(frozen=True)
class World:
    """A folder for copies of the project `trips`, and what its chain made in this process."""

    settings: Settings
    project: str
    made: dict[str, Any]

    @property
    def model(self) -> str:
        return f"{self.project}/minutes"

    def copy(self) -> str:
        """The same project under a name that has no table yet."""
        name = f"test_{uuid.uuid4().hex[:10]}"
        shutil.copytree(PROJECT, self.settings.projects / name)
        return name


@pytest.fixture(scope="module")
def world(spark, stores, tmp_path_factory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("masters")
    (folder / "projects").mkdir()
    own = {"GIORNATA_PROJECTS": str(folder / "projects"), "GIORNATA_MLFLOW": f"sqlite:///{folder}/mlflow.db"}
    settings = replace(stores, variables={**stores.variables, **own})
    project = World(settings, "none", {}).copy()
    made = run_chain(spark, settings, project, str(uuid.uuid4()))
    yield World(settings, project, json.loads(json.dumps(made)))
    for name in [each.name for each in settings.projects.iterdir()]:
        for table in spark.catalog.listTables(name) if spark.catalog.databaseExists(name) else ():
            spark.sql(f"DROP TABLE {name}.{table.name}")


def _nearly(value: Any) -> Any:
    return pytest.approx(value, rel=1e-12) if isinstance(value, float) else value


def check_same(made: dict[str, Any], world: World) -> None:
    """Every row, part and value online is that of the chain in this process, to the last bit.

    Only means over a day's predictions, which Spark sums in the order of its partitions, differ in their last digit.
    """
    here, there = world.made, made
    for table, rows in here["hive"].items():
        assert rows, table
        if table == "metrics":
            assert len(there["hive"][table]) == len(rows)
            for mine, other in zip(rows, there["hive"][table], strict=True):
                assert other == [_nearly(value) for value in mine]
        else:
            assert there["hive"][table] == rows, table
    assert all(here["online"].values())
    assert {**there, "hive": {}} == {**here, "hive": {}}
    assert there["metrics"]["rmse"] < 0.3 * there["baseline"]["rmse"]
    assert {*there["kept"]} > {"all"}


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
    program: Path,
    arguments: list[str],
    look: Callable[[], object] = lambda: None,
) -> tuple[int, str, list]:
    """Run a program as a task of Airflow does, from a folder of its own; exit code, output, what `look` saw."""
    java = f"-Dlog4j2.configurationFile={LOG4J} -Duser.timezone=UTC"
    command = ["spark-submit", "--master", "local[2]", "--conf", f"spark.driver.extraJavaOptions={java}"]
    command += [str(program), *arguments]
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
    project, results = world.copy(), tmp_path / "results.json"
    code, output, _ = submit(environment, tmp_path, CHAIN, [project, str(uuid.uuid4()), str(results)])
    assert code == 0, output[-4000:]
    check_same(json.loads(results.read_text()), world)

    (application,) = asked(f"{standalone.web}/json/")["completedapps"]
    assert application["name"] == f"chain {project}"
    assert (application["cores"], application["memoryperexecutor"]) == (2, 600)
    executors = asked(f"{standalone.worker_web}/json/")["finishedexecutors"]
    assert [each["memory"] for each in executors] == [600, 600]
    assert archive.seen() == {standalone.work / application["id"] / number for number in "01"}

    told = refused(world, variables, {"executors": 9})
    assert "9 executors of 600m have 5400 MB together, and it has 2048 MB" in told
    assert "9 executors of 1 cores ask for 9 together, and it has 4" in told
    assert len(asked(f"{standalone.web}/json/")["completedapps"]) == 1

    # A master that is not asked first lets a job wait for what it never gets.
    file = world.settings.projects / world.project / "models" / "minutes.yaml"
    text = file.read_text()
    file.write_text(text.replace("cores: 1", "cores: 5"))
    del environment["GIORNATA_SPARK_MASTER_WEB"]
    waiting = str(uuid.uuid4())
    code, output, _ = submit(
        {**environment, "GIORNATA_EXECUTOR_WAIT": "12"},
        tmp_path,
        ROOT / "jobs" / "train.py",
        ["--model", world.model, "--as-of", f"{AS_OF:%Y-%m-%d}", "--uuid", waiting, "--trained-by", "anna"],
    )
    file.write_text(text)
    assert code == 1
    assert f"error: {standalone.master} has given no executor in 12 s. Ask for less" in output
    assert "Traceback" not in output
    with cassandra.session(world.settings) as opened:
        (run,) = (run for run in TrainingRuns(opened).list(world.model) if run.uuid == waiting)
    assert run.state == "failed"
    assert run.reason.startswith(f"{standalone.master} has given no executor in 12 s")
    _wait(lambda: not asked(f"{standalone.web}/json/")["activeapps"])


@pytest.fixture
def postgres(homes) -> Iterator[str]:
    """The JDBC address of an empty database of PostgreSQL, which runs as a user who is not root."""
    folder = Path(tempfile.mkdtemp(dir=homes.parent, prefix="giornata-postgres-"))
    (folder / "password").write_text("secret")
    as_user = []
    if os.geteuid() == 0:
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres", "postgres")
    # Debian keeps it out of the path.
    initdb = shutil.which("initdb") or max(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    data, port = folder / "data", free_ports().mail
    login = ["-U", "hive", "--auth=scram-sha-256", f"--pwfile={folder}/password", "-E", "UTF8", "--locale=C"]
    subprocess.run([*as_user, str(initdb), "-D", str(data), *login], check=True, capture_output=True, cwd="/")
    settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", f"port={port}"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*as_user, str(Path(initdb).with_name("postgres")), "-D", str(data)]
            + [part for each in settings for part in ("-c", each)],
            stdout=log, stderr=subprocess.STDOUT, cwd="/",
        )  # fmt: skip
    try:
        _wait(lambda: not socket.create_connection((LOOPBACK, port), 1).close())
        yield f"jdbc:postgresql://{LOOPBACK}:{port}/postgres?user=hive&password=secret"
    finally:
        _end(server)
        shutil.rmtree(folder)


@pytest.fixture
def ring(tmp_path) -> Iterator[Ring]:
    """Three nodes of Cassandra with logins and TLS."""
    (tmp_path / "ring").mkdir()
    started = Ring(tmp_path / "ring", free_ports())
    try:
        started.start()
        yield started
    finally:
        started.stop()


def test_on_yarn(world, start_stack, postgres, ring, archive, tmp_path):
    """With the warehouse on HDFS, the metastore's database in PostgreSQL, and a secured Cassandra of three nodes."""
    ports = free_ports()
    installation = start_stack(
        ["hdfs-data", "yarn-node", "metastore"],
        ports=ports,
        warehouse_address=f"hdfs://{LOOPBACK}:{ports.hdfs}/warehouse",
        metastore_database=postgres,
    ).installation
    web = f"http://{LOOPBACK}:{installation.ports.yarn_web}/ws/v1/cluster"
    variables = {"GIORNATA_SPARK_MASTER": "yarn", "GIORNATA_SPARK_ENVIRONMENT": str(archive.path)}
    own = {name: world.settings.variables[name] for name in ("GIORNATA_PROJECTS", "GIORNATA_MLFLOW")}
    environment = {**installation.environment(), **own, **variables, **ring.settings().variables}

    def look() -> tuple[int, int, int]:
        running = (asked(f"{web}/apps?states=RUNNING")["apps"] or {}).get("app", [])
        return max(
            ((app["runningContainers"], app["allocatedMB"], app["allocatedVCores"]) for app in running),
            default=(0, 0, 0),
        )

    project, results = world.copy(), tmp_path / "results.json"
    code, output, seen = submit(
        environment, tmp_path, CHAIN, [project, str(uuid.uuid4()), str(results)], look
    )
    assert code == 0, output[-4000:]
    check_same(json.loads(results.read_text()), world)

    (application,) = asked(f"{web}/apps")["apps"]["app"]
    assert (application["name"], application["finalStatus"]) == (f"chain {project}", "SUCCEEDED")
    # Two executors of 600 MB and Spark's overhead of 384, and one container that asks for them (512 + 384), in steps
    # of 256 MB; a core each. For a moment YARN may hold one more, which Spark gives back unused.
    assert (3, 3 * 1024, 3) in seen
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
