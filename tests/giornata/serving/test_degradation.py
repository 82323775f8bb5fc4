"""A feature group that cannot be read: its features are null, or the request is refused, as the document says."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from giornata.bundle import open_bundle
from giornata.documents.model import Online
from giornata.names import keyspace
from giornata.settings import load_settings
from giornata.stores import cassandra
from giornata.stores.features import ensure_feature_table

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

NOON = datetime(2013, 11, 1, 12, tzinfo=UTC)
NOTHING = float("nan")
ROW = {"distance": 100.0, "origin": "JFK", "tailnum": "N1", "pushed_back_at": NOON.isoformat()}
DRIVERS_OWN = 10.0  # seconds that the driver waits where no deadline is given
LENIENT, STRICT = "gales/lenient", "gales/strict"


def push_weather(session, version):
    ensure_feature_table(session, "gales", "weather", open_bundle(version.content).version.groups["weather"])
    insert = f"INSERT INTO {keyspace('gales')}.weather (origin, event_time, wind) VALUES ('JFK', %s, 9.0)"
    session.execute(insert, (NOON - timedelta(hours=1),))


def push_plane(session, version):
    ensure_feature_table(session, "gales", "plane", open_bundle(version.content).version.groups["plane"])
    insert = f"INSERT INTO {keyspace('gales')}.plane (tailnum, event_time, seats) VALUES ('N1', %s, 180)"
    session.execute(insert, (NOON - timedelta(days=1),))


def serve(server, address, lenient, strict):
    server.environment["GIORNATA_CASSANDRA"] = address
    for version in (lenient, strict):
        server.put(version.uuid, version.content)
    server.deploy({LENIENT: {"production": lenient.uuid}, STRICT: {"production": strict.uuid}})
    server.start()


def answer(server, model=LENIENT):
    """The prediction and which groups the answer lacks (None: it does not say so)."""
    response = server.predict(f"{model}/production", {"row": ROW})
    assert response.status_code == 200, response.text
    document = response.json()
    (prediction,) = document["predictions"]
    unread = [told["group"] for told in prediction.get("missing", ()) if told["reason"] == "not_read"]
    assert sorted(unread) == document.get("missing_groups", [])
    return prediction["prediction"], document.get("missing_groups")


def refusal(server):
    response = server.predict(f"{STRICT}/production", {"row": ROW})
    assert response.status_code == 503
    return response.json()["error"]


def status_and_time(server, headers=None):
    """The status that a request is answered with, and after how many seconds."""
    url = f"/models/{LENIENT}/production/predict"
    started = time.monotonic()
    response = server.http.post(url, json={"row": ROW}, headers=headers)
    return response.status_code, time.monotonic() - started


def truth(version, wind, seats):
    return version.answers([[100.0, wind, seats]])[0]


def test_the_document_takes_null_as_yaml_reads_it():
    online = Online.model_validate({"deadline": "300ms", "missing": None})
    assert (online.deadline, online.missing) == (timedelta(milliseconds=300), "null")
    assert Online.model_validate(online.model_dump(mode="json")) == online
    assert Online() == Online.model_validate({"deadline": "2s", "missing": "error"})


def test_a_group_that_was_never_pushed(server, stores, lenient, strict):
    with cassandra.session(stores) as session:
        session.execute(f"DROP KEYSPACE IF EXISTS {keyspace('gales')}", timeout=60)
        push_weather(session, lenient)
        serve(server, stores.cassandra, lenient, strict)
        for _ in range(3):
            assert answer(server) == (truth(lenient, 9.0, NOTHING), ["plane"])
        assert "materialize the feature group plane first" in refusal(server)
        counted = 'giornata_missing_feature_groups_total{group="plane",model="%s"}'
        assert (server.metric(counted % LENIENT), server.metric(counted % STRICT)) == (3, 1)
        outcomes = 'giornata_feature_reads_total{model="%s",outcome="%s"}'
        assert server.metric(outcomes % (LENIENT, "degraded")) == 3
        assert server.metric(outcomes % (STRICT, "failed")) == 1
        push_plane(session, lenient)
        server.until(lambda: answer(server) == (truth(lenient, 9.0, 180.0), None))
        assert answer(server, STRICT) == (truth(strict, 9.0, 180.0), None)
        session.execute(f"DROP KEYSPACE {keyspace('gales')}", timeout=60)
    server.stop()
    said = [line for line in server.errors().splitlines() if f"model={LENIENT} group=plane" in line]
    assert ["cannot be read" in line for line in said] == [True, False]
    served = [json.loads(line["inputs"]) for line in server.logged(LENIENT)]
    assert served[0] == {**served[-1], "plane__seats": None, "_missing": {"plane": "not_read"}}
    assert (served[-1]["plane__seats"], served[-1]["weather__wind"]) == (180, 9.0)


@contextmanager
def paused(processes) -> Iterator[None]:
    """A server that is there, keeps its connections, and does nothing."""
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process.pid, signal.SIGCONT)


def test_a_cassandra_that_does_not_move(server, start_stack, lenient, strict):
    stack = start_stack(["cassandra"])
    settings = load_settings({"GIORNATA_HOME": str(stack.installation.home)})
    with cassandra.session(settings) as session:
        push_weather(session, lenient)
        push_plane(session, lenient)
    serve(server, settings.cassandra, lenient, strict)
    server.until(lambda: answer(server) == (truth(lenient, 9.0, 180.0), None))
    java = [process for process in stack.supervisor.processes() if "java" in process.name()]
    assert java
    with paused(java):
        for _ in range(2):
            started = time.monotonic()
            assert answer(server) == (truth(lenient, NOTHING, NOTHING), ["plane", "weather"])
            assert time.monotonic() - started < DRIVERS_OWN / 2
        # The deadline is that of each request: those that it finds in the queue are refused, none waits any longer.
        with ThreadPoolExecutor(80) as pool:
            statuses, waited = zip(*pool.map(lambda _: status_and_time(server), range(80)), strict=True)
        assert set(statuses) == {200, 503}
        assert max(waited) < 4.0, "80 requests, 16 at a time, of a second each"
        status, waited = status_and_time(server, {"x-timeout-ms": "50"})
        assert status == 200
        assert waited < 0.8
        # This version has asked nothing yet: its statements are still to be prepared.
        started = time.monotonic()
        reason = refusal(server)
        assert time.monotonic() - started < DRIVERS_OWN / 2
        for group in ("weather", "plane"):
            # What is left of a second when the read begins.
            assert re.search(rf"the feature group {group} of gales within (1|0\.\d+) s", reason)
    server.until(lambda: answer(server) == (truth(lenient, 9.0, 180.0), None))
    server.until(lambda: server.predict(f"{STRICT}/production", {"row": ROW}).status_code == 200)
