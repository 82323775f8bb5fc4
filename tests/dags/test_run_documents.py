"""Which documents a run reads, and what becomes of them when others are written meanwhile."""

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dags.files import project_folders
from dags.run_documents import run_documents
from dags.versions import folders_of, keep_version
from giornata.documents import load_project
from giornata.documents.snapshots import KEPT, changed_at

Write = Callable[..., Path]


@pytest.fixture
def projects(tmp_path: Path, write_project: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("shops", "trains"):
        write_project(tmp_path / "projects" / name)
    monkeypatch.setenv("GIORNATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIORNATA_PROJECTS", str(tmp_path / "projects"))
    return tmp_path / "projects"


def run(asked: datetime, **values: Any) -> SimpleNamespace:
    """A run by hand that was asked for at a moment, and starts an hour later."""
    defaults = {
        "dag_id": "shops.amount.train",
        "run_id": "manual__1",
        "run_type": "manual",
        "clear_number": 0,
    }
    return SimpleNamespace(
        **{**defaults, "run_after": asked, "start_date": asked + timedelta(hours=1), **values}
    )


def depth(folder: str | Path) -> int:
    """What the search of the model is told in the documents of a folder of projects."""
    search = load_project(Path(folder) / "shops").model("amount").search
    assert search
    return search.trials


def edit(projects: Path, trials: int) -> datetime:
    """Write another number of trials; returns a moment at which that is known to be the newest change."""
    before = changed_at(projects / "shops")
    document = projects / "shops" / "models" / "amount.yaml"
    deadline = time.monotonic() + 10
    while changed_at(projects / "shops") == before:  # the clock of files has ticks
        assert time.monotonic() < deadline
        document.write_text(document.read_text().replace("trials: 7", f"trials: {trials}"))
    return datetime.now(UTC)


def test_all_tasks_of_a_run_read_what_was_there_when_it_was_asked_for(projects: Path, tmp_path: Path) -> None:
    asked = datetime.now(UTC)
    first = run_documents(projects / "shops", run(asked))
    assert depth(first) == 7
    edit(projects, 3)
    assert run_documents(projects / "shops", run(asked)) == first, "a retry, and the next task"
    assert depth(first) == 7
    assert depth(run_documents(projects / "shops", run(datetime.now(UTC), run_id="manual__2"))) == 3
    # Who clears a run wants what is there now.
    again = run(asked, clear_number=1, start_date=datetime.now(UTC))
    assert depth(run_documents(projects / "shops", again)) == 3
    assert Path(first).parent == tmp_path / "home" / "documents"


def test_a_run_that_waited_reads_what_was_there_before_it_waited(projects: Path, tmp_path: Path) -> None:
    store = tmp_path / "home" / "documents"
    version = keep_version(store, project_folders(projects))
    asked = datetime.now(UTC)
    edit(projects, 3)
    (made_of,) = [folder for folder in folders_of(store, version) or () if folder.name == "shops"]
    assert depth(run_documents(made_of, run(asked))) == 7
    # One by the clock is asked for when it starts, which may be days after its moment.
    late = run(
        asked - timedelta(days=3), run_type="scheduled", run_id="scheduled", start_date=datetime.now(UTC)
    )
    assert depth(run_documents(made_of, late)) == 3


def test_what_was_written_just_before_counts_though_airflow_has_not_read_it_yet(
    projects: Path, tmp_path: Path
) -> None:
    store = tmp_path / "home" / "documents"
    version = keep_version(store, project_folders(projects))
    asked = edit(projects, 3)
    (made_of,) = [folder for folder in folders_of(store, version) or () if folder.name == "shops"]
    assert depth(run_documents(made_of, run(asked))) == 3


def test_a_run_goes_on_when_its_project_goes(projects: Path, tmp_path: Path) -> None:
    store = tmp_path / "home" / "documents"
    version = keep_version(store, project_folders(projects))
    shutil.rmtree(projects / "shops")
    (made_of,) = [folder for folder in folders_of(store, version) or () if folder.name == "shops"]
    assert depth(run_documents(made_of, run(datetime.now(UTC)))) == 7
    assert keep_version(store, project_folders(projects)) != version


def test_a_version_is_what_is_in_the_documents(projects: Path, tmp_path: Path) -> None:
    store = tmp_path / "home" / "documents"
    version = keep_version(store, project_folders(projects))
    os.utime(projects / "shops" / "project.yaml", (1, 1))
    assert keep_version(store, project_folders(projects)) == version
    edit(projects, 3)
    assert keep_version(store, project_folders(projects)) != version
    assert folders_of(store, "unknown") is None


def test_old_versions_and_runs_go(projects: Path, tmp_path: Path) -> None:
    store = tmp_path / "home" / "documents"
    version = keep_version(store, project_folders(projects))
    run_documents(projects / "shops", run(datetime.now(UTC)))
    (trains,) = [folder for folder in folders_of(store, version) or () if folder.name == "trains"]
    long_ago = time.time() - KEPT.total_seconds() - 60
    for path in [*store.iterdir(), *(store / "runs").iterdir(), *(store / "versions").iterdir()]:
        os.utime(path, (long_ago, long_ago), follow_symlinks=False)
    edit(projects, 3)
    newer = keep_version(store, project_folders(projects))
    assert folders_of(store, version) is None
    assert trains in (folders_of(store, newer) or ()), "the current version needs it, too"
    assert not list((store / "runs").iterdir())
    assert len(list(store.iterdir())) == 4, "a copy of each project, and the folders of runs and versions"
