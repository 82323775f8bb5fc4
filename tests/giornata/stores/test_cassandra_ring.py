"""A ring of three nodes with logins and TLS: who may use it, and what the loss of a node costs, which is nothing."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cassandra.cluster import Session

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


class Caller(threading.Thread):
    """Asks for one key after the other, as a prediction server does, until it is told to end."""

    def __init__(self, online: OnlineFeatures):
        super().__init__(daemon=True)
        self._online = online
        self._over = threading.Event()
        self.answers = 0
        self.faults: list[str] = []

    def run(self) -> None:
        number = 0
        while not self._over.is_set():
            number = (number + 1) % ROWS
            try:
                (row,) = self._online.read(INPUTS, [{"origin": f"k{number}"}], [NOON + timedelta(hours=1)])
            except StoreError as fault:
                self.faults.append(str(fault))
            else:
                self.answers += 1
                if row["weather__wind"] != float(number):
                    self.faults.append(f"k{number}: {row}")

    def end(self) -> None:
        self._over.set()
        self.join(20)


@pytest.fixture(scope="module")
def session(ring: Ring) -> Iterator[Session]:
    settings = ring.settings()
    with cassandra.session(settings) as opened:
        for file in ("giornata.cql", "features.cql"):
            cassandra.apply(opened, cassandra.SCHEMA / file, settings.cassandra_replicas)
        ensure_feature_table(opened, "trips", "weather", GROUP, settings.cassandra_replicas)
        yield opened


def test_keyspaces_have_the_replicas_of_the_settings(session: Session) -> None:
    for keyspace in ("giornata", names.keyspace("trips")):
        strategy = session.cluster.metadata.keyspaces[keyspace].replication_strategy
        assert strategy.export_for_schema() == "{'class': 'NetworkTopologyStrategy', 'datacenter1': '3'}"


def test_a_node_that_is_lost_costs_no_row_and_no_answer(ring: Ring, session: Session) -> None:
    """During a push, reads online and deployments; and when it comes back, it is used again."""
    access = CassandraAccess.of(ring.settings())
    table = names.online_table("trips", "weather")
    insert = f"INSERT INTO {table} (origin, event_time, wind) VALUES (?, ?, ?) USING TIMESTAMP ?"
    assert write_batches(access, insert, [0], iter([rows(0)]), Patience()) == (ROWS, None)
    batches = (rows(ROWS * part) for part in range(1, 5))
    caller = Caller(OnlineFeatures(session, "trips", {"weather": GROUP}, deadline=5.0))
    with ThreadPoolExecutor(1) as threads:
        caller.start()
        try:
            push = threads.submit(write_batches, access, insert, [0], batches, Patience())
            wait(lambda: caller.answers > 200)
            ring.kill(2)
            asked = caller.answers
            deployments = Deployments(session)
            for version in ("first", "second", "third"):
                deployments.append("trips/minutes", "live", version, "anna", "better", ["batch"], NOON)
            assert push.result(120) == (4 * ROWS, None)
            wait(lambda: caller.answers > asked + 1000)
        finally:
            caller.end()
    assert not caller.faults, caller.faults[:3]
    timeline = deployments.timeline("trips/minutes", "live")
    assert [each.uuid for each in timeline] == ["third", "second", "first"]

    ring.start_node(2)
    wait(lambda: hosts_up(session) == 3)
    found = {row.origin: row.wind for row in session.execute(f"SELECT origin, wind FROM {table}")}
    assert found == {f"k{number}": float(number) for number in range(5 * ROWS)}
