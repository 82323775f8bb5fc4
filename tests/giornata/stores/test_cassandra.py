"""Connections and schema files on the real server."""

import socket
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from giornata.errors import StoreError
from giornata.settings import Settings
from giornata.stores import cassandra

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


def settings_at(stores: Settings, address: str) -> Settings:
    return replace(stores, variables={**stores.variables, "GIORNATA_CASSANDRA": address})


def test_a_session_ends_with_its_block(stores: Settings) -> None:
    with cassandra.session(stores) as session:
        assert session.execute("SELECT cql_version FROM system.local").one().cql_version
    assert session.cluster.is_shutdown


def test_nobody_answers(stores: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(StoreError, match=f"Cassandra at {address} does not answer.*make up"):
            cassandra.connect(settings_at(stores, address))


SCHEMA = """
-- a comment; with a semicolon
CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}};
/* a comment
   of two lines; */
CREATE TABLE IF NOT EXISTS {keyspace}.numbers (
    name text PRIMARY KEY, -- key
    value int
);
"""


def test_a_schema_file_may_be_applied_again(stores: Settings, tmp_path: Path) -> None:
    keyspace = f"test_{uuid.uuid4().hex[:10]}"
    file = tmp_path / "schema.cql"
    file.write_text(SCHEMA.format(keyspace=keyspace))
    with cassandra.session(stores) as session:
        cassandra.apply(session, file)
        session.execute(f"INSERT INTO {keyspace}.numbers (name, value) VALUES ('one', 1)")
        cassandra.apply(session, file)
        assert session.execute(f"SELECT value FROM {keyspace}.numbers").one().value == 1
        session.execute(f"DROP KEYSPACE {keyspace}", timeout=30.0)


def test_a_refused_statement_is_named_with_its_file(stores: Settings, tmp_path: Path) -> None:
    file = tmp_path / "schema.cql"
    file.write_text("CREATE TABLE IF NOT EXISTS no_such_keyspace.t (a int PRIMARY KEY);")
    with (
        cassandra.session(stores) as session,
        pytest.raises(StoreError, match=r"schema\.cql: Cassandra refuses `CREATE TABLE.*no_such_keyspace"),
    ):
        cassandra.apply(session, file)
