"""The server with the real Cassandra: features as of each row's moment, and what happens when the store goes away."""

import dataclasses
import json
import socket
import threading
import uuid
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest

from giornata.bundle import open_bundle, write_bundle
from giornata.names import keyspace
from giornata.stores import cassandra
from giornata.stores.features import ensure_feature_table
from giornata.stores.online_history import Covered, record_covered

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

MODEL = "breezes/windy"
ELEVEN = datetime(2013, 11, 1, 11, tzinfo=UTC)
TWELVE = datetime(2013, 11, 1, 12, tzinfo=UTC)
NOTHING = float("nan")


class Proxy:
    """A way to a server that can be cut and mended."""

    def __init__(self, address: str):
        host, _, port = address.rpartition(":")
        self._target = host, int(port)
        self._open: list[socket.socket] = []
        with closing(self._listen(0)) as listener:
            self.port = listener.getsockname()[1]

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        return listener

    def mend(self) -> None:
        self._listener = self._listen(self.port)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.create_connection(self._target)
                self._open += [here, there]
                for source, sink in ((here, there), (there, here)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def weather(stores, windy):
    """The address of a Cassandra with two hours of wind at JFK."""
    group = open_bundle(windy.content).version.groups["weather"]
    with cassandra.session(stores) as session:
        ensure_feature_table(session, "breezes", "weather", group)
        for moment, wind in ((ELEVEN, 5.0), (TWELVE, 9.0)):
            session.execute(
                "INSERT INTO features_breezes.weather (origin, event_time, wind) VALUES (%s, %s, %s)",
                ("JFK", moment, wind),
            )
        yield stores.cassandra
        session.execute(f"DROP KEYSPACE {keyspace('breezes')}", timeout=60)


def ask(server, *moments, origin="JFK"):
    rows = [{"distance": 100.0, "origin": origin, "pushed_back_at": moment.isoformat()} for moment in moments]
    return server.predict(f"{MODEL}/production", {"rows": rows})


def test_features_are_those_known_before_each_rows_moment_and_not_older_than_their_ttl(
    server, weather, windy
):
    server.environment["GIORNATA_CASSANDRA"] = weather
    server.put(windy.uuid, windy.content)
    server.deploy({MODEL: {"production": windy.uuid}})
    server.start()
    instant = timedelta(milliseconds=1)
    expected = [
        (ELEVEN, NOTHING),  # known at eleven is not known before eleven
        (ELEVEN + instant, 5.0),
        (TWELVE, 5.0),
        (TWELVE + instant, 9.0),
        (TWELVE + timedelta(hours=3), 9.0),  # exactly as old as the ttl
        (TWELVE + timedelta(hours=3) + instant, NOTHING),
    ]
    predictions = ask(server, *(moment for moment, _ in expected)).json()["predictions"]
    truth = windy.answers([[100.0, wind] for _, wind in expected])
    assert len({*truth}) > 1
    assert [prediction["prediction"] for prediction in predictions] == truth
    reasons = ["no_row", None, None, None, None, "too_old"]
    assert [prediction.get("missing") for prediction in predictions] == [
        reason and [{"group": "weather", "reason": reason}] for reason in reasons
    ]
    counted = f'giornata_missing_feature_rows_total{{group="weather",model="{MODEL}",reason="%s"}}'
    assert (server.metric(counted % "no_row"), server.metric(counted % "too_old")) == (1, 1)
    elsewhere = ask(server, TWELVE + instant, origin="LGA").json()["predictions"]
    assert elsewhere[0]["prediction"] == windy.answers([[100.0, NOTHING]])[0]
    at = server.predict(
        f"{MODEL}/production",
        {"row": {"distance": 100.0, "origin": "JFK"}, "at": (TWELVE + instant).isoformat()},
    )
    assert at.json()["predictions"][0]["prediction"] == windy.answers([[100.0, 9.0]])[0]
    assert server.metric(f'giornata_feature_reads_total{{model="{MODEL}",outcome="ok"}}') == 3
    server.stop()
    logged = [json.loads(line["inputs"]) for line in server.logged(MODEL)]
    assert [inputs["weather__wind"] for inputs in logged] == [None, 5.0, 5.0, 9.0, 9.0, None, None, 9.0]
    why = [inputs.get("_missing") for inputs in logged]
    assert why == [reason and {"weather": reason} for reason in [*reasons, "no_row", None]]


def test_one_group_is_read_by_two_keys_and_its_rows_have_an_age(server, weather, windy_there):
    server.environment["GIORNATA_CASSANDRA"] = weather
    server.put(windy_there.uuid, windy_there.content)
    server.deploy({"breezes/there": {"production": windy_there.uuid}})
    server.start()
    at = TWELVE - timedelta(minutes=15)
    rows = [
        {"origin": "EWR", "dest": "JFK", "pushed_back_at": at.isoformat()},
        {"origin": "JFK", "dest": "EWR", "pushed_back_at": at.isoformat()},
        {"origin": "JFK", "dest": "JFK", "pushed_back_at": (at + timedelta(hours=1)).isoformat()},
    ]
    answer = server.predict("breezes/there/production", {"rows": rows}).json()
    truth = windy_there.answers([[NOTHING, 5.0, 45 * 60.0], [5.0, NOTHING, NOTHING], [9.0, 9.0, 45 * 60.0]])
    assert [prediction["prediction"] for prediction in answer["predictions"]] == truth
    assert [prediction.get("missing") for prediction in answer["predictions"]] == [
        [{"group": "weather", "reason": "no_row"}],
        [{"group": "weather", "reason": "no_row", "by": ["dest"]}],
        None,
    ]


def test_a_moment_before_what_is_online_is_refused_or_marked_as_the_document_says(
    server, weather, windy, stores
):
    with cassandra.session(stores) as session:
        cassandra.apply_schema(session)
        record_covered(session, "breezes", "weather", Covered(ELEVEN.date(), TWELVE.date()))
        bundle = open_bundle(windy.content)
        configuration = bundle.version.configuration
        online = configuration.online.model_copy(update={"before_history": "mark"})
        marking = bundle.version.model_copy(
            update={
                "uuid": str(uuid.uuid4()),
                "configuration": configuration.model_copy(update={"online": online}),
            }
        )
        server.environment["GIORNATA_CASSANDRA"] = weather
        server.put(windy.uuid, windy.content)
        server.put(marking.uuid, write_bundle(dataclasses.replace(bundle, version=marking)))
        server.deploy({MODEL: {"production": windy.uuid, "marking": marking.uuid}})
        server.start()
        early = ELEVEN - timedelta(hours=10)
        good, bad = ask(server, TWELVE + timedelta(hours=1), early).json()["predictions"]
        assert good["prediction"] == windy.answers([[100.0, 9.0]])[0]
        assert bad["status"] == 422
        assert "before the online history of the feature group weather" in bad["error"]
        assert "2013-11-01" in bad["error"]
        alone = ask(server, early)
        assert (alone.status_code, alone.json()["row"]) == (422, 0)
        row = {"distance": 100.0, "origin": "JFK", "pushed_back_at": early.isoformat()}
        (marked,) = server.predict(f"{MODEL}/marking", {"row": row}).json()["predictions"]
        assert marked["prediction"] == windy.answers([[100.0, NOTHING]])[0]
        assert marked["missing"] == [{"group": "weather", "reason": "before_history"}]
        counted = 'giornata_missing_feature_rows_total{group="weather",model="%s",reason="before_history"}'
        assert server.metric(counted % MODEL) == 3
        session.execute("DELETE FROM giornata.online_history WHERE project = 'breezes'")


def test_a_store_that_goes_away_is_503_until_it_is_back_and_other_models_answer_meanwhile(
    server, weather, windy, versions
):
    proxy = Proxy(weather)
    server.environment["GIORNATA_CASSANDRA"] = f"127.0.0.1:{proxy.port}"
    server.put(windy.uuid, windy.content)
    server.put(versions[0].uuid, versions[0].content)
    server.deploy({MODEL: {"production": windy.uuid}, "flights/minutes": {"production": versions[0].uuid}})
    server.start()
    moment = TWELVE + timedelta(minutes=1)
    other = {"row": {"distance": 1.0, "pushed_back_at": "2013-11-01T12:00:00Z"}}
    assert ask(server, moment).status_code == 503  # not there when the server started
    assert server.predict("flights/minutes/production", other).status_code == 200
    proxy.mend()
    server.until(lambda: ask(server, moment).status_code == 200)
    proxy.cut()
    gone = ask(server, moment)
    assert gone.status_code == 503
    assert "Cassandra" in gone.json()["error"]
    assert server.predict("flights/minutes/production", other).status_code == 200
    proxy.mend()
    server.until(lambda: ask(server, moment).status_code == 200)
    proxy.cut()
