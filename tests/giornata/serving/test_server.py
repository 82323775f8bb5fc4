"""The real server process: predictions, refusals, following deployments, logging, stopping and dying."""

import ast
import concurrent.futures
import json
import shlex
import signal
import socket
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from giornata.bundle import open_bundle
from giornata.example import example
from giornata.serving.requests import MAX_BODY_BYTES, MAX_ROWS

pytestmark = pytest.mark.processes

MODEL = "flights/minutes"
ROW = {
    "distance": 719.5,
    "seats": 180,
    "sched_dep": "2013-11-01T11:30:00Z",
    "pushed_back_at": "2013-11-01T07:42:00-04:00",
    "flight_id": "UA-1",
}
FEATURES = [719.5, 180.0, 12.0]  # of ROW, by hand: it left 12 minutes late
PREDICT = f"/models/{MODEL}/production/predict"


@pytest.fixture
def healthy(running, versions):
    """The running server, which must be the same process and answer rightly after the test as well."""
    process = running.process
    yield running
    assert running.process is process
    assert process.poll() is None, running.errors()
    response = running.predict(f"{MODEL}/production", {"row": ROW})
    assert response.json()["predictions"][0]["prediction"] == versions[0].answers([FEATURES])[0]


def test_a_tag_and_a_uuid_answer_as_the_trees_themselves_do(healthy, versions):
    (version, _) = versions
    by_tag = healthy.predict(f"{MODEL}/production", {"row": ROW})
    assert by_tag.status_code == 200
    assert by_tag.headers["content-type"] == "application/json"
    document = by_tag.json()
    (prediction,) = document.pop("predictions")
    assert document == {"model": MODEL, "uuid": version.uuid, "tag": "production"}
    assert uuid.UUID(prediction.pop("prediction_id"))
    assert prediction == {"prediction": version.answers([FEATURES])[0], "part": "all", "level": "all"}
    by_uuid = healthy.predict(f"{MODEL}/{version.uuid}", {"row": ROW}).json()
    assert by_uuid["tag"] is None
    assert by_uuid["predictions"][0]["prediction"] == prediction["prediction"]


@pytest.mark.parametrize("number", [2, MAX_ROWS])
def test_many_rows_are_answered_in_their_order_each_with_its_own_identity(healthy, versions, number):
    rows = [{"distance": float(place), "pushed_back_at": ROW["pushed_back_at"]} for place in range(number)]
    predictions = healthy.predict(f"{MODEL}/production", {"rows": rows}).json()["predictions"]
    features = [[place, float("nan"), float("nan")] for place in range(number)]
    assert [prediction["prediction"] for prediction in predictions] == versions[0].answers(features)
    assert len({prediction["prediction_id"] for prediction in predictions}) == number


def test_what_kind_of_content_a_body_is_said_to_be_does_not_matter(healthy):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        response = healthy.http.post(
            PREDICT, content=json.dumps({"row": ROW}), headers={"content-type": kind}
        )
        assert response.status_code == 200


def test_a_missing_a_wrong_and_a_misspelt_field_are_422_with_their_place(healthy):
    without = {name: value for name, value in ROW.items() if name != "distance"}
    for row, field, words in [
        (without, "distance", "distance is missing"),
        (ROW | {"distance": "far"}, "distance", "distance is of type float, not the text 'far'"),
        (ROW | {"seets": 180}, "seets", "did you mean seats?"),
        (ROW | {"pushed_back_at": "2013-11-01T12:00:00"}, "pushed_back_at", "with its zone"),
    ]:
        answered = healthy.predict(f"{MODEL}/production", {"rows": [ROW, row]}).json()["predictions"]
        assert ("prediction" in answered[0], answered[1]["status"]) == (True, 422)
        assert words in answered[1]["error"]
        assert answered[1]["errors"][0]["field"] == field
        response = healthy.predict(f"{MODEL}/production", {"rows": [ROW, row], "all_or_nothing": True})
        assert response.status_code == 422
        assert (response.json()["field"], response.json()["row"]) == (field, 1)
        assert words in response.json()["error"]


def test_unknown_models_tags_paths_and_methods_are_named(healthy):
    for method, path, status, words in [
        ("POST", "/models/flights/latte/production/predict", 404, "there are: flights/minutes"),
        ("POST", f"/models/{MODEL}/staging/predict", 404, "its tags are: production"),
        ("POST", f"/models/{MODEL}/{uuid.uuid4()}/predict", 404, "its tags are: production"),
        ("POST", "/models/predict", 404, "no model"),
        ("POST", f"/models/{MODEL}/production", 404, "nothing at this path"),
        ("GET", "/", 404, "nothing at this path"),
        ("GET", PREDICT, 405, "takes POST, not GET"),
        ("PUT", "/models", 405, "takes GET, not PUT"),
    ]:
        response = healthy.http.request(method, path)
        assert response.status_code == status, path
        assert words in response.json()["error"]
        assert response.headers.get("allow") == ({405: words.split()[1].rstrip(",")}.get(status))


def test_bodies_beyond_the_limits_are_413(healthy):
    large = b'{"rows": [' + b" " * MAX_BODY_BYTES + b"]}"
    for content in (large, iter([large[:100], large[100:]])):  # with its length told, and in chunks without
        response = healthy.http.post(PREDICT, content=content)
        assert response.status_code == 413
        assert str(MAX_BODY_BYTES) in response.json()["error"]
    many = b'{"rows":[' + b",".join([b"{}"] * (MAX_ROWS + 1)) + b"]}"
    assert healthy.http.post(PREDICT, content=many).status_code == 413


def test_what_is_not_json_is_400_with_a_hint_for_nan(healthy):
    for content in (b"", b"{", b'{"row": {"origin": "\xff"}}', b"[" * 50_000):
        assert healthy.http.post(PREDICT, content=content).status_code == 400
    response = healthy.http.post(PREDICT, content=b'{"row": {"distance": NaN}}')
    assert response.status_code == 400
    assert "send null" in response.json()["error"]


def test_what_a_page_of_another_site_sends_is_refused(healthy):
    body = json.dumps({"row": ROW})
    own = f"http://127.0.0.1:{healthy.port}"
    counted = 'giornata_request_errors_total{kind="cross_site"}'
    before = healthy.metric(counted)
    refused = [
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{healthy.port + 1}"},
        {"origin": own, "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        # What a form or a script may send without asking first.
        {"origin": "https://elsewhere.example", "content-type": "text/plain", "sec-fetch-site": "cross-site"},
    ]
    for headers in refused:
        response = healthy.http.post(PREDICT, content=body, headers=headers)
        assert response.status_code == 403, headers
        assert "another site" in response.json()["error"]
    assert healthy.metric(counted) == before + len(refused)
    for headers in ({}, {"origin": own}, {"sec-fetch-site": "none"}, {"sec-fetch-site": "same-origin"}):
        assert healthy.http.post(PREDICT, content=body, headers=headers).status_code == 200, headers


def test_a_deadline_is_whole_milliseconds(healthy):
    for text in ("0", "-1", "1.5", "60001", "soon", "9" * 5000):
        response = healthy.http.post(PREDICT, json={"row": ROW}, headers={"x-timeout-ms": text})
        assert response.status_code == 400, text[:10]
        assert "from 1 to 60000" in response.json()["error"]
    for text in ("1", "60000"):
        response = healthy.http.post(PREDICT, json={"row": ROW}, headers={"x-timeout-ms": text})
        assert response.status_code == 200


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
bodies = (
    st.binary(max_size=300)
    | values.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {"rows": st.lists(st.dictionaries(st.sampled_from([*ROW, "flight_id", "x"]), values), max_size=4)},
        optional={"at": values},
    ).map(lambda value: json.dumps(value).encode())
)


@given(body=bodies)
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_body_brings_the_server_down(healthy, body):
    response = healthy.http.post(PREDICT, content=body)
    assert response.status_code in (200, 400, 422)
    assert ("predictions" in response.json()) == (response.status_code == 200)
    assert ("error" in response.json()) == (response.status_code != 200)


@given(data=st.binary(min_size=1, max_size=400))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_on_a_connection_bring_the_server_down(healthy, data):
    with socket.create_connection(("127.0.0.1", healthy.port), timeout=30) as connection:
        connection.sendall(data)


def test_silent_connections_beyond_its_descriptors_leave_it_reachable(healthy):
    counted = 'giornata_request_errors_total{kind="connection_evicted"}'
    silent = [socket.create_connection(("127.0.0.1", healthy.port), timeout=30) for _ in range(120)]
    try:
        for _ in range(5):
            started = time.monotonic()
            with httpx.Client(base_url=healthy.http.base_url, timeout=30) as http:
                assert http.get("/health/live").status_code == 200
                assert http.post(PREDICT, json={"row": ROW}).status_code == 200
            # A connection for which there is no room at the moment is tried again by the system after 1 s.
            assert time.monotonic() - started < 8
        assert healthy.metric(counted) > 0
    finally:
        for connection in silent:
            connection.close()


def test_a_large_head_is_refused_and_told(healthy):
    with socket.create_connection(("127.0.0.1", healthy.port), timeout=30) as connection:
        connection.sendall(b"GET /models HTTP/1.1\r\nx: " + b"y" * 32 * 2**20)
        assert connection.recv(1000).startswith(b"HTTP/1.1 431 Request Header Fields Too Large")
    assert healthy.metric('giornata_request_errors_total{kind="head_too_large"}') == 1


def test_a_caller_that_goes_away_in_the_middle_of_its_body_harms_nobody(healthy):
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode()
    before = healthy.metric('giornata_request_errors_total{kind="malformed"}')
    with socket.create_connection(("127.0.0.1", healthy.port), timeout=30) as connection:
        connection.sendall(head)
    healthy.until(lambda: healthy.metric('giornata_request_errors_total{kind="disconnected"}') >= 1)
    assert healthy.metric('giornata_request_errors_total{kind="malformed"}') == before


def test_metrics_count_requests_rows_errors_and_models(healthy, versions):
    labels = f'{{model="{MODEL}",uuid="{versions[0].uuid}"}}'
    names = [f"giornata_requests_total{labels}", f"giornata_predictions_total{labels}"]
    healthy.predict(f"{MODEL}/production", {"row": ROW})
    healthy.predict(f"{MODEL}/production", {"row": {}})
    before = [healthy.metric(name) for name in names]
    errors = healthy.metric('giornata_request_errors_total{kind="invalid"}')
    answered = healthy.metric(f'giornata_request_seconds_count{{model="{MODEL}"}}')
    healthy.predict(f"{MODEL}/production", {"rows": [ROW, ROW, ROW]})
    healthy.predict(f"{MODEL}/production", {"row": {}})
    assert [healthy.metric(name) for name in names] == [before[0] + 1, before[1] + 3]
    assert healthy.metric('giornata_request_errors_total{kind="invalid"}') == errors + 1
    assert healthy.metric(f'giornata_request_seconds_count{{model="{MODEL}"}}') == answered + 2
    assert healthy.metric("giornata_models_loaded") == 1
    assert healthy.metric("giornata_models_refused") == 0
    assert healthy.metric('giornata_log_dropped_rows_total{reason="full"}') == 0


def test_models_are_described_with_their_signature(healthy, versions):
    (described,) = healthy.http.get("/models").json()["models"]
    assert described["model"] == MODEL
    assert described["tags"] == {"production": versions[0].uuid}
    (version,) = described["versions"]
    assert version["uuid"] == versions[0].uuid
    assert version["signature"]["inputs"]["distance"] == {"type": "float", "nullable": False}
    assert version["signature"]["key"] == ["flight_id"]


@pytest.mark.parametrize("tag", ["production", None])
def test_the_example_of_a_version_is_answered_as_curl_and_as_python_send_it(healthy, versions, tag):
    now = datetime(2013, 12, 1, tzinfo=UTC)
    address = str(healthy.http.base_url).rstrip("/")
    request = example(open_bundle(versions[0].content), {}, address, tag, now)
    command, _, url, _, body = shlex.split(request.curl)
    assert command == "curl"
    answer = httpx.post(url, content=body, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.json()["tag"] == tag
    (prediction,) = answer.json()["predictions"]
    assert not {"loggable", "missing", "error"} & prediction.keys()
    done = subprocess.run(
        [sys.executable, "-c", request.python], capture_output=True, text=True, timeout=60, check=True
    )
    assert ast.literal_eval(done.stdout)["predictions"][0]["prediction"] == prediction["prediction"]


def test_a_server_without_models_is_ready_and_says_that_it_has_none(server):
    server.start()
    assert server.http.get("/health/live").json() == {"live": True}
    assert server.http.get("/health/ready").json() == {"ready": True, "problem": None}
    assert server.metric("giornata_deployments_followed") == 1
    # What stands in the folder's place is told, and nothing ends.
    server.bundles.rename(server.bundles.with_name("away"))
    server.bundles.write_text("no folder")
    server.until(lambda: server.metric("giornata_deployments_followed") == 0)
    health = server.http.get("/health/ready")
    assert (health.status_code, health.json()["ready"]) == (200, True)
    assert "Not a directory" in health.json()["problem"]
    server.bundles.unlink()
    server.bundles.with_name("away").rename(server.bundles)
    server.until(lambda: server.metric("giornata_deployments_followed") == 1)
    assert server.http.get("/health/live").json() == {"live": True}
    assert server.http.get("/models").json() == {"models": [], "problem": None}
    assert "there are: none" in server.predict(f"{MODEL}/production", {"row": ROW}).json()["error"]


def test_a_tag_moves_without_a_restart_and_a_corrupted_version_does_not_take_over(server, versions):
    first, second = versions
    server.put(first.uuid, first.content)
    server.deploy({MODEL: {"production": first.uuid}})
    server.start()

    def answering():
        document = server.predict(f"{MODEL}/production", {"row": ROW}).json()
        truth = {version.uuid: version for version in versions}[document["uuid"]]
        assert document["predictions"][0]["prediction"] == truth.answers([FEATURES])[0]
        return document["uuid"]

    corrupted = bytearray(second.content)
    corrupted[len(corrupted) // 2] ^= 0xFF
    assert answering() == first.uuid
    server.put(second.uuid, bytes(corrupted))
    server.deploy({MODEL: {"production": second.uuid}})
    server.until(lambda: server.metric("giornata_models_refused") == 1)
    assert answering() == first.uuid
    (described,) = server.http.get("/models").json()["models"]
    assert described["tags"] == {"production": first.uuid}
    (refused,) = described["refused"]
    assert (refused["uuid"], refused["tags"]) == (second.uuid, ["production"])
    assert "damaged" in refused["reason"] or "SHA-256" in refused["reason"]
    assert server.predict(f"{MODEL}/{second.uuid}", {"row": ROW}).status_code == 404
    assert server.errors().count("refused a bundle") == 1

    server.put(second.uuid, second.content)
    server.until(lambda: answering() == second.uuid)
    assert server.predict(f"{MODEL}/{first.uuid}", {"row": ROW}).status_code == 404
    assert server.http.get("/models").json()["models"][0]["refused"] == []


def test_every_answer_given_before_a_stop_is_in_the_log_and_no_request_is_cut(server, versions):
    server.put(versions[0].uuid, versions[0].content)
    server.deploy({MODEL: {"production": versions[0].uuid}})
    server.start()
    seen: list[str] = []

    def ask(worker: int) -> None:
        with httpx.Client(base_url=server.http.base_url, timeout=30) as http:
            for number in range(100_000):
                row = ROW | {"flight_id": f"{worker}-{number}"}
                try:
                    response = http.post(PREDICT, json={"row": row})
                except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
                    return  # closed between two requests, or refused
                assert response.status_code == 200
                seen.append(response.json()["predictions"][0]["prediction_id"])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, worker) for worker in range(4)]
        server.until(lambda: len(seen) > 100)
        assert server.stop() == 0
        for future in asking:
            future.result(60)
    logged = server.logged(MODEL)
    assert {line["prediction_id"] for line in logged} >= set(seen)
    assert len({line["prediction_id"] for line in logged}) == len(logged)
    assert not list((server.log / MODEL).glob("open-*"))
    line = logged[0]
    assert line["prediction"] == versions[0].answers([FEATURES])[0]
    assert (line["tag"], line["uuid"], line["event_time"]) == (
        "production",
        versions[0].uuid,
        "2013-11-01T11:42:00+00:00",
    )
    assert json.loads(line["inputs"]) == {
        "distance": 719.5,
        "seats": 180,
        "sched_dep": "2013-11-01T11:30:00+00:00",
        "pushed_back_at": "2013-11-01T11:42:00+00:00",
    }


def test_a_killed_server_leaves_whole_lines_that_the_next_start_makes_readable(server, versions):
    server.put(versions[0].uuid, versions[0].content)
    server.deploy({MODEL: {"production": versions[0].uuid}})
    server.start()
    identities = set()

    def is_open_with_lines():
        answer = server.predict(f"{MODEL}/production", {"row": ROW}).json()
        identities.add(answer["predictions"][0]["prediction_id"])
        return any(path.stat().st_size for path in (server.log / MODEL).glob("open-*"))

    server.until(is_open_with_lines)
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    server.start()
    assert not list((server.log / MODEL).glob("open-*"))
    logged = {line["prediction_id"] for line in server.logged(MODEL)}
    assert logged
    assert logged <= identities


def test_an_interrupt_stops_as_cleanly(server):
    server.start()
    assert server.stop(signal.SIGINT) == 0
    assert "Traceback" not in server.errors()


def test_a_model_whose_store_cannot_be_reached_answers_503_and_the_others_answer(server, versions, windy):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
        server.environment["GIORNATA_CASSANDRA"] = f"127.0.0.1:{nobody.getsockname()[1]}"
        for version in (versions[0], windy):
            server.put(version.uuid, version.content)
        server.deploy({MODEL: {"production": versions[0].uuid}, "breezes/windy": {"production": windy.uuid}})
        server.start()
        row = {"distance": 1.0, "origin": "JFK", "pushed_back_at": "2013-11-01T12:00:00Z"}
        response = server.predict("breezes/windy/production", {"row": row})
        assert response.status_code == 503
        assert "Cassandra at 127.0.0.1" in response.json()["error"]
        assert response.headers["retry-after"] == "1"
        assert server.predict(f"{MODEL}/production", {"row": ROW}).status_code == 200
        assert server.metric('giornata_feature_reads_total{model="breezes/windy",outcome="failed"}') == 1
        assert server.stop() == 0


def test_a_missing_setting_is_named_without_a_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "giornata.serving", "--port", "1"],
        env={"GIORNATA_HOME": str(tmp_path), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "GIORNATA_" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_server_imports_nothing_heavy():
    program = (
        "import sys, giornata.serving.__main__\n"
        "heavy = {'pandas', 'pyspark', 'airflow', 'mlflow', 'sklearn', 'great_expectations', 'fastapi', 'polars'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
