"""Spark's settings for a job's executors on each kind of master, and the check that the cluster is large
enough."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Protocol

from giornata.errors import SettingsError
from giornata.models.base import DEVICE
from giornata.settings import Settings
from jobs.runtime.capacity import NOTHING, Capacity, ResourceAmount, of_standalone, of_this_machine, of_yarn
from jobs.runtime.kubernetes import is_kubernetes, kubernetes

__all__ = ["ExecutorResources", "check_resources", "is_local", "megabytes", "sizes"]

_LOCAL_CLUSTER = re.compile(r"local-cluster\[\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\]")

# What Spark adds to the memory of an executor's container: a tenth, at least 384 MB (spark.executor.memoryOverhead).
_OVERHEAD_SHARE = 0.1
_LEAST_OVERHEAD = 384

# The container in which Spark asks YARN for executors, unless spark.yarn.am.memory and spark.yarn.am.cores say
# otherwise: 512 MB with its overhead.
_YARN_MASTER = ResourceAmount(512 + _LEAST_OVERHEAD, 1)

# A task's share of a GPU in billionths, rounded down: Spark gives a GPU to as many tasks as its shares go into 1.
_BILLION = 10**9


class ExecutorResources(Protocol):
    """The resources that a document requests; `memory` is of one executor, such as "1g"."""

    @property
    def executors(self) -> int: ...
    @property
    def cores(self) -> int: ...
    @property
    def memory(self) -> str: ...
    @property
    def gpus(self) -> int: ...


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


def sizes(master: str, resources: ExecutorResources | None, settings: Settings) -> dict[str, str]:
    """Spark's settings for the requested executors on a master.

    On a `local-cluster[…]` master the executors replace the numbers in the brackets; a standalone master, YARN and
    Kubernetes take them as settings. Raises SettingsError if a setting for Kubernetes is missing.
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
            "spark.task.resource.gpu.amount": _gpu_share(resources),
            f"spark.executorEnv.{DEVICE}": "cuda",
        }
    if master == "yarn":
        # Set by spark-submit only where it is itself told the master: ships Python's half of Spark to the nodes.
        found["spark.yarn.isPython"] = "true"
    if is_kubernetes(master):
        found |= kubernetes(settings, resources)
    if _LOCAL_CLUSTER.fullmatch(master):
        master = f"local-cluster[{resources.executors},{resources.cores},{megabytes(resources.memory)}]"
    return {"spark.master": master, **found}


def _gpu_share(resources: ExecutorResources) -> str:
    """The share of a GPU for one task, such that every core of an executor has a task: whole GPUs, or an equal part of
    one."""
    if resources.gpus >= resources.cores:
        return str(resources.gpus // resources.cores)
    tasks = -(-resources.cores // resources.gpus)
    return f"{_BILLION // tasks / _BILLION:.9g}"


def check_resources(
    master: str, resources: ExecutorResources, settings: Settings, environ: Mapping[str, str] = os.environ
) -> None:
    """Raise SettingsError, with the numbers, if the cluster could never provide the requested resources.

    Checks this machine for a local cluster, a standalone master if the settings have its web address, and YARN's
    resource manager, whose address is in HADOOP_CONF_DIR. Nothing is known about other masters before Spark asks them;
    there, a job that gets no executor fails after a while (see `jobs.runtime.session`).
    """
    asked = ResourceAmount(megabytes(resources.memory), resources.cores, resources.gpus)
    if is_local(master) and resources.gpus:
        raise SettingsError(
            f"executors of {master} have no GPUs, and the resources ask for gpus: {resources.gpus}. Set gpus: "
            "0, or GIORNATA_SPARK_MASTER to a master that gives GPUs: a standalone one (spark://…), yarn or "
            "Kubernetes (k8s://…)."
        )
    if _LOCAL_CLUSTER.fullmatch(master):
        _check(resources, asked, of_this_machine())
    elif master == "yarn":
        _check_yarn(resources, asked, of_yarn(environ))
    elif master.startswith("spark://") and settings.spark_master_web:
        _check(resources, asked, of_standalone(settings.spark_master_web))
    elif is_kubernetes(master):
        kubernetes(settings, resources)


def _check_yarn(resources: ExecutorResources, asked: ResourceAmount, capacity: Capacity) -> None:
    overhead = max(_LEAST_OVERHEAD, int(asked.memory * _OVERHEAD_SHARE))
    container = ResourceAmount(asked.memory + overhead, asked.cores, asked.gpus)
    granted = capacity.granted(container)
    remark = f" with Spark's overhead of {overhead} MB"
    if granted != container:
        remark += f" in steps of {capacity.step} MB"
    _check(resources, granted, capacity, remark, beside=capacity.granted(_YARN_MASTER))


def _check(
    resources: ExecutorResources,
    each: ResourceAmount,
    capacity: Capacity,
    remark: str = "",
    beside: ResourceAmount = NOTHING,
) -> None:
    """Raise SettingsError unless there is room for executors of the size `each` and, on one machine, for `beside`.

    `remark` says why the memory of `each` is more than in the resources.
    """
    size = f"{resources.memory}{remark}"
    largest, total = capacity.largest, capacity.total
    problems = [
        *_memory_problems(resources.executors, each, capacity, size, beside),
        *_count_problems(resources.executors, "cores", each.cores, largest.cores, total.cores, beside.cores),
        *_count_problems(resources.executors, "gpus", each.gpus, largest.gpus, total.gpus, beside.gpus),
    ]
    places = capacity.places(each, beside)
    if not problems and places < resources.executors:
        kinds = f"{each.cores} cores and {each.gpus} gpus" if each.gpus else f"{each.cores} cores"
        problems.append(
            f"its {len(capacity.machines)} machines have room for {places} executors of {size} and {kinds}"
            f"{_beside(beside.memory, ' MB')}, and {resources.executors} are asked for"
        )
    if problems:
        raise SettingsError(
            f"{capacity.where} cannot give what the resources ask for: {'; '.join(problems)}. "
            "Ask for less in the document or in the trigger form."
        )


def _memory_problems(
    executors: int, each: ResourceAmount, capacity: Capacity, size: str, beside: ResourceAmount
) -> Iterator[str]:
    largest, total = capacity.largest.memory, capacity.total.memory
    if each.memory > largest:
        yield f"an executor of {size} has {each.memory} MB, and the largest that it gives has {largest} MB"
    elif each.memory * executors + beside.memory > total:
        yield (
            f"{executors} executors of {size} have {each.memory * executors} MB together"
            f"{_beside(beside.memory, ' MB')}, and it has {total} MB"
        )


def _count_problems(
    executors: int, kind: str, each: int, largest: int, total: int, beside: int
) -> Iterator[str]:
    if each > largest:
        yield f"an executor asks for {each} {kind}, and the most it gives is {largest}"
    elif each * executors + beside > total:
        yield (
            f"{executors} executors of {each} {kind} ask for {each * executors} together"
            f"{_beside(beside)}, and it has {total}"
        )


def _beside(amount: int, unit: str = "") -> str:
    return f", beside {amount}{unit} of the container that asks for them" if amount else ""
