"""The files of the prediction log: closing by rename, adoption after death, mending, putting away."""

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giornata.errors import StoreError
from giornata.names import InvalidNameError
from giornata.segments import (
    OpenSegment,
    close_abandoned,
    closed_segments,
    collecting,
    cut_tail,
    has_segments,
    model_folder,
    models_with_segments,
    put_away,
    torn_tail,
)

WRITER = """
import sys
from pathlib import Path
from giornata.segments import OpenSegment
segment = OpenSegment(Path(sys.argv[1]))
segment.write(b'{"a": 1}\\n')
print(segment.path.name, flush=True)
sys.stdin.read()
"""


def test_a_segment_is_seen_by_readers_only_when_it_is_closed(tmp_path):
    segment = OpenSegment(tmp_path)
    segment.write(b"one\n")
    assert closed_segments(tmp_path) == []
    path = segment.close()
    assert closed_segments(tmp_path) == [path]
    assert path.read_bytes() == b"one\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name]


def test_the_segment_of_a_living_process_is_left_alone_and_that_of_a_killed_one_closed(tmp_path):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    name = writer.stdout.readline().strip()
    assert close_abandoned(tmp_path) == []
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=30)
    (closed,) = close_abandoned(tmp_path)
    assert closed.name == name.replace("open-", "segment-")
    assert closed.read_bytes() == b'{"a": 1}\n'
    assert close_abandoned(tmp_path) == []


def test_a_write_that_fails_leaves_no_part_of_its_lines(tmp_path, monkeypatch):
    segment = OpenSegment(tmp_path)
    segment.write(b"whole\n")
    real, calls = os.write, []

    def disk_is_full_after_three_bytes(file, data):
        calls.append(file)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(file, bytes(data)[:3])

    monkeypatch.setattr(os, "write", disk_is_full_after_three_bytes)
    with pytest.raises(StoreError, match="No space left"):
        segment.write(b"broken\n")
    monkeypatch.undo()
    segment.write(b"again\n")
    assert segment.close().read_bytes() == b"whole\nagain\n"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write the prediction log in .*file"):
        OpenSegment(tmp_path / "file")


@given(st.binary(max_size=40), st.integers(0, 20_000))
def test_the_torn_tail_is_what_follows_the_last_newline(tmp_path_factory, content, filler):
    path = tmp_path_factory.mktemp("segments") / "segment-1.jsonl"
    whole = content + b"x" * filler
    path.write_bytes(whole)
    tail = whole.split(b"\n")[-1]
    assert torn_tail(path) == tail
    cut_tail(path, len(tail))
    assert path.read_bytes() == whole[: len(whole) - len(tail)]
    assert torn_tail(path) == b""


def test_models_are_found_by_their_folders(tmp_path):
    for model in ("flights/late", "flights/trip_minutes", "rides/late"):
        OpenSegment(model_folder(tmp_path, model)).close()
    assert models_with_segments(tmp_path, "flights") == ["flights/late", "flights/trip_minutes"]
    assert models_with_segments(tmp_path, "trains") == []
    with pytest.raises(InvalidNameError):
        model_folder(tmp_path, "flights/..")


def test_a_project_has_segments_until_they_are_collected(tmp_path):
    folder = model_folder(tmp_path, "flights/late")
    assert not has_segments(tmp_path, "flights")
    segment = OpenSegment(folder)
    assert has_segments(tmp_path, "flights")
    segment.write(b"one\n")
    segment.close()
    assert has_segments(tmp_path, "flights")
    assert not has_segments(tmp_path, "trains")
    put_away(closed_segments(folder))
    assert not has_segments(tmp_path, "flights")


def test_collected_segments_are_kept_beside_the_others(tmp_path):
    segment = OpenSegment(tmp_path)
    segment.write(b"one\n")
    path = segment.close()
    put_away([path])
    assert closed_segments(tmp_path) == []
    assert (tmp_path / "collected" / path.name).read_bytes() == b"one\n"


def test_one_process_at_a_time_collects_a_folder(tmp_path):
    second = collecting(tmp_path)
    with collecting(tmp_path), pytest.raises(StoreError, match="another run is collecting"):
        second.__enter__()
    with collecting(tmp_path):
        assert closed_segments(tmp_path) == []
