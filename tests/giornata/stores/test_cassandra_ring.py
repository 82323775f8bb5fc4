"""A ring of three nodes with logins and TLS: who may use it, and what the loss of a node costs, which is nothing."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dsl.schema import Inputs, StoreInput
from giornata import names
from giornata.documents import Feature, FeatureGroup
from giornata.errors import StoreError
from giornata.stores import cassandra
from giornata.stores.cassandra import CassandraAccess
from giornata.stores.deployments import Deployments
from giornata.stores.features import OnlineFeatures, ensure_feature_table
from jobs.online.writer import Patience, write_batches
from stack.ports import free_ports
from tests.cassandra_ring import PASSWORD, Ring, hosts_up, wait

pytestmark = [pytest.mark.stack, pytest.mark.processes, pytest.mark.timeout(600)]

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
WIND: dict[str, Any] = {"wind": Feature(type="float", description="miles an hour")}
GROUP = FeatureGroup(description="d", owner="o", entity={"origin": "str"}, features=WIND)
INPUTS = Inputs(
    row={"origin": "str"}, store={"weather": StoreInput("weather", {"origin": "origin"}, {"wind": "float"})}
)
ROWS = 6000


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    started = Ring(tmp_path_factory.mktemp("ring"), free_ports())
    try:
        started.start()
        yield started
    finally:
        started.stop()


def test_who_may_not_use_it_is_told_why(ring: Ring, tmp_path: Path) -> None:
    wrong = ring.settings(GIORNATA_CASSANDRA_PASSWORD_FILE="", GIORNATA_CASSANDRA_PASSWORD="guess")
    with pytest.raises(StoreError, match="Provided username giornata and/or password are incorrect"):
        cassandra.connect(wrong)
    with pytest.raises(StoreError, match="does not answer"):
        cassandra.connect(ring.settings(GIORNATA_CASSANDRA_AUTHORITY="", GIORNATA_CASSANDRA_CERTIFICATE=""))
    other = tmp_path / "other"
    other.mkdir()
    Ring(other, free_ports())
    strange = ring.settings(GIORNATA_CASSANDRA_AUTHORITY=str(other / "authority.pem"))
    with pytest.raises(StoreError, match="certificate verify failed"):
        cassandra.connect(strange)


def test_a_password_is_shown_nowhere(ring: Ring) -> None:
    access = CassandraAccess.of(ring.settings())
    assert access.password == PASSWORD
    assert PASSWORD not in f"{access!r} {access} {ring.settings()!r}"
    assert "PRIVATE KEY" not in repr(access)


def rows(first: int) -> pa.RecordBatch:
    numbers = range(first, first + ROWS)
    return pa.RecordBatch.from_pydict(
        {
            "origin": [f"k{number}" for number in numbers],
            "event_time": pa.array([NOON] * ROWS, pa.timestamp("us", "UTC")),
            "wind": [float(number) for number in numbers],
            "written": [1_000_000] * ROWS,
        }
    )


def test_a_node_that_is_lost_costs_no_row_and_no_answer(ring: Ring) -> None:
    """During a push, reads online and a deployment; and when it comes back, it is used again."""
    settings = ring.settings()
    access = CassandraAccess.of(settings)
    table = names.online_table("trips", "weather")
    insert = f"INSERT INTO {table} (origin, event_time, wind) VALUES (?, ?, ?) USING TIMESTAMP ?"
    with cassandra.session(settings) as session:
        cassandra.apply_schema(session, settings.cassandra_replicas)
        ensure_feature_table(session, "trips", "weather", GROUP, settings.cassandra_replicas)
        for keyspace in ("giornata", names.keyspace("trips")):
            strategy = session.cluster.metadata.keyspaces[keyspace].replication_strategy
            assert strategy.export_for_schema() == (
                "{'class': 'NetworkTopologyStrategy', 'datacenter1': '3'}"
            )
        assert write_batches(access, insert, [0], iter([rows(0)]), Patience()) == (ROWS, None)

        online = OnlineFeatures(session, "trips", {"weather": GROUP}, deadline=5.0)
        answers: list[float | None] = []
        faults: list[StoreError] = []
        over = threading.Event()

        def ask() -> None:
            number = 0
            while not over.is_set():
                number = (number + 1) % ROWS
                try:
                    (row,) = online.read(INPUTS, [{"origin": f"k{number}"}], [NOON + timedelta(hours=1)])
                    answers.append(None if row["weather__wind"] == float(number) else row["weather__wind"])
                except StoreError as fault:
                    faults.append(fault)

        written: list[tuple[int, str | None]] = []
        batches = iter([rows(ROWS * part) for part in range(1, 5)])
        push = threading.Thread(
            target=lambda: written.append(write_batches(access, insert, [0], batches, Patience()))
        )
        asking = threading.Thread(target=ask)
        asking.start()
        push.start()
        wait(lambda: len(answers) > 200)
        ring.kill(2)
        asked = len(answers)
        deployments = Deployments(session)
        for number in range(5):
            deployments.append(
                "trips/minutes", "production", f"u{number}", "anna", "it is good", ["batch"], NOON
            )
        push.join(120)
        wait(lambda: len(answers) > asked + 1000)
        over.set()
        asking.join(20)

        assert not faults, faults[:3]
        assert not [answer for answer in answers if answer is not None], "a value that is another key's"
        assert written == [(4 * ROWS, None)]
        found = session.execute(f"SELECT origin, wind FROM {table}")
        assert {row.origin: row.wind for row in found} == {
            f"k{number}": float(number) for number in range(5 * ROWS)
        }
        assert [each.uuid for each in deployments.timeline("trips/minutes", "production")] == [
            f"u{number}" for number in reversed(range(5))
        ]

        ring.start_node(2)
        wait(lambda: hosts_up(session) == 3)
        assert ring.up(settings) == 3
