"""The resources of a cluster, found out before Spark starts: this machine, a standalone master, YARN's resource
manager."""

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

__all__ = ["NOTHING", "Capacity", "ResourceAmount", "of_standalone", "of_this_machine", "of_yarn"]

_UNLIMITED = 2**31

_ASK_SECONDS = 5.0


@dataclass(frozen=True)
class ResourceAmount:
    """Resources of a machine, or of a process: megabytes, cores and GPUs."""

    memory: int
    cores: int
    gpus: int = 0

    def times(self, each: "ResourceAmount") -> int:
        """How many times `each` fits into it."""
        pairs = ((self.memory, each.memory), (self.cores, each.cores), (self.gpus, each.gpus))
        return min((has // takes for has, takes in pairs if takes), default=_UNLIMITED)

    def without(self, taken: "ResourceAmount") -> "ResourceAmount":
        """The remaining amount."""
        return ResourceAmount(self.memory - taken.memory, self.cores - taken.cores, self.gpus - taken.gpus)


NOTHING = ResourceAmount(0, 0)


@dataclass(frozen=True)
class Capacity:
    """The resources of a cluster: its machines, each executor lies on one of them, whoever uses them now.

    `where` names the cluster in messages. However large its machines are, one process gets at most `limit`, and memory
    in whole `step`s of megabytes.
    """

    where: str
    machines: tuple[ResourceAmount, ...]
    limit: ResourceAmount = ResourceAmount(_UNLIMITED, _UNLIMITED, _UNLIMITED)
    step: int = 1

    @property
    def largest(self) -> ResourceAmount:
        """The most memory, the most cores and the most GPUs for one process; maybe on different machines."""
        return ResourceAmount(
            min(self.limit.memory, max(each.memory for each in self.machines)),
            min(self.limit.cores, max(each.cores for each in self.machines)),
            min(self.limit.gpus, max(each.gpus for each in self.machines)),
        )

    @property
    def total(self) -> ResourceAmount:
        """The resources of all machines together."""
        return ResourceAmount(
            sum(each.memory for each in self.machines),
            sum(each.cores for each in self.machines),
            sum(each.gpus for each in self.machines),
        )

    def granted(self, asked: ResourceAmount) -> ResourceAmount:
        """The amount that a process gets when it requests `asked`: memory in whole steps, as long as they are below the
        limit."""
        rounded = -(-asked.memory // self.step) * self.step
        return ResourceAmount(max(asked.memory, min(rounded, self.limit.memory)), asked.cores, asked.gpus)

    def places(self, each: ResourceAmount, beside: ResourceAmount) -> int:
        """The number of executors that fit on the machines when one machine also has `beside`, where it costs least."""
        alone = [machine.times(each) for machine in self.machines]
        lost = [
            places - machine.without(beside).times(each)
            for machine, places in zip(self.machines, alone, strict=True)
            if machine.times(beside)
        ]
        return sum(alone) - min(lost) if lost else 0


def of_this_machine() -> Capacity:
    """The capacity of a local cluster. Its executors may share cores, which are then time-sliced, so cores have no
    limit."""
    return Capacity("this machine", (ResourceAmount(psutil.virtual_memory().total // 2**20, _UNLIMITED),))


def of_standalone(web: str) -> Capacity:
    """The capacity of the workers of a standalone master with this web address. Raises SettingsError if it has none."""
    workers: Any = _asked(f"{web}/json/", "Spark's master")["workers"]
    machines = tuple(
        ResourceAmount(int(each["memory"]), int(each["cores"]), _worker_gpus(each))
        for each in workers
        if each["state"] == "ALIVE"
    )
    if not machines:
        raise SettingsError(f"Spark's master at {web} has no worker to run executors on")
    return Capacity(f"Spark's master at {web}", machines)


def _worker_gpus(worker: Any) -> int:
    return len((worker.get("resources") or {}).get("gpu", {}).get("addresses", []))


def of_yarn(environ: Mapping[str, str] = os.environ) -> Capacity:
    """The capacity of the YARN cluster in the configuration of HADOOP_CONF_DIR. Raises SettingsError if it has no
    node."""
    address = _yarn_address(environ)
    cluster = f"{address}/ws/v1/cluster"
    nodes: Any = _asked(f"{cluster}/nodes", "YARN")["nodes"] or {}
    machines = tuple(_node(each) for each in nodes.get("node", []) if each["state"] == "RUNNING")
    if not machines:
        raise SettingsError(f"YARN at {address} has no node to run executors on")
    scheduler: Any = _asked(f"{cluster}/scheduler", "YARN")["scheduler"]
    most = scheduler["schedulerInfo"].get("maximumAllocation") or {}
    limit = ResourceAmount(
        int(most.get("memory", _UNLIMITED)), int(most.get("vCores", _UNLIMITED)), _UNLIMITED
    )
    return Capacity(f"YARN at {address}", machines, limit, _step(cluster))


def _node(node: Any) -> ResourceAmount:
    """A node of YARN with all its resources, whoever uses them. GPUs have no limit if it reports none of any kind."""
    memory = int(node["usedMemoryMB"]) + int(node["availMemoryMB"])
    cores = int(node["usedVirtualCores"]) + int(node["availableVirtualCores"])
    kinds = ((node.get("totalResource") or {}).get("resourceInformations") or {}).get("resourceInformation")
    if kinds is None:
        return ResourceAmount(memory, cores, _UNLIMITED)
    return ResourceAmount(
        memory, cores, sum(int(kind["value"]) for kind in kinds if kind["name"] == "yarn.io/gpu")
    )


def _step(cluster: str) -> int:
    """The step of YARN's memory in megabytes; 1 if unknown: before version 3.4, or with its fair scheduler."""
    try:
        found: Any = _asked(f"{cluster}/scheduler-overview", "YARN")
    except SettingsError:
        return 1
    if found["schedulerType"] != "Capacity Scheduler":
        return 1
    return max(1, int(found["minimumAllocation"]["memory"]))


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
