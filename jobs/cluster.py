"""What a training asks of a cluster, in the settings of each kind of master, and whether the cluster has it at all."""

import json
import os
import re
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from giornata.errors import SettingsError
from giornata.models.base import DEVICE

__all__ = ["Resources", "check_resources", "is_local", "megabytes", "sizes"]

_LOCAL_CLUSTER = re.compile(r"local-cluster\[\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\]")

# What Spark adds to the memory of an executor's container: a tenth, at least 384 MB (spark.executor.memoryOverhead).
_OVERHEAD_SHARE = 0.1
_LEAST_OVERHEAD = 384

_ASK_SECONDS = 5.0


class Resources(Protocol):
    """What a model's document asks of the cluster; `memory` is of one executor, such as "1g"."""

    @property
    def executors(self) -> int: ...
    @property
    def cores(self) -> int: ...
    @property
    def memory(self) -> str: ...
    @property
    def gpus(self) -> int: ...


@dataclass(frozen=True)
class Capacity:
    """The most that a cluster can give: megabytes and cores in all, and to one executor."""

    where: str
    memory: int
    cores: int
    executor_memory: int
    executor_cores: int


def is_local(master: str) -> bool:
    """Whether executors run on this machine and see its files."""
    return master.startswith("local")


def megabytes(memory: str) -> int:
    """Spark's notation for an amount of memory ("600m", "2g") in mebibytes. Raises SettingsError."""
    found = re.fullmatch(r"(\d+)\s*([mg])b?", memory.strip().lower())
    if not found:
        raise SettingsError(
            f"{memory!r} is not an amount of memory: write megabytes or gigabytes, as in 600m or 2g."
        )
    return int(found[1]) * {"m": 1, "g": 1024}[found[2]]


def sizes(master: str, resources: Resources | None) -> dict[str, str]:
    """Spark's settings for a master and the executors asked of it.

    On a `local-cluster[…]` master the executors replace the numbers in the brackets; a standalone master, YARN and
    Kubernetes take them as settings.
    """
    if resources is None:
        return {"spark.master": master}
    found = {
        "spark.executor.instances": str(resources.executors),
        "spark.executor.cores": str(resources.cores),
        "spark.executor.memory": resources.memory,
    }
    if master.startswith("spark://"):
        # A standalone master fills the cluster unless it is told how many cores make up all executors.
        found["spark.cores.max"] = str(resources.executors * resources.cores)
    if resources.gpus:
        found |= {
            "spark.executor.resource.gpu.amount": str(resources.gpus),
            "spark.task.resource.gpu.amount": f"{resources.gpus / resources.cores:g}",
            f"spark.executorEnv.{DEVICE}": "cuda",
        }
        if master.startswith("k8s://"):
            found["spark.executor.resource.gpu.vendor"] = "nvidia.com"
    if master == "yarn":
        # Set by spark-submit only where it is itself told the master: ships Python's half of Spark to the nodes.
        found["spark.yarn.isPython"] = "true"
    if _LOCAL_CLUSTER.fullmatch(master):
        master = f"local-cluster[{resources.executors},{resources.cores},{megabytes(resources.memory)}]"
    return {"spark.master": master, **found}


def check_resources(master: str, resources: Resources, environ: Mapping[str, str] = os.environ) -> None:
    """Raise SettingsError, with the numbers, when the cluster could never give what is asked.

    Asks this machine for a local cluster and the resource manager for YARN, whose address is in HADOOP_CONF_DIR; of
    other masters nothing is known before Spark asks them.
    """
    if _LOCAL_CLUSTER.fullmatch(master):
        _check(resources, _this_machine(), overhead=0)
    elif master == "yarn":
        asked = megabytes(resources.memory)
        _check(resources, _yarn(environ), overhead=max(_LEAST_OVERHEAD, int(asked * _OVERHEAD_SHARE)))


def _check(resources: Resources, capacity: Capacity, overhead: int) -> None:
    each = megabytes(resources.memory) + overhead
    with_overhead = f" with Spark's overhead of {overhead} MB" if overhead else ""
    problems = []
    if each > capacity.executor_memory:
        problems.append(
            f"an executor of {resources.memory}{with_overhead} has {each} MB, and the largest that it gives has "
            f"{capacity.executor_memory} MB"
        )
    elif each * resources.executors > capacity.memory:
        problems.append(
            f"{resources.executors} executors of {resources.memory}{with_overhead} have "
            f"{each * resources.executors} MB together, and it has {capacity.memory} MB"
        )
    if resources.cores > capacity.executor_cores:
        problems.append(
            f"an executor asks for {resources.cores} cores, and the most it gives is {capacity.executor_cores}"
        )
    elif resources.cores * resources.executors > capacity.cores:
        problems.append(
            f"{resources.executors} executors of {resources.cores} cores ask for "
            f"{resources.cores * resources.executors} together, and it has {capacity.cores}"
        )
    if problems:
        raise SettingsError(
            f"{capacity.where} cannot give what the model's resources ask for: {'; '.join(problems)}. "
            "Ask for less in the document or in the trigger form."
        )


def _this_machine() -> Capacity:
    memory = psutil.virtual_memory().total // 2**20
    # Executors on this machine may share its cores: more of them only take turns. So cores have no limit.
    unlimited = 2**31
    return Capacity("this machine", memory, unlimited, memory, unlimited)


def _yarn(environ: Mapping[str, str]) -> Capacity:
    address = _yarn_address(environ)
    metrics = _asked(f"{address}/ws/v1/cluster/metrics")["clusterMetrics"]
    scheduler = _asked(f"{address}/ws/v1/cluster/scheduler")["scheduler"]["schedulerInfo"]
    largest = scheduler.get("maximumAllocation") or {}
    memory, cores = int(metrics["totalMB"]), int(metrics["totalVirtualCores"])
    if not metrics["activeNodes"]:
        raise SettingsError(f"YARN at {address} has no node to run executors on")
    return Capacity(
        f"YARN at {address}",
        memory,
        cores,
        min(memory, int(largest.get("memory", memory))),
        min(cores, int(largest.get("vCores", cores))),
    )


def _yarn_address(environ: Mapping[str, str]) -> str:
    folder = environ.get("HADOOP_CONF_DIR") or environ.get("YARN_CONF_DIR")
    if not folder:
        raise SettingsError(
            "Spark's master is yarn, and HADOOP_CONF_DIR does not say where YARN's configuration is"
        )
    file = Path(folder) / "yarn-site.xml"
    try:
        properties = {item.findtext("name"): item.findtext("value") for item in ET.parse(file).getroot()}
    except (OSError, ET.ParseError) as error:
        raise SettingsError(f"YARN's configuration {file} cannot be read: {error}") from error
    host = properties.get("yarn.resourcemanager.hostname") or "127.0.0.1"
    return f"http://{properties.get('yarn.resourcemanager.webapp.address') or f'{host}:8088'}"


def _asked(url: str) -> dict[str, object]:
    # Only ever the address of the configuration: no scheme but http, and no proxy between a cluster and its users.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_ASK_SECONDS) as answer:
            return dict(json.load(answer))
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise SettingsError(f"YARN does not answer at {url} ({error}): is it running?") from error
