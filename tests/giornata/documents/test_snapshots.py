"""Copies of projects by what is in them."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from giornata.documents.snapshots import KEPT, changed_at, digest_of, prune, snapshot
from giornata.errors import StoreError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "projects" / "shop"
    for path, text in {
        "project.yaml": "description: A shop\n",
        "features/visits.sql": "SELECT 1\n",
        "tables/visits.py": "from ..data import rows\n",
        "tables/__pycache__/visits.pyc": "bytes",
        "data/rows.csv": "1,2\n",
        ".git/config.yaml": "hidden",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def test_a_copy_stays_what_it_was(project: Path, tmp_path: Path) -> None:
    copy = snapshot(tmp_path / "kept", project)
    assert copy == tmp_path / "kept" / digest_of(copy) / "shop"
    (project / "features" / "visits.sql").write_text("SELECT 2\n")
    (project / "project.yaml").unlink()
    assert (copy / "features" / "visits.sql").read_text() == "SELECT 1\n"
    assert (copy / "project.yaml").read_text() == "description: A shop\n"
    # Data is not copied, and what Python, git or an editor keeps is nobody's.
    assert (copy / "data" / "rows.csv").read_text() == "1,2\n"
    assert (copy / "data").is_symlink()
    assert sorted(path.name for path in copy.rglob("*")) == [
        "data", "features", "project.yaml", "tables", "visits.py", "visits.sql",
    ]  # fmt: skip


def test_equal_documents_are_one_copy(project: Path, tmp_path: Path) -> None:
    first = snapshot(tmp_path / "kept", project)
    (project / "data" / "rows.csv").write_text("3,4\n")
    os.utime(project / "project.yaml", (1, 1))
    assert snapshot(tmp_path / "kept", project) == first
    assert snapshot(tmp_path / "kept", first) == first, "a copy of a copy is the copy"
    (project / "features" / "visits.sql").write_text("SELECT 2\n")
    assert snapshot(tmp_path / "kept", project) != first
    (project / "features" / "visits.sql").write_text("SELECT 1\n")
    assert snapshot(tmp_path / "kept", project) == first
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_a_change_is_seen_whatever_times_files_claim(project: Path) -> None:
    before = datetime.now(UTC)
    for path in ("project.yaml", "features/visits.sql"):
        os.utime(project / path, (1, 1))
    assert before - timedelta(seconds=1) < changed_at(project) <= datetime.now(UTC)
    was = changed_at(project)
    deadline = time.monotonic() + 10
    while changed_at(project) == was:  # the clock of files has ticks
        assert time.monotonic() < deadline
        (project / "features" / "new.sql").touch()
        (project / "features" / "new.sql").unlink()


def test_what_no_run_has_asked_for_goes_after_a_while(project: Path, tmp_path: Path) -> None:
    store = tmp_path / "kept"
    old = snapshot(store, project)
    (project / "features" / "visits.sql").write_text("SELECT 2\n")
    used = snapshot(store, project)
    (project / "features" / "visits.sql").write_text("SELECT 3\n")
    new = snapshot(store, project)
    long_ago = time.time() - KEPT.total_seconds() - 60
    for copy in (old, used):
        os.utime(copy.parent, (long_ago, long_ago))
    (store / "link").symlink_to(new)
    os.utime(store / "link", (long_ago, long_ago), follow_symlinks=False)
    prune(store, {digest_of(used)})
    assert not (store / "link").is_symlink()
    assert [copy.is_dir() for copy in (old, used, new)] == [False, True, True]
    prune(tmp_path / "nowhere", ())


def test_a_folder_that_cannot_be_read_or_written_is_named(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=f"{project} cannot be kept in {tmp_path / 'file'} for a run"):
        snapshot(tmp_path / "file", project)
    with pytest.raises(StoreError, match="nowhere cannot be kept"):
        snapshot(tmp_path / "kept", tmp_path / "nowhere")
