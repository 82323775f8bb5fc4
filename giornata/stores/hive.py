"""Queries to Hive in SQL, over HiveServer2's protocol."""

import re
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime

from pyhive import hive
from pyhive.exc import Error
from thrift.transport.TSocket import TSocket
from thrift.transport.TSSLSocket import TSSLSocket
from thrift.transport.TTransport import TTransportException
from thrift_sasl import TSaslClientTransport

from giornata.errors import StoreError
from giornata.settings import Settings

QUERY_TIMEOUT = 300  # seconds
USER = "giornata"

_JAVA = re.compile(r"(\w+\.)+\w*(Exception|Error): |Error running query: |Error operating \w+: ")
_SAID_TWICE = re.compile(r"(\[[\w.]+\] )\1")


def query(settings: Settings, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, object]]:
    """The rows that `sql` returns, each a dict by column name; `%s` in it stands for the next of `parameters`.

    Timestamps are aware, in UTC. Raises StoreError if the SQL endpoint does not answer or refuses the query.
    """
    try:
        connection = _connect(settings)
    except (Error, TTransportException, OSError) as fault:
        raise StoreError(
            f"the SQL endpoint at {settings.hiveserver} does not answer, or refuses the login "
            f"({getattr(fault, 'inner', None) or fault}). "
            "Start it with `make up`."
        ) from fault
    try:
        cursor = connection.cursor()
        cursor.execute(sql, tuple(parameters) or None)
        columns = [column[0].rpartition(".")[2] for column in cursor.description or ()]
        return (
            [dict(zip(columns, map(_aware, row), strict=True)) for row in cursor.fetchall()]
            if columns
            else []
        )
    except (Error, TTransportException) as fault:
        raise StoreError(f"Hive refuses `{' '.join(sql.split())}`: {_reason(fault)}") from fault
    finally:
        connection.close()


def _connect(settings: Settings) -> hive.Connection:
    host, _, port = settings.hiveserver.partition(":")
    authority, service = settings.hiveserver_authority, settings.hiveserver_service
    socket = TSocket(host, int(port))
    if authority:
        socket = TSSLSocket(host, int(port), ssl_context=ssl.create_default_context(cafile=authority))
    socket.setTimeout(QUERY_TIMEOUT * 1000)
    socket.open()  # here, because one with TLS that never opened fails to close
    # HiveServer2 without a login takes any name and any password, but none that is empty.
    user = settings.hiveserver_user
    login = {"username": user or USER, "password": settings.hiveserver_password if user else "x"}
    kind = "GSSAPI" if service else "PLAIN"
    sasl = hive.get_installed_sasl(host=host, sasl_auth=kind, service=service, **login)
    transport = TSaslClientTransport(lambda: sasl, kind, socket)
    return hive.connect(
        thrift_transport=transport,
        username=login["username"],
        configuration={"spark.sql.session.timeZone": "UTC"},
    )


def _aware(value: object) -> object:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _reason(fault: Exception) -> str:
    """The server's message without its stack trace."""
    status = getattr(fault.args[0], "status", None) if fault.args else None
    message = getattr(status, "errorMessage", None) or str(fault)
    return plain(message.splitlines()[0])


def plain(message: str) -> str:
    """A Java server's message without the class names of its errors and repeated names of a condition."""
    return _SAID_TWICE.sub(r"\1", _JAVA.sub("", message))
