"""What a training asks of each kind of cluster; a cluster that cannot give it says so before Spark starts."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from giornata.errors import SettingsError
from giornata.settings import Settings
from jobs.cluster import check_resources, megabytes, sizes
from jobs.code_archive import write_code_archive
from jobs.session import ROOT, _configuration


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
    found = {
        master: sizes(master, Asked(gpus=1)) for master in ("yarn", "spark://a:7077", "k8s://https://a:6443")
    }
    assert found["yarn"] == {"spark.master": "yarn", **executors, **gpus, "spark.yarn.isPython": "true"}
    assert found["spark://a:7077"] == {
        "spark.master": "spark://a:7077", **executors, **gpus, "spark.cores.max": "6",
    }  # fmt: skip
    assert found["k8s://https://a:6443"] == {
        "spark.master": "k8s://https://a:6443", **executors, **gpus,
        "spark.executor.resource.gpu.vendor": "nvidia.com",
    }  # fmt: skip
    # A whole number without a point, as TorchDistributor reads it.
    assert sizes("yarn", Asked(gpus=2))["spark.task.resource.gpu.amount"] == "1"
    here = sizes("local-cluster[1,1,512]", Asked())
    assert here["spark.master"] == "local-cluster[3,2,1024]"
    assert "spark.executorEnv.GIORNATA_DEVICE" not in here


def test_executors_elsewhere_get_no_path_and_no_loopback_address() -> None:
    settings = Settings(
        Path("/home"), {"GIORNATA_WAREHOUSE": "/w", "GIORNATA_METASTORE": "thrift://127.0.0.1:1"}
    )
    here = _configuration(settings, "local-cluster[1,1,512]", Asked())
    elsewhere = _configuration(settings, "yarn", Asked())
    assert here["spark.executorEnv.PYTHONPATH"] == str(ROOT)
    assert here["spark.driver.host"] == "127.0.0.1"
    assert not {"spark.executorEnv.PYTHONPATH", "spark.driver.host"} & elsewhere.keys()


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
    check_resources("local-cluster[1,1,512]", Asked())
    total = psutil.virtual_memory().total // 2**20
    with pytest.raises(
        SettingsError, match=rf"900 executors of 1g have 921600 MB together, and it has {total} MB"
    ):
        check_resources("local-cluster[1,1,512]", Asked(executors=900))
    with pytest.raises(SettingsError, match=rf"an executor of 900g has 921600 MB, .* {total} MB"):
        check_resources("local-cluster[1,1,512]", Asked(memory="900g"))


class _Yarn(BaseHTTPRequestHandler):
    """The two answers of a resource manager that are read, as YARN 3.4.2 gives them."""

    answers: ClassVar = {
        "/ws/v1/cluster/metrics": {
            "clusterMetrics": {"totalMB": 6144, "totalVirtualCores": 4, "activeNodes": 1}
        },
        "/ws/v1/cluster/scheduler": {
            "scheduler": {"schedulerInfo": {"maximumAllocation": {"memory": 3000, "vCores": 2}}}
        },
    }  # fmt: skip

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.answers[self.path]).encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hadoop(tmp_path: Path) -> Iterator[Path]:
    server = HTTPServer(("127.0.0.1", 0), _Yarn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "yarn-site.xml").write_text(
        "<configuration><property><name>yarn.resourcemanager.webapp.address</name>"
        f"<value>127.0.0.1:{server.server_port}</value></property></configuration>"
    )
    yield tmp_path
    server.shutdown()
    server.server_close()


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
        check_resources("yarn", asked, {"HADOOP_CONF_DIR": str(hadoop)})
    assert message in str(refused.value)


def test_what_yarn_has_is_granted(hadoop: Path) -> None:
    check_resources("yarn", Asked(executors=2, memory="2g"), {"HADOOP_CONF_DIR": str(hadoop)})


def test_a_yarn_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="HADOOP_CONF_DIR"):
        check_resources("yarn", Asked(), {})
    with pytest.raises(SettingsError, match="cannot be read"):
        check_resources("yarn", Asked(), {"HADOOP_CONF_DIR": str(tmp_path)})
    (tmp_path / "yarn-site.xml").write_text(
        "<configuration><property><name>yarn.resourcemanager.webapp.address</name>"
        "<value>127.0.0.1:9</value></property></configuration>"
    )
    with pytest.raises(SettingsError, match="is it running"):
        check_resources("yarn", Asked(), {"HADOOP_CONF_DIR": str(tmp_path)})
