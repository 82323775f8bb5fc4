"""Requests of a training to each kind of cluster; a cluster that is too small refuses before Spark starts."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import psutil
import pytest
from py4j.protocol import Py4JJavaError
from pydantic import ValidationError
from pyspark import SparkConf
from pyspark.java_gateway import launch_gateway

from giornata.documents.resources import Resources
from giornata.errors import SettingsError, StoreError
from giornata.settings import Settings
from giornata.spark_submit import SHORT_LIVED_JVM
from jobs.runtime.cluster import check_resources, megabytes, sizes
from jobs.runtime.code_archive import write_code_archive
from jobs.runtime.executors import starting
from jobs.runtime.session import ROOT, _configuration

pytestmark = pytest.mark.processes

HERE = Settings(Path("/home"), {"GIORNATA_WAREHOUSE": "/w", "GIORNATA_METASTORE": "thrift://127.0.0.1:1"})


def with_settings(**variables: str) -> Settings:
    return Settings(HERE.home, {**HERE.variables, **variables})


@dataclass(frozen=True)
class Asked:
    executors: int = 3
    cores: int = 2
    memory: str = "1g"
    gpus: int = 0


def test_amounts_of_memory() -> None:
    assert [megabytes(text) for text in ("600m", "2g", "1GB")] == [600, 2048, 1024]
    with pytest.raises(SettingsError, match="'lots' is not an amount of memory"):
        megabytes("lots")


def test_each_master_gets_the_executors_in_its_own_way() -> None:
    executors = {
        "spark.executor.instances": "3",
        "spark.executor.cores": "2",
        "spark.executor.memory": "1g",
    }
    gpus = {
        "spark.executor.resource.gpu.amount": "1",
        "spark.task.resource.gpu.amount": "0.5",
        "spark.executorEnv.GIORNATA_DEVICE": "cuda",
    }
    found = {master: sizes(master, Asked(gpus=1), HERE) for master in ("yarn", "spark://a:7077")}
    assert found["yarn"] == {"spark.master": "yarn", **executors, **gpus, "spark.yarn.isPython": "true"}
    assert found["spark://a:7077"] == {
        "spark.master": "spark://a:7077", **executors, **gpus, "spark.cores.max": "6",
    }  # fmt: skip
    # A whole number without a point, as TorchDistributor reads it.
    assert sizes("yarn", Asked(gpus=2), HERE)["spark.task.resource.gpu.amount"] == "1"
    here = sizes("local-cluster[1,1,512]", Asked(), HERE)
    assert here["spark.master"] == "local-cluster[3,2,1024]"
    assert "spark.executorEnv.GIORNATA_DEVICE" not in here


SHARES = {
    (1, 1): "1",
    (2, 1): "0.5",
    (3, 1): "0.333333333",
    (6, 1): "0.166666666",
    (5, 2): "0.333333333",
    (4, 3): "0.5",
    (3, 3): "1",
    (2, 4): "2",
}


def test_every_core_of_an_executor_has_a_share_of_its_gpus() -> None:
    """Cores and GPUs, and what a core has of one: rounded up, or a part above a half, it would leave cores idle."""
    for (cores, gpus), share in SHARES.items():
        found = sizes("yarn", Asked(cores=cores, gpus=gpus), HERE)
        assert found["spark.task.resource.gpu.amount"] == share, (cores, gpus)


def test_spark_runs_as_many_tasks_as_an_executor_has_cores() -> None:
    """By Spark's own rules for what is no part and no whole number."""
    gateway = launch_gateway()
    try:
        profiles = getattr(getattr(gateway.jvm.org.apache.spark.resource, "ResourceProfile$"), "MODULE$")
        for cores, gpus in [
            *SHARES,
            *((cores, gpus) for cores in range(1, 41) for gpus in (1, 2, 3) if gpus <= cores),
        ]:
            conf = gateway.jvm.org.apache.spark.SparkConf(False)
            for name, value in sizes("yarn", Asked(cores=cores, gpus=gpus), HERE).items():
                conf.set(name, value)
            profiles.clearDefaultProfile()
            assert profiles.getOrCreateDefaultProfile(conf).maxTasksPerExecutor(conf) == cores, (cores, gpus)
    finally:
        gateway.proc.stdin.close()
        gateway.proc.wait(20)


@pytest.mark.parametrize(("memory", "enough"), [("466m", True), ("460m", False)])
def test_the_least_memory_of_a_document_is_what_spark_starts_with(memory: str, enough: bool) -> None:
    """In Java as an executor on this machine is started; what is left of 460 MB beside its collector is too little."""
    java = SparkConf(False).set("spark.driver.memory", memory)
    gateway = launch_gateway(java.set("spark.driver.extraJavaOptions", SHORT_LIVED_JVM))
    try:
        assert is_document(memory) == enough
        make = gateway.jvm.org.apache.spark.memory.UnifiedMemoryManager.apply
        conf = gateway.jvm.org.apache.spark.SparkConf(False)
        if enough:
            make(conf, 1)
        else:
            with pytest.raises(Py4JJavaError, match="must be at least 471859200"):
                make(conf, 1)
    finally:
        gateway.proc.stdin.close()
        gateway.proc.wait(20)


def is_document(memory: str) -> bool:
    try:
        Resources(memory=memory)
    except ValidationError:
        return False
    return True


def test_executors_elsewhere_get_no_path_and_no_loopback_address() -> None:
    here = _configuration(HERE, "local-cluster[1,1,512]", Asked())
    elsewhere = _configuration(HERE, "yarn", Asked())
    assert here["spark.executorEnv.PYTHONPATH"] == str(ROOT)
    assert here["spark.driver.host"] == "127.0.0.1"
    assert not {"spark.executorEnv.PYTHONPATH", "spark.driver.host"} & elsewhere.keys()
    assert str(ROOT) in here["spark.executor.extraJavaOptions"]
    assert str(ROOT) not in elsewhere["spark.executor.extraJavaOptions"]


def test_what_the_cluster_states_holds_where_only_time_depends_on_it() -> None:
    own = {
        "spark.sql.shuffle.partitions": "900",
        "spark.driver.memory": "6g",
        "spark.sql.session.timeZone": "Europe/Rome",
        "spark.executor.extraJavaOptions": "-Dteam=a",
    }
    found = _configuration(HERE, "yarn", Asked(), own)
    assert "spark.sql.shuffle.partitions" not in found
    assert "spark.driver.memory" not in found
    assert found["spark.sql.session.timeZone"] == "UTC"
    assert found["spark.executor.extraJavaOptions"] == "-Dteam=a -Duser.timezone=UTC"


def test_shuffles_have_a_few_tasks_for_each_slot_of_a_cluster() -> None:
    def partitions(master: str, asked: Asked | None) -> str:
        return _configuration(HERE, master, asked)["spark.sql.shuffle.partitions"]

    assert partitions("local[2]", None) == "4"
    assert partitions("local-cluster[1,1,512]", Asked()) == "4"
    assert partitions("yarn", Asked(executors=1, cores=1)) == "4"
    assert partitions("yarn", Asked(executors=2, cores=2)) == "12"
    assert partitions("yarn", Asked(executors=50, cores=4)) == "600"


def test_executors_come_and_go_only_where_the_cluster_allows_it() -> None:
    dynamic = {"spark.dynamicAllocation.enabled": "true"}
    elastic = _configuration(HERE, "yarn", Asked(executors=7), dynamic, elastic=True)
    assert elastic["spark.dynamicAllocation.maxExecutors"] == "7"
    assert elastic["spark.executor.instances"] == "1"
    training = _configuration(HERE, "yarn", Asked(executors=7), dynamic)
    assert training["spark.dynamicAllocation.enabled"] == "false"
    assert training["spark.executor.instances"] == "7"
    fixed = _configuration(HERE, "yarn", Asked(executors=7), {}, elastic=True)
    assert fixed["spark.executor.instances"] == "7"
    assert not [key for key in fixed if "dynamicAllocation" in key]


def test_the_python_of_executors() -> None:
    image, archive = {"GIORNATA_KUBERNETES_IMAGE": "spark"}, {"GIORNATA_SPARK_ENVIRONMENT": "/python.tar.gz"}

    def python(master: str, **variables: str) -> str:
        return _configuration(with_settings(**variables), master, Asked())["spark.executorEnv.PYSPARK_PYTHON"]

    assert python("yarn") == sys.executable
    assert python("k8s://https://a:6443", **image) == "python3"
    assert python("k8s://https://a:6443", **image, **archive) == "./environment/bin/python"
    shipped = _configuration(with_settings(**archive), "spark://a:7077", Asked())
    assert shipped["spark.archives"] == "/python.tar.gz#environment"


def test_the_archive_is_all_that_an_executor_needs_of_our_code(tmp_path: Path) -> None:
    archive = write_code_archive(ROOT, tmp_path)
    again = tmp_path / "again"
    again.mkdir()
    assert write_code_archive(ROOT, again).read_bytes() == archive.read_bytes()
    code = "import jobs.training.part_fitting, jobs.training.trials, giornata.scorer; print(giornata.scorer.__file__)"
    found = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = [{str(archive)!r}, *{sys.path[1:]!r}]; {code}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True, env={"PATH": "/usr/bin"},
    )  # fmt: skip
    assert found.stdout.startswith(str(archive))


def test_more_memory_than_this_machine_has_is_refused_with_the_numbers() -> None:
    check_resources("local-cluster[1,1,512]", Asked(), HERE)
    total = psutil.virtual_memory().total // 2**20
    with pytest.raises(
        SettingsError, match=rf"900 executors of 1g have 921600 MB together, and it has {total} MB"
    ):
        check_resources("local-cluster[1,1,512]", Asked(executors=900), HERE)
    with pytest.raises(SettingsError, match=rf"an executor of 900g has 921600 MB, .* {total} MB"):
        check_resources("local-cluster[1,1,512]", Asked(memory="900g"), HERE)


def node(memory: int, cores: int, gpus: int = 0, state: str = "RUNNING") -> dict[str, object]:
    """A node of YARN, a quarter of it in use; one without GPUs does not know what they are."""
    kinds = [{"name": "memory-mb", "value": memory}, {"name": "vcores", "value": cores}]
    kinds += [{"name": "yarn.io/gpu", "value": gpus}] if gpus else []
    return {
        "state": state,
        "usedMemoryMB": memory // 4,
        "availMemoryMB": memory - memory // 4,
        "usedVirtualCores": cores // 4,
        "availableVirtualCores": cores - cores // 4,
        "totalResource": {"resourceInformations": {"resourceInformation": kinds}},
    }


NODES, OVERVIEW = "/ws/v1/cluster/nodes", "/ws/v1/cluster/scheduler-overview"
WORKER_GPUS = {"gpu": {"name": "gpu", "addresses": ["0", "1"]}}


def nodes(*listed: dict[str, object]) -> dict[str, object]:
    return {"nodes": {"node": list(listed)}}


@pytest.mark.parametrize("master", ["local-cluster[1,1,512]", "local[2]"])
def test_gpus_are_refused_on_this_machine(master: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check_resources(master, Asked(gpus=8), HERE)
    assert f"executors of {master} have no GPUs, and the resources ask for gpus: 8. Set gpus: 0" in str(
        refused.value
    )


class _Clusters(BaseHTTPRequestHandler):
    """Answers of a resource manager and of a standalone master, as YARN 3.4.2 and Spark 4.2.0 give them."""

    answers: ClassVar = {
        NODES: nodes(node(4096, 4, gpus=2), node(2048, 2), node(9000, 9, state="LOST")),
        "/ws/v1/cluster/scheduler": {
            "scheduler": {"schedulerInfo": {"maximumAllocation": {"memory": 3000, "vCores": 2}}}
        },
        "/json/": {
            "workers": [
                {"state": "ALIVE", "memory": 3000, "cores": 4, "resources": WORKER_GPUS},
                {"state": "ALIVE", "memory": 1500, "cores": 2, "resources": {}},
                {"state": "DEAD", "memory": 9000, "cores": 9, "resources": WORKER_GPUS},
            ]
        },
    }

    def do_GET(self) -> None:
        if self.path not in self.answers:
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.answers[self.path]).encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Clusters)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def hadoop(web: str, tmp_path: Path) -> Path:
    (tmp_path / "yarn-site.xml").write_text(
        "<configuration><property><name>yarn.resourcemanager.webapp.address</name>"
        f"<value>{web}</value></property></configuration>"
    )
    return tmp_path


OVERHEAD = "with Spark's overhead of 384 MB"
CONTAINER = "of the container that asks for them"


def ask_yarn(hadoop: Path, asked: Asked) -> str:
    """The message of the refusal; empty if it is granted."""
    try:
        check_resources("yarn", asked, HERE, {"HADOOP_CONF_DIR": str(hadoop)})
    except SettingsError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(memory="3g"), f"of 3g {OVERHEAD} has 3456 MB, and the largest that it gives has 3000 MB"),
        (
            Asked(memory="2g", cores=1),
            f"3 executors of 2g {OVERHEAD} have 7296 MB together, beside 896 MB {CONTAINER}, and it has 6144 MB",
        ),
        (Asked(cores=3), "an executor asks for 3 cores, and the most it gives is 2"),
        (Asked(cores=2), f"3 executors of 2 cores ask for 6 together, beside 1 {CONTAINER}, and it has 6"),
        (Asked(cores=1, gpus=3), "an executor asks for 3 gpus, and the most it gives is 2"),
        (Asked(cores=1, gpus=1), "3 executors of 1 gpus ask for 3 together, and it has 2"),
    ],
)
def test_more_than_yarn_has_is_refused_with_the_numbers(hadoop: Path, asked: Asked, message: str) -> None:
    assert message in ask_yarn(hadoop, asked)


def test_what_yarn_has_is_granted(hadoop: Path) -> None:
    assert not ask_yarn(hadoop, Asked(executors=3, cores=1))
    assert not ask_yarn(hadoop, Asked(executors=2, cores=1, gpus=1))


def test_executors_have_to_fit_the_nodes_of_yarn(hadoop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 1024 + 384 MB leaves 640 of 2048: the container of 512 + 384 has a node of its own."""
    monkeypatch.setitem(_Clusters.answers, NODES, nodes(*[node(2048, 4)] * 3))
    assert not ask_yarn(hadoop, Asked(executors=2, cores=1))
    assert (
        f"its 3 machines have room for 2 executors of 1g {OVERHEAD} and 1 cores, beside 896 MB {CONTAINER}, "
        "and 3 are asked for"
    ) in ask_yarn(hadoop, Asked(executors=3, cores=1))
    assert "have 5632 MB together" in ask_yarn(hadoop, Asked(executors=4, cores=1))
    # The large node has memory for both, and two cores or one.
    monkeypatch.setitem(_Clusters.answers, NODES, nodes(node(4096, 2), node(2048, 1)))
    assert not ask_yarn(hadoop, Asked(executors=2, cores=1))
    monkeypatch.setitem(_Clusters.answers, NODES, nodes(node(4096, 1), node(2048, 2)))
    assert "have room for 1 executors" in ask_yarn(hadoop, Asked(executors=2, cores=1))
    # The container leaves 804 of 1700 MB, and has no place on the small node.
    monkeypatch.setitem(_Clusters.answers, NODES, nodes(node(1700, 9), node(800, 9)))
    assert "have room for 0 executors of 466m" in ask_yarn(hadoop, Asked(executors=1, cores=1, memory="466m"))
    # Two GPUs are on one machine.
    monkeypatch.setitem(_Clusters.answers, NODES, nodes(node(4096, 4, gpus=3), node(4096, 4, gpus=1)))
    assert not ask_yarn(hadoop, Asked(executors=1, gpus=2))
    assert f"room for 1 executors of 1g {OVERHEAD} and 2 cores and 2 gpus" in ask_yarn(
        hadoop, Asked(executors=2, gpus=2)
    )


def test_a_yarn_without_nodes(hadoop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_Clusters.answers, NODES, {"nodes": None})
    assert "has no node to run executors on" in ask_yarn(hadoop, Asked())
    monkeypatch.setitem(_Clusters.answers, NODES, nodes(node(9000, 9, state="LOST")))
    assert "has no node to run executors on" in ask_yarn(hadoop, Asked())


def test_a_yarn_that_does_not_tell_of_gpus_is_not_asked_for_them(
    hadoop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = {name: value for name, value in node(4096, 4).items() if name != "totalResource"}
    monkeypatch.setitem(_Clusters.answers, NODES, nodes(silent))
    assert not ask_yarn(hadoop, Asked(executors=1, gpus=8))


def test_yarn_gives_memory_in_steps(hadoop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1024 MB: 1024 + 384 MB are 2048, and 512 + 384 are 1024."""

    def overview(scheduler: str) -> dict[str, object]:
        # As YARN 3.4.2 gives it: numbers are text here.
        return {"schedulerType": scheduler, "minimumAllocation": {"memory": "1024", "vCores": "1"}}

    monkeypatch.setitem(_Clusters.answers, NODES, nodes(node(6144, 8)))
    monkeypatch.setitem(_Clusters.answers, OVERVIEW, overview("Capacity Scheduler"))
    assert not ask_yarn(hadoop, Asked(executors=2, cores=1))
    assert (
        f"3 executors of 1g {OVERHEAD} in steps of 1024 MB have 6144 MB together, beside 1024 MB {CONTAINER}, "
        "and it has 6144 MB"
    ) in ask_yarn(hadoop, Asked(executors=3, cores=1))
    # 2200 + 384 MB would be 3072, and nothing is given more than 3000.
    assert not ask_yarn(hadoop, Asked(executors=1, cores=1, memory="2200m"))
    monkeypatch.setitem(_Clusters.answers, OVERVIEW, overview("Fair Scheduler"))
    assert not ask_yarn(hadoop, Asked(executors=3, cores=1))


def test_a_yarn_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="HADOOP_CONF_DIR"):
        check_resources("yarn", Asked(), HERE, {})
    with pytest.raises(SettingsError, match="cannot be read"):
        check_resources("yarn", Asked(), HERE, {"HADOOP_CONF_DIR": str(tmp_path)})
    (tmp_path / "yarn-site.xml").write_text(
        "<configuration><property><name>yarn.resourcemanager.webapp.address</name>"
        "<value>127.0.0.1:9</value></property></configuration>"
    )
    with pytest.raises(SettingsError, match="is it running"):
        check_resources("yarn", Asked(), HERE, {"HADOOP_CONF_DIR": str(tmp_path)})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(memory="4g"), "an executor of 4g has 4096 MB, and the largest that it gives has 3000 MB"),
        (Asked(memory="2g"), "3 executors of 2g have 6144 MB together, and it has 4500 MB"),
        (Asked(cores=5), "an executor asks for 5 cores, and the most it gives is 4"),
        (Asked(cores=3), "3 executors of 3 cores ask for 9 together, and it has 6"),
        (
            Asked(executors=2, memory="2g"),
            "its 2 machines have room for 1 executors of 2g and 2 cores, and 2 are asked for",
        ),
        (Asked(gpus=3), "an executor asks for 3 gpus, and the most it gives is 2"),
        (Asked(executors=3, gpus=1), "3 executors of 1 gpus ask for 3 together, and it has 2"),
        (
            Asked(executors=2, cores=1, memory="2g", gpus=1),
            "its 2 machines have room for 1 executors of 2g and 1 cores and 1 gpus, and 2 are asked for",
        ),
    ],
)
def test_more_than_a_standalone_master_has_is_refused_with_the_numbers(
    web: str, asked: Asked, message: str
) -> None:
    settings = with_settings(GIORNATA_SPARK_MASTER_WEB=f"http://{web}/")
    with pytest.raises(SettingsError) as refused:
        check_resources("spark://a:7077", asked, settings)
    assert message in str(refused.value)
    check_resources("spark://a:7077", Asked(), settings)
    check_resources("spark://a:7077", Asked(executors=2, gpus=1), settings)


def test_a_standalone_master_without_a_web_address_is_not_asked() -> None:
    check_resources("spark://a:7077", Asked(executors=900), HERE)
    with pytest.raises(SettingsError, match=r"Spark's master does not answer at .*is it running"):
        check_resources(
            "spark://a:7077", Asked(), with_settings(GIORNATA_SPARK_MASTER_WEB="http://127.0.0.1:9")
        )


def test_kubernetes_needs_an_image() -> None:
    with pytest.raises(SettingsError, match=r"GIORNATA_KUBERNETES_IMAGE does not name .*: set it to"):
        check_resources("k8s://https://a:6443", Asked(), HERE)


def test_a_cluster_that_gives_no_executor_is_not_waited_for_for_ever() -> None:
    with pytest.raises(StoreError, match="yarn has given no executor in 1 s"), starting("yarn", 1):
        time.sleep(60)
    with starting("yarn", 1):
        pass
    time.sleep(1.1)  # nobody is interrupted any more


def test_nor_is_it_where_spark_waits_inside_of_the_jvm() -> None:
    """As it does for YARN to start the container that asks for executors."""
    gateway = launch_gateway()
    try:
        with (
            pytest.raises(StoreError, match=r"Spark does not start on yarn: .*NumberFormat"),
            starting("yarn", 9),
        ):
            gateway.jvm.java.lang.Integer.parseInt("none")
        with pytest.raises(StoreError, match="yarn has given no executor in 1 s"), starting("yarn", 1):
            gateway.jvm.java.lang.Thread.sleep(30_000)
    finally:
        gateway.proc.stdin.close()
        gateway.proc.wait(20)
