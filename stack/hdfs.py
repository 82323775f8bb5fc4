"""HDFS on this machine, an optional part of the stack: a name node with one data node, for a warehouse on HDFS."""

import shlex

from stack.installation import Installation
from stack.service import Service, java

__all__ = ["hdfs"]

_SERVER = "org.apache.hadoop.hdfs.server"


def hdfs(installation: Installation) -> list[Service]:
    """The two services; their jars come by `make cluster-jars`."""
    name_node = shlex.join(_command(installation, "namenode.NameNode"))
    formatted = shlex.quote(str(installation.home / "hdfs" / "name" / "current"))
    return [
        Service(
            "hdfs",
            [
                "/bin/sh",
                "-c",
                f"test -d {formatted} || {name_node} -format -nonInteractive; exec {name_node}",
            ],
            ports=("hdfs", "hdfs_web"),
            asked_at="hdfs_web",
            optional=True,
        ),
        Service(
            "hdfs-data",
            _command(installation, "datanode.DataNode"),
            ports=("hdfs_data", "hdfs_data_ipc", "hdfs_data_web"),
            needs=("hdfs",),
            # Not the node itself is asked: it is ready when the name node counts on it.
            asked_at="hdfs_web",
            optional=True,
        ),
    ]


def _command(installation: Installation, server: str) -> list[str]:
    # The servers look for the folders of their web pages on the class path, and need no page in them.
    pages = installation.home / "hdfs" / "pages"
    return [
        *[java(), "-Xmx256m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"],
        *["-cp", f"{installation.hadoop_configuration}:{pages}:{installation.cluster_jars}/*"],
        f"{_SERVER}.{server}",
    ]
