"""The prediction log: what a line says, which rows are logged, and that nothing is lost or waited for."""

import json
import threading
from datetime import UTC, datetime

import pytest

from giornata.scorer import Prediction
from giornata.segments import OpenSegment, closed_segments
from giornata.serving import prediction_log
from giornata.serving.metrics import Metrics
from giornata.serving.prediction_log import Entry, PredictionLog, is_logged, log_lines
from giornata.serving.requests import PredictRequest

AT = datetime(2013, 11, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)


def entry(*identities, model="flights/late", share=1.0, tag="production"):
    number = len(identities)
    request = PredictRequest(
        [{"distance": 719.5, "origin": None, "sched_dep": AT, "weather__wind": 0.1} for _ in range(number)],
        [{"flight_id": f"UA-{identity}"} for identity in identities],
        [AT] * number,
    )
    predictions = [Prediction(0.1 + 0.2, "dest=Boston", "dest")] * number
    return Entry(model, "3f0c", tag, share, NOW, request, list(identities), predictions)


def lines_in(folder):
    return [json.loads(line) for path in closed_segments(folder) for line in path.read_text().splitlines()]


def count(metrics, name, labels=None):
    return metrics.registry.get_sample_value(name, labels or {})


@pytest.fixture
def metrics():
    return Metrics()


def test_a_line_says_what_was_asked_when_and_what_was_answered():
    (line,) = log_lines(entry("one"))
    assert line.endswith(b"\n")
    assert json.loads(line) == {
        "prediction_id": "one",
        "model": "flights/late",
        "uuid": "3f0c",
        "tag": "production",
        "part": "dest=Boston",
        "level": "dest",
        "prediction": 0.1 + 0.2,
        "event_time": "2013-11-01T12:00:00+00:00",
        "predicted_at": "2026-02-03T04:05:06.789012+00:00",
        "key": {"flight_id": "UA-one"},
        "inputs": '{"distance":719.5,"origin":null,"sched_dep":"2013-11-01T12:00:00+00:00",'
        '"weather__wind":0.1}',
    }
    assert json.loads(log_lines(entry("one", tag=None))[0])["tag"] is None


def test_every_entry_is_in_a_closed_segment_of_its_model_once_the_log_is_stopped(tmp_path, metrics):
    log = PredictionLog(tmp_path, metrics)
    log.start()
    for number in range(50):
        log.append(entry(f"a{number}", f"b{number}"))
        log.append(entry(f"c{number}", model="flights/trip_minutes"))
    log.stop()
    late = [line["prediction_id"] for line in lines_in(tmp_path / "flights/late")]
    assert late == [f"{letter}{number}" for number in range(50) for letter in "ab"]
    assert len(lines_in(tmp_path / "flights/trip_minutes")) == 50
    assert not list(tmp_path.glob("**/open-*"))
    assert count(metrics, "giornata_log_rows_total") == 150


def test_segments_close_by_themselves_while_the_server_goes_on(tmp_path, metrics, monkeypatch):
    closed = threading.Event()
    close = OpenSegment.close

    def close_and_tell(segment):
        path = close(segment)
        closed.set()
        return path

    monkeypatch.setattr(OpenSegment, "close", close_and_tell)
    log = PredictionLog(tmp_path, metrics)
    log.start()
    log.append(entry("one"))
    assert closed.wait(30)
    assert [line["prediction_id"] for line in lines_in(tmp_path / "flights/late")] == ["one"]
    log.stop()


def test_a_full_queue_drops_whole_requests_and_counts_their_rows(tmp_path, metrics):
    log = PredictionLog(tmp_path, metrics, queue_rows=3)
    log.append(entry("one", "two"))
    log.append(entry("three", "four"))
    log.append(entry("five"))
    log.start()
    log.stop()
    assert [line["prediction_id"] for line in lines_in(tmp_path / "flights/late")] == ["one", "two", "five"]
    assert count(metrics, "giornata_log_dropped_rows_total", {"reason": "full"}) == 2


def test_a_folder_that_cannot_be_written_drops_and_counts_and_the_others_go_on(tmp_path, metrics, caplog):
    (tmp_path / "flights").mkdir()
    (tmp_path / "flights/late").touch()
    log = PredictionLog(tmp_path, metrics)
    log.start()
    log.append(entry("one"))
    log.append(entry("two", model="flights/trip_minutes"))
    log.stop()
    assert count(metrics, "giornata_log_dropped_rows_total", {"reason": "disk"}) == 1
    assert [line["prediction_id"] for line in lines_in(tmp_path / "flights/trip_minutes")] == ["two"]
    assert "predictions are not logged until this is mended" in caplog.text


def test_a_start_closes_what_a_dead_server_left_open(tmp_path, metrics):
    folder = tmp_path / "flights/late"
    folder.mkdir(parents=True)
    (folder / "open-dead.jsonl").write_text('{"prediction_id": "old"}\n')
    log = PredictionLog(tmp_path, metrics)
    log.start()
    log.stop()
    assert lines_in(folder) == [{"prediction_id": "old"}]


def test_the_logged_share_goes_by_key_and_is_about_as_large_as_stated():
    keys = [{"flight_id": f"UA-{number}"} for number in range(4000)]
    logged = [is_logged(key, "any", 0.25) for key in keys]
    assert 900 < sum(logged) < 1100
    assert logged == [is_logged(key, "another", 0.25) for key in keys]
    assert not any(is_logged(key, "any", 0.0) for key in keys)
    assert all(is_logged(key, "any", 1.0) for key in keys)
    without_key = [is_logged({"flight_id": None}, f"p{number}", 0.25) for number in range(4000)]
    assert 900 < sum(without_key) < 1100
    assert len(log_lines(entry(*map(str, range(100)), share=0.25))) < 50


def test_writing_waits_for_nobody(tmp_path, metrics, monkeypatch):
    """A disk that hangs holds up the writer only: appending goes on, what waited is written afterwards."""
    hanging, resume = threading.Event(), threading.Event()
    write = OpenSegment.write

    def hang(segment, lines):
        hanging.set()
        assert resume.wait(30)
        write(segment, lines)

    monkeypatch.setattr(OpenSegment, "write", hang)
    monkeypatch.setattr(prediction_log, "POLL_SECONDS", 0.001)
    log = PredictionLog(tmp_path, metrics)
    log.start()
    log.append(entry("one"))
    assert hanging.wait(30)
    for number in range(1000):
        log.append(entry(str(number)))
    resume.set()
    log.stop()
    assert len(lines_in(tmp_path / "flights/late")) == 1001
