"""What a training asks of a cluster, in the settings of each kind of master, and whether the cluster has it at all."""

import os
import re
from collections.abc import Mapping
from typing import Protocol

from giornata.errors import SettingsError
from giornata.models.base import DEVICE
from giornata.settings import Settings
from jobs.capacity import Capacity, of_standalone, of_this_machine, of_yarn
from jobs.kubernetes import is_kubernetes, kubernetes

__all__ = ["Resources", "check_resources", "is_local", "megabytes", "sizes"]

_LOCAL_CLUSTER = re.compile(r"local-cluster\[\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\]")

# What Spark adds to the memory of an executor's container: a tenth, at least 384 MB (spark.executor.memoryOverhead).
_OVERHEAD_SHARE = 0.1
_LEAST_OVERHEAD = 384

# A task's share of a GPU in billionths, rounded down: Spark gives a GPU to as many tasks as its shares go into 1.
_BILLION = 10**9


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


def sizes(master: str, resources: Resources | None, settings: Settings) -> dict[str, str]:
    """Spark's settings for a master and the executors asked of it.

    On a `local-cluster[…]` master the executors replace the numbers in the brackets; a standalone master, YARN and
    Kubernetes take them as settings. Raises SettingsError where Kubernetes lacks one of its own.
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


def _gpu_share(resources: Resources) -> str:
    """What a task has of a GPU, such that every core of an executor has a task: whole GPUs, or an equal part of one."""
    if resources.gpus >= resources.cores:
        return str(resources.gpus // resources.cores)
    tasks = -(-resources.cores // resources.gpus)
    return f"{_BILLION // tasks / _BILLION:.9g}"


def check_resources(
    master: str, resources: Resources, settings: Settings, environ: Mapping[str, str] = os.environ
) -> None:
    """Raise SettingsError, with the numbers, when the cluster could never give what is asked.

    Asks this machine for a local cluster, a standalone master where the settings have its web address, and YARN's
    resource manager, whose address is in HADOOP_CONF_DIR. Of other masters nothing is known before Spark asks them;
    there, a job that gets no executor ends after a while (see `jobs.session`).
    """
    asked = megabytes(resources.memory)
    if _LOCAL_CLUSTER.fullmatch(master):
        _check(resources, of_this_machine(), overhead=0)
    elif master == "yarn":
        _check(resources, of_yarn(environ), overhead=max(_LEAST_OVERHEAD, int(asked * _OVERHEAD_SHARE)))
    elif master.startswith("spark://") and settings.spark_master_web:
        _check(resources, of_standalone(settings.spark_master_web), overhead=0)
    elif is_kubernetes(master):
        kubernetes(settings, resources)


def _check(resources: Resources, capacity: Capacity, overhead: int) -> None:
    each = megabytes(resources.memory) + overhead
    with_overhead = f" with Spark's overhead of {overhead} MB" if overhead else ""
    places = capacity.places(each, resources.cores)
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
    if not problems and places is not None and places < resources.executors:
        problems.append(
            f"its {len(capacity.nodes)} workers have room for {places} executors of {resources.memory} and "
            f"{resources.cores} cores, and {resources.executors} are asked for"
        )
    if problems:
        raise SettingsError(
            f"{capacity.where} cannot give what the model's resources ask for: {'; '.join(problems)}. "
            "Ask for less in the document or in the trigger form."
        )
