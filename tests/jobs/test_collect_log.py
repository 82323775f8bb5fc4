"""Logged predictions in Hive: each once, whatever is killed, repeated, torn or broken on the way."""

import json
import os
import signal
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from giornata.documents import load_project
from giornata.errors import StoreError
from giornata.names import parse_model_name
from giornata.prediction_log import OpenSegment, collecting, model_folder
from giornata.scorer import Prediction
from giornata.serving.prediction_log import Entry, log_lines
from giornata.serving.requests import PredictRequest
from giornata.settings import Settings
from giornata.stores import hive
from jobs import collect_log
from jobs.collect_log import Collected, publish_segments, run, set_torn_tail_aside
from jobs.hive.publish import publish
from jobs.monitoring.prediction_table import PARTITIONS
from jobs.runtime.session import ROOT

pytestmark = pytest.mark.timeout(600)

VERSION = "0b7f7a5e-9d3c-4a51-9a3c-2f6f0a1d4c11"
START = datetime(2013, 11, 1, 22, 30, 0, 123456, tzinfo=UTC)
FILES = {
    "tables/rides.yaml": """
        description: Rides
        key: [ride, bike]
        event_time: begun_at
        columns: {ride: int, bike: str, begun_at: timestamp, distance: float}
    """,
    "tables/returns.yaml": """
        description: Returned bikes
        key: [ride, bike]
        event_time: returned_at
        columns: {ride: int, bike: str, returned_at: timestamp, minutes: float}
    """,
    "models/minutes.yaml": """
        description: Minutes of a ride
        owner: tests
        type: xgboost
        task: regression
        data: {table: rides, key: [ride, bike], event_time: begun_at}
        label: {table: returns, value: minutes, event_time: returned_at}
        split: {train: 30d, validation: 0.2, test: 7d}
        features: {distance: row.distance}
    """,
}


def lines(model: str, numbers: range, **changes: object) -> list[bytes]:
    """Lines as the server writes them: ride N began N hours after START and is predicted to take N.5 minutes."""
    written = []
    for number in numbers:
        request = PredictRequest(
            [{"distance": number / 3, "origin": "Žižkov"}],
            [{"ride": number, "bike": f"b{number}"}],
            [START + timedelta(hours=number)],
        )
        prediction = Prediction(number + 0.5, "city=Praha", "city")
        tag = "production" if number % 2 else None
        identity = str(uuid.UUID(int=number))
        entry = Entry(model, VERSION, tag, 1.0, START, request, [identity], [prediction], 100)
        line = json.loads(log_lines(entry)[0]) | changes
        written.append(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    return written


def segment(folder: Path, content: bytes) -> Path:
    opened = OpenSegment(folder)
    opened.write(content)
    return opened.close()


def expected(numbers: range) -> list[dict[str, object]]:
    return [
        {
            "ride": number,
            "bike": f"b{number}",
            "event_time": START + timedelta(hours=number),
            "prediction": number + 0.5,
            "prediction_id": str(uuid.UUID(int=number)),
            "predicted_at": START,
            "tag": "production" if number % 2 else None,
            "part": "city=Praha",
            "level": "city",
            "inputs": json.dumps(
                {"distance": number / 3, "origin": "Žižkov"}, separators=(",", ":"), ensure_ascii=False
            ),
            "day": f"{START + timedelta(hours=number):%Y-%m-%d}",
            "mode": "online",
            "model_uuid": VERSION,
        }
        for number in numbers
    ]


def rows(settings: Settings, project: str) -> list[dict[str, object]]:
    table = f"{project}.minutes_predictions"
    return hive.query(settings, f"SELECT * FROM {table} WHERE mode = 'online' ORDER BY ride, prediction_id")


@pytest.fixture
def settings(write_project, tmp_path: Path) -> Settings:
    written = write_project(FILES)
    variables = {**written.variables, "GIORNATA_PREDICTION_LOG": str(tmp_path / "log")}
    return Settings(written.home, variables)


@pytest.fixture
def model(project: str) -> str:
    return f"{project}/minutes"


@pytest.fixture
def folder(settings: Settings, model: str) -> Path:
    return model_folder(settings.prediction_log, model)


def test_predictions_are_in_hive_once_however_often_their_segments_come_back(
    spark: SparkSession, settings: Settings, project: str, model: str, folder: Path
) -> None:
    first = segment(folder, b"".join(lines(model, range(3))))
    second = segment(folder, b"".join(lines(model, range(2, 6))))  # ride 2 was logged twice
    (folder / "open-dead.jsonl").write_bytes(b"".join(lines(model, range(6, 7))))
    assert run(spark, settings, project) == [Collected(model, 3, 7, 7, 0, 0)]
    assert rows(settings, project) == expected(range(7))
    assert sorted(path.name for path in folder.glob("*.jsonl")) == []
    assert len(list((folder / "collected").iterdir())) == 3
    assert run(spark, settings, project) == []

    for path in (first, second):  # as a run leaves it that dies before it moves the segments
        (folder / "collected" / path.name).rename(path)
    segment(folder, b"".join(lines(model, range(7, 9))))
    assert run(spark, settings, project) == [Collected(model, 3, 8, 2, 0, 0)]
    assert rows(settings, project) == expected(range(9))


def test_batch_predictions_of_the_same_days_stay_as_they_are(
    spark: SparkSession, settings: Settings, project: str, model: str, folder: Path
) -> None:
    segment(folder, b"".join(lines(model, range(2))))
    run(spark, settings, project)
    table = f"{project}.minutes_predictions"
    batch = spark.table(table).selectExpr("* EXCEPT (mode)", "'batch' AS mode")
    publish(spark, batch, table, PARTITIONS, settings=settings)
    segment(folder, b"".join(lines(model, range(2, 4))))
    run(spark, settings, project)
    assert rows(settings, project) == expected(range(4))
    counted = hive.query(
        settings, f"SELECT mode, count(*) AS number FROM {table} GROUP BY mode ORDER BY mode"
    )
    assert counted == [{"mode": "batch", "number": 2}, {"mode": "online", "number": 4}]


def test_lines_that_cannot_be_read_are_kept_apart_and_reported(
    spark: SparkSession, settings: Settings, project: str, model: str, folder: Path, capsys
) -> None:
    bad = [
        b"{bad\n",
        b"\n",
        b"[]\n",
        b"null\n",
        *lines(model, range(10, 11), event_time="never"),
        *lines(model, range(11, 12), prediction="0.5"),
        *lines(model, range(12, 13), key={"ride": "twelve", "bike": "b12"}),
        *lines("other/minutes", range(13, 14)),
        *lines(model, range(14, 15), uuid="../../etc"),
        *lines(model, range(15, 16), prediction_id=None),
    ]
    (line,) = lines(model, range(3, 4))
    path = segment(folder, b"".join([*bad, *lines(model, range(3))]) + line[:-20])
    assert run(spark, settings, project) == [Collected(model, 1, 3, 3, len(bad), 1)]
    assert rows(settings, project) == expected(range(3))
    kept = (folder / "rejected" / path.name).read_bytes()
    assert sorted(kept.splitlines(keepends=True)) == sorted(bad)
    assert (folder / "rejected" / f"{path.stem}.torn").read_bytes() == line[:-20]
    assert f"{model}: 10 lines could not be read and 1 were cut off" in capsys.readouterr().out


def test_a_flood_of_days_is_kept_apart_and_the_days_of_true_questions_are_not(
    spark: SparkSession, settings: Settings, project: str, model: str, folder: Path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(collect_log, "MOST_PARTITIONS", 3)
    flood = [
        line
        for number in range(2, 40)
        for line in lines(
            model, range(number, number + 1), event_time=(START - timedelta(days=9 * number)).isoformat()
        )
    ]
    (next_day,) = lines(model, range(1, 2), event_time=(START + timedelta(days=1)).isoformat())
    path = segment(folder, b"".join([*flood, *lines(model, range(1)), next_day]))
    assert run(spark, settings, project) == [Collected(model, 1, 3, 3, 0, 0, 37)]
    days = {str(row["day"]) for row in rows(settings, project)}
    assert days == {"2013-11-01", "2013-11-02", f"{START - timedelta(days=18):%Y-%m-%d}"}
    kept = (folder / "rejected" / path.name).read_bytes()
    assert sorted(kept.splitlines(keepends=True)) == sorted(flood[1:])
    said = capsys.readouterr().out
    assert f"{model}: 37 predictions are about more days than the 3 that are nearest" in said
    assert "online: {moments" in said


def test_what_was_collected_and_rejected_goes_once_it_is_old_also_where_nothing_waits(
    settings: Settings, project: str, model: str, folder: Path, monkeypatch, capsys
) -> None:
    for name, value in settings.variables.items():
        monkeypatch.setenv(name, value)
    for place in ("collected", "rejected"):
        (folder / place).mkdir(parents=True)
        for name in ("old", "new"):
            (folder / place / f"segment-{name}.jsonl").touch()
        os.utime(folder / place / "segment-old.jsonl", (0, 0))
    monkeypatch.setattr(collect_log, "start", None)  # no Spark where nothing waits
    collect_log.main(["--project", project])
    assert sorted(path.name for path in folder.rglob("*.jsonl")) == ["segment-new.jsonl"] * 2
    assert f"{model}: 2 files of collected or rejected lines were old" in capsys.readouterr().out


def test_segments_of_a_model_without_a_document_stay_and_are_named(
    spark: SparkSession, settings: Settings, project: str, capsys
) -> None:
    gone = f"{project}/gone"
    path = segment(model_folder(settings.prediction_log, gone), b"".join(lines(gone, range(1))))
    assert run(spark, settings, project) == []
    assert path.exists()
    assert f"{gone}: 1 segments stay" in capsys.readouterr().out


def test_two_runs_at_once_are_refused(
    spark: SparkSession, settings: Settings, project: str, model: str, folder: Path
) -> None:
    path = segment(folder, b"".join(lines(model, range(1))))
    with collecting(folder), pytest.raises(StoreError, match="another run is collecting"):
        run(spark, settings, project)
    assert path.exists()


KILLED = """
import os, signal, sys
from jobs import collect_log

collect_log.put_away = lambda segments: os.kill(os.getpid(), signal.SIGKILL)
collect_log.main(["--project", sys.argv[1]])
"""


def test_a_run_killed_after_publishing_and_before_moving_its_segments_adds_nothing_twice(
    spark: SparkSession, settings: Settings, project: str, model: str, folder: Path, tmp_path: Path
) -> None:
    path = segment(folder, b"".join(lines(model, range(4))))
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    killed = subprocess.run(
        [sys.executable, str(script), project],
        env={**os.environ, **settings.variables, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        timeout=200,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert path.exists()
    assert rows(settings, project) == expected(range(4))
    spark.catalog.refreshTable(f"{project}.minutes_predictions")
    assert run(spark, settings, project) == [Collected(model, 1, 4, 0, 0, 0)]
    assert rows(settings, project) == expected(range(4))
    assert not path.exists()


def test_publishing_again_what_was_published_changes_nothing(
    spark: SparkSession, settings: Settings, project: str, model: str, folder: Path
) -> None:
    documents = load_project(settings.projects / project)
    path = segment(folder, b"".join(lines(model, range(4))))
    for new in (4, 0):
        collected = publish_segments(spark, settings, documents, parse_model_name(model), [path])
        assert collected == Collected(model, 1, 4, new, 0, 0)
        assert rows(settings, project) == expected(range(4))


def test_a_torn_tail_is_set_aside_once_also_after_a_kill_in_between(tmp_path: Path) -> None:
    path = tmp_path / "segment-1.jsonl"
    path.write_bytes(b'{"whole": 1}\n{"to')
    (tmp_path / "rejected").mkdir()
    (tmp_path / "rejected/segment-1.torn").write_bytes(b'{"to')  # kept, then killed before it was cut
    assert set_torn_tail_aside(path)
    assert not set_torn_tail_aside(path)
    assert path.read_bytes() == b'{"whole": 1}\n'
    assert (tmp_path / "rejected/segment-1.torn").read_bytes() == b'{"to'
