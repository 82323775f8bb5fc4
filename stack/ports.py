"""The ports of the local stack: read from a file or chosen freely, and the process that has a taken one."""

import random
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil

from stack.errors import StackError

LOOPBACK = "127.0.0.1"
DEFAULT_FILE = Path(__file__).with_name("ports.env")
# Below the range from which systems take ports for outgoing connections, so that none of those takes ours.
_FREE_RANGE = range(20000, 32000)


@dataclass(frozen=True)
class Ports:
    """One port for each purpose, all on the loopback interface."""

    cassandra: int
    cassandra_storage: int
    metastore: int
    thriftserver: int
    mail: int
    serving: int
    airflow: int
    yarn: int
    yarn_scheduler: int
    yarn_tracker: int
    yarn_admin: int
    yarn_web: int
    yarn_node: int
    yarn_localizer: int
    yarn_node_web: int
    hdfs: int
    hdfs_web: int
    hdfs_data: int
    hdfs_data_ipc: int
    hdfs_data_web: int


def variable(name: str) -> str:
    """Name of a port's variable in the ports file: `cassandra` -> `CASSANDRA_PORT`."""
    return f"{name.upper()}_PORT"


def load_ports(file: Path = DEFAULT_FILE) -> Ports:
    """Read a ports file (`CASSANDRA_PORT=18042`, a line each). Raises `StackError` that names what is wrong in it."""
    if not file.is_file():
        raise StackError(f"ports file {file} does not exist: copy {DEFAULT_FILE} and change it")
    given = dict(_lines(file))
    names = {variable(field.name): field.name for field in fields(Ports)}
    if unknown := sorted(set(given) - set(names)):
        raise StackError(f"{file}: unknown {', '.join(unknown)}; the ports are {', '.join(names)}")
    if missing := sorted(set(names) - set(given)):
        raise StackError(f"{file}: {', '.join(missing)} missing; {DEFAULT_FILE} shows all of them")
    by_number: dict[int, str] = {}
    for name, port in given.items():
        if port in by_number:
            raise StackError(f"{file}: {by_number[port]} and {name} are both {port}; change one")
        by_number[port] = name
    return Ports(**{names[name]: port for name, port in given.items()})


def _lines(file: Path) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, port = line.partition("=")
        if not port.strip().isdecimal() or not 1024 <= int(port) <= 65535:
            raise StackError(f"{file}:{number}: {line!r} is not NAME=port with a port from 1024 to 65535")
        yield name.strip(), int(port)


def free_ports() -> Ports:
    """Choose ports that nothing listens on at this moment."""
    chosen: dict[str, int] = {}
    # Not from a seed, which another process may share.
    candidates = iter(random.SystemRandom().sample(_FREE_RANGE, k=1000))
    for field in fields(Ports):
        chosen[field.name] = next(port for port in candidates if not is_taken(port))
    return Ports(**chosen)


def is_taken(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        # A connection that a former server closed may linger on its port; only a listener counts.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def check_free(ports: Ports, wanted: Mapping[str, str]) -> None:
    """Raise `StackError` if a wanted port is taken, naming the service that wants it and the process that has it.

    `wanted` maps a port's name to the service that wants it.
    """
    numbers = asdict(ports)
    taken = [(name, service) for name, service in wanted.items() if is_taken(numbers[name])]
    if not taken:
        return
    complaints = [
        f"port {numbers[name]} ({variable(name)}), wanted by {service}, is taken by {_holder(numbers[name])}"
        for name, service in taken
    ]
    remedy = (
        "End that process (`make down` if it is another copy of this stack), or use other ports: "
        f"copy {DEFAULT_FILE}, change it and set GIORNATA_PORTS to the copy."
    )
    raise StackError("\n".join([*complaints, remedy]))


def _holder(port: int) -> str:
    for process in psutil.process_iter():
        try:
            listens = any(
                connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
                for connection in process.net_connections(kind="tcp")
            )
            if listens:
                return f"process {process.pid}: {_shortened(' '.join(process.cmdline()).strip())}"
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue  # another user's process, or one that has just ended
    return "a process of another user"


def _shortened(command_line: str, length: int = 160) -> str:
    return command_line if len(command_line) <= length else f"{command_line[:length]} …"
