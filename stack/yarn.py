"""YARN on this machine, an optional part of the stack: a resource manager with one node, for Spark's `yarn` master."""

from stack.installation import Installation
from stack.service import Service, flags, java

__all__ = ["yarn"]

_OPENS = ["java.base/java.lang", "java.base/java.lang.reflect", "java.base/java.net", "java.base/java.util"]
_SERVER = "org.apache.hadoop.yarn.server"


def yarn(installation: Installation) -> list[Service]:
    """The two services; their jars come by `make cluster-jars`."""
    return [
        Service(
            "yarn",
            _command(installation, "resourcemanager.ResourceManager"),
            ports=("yarn", "yarn_scheduler", "yarn_tracker", "yarn_admin", "yarn_web"),
            asked_at="yarn_web",
            optional=True,
        ),
        Service(
            "yarn-node",
            _command(installation, "nodemanager.NodeManager"),
            ports=("yarn_node", "yarn_localizer", "yarn_node_web"),
            needs=("yarn",),
            # Not the node itself is asked: it is ready when the resource manager counts on it.
            asked_at="yarn_web",
            optional=True,
        ),
    ]


def _command(installation: Installation, server: str) -> list[str]:
    return [
        *[java(), "-Xmx512m", "-XX:+UseSerialGC"],
        f"-Dyarn.log.dir={installation.logs}",
        *flags("--add-opens", _OPENS),
        *["-cp", f"{installation.hadoop_configuration}:{installation.cluster_jars}/*", f"{_SERVER}.{server}"],
    ]
