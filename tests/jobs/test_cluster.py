"""What a training asks of each kind of cluster; a cluster that cannot give it says so before Spark starts."""

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
from pyspark.java_gateway import launch_gateway

from giornata.errors import SettingsError, StoreError
from giornata.settings import Settings
from jobs.cluster import check_resources, megabytes, sizes
from jobs.code_archive import write_code_archive
from jobs.executors import starting
from jobs.session import ROOT, _configuration

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


def test_executors_elsewhere_get_no_path_and_no_loopback_address() -> None:
    here = _configuration(HERE, "local-cluster[1,1,512]", Asked())
    elsewhere = _configuration(HERE, "yarn", Asked())
    assert here["spark.executorEnv.PYTHONPATH"] == str(ROOT)
    assert here["spark.driver.host"] == "127.0.0.1"
    assert not {"spark.executorEnv.PYTHONPATH", "spark.driver.host"} & elsewhere.keys()
    assert str(ROOT) in here["spark.executor.extraJavaOptions"]
    assert str(ROOT) not in elsewhere["spark.executor.extraJavaOptions"]


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
    code = "import jobs.parts, jobs.trials, giornata.scorer; print(giornata.scorer.__file__)"
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


class _Clusters(BaseHTTPRequestHandler):
    """What is read of a resource manager and of a standalone master, as YARN 3.4.2 and Spark 4.2.0 give it."""

    answers: ClassVar = {
        "/ws/v1/cluster/metrics": {
            "clusterMetrics": {"totalMB": 6144, "totalVirtualCores": 4, "activeNodes": 1}
        },
        "/ws/v1/cluster/scheduler": {
            "scheduler": {"schedulerInfo": {"maximumAllocation": {"memory": 3000, "vCores": 2}}}
        },
        "/json/": {
            "workers": [
                {"state": "ALIVE", "memory": 3000, "cores": 4},
                {"state": "ALIVE", "memory": 1500, "cores": 2},
                {"state": "DEAD", "memory": 9000, "cores": 9},
            ]
        },
    }  # fmt: skip

    def do_GET(self) -> None:
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


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Asked(memory="3g"), f"of 3g {OVERHEAD} has 3456 MB, and the largest that it gives has 3000 MB"),
        (Asked(memory="2g", cores=1), f"3 executors of 2g {OVERHEAD} have 7296 MB together, and it has 6144"),
        (Asked(cores=3), "an executor asks for 3 cores, and the most it gives is 2"),
        (Asked(cores=2), "3 executors of 2 cores ask for 6 together, and it has 4"),
    ],
)
def test_more_than_yarn_has_is_refused_with_the_numbers(hadoop: Path, asked: Asked, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check_resources("yarn", asked, HERE, {"HADOOP_CONF_DIR": str(hadoop)})
    assert message in str(refused.value)


def test_what_yarn_has_is_granted(hadoop: Path) -> None:
    check_resources("yarn", Asked(executors=2, memory="2g"), HERE, {"HADOOP_CONF_DIR": str(hadoop)})


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
            "its 2 workers have room for 1 executors of 2g and 2 cores, and 2 are asked for",
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
