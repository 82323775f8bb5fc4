"""The prediction log: what a line says, which rows are logged, and that nothing is lost or waited for."""

import errno
import fcntl
import json
import os
import threading
from datetime import UTC, datetime

import pytest

from giornata.prediction_log import OpenSegment, closed_segments
from giornata.scorer import Prediction
from giornata.serving import prediction_log
from giornata.serving.metrics import Metrics
from giornata.serving.prediction_log import Entry, LogSpace, PredictionLog, is_logged, log_lines
from giornata.serving.requests import PredictRequest

AT = datetime(2013, 11, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)


def entry(*identities, model="flights/late", share=1.0, tag="production", size=100):
    number = len(identities)
    request = PredictRequest(
        [{"distance": 719.5, "origin": None, "sched_dep": AT, "weather__wind": 0.1} for _ in range(number)],
        [{"flight_id": f"UA-{identity}"} for identity in identities],
        [AT] * number,
    )
    predictions = [Prediction(0.1 + 0.2, "dest=Boston", "dest")] * number
    return Entry(model, "3f0c", tag, share, NOW, request, list(identities), predictions, size)


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


def test_what_waits_is_bounded_in_bytes_of_requests_too(tmp_path, metrics):
    log = PredictionLog(tmp_path, metrics, queue_bytes=1000)
    for identity, size in (("one", 600), ("two", 401), ("three", 400)):
        log.append(entry(identity, size=size))
    log.start()
    log.stop()
    assert [line["prediction_id"] for line in lines_in(tmp_path / "flights/late")] == ["one", "three"]
    assert count(metrics, "giornata_log_dropped_rows_total", {"reason": "full"}) == 1


def test_a_folder_that_is_full_drops_the_newest_and_takes_more_once_it_was_collected(tmp_path):
    folder = tmp_path / "flights/late"
    (folder / "collected").mkdir(parents=True)
    waiting = folder / "segment-1.jsonl"
    waiting.write_bytes(b"x" * 60)
    (folder / "collected/segment-0.jsonl").write_bytes(b"x" * 1000)  # waits for nobody
    room = LogSpace(tmp_path, 100)
    assert room.take(40, 0.0)
    assert not room.take(1, 1.0)
    waiting.unlink()
    assert not room.take(1, 2.0)  # a full folder is measured now and then, not for every row
    assert room.take(100, 20.0)
    assert not room.take(1, 21.0)
    waiting.write_bytes(b"x" * 60)
    assert not room.take(41, 1000.0)  # what others have written meanwhile
    assert room.take(40, 1001.0)


def test_rows_for_which_the_folder_has_no_room_are_dropped_and_counted(tmp_path, metrics, caplog):
    log = PredictionLog(tmp_path, metrics, folder_bytes=len(log_lines(entry("one"))[0]) + 10)
    log.append(entry("one"))
    log.append(entry("two", "three", model="flights/trip_minutes"))
    log.start()
    log.stop()
    assert [line["prediction_id"] for line in lines_in(tmp_path / "flights/late")] == ["one"]
    assert lines_in(tmp_path / "flights/trip_minutes") == []
    assert count(metrics, "giornata_log_dropped_rows_total", {"reason": "bound"}) == 2
    assert "holds as many bytes as it may" in caplog.text


def stepwise(log):
    """Do what the writing thread does in one round, here and now."""
    log._write_waiting()


def test_a_line_that_can_be_neither_written_nor_removed_ends_its_segment_and_no_other(
    tmp_path, metrics, monkeypatch
):
    log = PredictionLog(tmp_path, metrics)
    log.append(entry("one"))
    stepwise(log)
    real = os.write

    def half(file, data):
        monkeypatch.setattr(os, "write", full)
        return real(file, bytes(data)[: len(data) // 2])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    monkeypatch.setattr(os, "ftruncate", full)
    log.append(entry("two"))
    stepwise(log)
    monkeypatch.undo()
    log.append(entry("three"))
    log.start()
    assert log.is_alive()
    log.stop()
    texts = [path.read_bytes() for path in closed_segments(tmp_path / "flights/late")]
    lines = {text: text.split(b"\n") for text in texts}
    whole = sorted(json.loads(line)["prediction_id"] for found in lines.values() for line in found[:-1])
    assert whole == ["one", "three"]
    assert sorted(len(found[-1]) > 0 for found in lines.values()) == [
        False,
        True,
    ]  # one segment has a torn tail
    assert count(metrics, "giornata_log_dropped_rows_total", {"reason": "disk"}) == 1
    assert count(metrics, "giornata_log_rows_total") == 2


def test_a_disk_that_takes_nothing_leaves_no_empty_segments(tmp_path, metrics, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log = PredictionLog(tmp_path, metrics)
    log.start()
    log.append(entry("one"))
    log.stop()
    monkeypatch.undo()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert count(metrics, "giornata_log_dropped_rows_total", {"reason": "disk"}) == 1


class Unwritable:
    """A value that no line of JSON can hold."""


def test_whatever_fails_the_writer_goes_on(tmp_path, metrics, monkeypatch, caplog):
    log = PredictionLog(tmp_path, metrics)
    log.start()
    broken = entry("one", "two")
    broken.request.rows[0]["distance"] = Unwritable()
    nameless = entry("three", model="../../etc")
    log.append(broken)
    log.append(nameless)
    log.append(entry("four"))
    failed = threading.Event()

    def fail(_):
        failed.set()
        raise ZeroDivisionError

    monkeypatch.setattr(log, "_close_due", fail)
    assert failed.wait(30)
    monkeypatch.undo()
    assert log.is_alive()
    log.append(entry("five"))
    log.stop()
    assert [line["prediction_id"] for line in lines_in(tmp_path / "flights/late")] == ["four", "five"]
    assert count(metrics, "giornata_log_dropped_rows_total", {"reason": "unwritable"}) == 2
    assert count(metrics, "giornata_log_dropped_rows_total", {"reason": "disk"}) == 1
    assert "goes on after an error of its own" in caplog.text


def test_a_folder_of_a_dead_server_that_cannot_be_read_keeps_nobody_from_starting(
    tmp_path, metrics, monkeypatch, caplog
):
    (tmp_path / "flights/late").mkdir(parents=True)
    (tmp_path / "flights/late/open-dead.jsonl").touch()

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    log = PredictionLog(tmp_path, metrics)
    log.start()
    log.stop()
    assert "No locks available" in caplog.text


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
