"""A Spark task's writes to the real Cassandra, without Spark."""

import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cassandra.cluster import Session

from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.cassandra import CassandraAccess
from jobs.online.writer import ROWS_TOGETHER, Patience, write_batches

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

IMPATIENT = Patience(attempts=2, longest_wait=0.1)
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def session(stores: Settings) -> Iterator[Session]:
    with cassandra.session(stores) as opened:
        yield opened


@pytest.fixture(scope="module")
def keyspace(session: Session) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:10]}"
    session.execute(
        f"CREATE KEYSPACE {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
    )
    columns = "place text, number bigint, at timestamp, level double, PRIMARY KEY (place, number)"
    session.execute(f"CREATE TABLE {name}.levels ({columns})")
    yield name
    session.execute(f"DROP KEYSPACE {name}", timeout=30.0)


@pytest.fixture
def table(session: Session, keyspace: str) -> str:
    session.execute(f"TRUNCATE {keyspace}.levels", timeout=30.0)
    return f"{keyspace}.levels"


def access(address: str) -> CassandraAccess:
    return CassandraAccess.of(Settings(Path("/home"), {"GIORNATA_CASSANDRA": address}))


def batch(rows: list[tuple[str | None, int]]) -> pa.RecordBatch:
    columns: dict[str, Any] = {
        "place": [place for place, _ in rows],
        "number": [number for _, number in rows],
        "at": pa.array([NOON] * len(rows), pa.timestamp("us", "UTC")),
        "level": [number / 2 for _, number in rows],
    }
    return pa.RecordBatch.from_pydict(columns)


def insert(table: str) -> str:
    return f"INSERT INTO {table} (place, number, at, level) VALUES (?, ?, ?, ?)"


def test_every_row_of_every_batch_is_written(stores: Settings, session: Session, table: str) -> None:
    first = [("a", number) for number in range(2 * ROWS_TOGETHER + 1)] + [("b", 0), ("c", 0), ("a", 1000)]
    second = [("d", number) for number in range(3)]
    outcome = write_batches(
        CassandraAccess.of(stores),
        insert(table),
        [0],
        iter([batch(first), batch([]), batch(second)]),
        IMPATIENT,
    )
    assert outcome == (len(first) + len(second), None)
    rows = session.execute(f"SELECT place, number, at, level FROM {table}")
    found = sorted((row.place, row.number, row.at.replace(tzinfo=UTC), row.level) for row in rows)
    assert found == sorted((place, number, NOON, number / 2) for place, number in first + second)


def test_a_refused_row_is_not_tried_again(stores: Settings, table: str) -> None:
    patient = Patience(attempts=50, longest_wait=60.0)
    written, fault = write_batches(
        CassandraAccess.of(stores), insert(table), [0], iter([batch([(None, 1)])]), patient
    )
    assert written == 0
    assert fault is not None
    assert "Cassandra refuses a row" in fault
    assert (
        write_batches(
            CassandraAccess.of(stores), insert(f"{table}_not"), [0], iter([batch([("a", 1)])]), patient
        )[0]
        == 0
    )


def test_nobody_answers(table: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        written, fault = write_batches(
            access(address), insert(table), [0], iter([batch([("a", 1)])]), IMPATIENT
        )
    assert written == 0
    assert fault is not None
    assert f"Cassandra at {address} does not answer" in fault


def test_no_batches_need_no_cassandra() -> None:
    assert write_batches(access("127.0.0.1:1"), "INSERT", [0], iter([]), IMPATIENT) == (0, None)
