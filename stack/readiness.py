"""Checks whether a server answers, by talking to it as its users do.

Each check returns if the server answers and raises `NotReadyError` with the reason if it does not. A check takes a few
seconds at most. `python -m stack.readiness CHECK HOST PORT` makes one check.
"""

import smtplib
import socket
import sys
from typing import Any

import httpx
from cassandra import DriverException, OperationTimedOut
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import WhiteListRoundRobinPolicy
from pyhive import hive
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TException, TMessageType
from thrift.transport.TSocket import TSocket
from thrift.transport.TTransport import TBufferedTransport

from stack.errors import StackError

SECONDS = 5


class NotReadyError(StackError):
    """A server does not answer, or not yet as it should."""


def cassandra(host: str, port: int) -> None:
    """Cassandra answers a CQL query."""
    _check_listening(host, port)
    profile = ExecutionProfile(
        load_balancing_policy=WhiteListRoundRobinPolicy([host]), request_timeout=SECONDS
    )
    try:
        with Cluster(
            [host], port=port, connect_timeout=SECONDS, execution_profiles={EXEC_PROFILE_DEFAULT: profile}
        ) as cluster:
            cluster.connect().execute("SELECT release_version FROM system.local")
    except (NoHostAvailable, OperationTimedOut, DriverException) as problem:
        raise NotReadyError(str(problem)) from problem


def metastore(host: str, port: int) -> None:
    """The Hive metastore answers `get_all_databases` and has a default database."""
    _check_listening(host, port)
    connection = TSocket(host, port)
    connection.setTimeout(SECONDS * 1000)
    transport = TBufferedTransport(connection)
    protocol = TBinaryProtocol(transport)
    try:
        transport.open()
        protocol.writeMessageBegin("get_all_databases", TMessageType.CALL, 1)
        protocol.writeStructBegin("arguments")
        protocol.writeFieldStop()
        protocol.writeStructEnd()
        protocol.writeMessageEnd()
        transport.flush()
        _, kind, _ = protocol.readMessageBegin()
    except (TException, OSError, EOFError) as problem:
        raise NotReadyError(str(problem)) from problem
    finally:
        transport.close()
    if kind != TMessageType.REPLY:
        raise NotReadyError("it answers get_all_databases with an error")


def thriftserver(host: str, port: int) -> None:
    """The Spark Thrift Server answers `SELECT 1`."""
    _check_listening(host, port)
    try:
        with hive.connect(host, port) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            rows = cursor.fetchall()
    except (hive.Error, TException, OSError, EOFError) as problem:
        raise NotReadyError(str(problem)) from problem
    if rows != [(1,)]:
        raise NotReadyError(f"it answers SELECT 1 with {rows}")


def mail(host: str, port: int) -> None:
    """The mail server answers NOOP."""
    try:
        with smtplib.SMTP(host, port, timeout=SECONDS) as connection:
            code, answer = connection.noop()
    except (smtplib.SMTPException, OSError) as problem:
        raise NotReadyError(str(problem)) from problem
    if code != 250:
        raise NotReadyError(f"it answers NOOP with {code} {answer!r}")


def serving(host: str, port: int) -> None:
    """The prediction server says that it is ready."""
    _get(f"http://{host}:{port}/health/ready")


def airflow(host: str, port: int) -> None:
    """Airflow's API server answers and reaches its database."""
    _airflow_component(host, port, "metadatabase")


def airflow_scheduler(host: str, port: int) -> None:
    """Airflow's scheduler has a fresh heartbeat."""
    _airflow_component(host, port, "scheduler")


def airflow_dag_processor(host: str, port: int) -> None:
    """Airflow's DAG processor has a fresh heartbeat."""
    _airflow_component(host, port, "dag_processor")


def airflow_triggerer(host: str, port: int) -> None:
    """Airflow's triggerer has a fresh heartbeat."""
    _airflow_component(host, port, "triggerer")


def yarn(host: str, port: int) -> None:
    """YARN's resource manager says that it has started."""
    state = _get(f"http://{host}:{port}/ws/v1/cluster/info").json()["clusterInfo"]["state"]
    if state != "STARTED":
        raise NotReadyError(f"YARN's resource manager is {state}")


def yarn_node(host: str, port: int) -> None:
    """YARN's resource manager has a node to run things on."""
    metrics = _get(f"http://{host}:{port}/ws/v1/cluster/metrics").json()["clusterMetrics"]
    if not metrics["activeNodes"]:
        raise NotReadyError("YARN's resource manager has no node yet")


def hdfs(host: str, port: int) -> None:
    """HDFS's name node answers."""
    _name_node(host, port)


def hdfs_data(host: str, port: int) -> None:
    """HDFS's name node has a data node, and files can be written."""
    found = _name_node(host, port)
    if not found["NumLiveDataNodes"] or found["FSState"] != "Operational":
        raise NotReadyError(f"HDFS is {found['FSState']} with {found['NumLiveDataNodes']} data nodes")


def _name_node(host: str, port: int) -> dict[str, Any]:
    beans = _get(f"http://{host}:{port}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState").json()[
        "beans"
    ]
    if not beans:
        raise NotReadyError("HDFS's name node has not started yet")
    state: dict[str, Any] = beans[0]
    return state


def _airflow_component(host: str, port: int, component: str) -> None:
    health = _get(f"http://{host}:{port}/api/v2/monitor/health").json()
    status = health.get(component, {}).get("status")
    if status != "healthy":
        raise NotReadyError(f"Airflow reports {component} as {status}")


def _check_listening(host: str, port: int) -> None:
    """Avoids an attempt of a driver that would fail, log a warning and take a while."""
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except OSError as problem:
        raise NotReadyError(f"{host}:{port}: {problem}") from problem


def _get(url: str) -> httpx.Response:
    try:
        response = httpx.get(url, timeout=SECONDS, trust_env=False)
    except httpx.HTTPError as problem:
        raise NotReadyError(f"{url}: {problem}") from problem
    if response.status_code != 200:
        raise NotReadyError(f"{url} answers {response.status_code}: {response.text[:300]}")
    return response


CHECKS = {
    check.__name__.replace("_", "-"): check
    for check in (
        cassandra,
        metastore,
        thriftserver,
        mail,
        serving,
        airflow,
        airflow_scheduler,
        airflow_dag_processor,
        airflow_triggerer,
        yarn,
        yarn_node,
        hdfs,
        hdfs_data,
    )
}


def main(arguments: list[str]) -> int:
    """Make the check that the arguments name; the exit status is 1 if the server is not ready."""
    name, host, port = arguments
    try:
        CHECKS[name](host, int(port))
    except NotReadyError as problem:
        print(f"{name} at {host}:{port} is not ready: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
