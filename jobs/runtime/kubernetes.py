"""Spark's settings for executors as Kubernetes pods.

The driver stays where the job was started. The executors fetch our code from it, so that no upload path is needed; the
pods must be able to reach its address (`spark.driver.host` in spark-defaults.conf, if Spark does not find it itself).
"""

from typing import Protocol

from giornata.errors import SettingsError
from giornata.settings import Settings

__all__ = ["is_kubernetes", "kubernetes"]

# Where Spark's own images have the script that finds an executor's GPUs.
_GPU_SCRIPT = "/opt/spark/examples/src/main/scripts/getGpusResources.sh"

# What Spark gives a job of Python that it submits into the cluster itself: models learn outside of the JVM's memory.
_OVERHEAD_SHARE = "0.4"


class Pod(Protocol):
    """The resources of each executor, except its memory and the number of executors."""

    @property
    def cores(self) -> int: ...
    @property
    def gpus(self) -> int: ...


def is_kubernetes(master: str) -> bool:
    """Whether a master is the API server of a Kubernetes cluster."""
    return master.startswith("k8s://")


def kubernetes(settings: Settings, pod: Pod) -> dict[str, str]:
    """Image, namespace, service account and size of the executors' pods, in addition to the settings of every master.

    Raises SettingsError if no image is set, or a name is invalid.
    """
    try:
        image = settings.kubernetes_image
    except SettingsError as missing:
        raise SettingsError(
            "Spark's master is Kubernetes, and GIORNATA_KUBERNETES_IMAGE does not name the executors' image: set it to "
            "one with Spark's version, this Python's and the libraries of requirements.txt (its Dockerfile comes with "
            "Spark: bin/docker-image-tool.sh -p)"
        ) from missing
    found = {
        "spark.kubernetes.container.image": image,
        # No more than the document says, however idle the machine is: a training's time tells what it costs.
        "spark.kubernetes.executor.request.cores": str(pod.cores),
        "spark.kubernetes.executor.limit.cores": str(pod.cores),
        "spark.executor.memoryOverheadFactor": _OVERHEAD_SHARE,
    }
    if settings.kubernetes_namespace:
        found["spark.kubernetes.namespace"] = settings.kubernetes_namespace
    if settings.kubernetes_service_account:
        found["spark.kubernetes.authenticate.executor.serviceAccountName"] = (
            settings.kubernetes_service_account
        )
    if pod.gpus:
        found["spark.executor.resource.gpu.vendor"] = "nvidia.com"
        found["spark.executor.resource.gpu.discoveryScript"] = settings.kubernetes_gpu_script or _GPU_SCRIPT
    return found
