"""What a cluster has, asked of itself before Spark is: this machine, a standalone master, YARN's resource manager."""

import json
import os
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from giornata.errors import SettingsError

__all__ = ["Capacity", "of_standalone", "of_this_machine", "of_yarn"]

_ASK_SECONDS = 5.0


@dataclass(frozen=True)
class Capacity:
    """The most that a cluster can give: megabytes and cores in all, and to one executor.

    `nodes` are the megabytes and cores of each machine, where they are known: an executor lies on one of them.
    """

    where: str
    memory: int
    cores: int
    executor_memory: int
    executor_cores: int
    nodes: tuple[tuple[int, int], ...] = ()

    def places(self, memory: int, cores: int) -> int | None:
        """How many executors of a size the machines have room for; None where they are not known."""
        if not self.nodes:
            return None
        return sum(min(node[0] // memory, node[1] // cores) for node in self.nodes)


def of_this_machine() -> Capacity:
    """Of a local cluster. Its executors may share cores: more of them only take turns, so cores have no limit."""
    memory = psutil.virtual_memory().total // 2**20
    unlimited = 2**31
    return Capacity("this machine", memory, unlimited, memory, unlimited)


def of_standalone(web: str) -> Capacity:
    """Of the workers that a standalone master with this web address has. Raises SettingsError where it has none."""
    workers: Any = _asked(f"{web}/json/", "Spark's master")["workers"]
    nodes = tuple((int(each["memory"]), int(each["cores"])) for each in workers if each["state"] == "ALIVE")
    if not nodes:
        raise SettingsError(f"Spark's master at {web} has no worker to run executors on")
    memory, cores = zip(*nodes, strict=True)
    return Capacity(f"Spark's master at {web}", sum(memory), sum(cores), max(memory), max(cores), nodes)


def of_yarn(environ: Mapping[str, str] = os.environ) -> Capacity:
    """Of the YARN whose configuration HADOOP_CONF_DIR names. Raises SettingsError where it has no node."""
    address = _yarn_address(environ)
    metrics: Any = _asked(f"{address}/ws/v1/cluster/metrics", "YARN")["clusterMetrics"]
    scheduler: Any = _asked(f"{address}/ws/v1/cluster/scheduler", "YARN")["scheduler"]
    largest = scheduler["schedulerInfo"].get("maximumAllocation") or {}
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


def _asked(url: str, who: str) -> dict[str, object]:
    # Only ever the address of the configuration: no proxy between a cluster and its users.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_ASK_SECONDS) as answer:
            return dict(json.load(answer))
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise SettingsError(f"{who} does not answer at {url} ({error}): is it running?") from error
