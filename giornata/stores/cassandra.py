"""Connections to Cassandra and its schema files."""

import re
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cassandra import AuthenticationFailed, ConsistencyLevel, DriverException, ProtocolVersion
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import (
    ConstantReconnectionPolicy,
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    TokenAwarePolicy,
)

from giornata.errors import StoreError
from giornata.settings import Settings

CONNECT_TIMEOUT = 5.0
REQUEST_TIMEOUT = 10.0
SECOND_NODE_AFTER = 0.1
"""Seconds after which a statement that may be sent twice is sent to a second node, and then to a third."""

FEATURES = "features"
"""The driver's execution profile of reads of features online."""

KEYSPACE = "giornata"
"""The keyspace of all that Giornata itself keeps."""

ONE_REPLICA = {"replication_factor": 1}

SCHEMA_CHANGES = threading.RLock()
"""Held while a thread changes tables. Whoever creates a table waits until all nodes know it; a thread that found it
created by another would not wait, and might query a node that does not know it yet."""

# What the driver raises when the server, not the caller, is the trouble; catch these and raise StoreError.
CASSANDRA_FAULTS = (NoHostAvailable, DriverException)

# Beside the library in the repository, where people look for table definitions.
SCHEMA = Path(__file__).resolve().parents[2] / "sql" / "cassandra"

_MAKES = re.compile(
    r"(CREATE TABLE IF NOT EXISTS|CREATE INDEX IF NOT EXISTS (?P<index>\w+) ON|ALTER (?P<alters>TABLE)) "
    r"(?P<keyspace>\w+)\.(?P<table>\w+)(?(alters) ADD IF NOT EXISTS (?P<column>\w+))"
)
_TLS_FAULT = re.compile(r"\[SSL: \w+\] ([^(]*)")  # the driver passes it on as the text of another error
_COMMENT = re.compile(r"(--|//)[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class CassandraAccess:
    """All that is needed to reach Cassandra, also by an executor of Spark, which has no settings and no files.

    `authority` and `certificate` are PEM texts: of the authority that signed the nodes' certificates (None: no TLS),
    and of the client's own certificate with its key. `consistency` is that of reads and writes, `feature_consistency`
    that of reads of features online.
    """

    contact_points: tuple[tuple[str, int], ...]
    datacenter: str | None = None
    user: str | None = None
    password: str = field(default="", repr=False)
    authority: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    checks_host: bool = True
    consistency: str = "LOCAL_QUORUM"
    feature_consistency: str = "LOCAL_ONE"

    @classmethod
    def of(cls, settings: Settings) -> "CassandraAccess":
        """The access that the settings describe. Raises SettingsError."""
        points = [each.rpartition(":") for each in settings.cassandra.split(",")]
        user = settings.cassandra_user
        return cls(
            tuple((host, int(port)) for host, _, port in points),
            settings.cassandra_datacenter,
            user,
            settings.cassandra_password if user else "",
            _text(settings.cassandra_authority),
            _text(settings.cassandra_certificate),
            settings.cassandra_checks_host,
            settings.cassandra_consistency,
            settings.cassandra_feature_consistency,
        )

    def __str__(self) -> str:
        return ", ".join(f"{host}:{port}" for host, port in self.contact_points)

    def tls(self) -> ssl.SSLContext | None:
        """TLS as the client of Cassandra; None without an authority. Raises StoreError for texts that are not PEM."""
        if self.authority is None:
            return None
        try:
            context = ssl.create_default_context(cadata=self.authority)
            context.check_hostname = self.checks_host
            if self.certificate is not None:
                # The library of TLS reads a key from a file alone.
                with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pem") as file:
                    file.write(self.certificate)
                    file.flush()
                    context.load_cert_chain(file.name)
        except (OSError, ValueError) as error:
            raise StoreError(
                "GIORNATA_CASSANDRA_AUTHORITY or GIORNATA_CASSANDRA_CERTIFICATE is no PEM file of certificates: "
                f"{error}"
            ) from error
        return context


def _text(file: Path | None) -> str | None:
    try:
        return None if file is None else file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{file} cannot be read: {error}") from error


def connect(settings: Settings) -> Session:
    """Open a session to the Cassandra of the settings.

    The caller ends it with `session.cluster.shutdown()`; `session` below does that by itself. One session
    serves all threads of a process and must not be carried over a fork.

    Raises StoreError when nobody answers within a few seconds.
    """
    return connect_to(CassandraAccess.of(settings))


def connect_to(access: CassandraAccess) -> Session:
    """Open a session to Cassandra; see `connect`."""

    def profile(consistency: str) -> ExecutionProfile:
        return ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(access.datacenter or "")),
            consistency_level=getattr(ConsistencyLevel, consistency),
            # Of statements that may be sent twice: to another node where the first takes its time, or is gone.
            speculative_execution_policy=ConstantSpeculativeExecutionPolicy(SECOND_NODE_AFTER, 2),
            request_timeout=REQUEST_TIMEOUT,
        )

    login = PlainTextAuthProvider(access.user, access.password) if access.user else None
    cluster = Cluster(
        list(access.contact_points),
        port=access.contact_points[0][1],
        auth_provider=login,
        ssl_context=access.tls(),
        protocol_version=ProtocolVersion.V5,
        connect_timeout=CONNECT_TIMEOUT,
        control_connection_timeout=CONNECT_TIMEOUT,
        # A server that comes back is used again within a second, not after the driver's growing pauses.
        reconnection_policy=ConstantReconnectionPolicy(delay=1.0, max_attempts=None),
        execution_profiles={
            EXEC_PROFILE_DEFAULT: profile(access.consistency),
            FEATURES: profile(access.feature_consistency),
        },
    )
    try:
        return cluster.connect()
    except CASSANDRA_FAULTS as fault:
        cluster.shutdown()
        raise StoreError(
            f"Cassandra at {access} does not answer ({_why(fault)}). Is the stack up? Start it with `make up`."
        ) from fault


def _why(fault: Exception) -> str:
    """The kind of a fault, and what the nodes say where it is about a login or a certificate."""
    errors = fault.errors.values() if isinstance(fault, NoHostAvailable) else ()
    said = {str(error) for error in errors if isinstance(error, AuthenticationFailed)}
    said |= {found[1].strip() for error in errors if (found := _TLS_FAULT.search(str(error)))}
    return "; ".join([type(fault).__name__, *sorted(said)])


def ensure_keyspace(session: Session, keyspace: str, replicas: Mapping[str, int]) -> None:
    """Create a keyspace if it is missing, with these replicas by data centre (see `Settings.cassandra_replicas`).

    A cluster's operator may have created it before, with what it needs: then nothing is asked of the user's rights.
    """
    if keyspace in session.cluster.metadata.keyspaces:
        return
    counts = ", ".join(f"'{name}': {count}" for name, count in replicas.items())
    session.execute(
        f"CREATE KEYSPACE IF NOT EXISTS {keyspace} "
        f"WITH replication = {{'class': 'NetworkTopologyStrategy', {counts}}}"
    )
    # Another session may have made it at the same moment; then no event tells this one.
    session.cluster.refresh_keyspace_metadata(keyspace)


@contextmanager
def session(settings: Settings) -> Iterator[Session]:
    """A session that is closed, with its connections, at the end of the `with` block."""
    opened = connect(settings)
    try:
        yield opened
    finally:
        opened.cluster.shutdown()


def apply_schema(session: Session, replicas: Mapping[str, int] = ONE_REPLICA) -> None:
    """Create Giornata's own tables, those of `sql/cassandra/`, or add what they lack. Raises StoreError.

    `replicas` are those of the keyspace, where it is missing.
    """
    for file in sorted(SCHEMA.glob("*.cql")):
        apply(session, file, replicas)


def apply(session: Session, cql_file: Path, replicas: Mapping[str, int] = ONE_REPLICA) -> None:
    """Run the statements of a schema file, each ended by `;` and made to be run again (`IF NOT EXISTS`).

    Their keyspace is made first, with `replicas`, if it is missing. What is there is not asked for again: the nodes of
    a cluster take a part of a second to agree on each statement. Raises StoreError if the nodes do not agree on what is
    there, or naming the file and the statement that the server refused.
    """
    with SCHEMA_CHANGES:
        try:
            session.cluster.refresh_schema_metadata()
            ensure_keyspace(session, KEYSPACE, replicas)
        except CASSANDRA_FAULTS as fault:
            raise StoreError(f"Cassandra's nodes do not agree on its tables: {fault}") from fault
        text = _COMMENT.sub("", cql_file.read_text())
        for statement in filter(None, (part.strip() for part in text.split(";"))):
            if _is_there(session, statement):
                continue
            try:
                session.execute(statement, timeout=30.0)
            except CASSANDRA_FAULTS as fault:
                raise StoreError(
                    f"{cql_file}: Cassandra refuses `{statement.splitlines()[0]} …`: {fault}"
                ) from fault


def _is_there(session: Session, statement: str) -> bool:
    """Whether a session knows the table, column or index that a statement makes if it does not exist."""
    found = _MAKES.match(statement)
    if not found:
        return False
    keyspace = session.cluster.metadata.keyspaces.get(found["keyspace"])
    table = keyspace.tables.get(found["table"]) if keyspace else None
    if table is None:
        return False
    if found["index"]:
        return found["index"] in table.indexes
    return not found["column"] or found["column"] in table.columns
