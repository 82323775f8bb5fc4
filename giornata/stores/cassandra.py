"""Connections to Cassandra and its schema files."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cassandra import DriverException, ProtocolVersion
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy, TokenAwarePolicy

from giornata.errors import StoreError
from giornata.settings import Settings

CONNECT_TIMEOUT = 5.0
REQUEST_TIMEOUT = 10.0

# What the driver raises when the server, not the caller, is the trouble; catch these and raise StoreError.
CASSANDRA_FAULTS = (NoHostAvailable, DriverException)

# Beside the library in the repository, where people look for table definitions.
SCHEMA = Path(__file__).resolve().parents[2] / "sql" / "cassandra"

_COMMENT = re.compile(r"(--|//)[^\n]*|/\*.*?\*/", re.DOTALL)


def connect(settings: Settings) -> Session:
    """Open a session to the Cassandra of `settings.cassandra` ("host:port").

    The caller ends it with `session.cluster.shutdown()`; `session` below does that by itself. One session
    serves all threads of a process and must not be carried over a fork.

    Raises StoreError when nobody answers within a few seconds.
    """
    return connect_to(settings.cassandra)


def connect_to(address: str) -> Session:
    """Open a session to Cassandra at "host:port", for Spark's executors, which have no settings."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise StoreError(
            f'Cassandra\'s address {address!r} is not of the form "host:port"; mend GIORNATA_CASSANDRA.'
        )
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()), request_timeout=REQUEST_TIMEOUT
    )
    cluster = Cluster(
        [host],
        port=int(port),
        protocol_version=ProtocolVersion.V5,
        connect_timeout=CONNECT_TIMEOUT,
        control_connection_timeout=CONNECT_TIMEOUT,
        # A server that comes back is used again within a second, not after the driver's growing pauses.
        reconnection_policy=ConstantReconnectionPolicy(delay=1.0, max_attempts=None),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
    )
    try:
        return cluster.connect()
    except CASSANDRA_FAULTS as fault:
        cluster.shutdown()
        raise StoreError(
            f"Cassandra at {address} does not answer ({type(fault).__name__}). "
            "Is the stack up? Start it with `make up`."
        ) from fault


@contextmanager
def session(settings: Settings) -> Iterator[Session]:
    """A session that is closed, with its connections, at the end of the `with` block."""
    opened = connect(settings)
    try:
        yield opened
    finally:
        opened.cluster.shutdown()


def apply_schema(session: Session) -> None:
    """Create Giornata's own tables, those of `sql/cassandra/`, or add what they lack. Raises StoreError."""
    for file in sorted(SCHEMA.glob("*.cql")):
        apply(session, file)


def apply(session: Session, cql_file: Path) -> None:
    """Run the statements of a schema file, each ended by `;` and made to be run again (`IF NOT EXISTS`).

    Raises StoreError naming the file and the statement that the server refused.
    """
    text = _COMMENT.sub("", cql_file.read_text())
    for statement in filter(None, (part.strip() for part in text.split(";"))):
        try:
            session.execute(statement, timeout=30.0)
        except CASSANDRA_FAULTS as fault:
            raise StoreError(
                f"{cql_file}: Cassandra refuses `{statement.splitlines()[0]} …`: {fault}"
            ) from fault
