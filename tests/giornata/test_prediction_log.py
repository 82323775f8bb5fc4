"""The files of the prediction log: closing by rename, adoption after death, mending, putting away."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giornata.errors import StoreError
from giornata.names import InvalidNameError
from giornata.prediction_log import (
    OpenSegment,
    close_abandoned,
    closed_segments,
    collecting,
    cut_tail,
    has_segments,
    model_folder,
    models_with_segments,
    prune,
    put_away,
    torn_tail,
    waiting_bytes,
)

WRITER = """
import sys
from pathlib import Path
from giornata.prediction_log import OpenSegment
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


def open_files():
    return psutil.Process().num_fds()


@pytest.mark.parametrize("fails", ["flock", "rename"])
def test_a_segment_that_cannot_be_opened_leaves_neither_a_descriptor_nor_a_file(tmp_path, monkeypatch, fails):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    before = open_files()
    monkeypatch.setattr(*{"flock": (fcntl, "flock", fail), "rename": (Path, "rename", fail)}[fails])
    for _ in range(3):
        with pytest.raises(StoreError, match="No locks available"):
            OpenSegment(tmp_path)
    assert open_files() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails", ["fsync", "rename"])
def test_a_segment_that_cannot_be_closed_holds_no_descriptor_and_is_closed_by_whoever_comes_next(
    tmp_path, monkeypatch, fails
):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    before = open_files()
    segment = OpenSegment(tmp_path)
    segment.write(b"one\n")
    monkeypatch.setattr(*{"fsync": (os, "fsync", fail), "rename": (Path, "rename", fail)}[fails])
    with pytest.raises(StoreError, match="Input/output error"):
        segment.close()
    monkeypatch.undo()
    assert open_files() == before
    (closed,) = close_abandoned(tmp_path)
    assert closed.read_bytes() == b"one\n"


LIMITED = """
import os, resource, sys
from pathlib import Path
from giornata.errors import StoreError
from giornata.prediction_log import OpenSegment

segment = OpenSegment(Path(sys.argv[1]))
segment.write(b"whole\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))  # of a file's bytes: the kernel itself refuses the eleventh
if sys.argv[2] == "torn":
    def refuse(file, size):
        raise OSError(5, "Input/output error")
    os.ftruncate = refuse
for _ in range(2):
    try:
        segment.write(b"broken\\n")
    except StoreError as error:
        print(error)
segment.close()
"""


@pytest.mark.parametrize("state", ["mended", "torn"])
def test_a_line_that_the_disk_takes_half_of_is_removed_or_else_the_last_of_its_segment(tmp_path, state):
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), state], capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 0, ended.stderr
    (path,) = closed_segments(tmp_path)
    second = {"mended": "File too large", "torn": "ends in a broken line and takes no more"}[state]
    first_told, second_told = ended.stdout.splitlines()
    assert "File too large" in first_told
    assert second in second_told
    assert torn_tail(path) == {"mended": b"", "torn": b"brok"}[state]
    cut_tail(path, len(torn_tail(path)))
    assert path.read_bytes() == b"whole\n"


def test_a_file_that_was_never_opened_is_no_segment_and_goes_once_it_is_old(tmp_path):
    folder = model_folder(tmp_path, "flights/late")
    folder.mkdir(parents=True)
    old, fresh = folder / ".new-1.jsonl", folder / ".new-2.jsonl"
    old.touch()
    fresh.touch()
    os.utime(old, (0, 0))
    assert not has_segments(tmp_path, "flights")
    assert close_abandoned(folder) == []
    assert not old.exists()
    assert fresh.exists()


def test_what_dead_servers_left_in_a_folder_that_cannot_be_read_is_an_error_that_names_it(
    tmp_path, monkeypatch
):
    (tmp_path / "open-1.jsonl").touch()

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "open-1.jsonl"))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match=r"Permission denied: .*open-1\.jsonl"):
        close_abandoned(tmp_path)
    with pytest.raises(StoreError, match="cannot collect"), collecting(tmp_path):
        pass


def test_only_what_was_collected_or_rejected_is_pruned_the_oldest_first(tmp_path):
    now = 1_000_000_000.0
    day = 86_400.0
    for place in ("collected", "rejected"):
        (tmp_path / place).mkdir()
        for age in range(10):
            path = tmp_path / place / f"segment-{age}.jsonl"
            path.write_bytes(b"x" * 100)
            os.utime(path, (now - age * day,) * 2)
    waiting = [tmp_path / "segment-1.jsonl", tmp_path / "open-1.jsonl", tmp_path / ".collecting"]
    for path in waiting:
        path.write_bytes(b"x" * 5000)
        os.utime(path, (0, 0))

    def kept(place):
        return sorted(path.stem[-1] for path in (tmp_path / place).iterdir())

    assert prune(tmp_path, timedelta(days=7), 10**6, now) == 4
    assert kept("collected") == kept("rejected") == list("01234567")
    assert prune(tmp_path, timedelta(days=7), 650, now) == 10
    assert kept("collected") == kept("rejected") == list("012")
    assert prune(tmp_path, timedelta(days=7), 650, now) == 0
    assert all(path.exists() for path in waiting)
    assert prune(tmp_path / "nowhere", timedelta(days=7), 0, now) == 0


def test_a_segment_is_as_old_as_the_moment_it_was_collected(tmp_path):
    segment = OpenSegment(tmp_path)
    segment.write(b"one\n")
    path = segment.close()
    os.utime(path, (0, 0))  # the job came late
    put_away([path])
    assert prune(tmp_path, timedelta(days=7), 100) == 0
    assert (tmp_path / "collected" / path.name).exists()


def test_bytes_that_wait_are_those_of_open_and_closed_segments(tmp_path):
    folder = model_folder(tmp_path, "flights/late")
    (folder / "collected").mkdir(parents=True)
    for name, size in {"open-1": 1, "segment-1": 10, ".new-1": 100, "collected/segment-2": 1000}.items():
        (folder / f"{name}.jsonl").write_bytes(b"x" * size)
    (folder / ".collecting").write_bytes(b"x" * 10_000)
    assert waiting_bytes(tmp_path) == 11
    assert waiting_bytes(tmp_path / "nowhere") == 0


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
