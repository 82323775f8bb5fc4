"""The documents of a run: as they were when it was requested, the same for all its tasks and their retries."""

import hashlib
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

from giornata.documents.snapshots import changed_at, snapshot
from giornata.settings import load_settings

__all__ = ["Run", "run_documents"]


class Run(Protocol):
    """The fields of Airflow's DAG run that are used here."""

    dag_id: str
    run_id: str
    run_type: str
    run_after: datetime
    start_date: datetime | None
    clear_number: int | None


def run_documents(folder: Path, run: Run) -> str:
    """The folder of projects for the jobs of a run: it holds a copy of the one project.

    `folder` are the documents from which the DAG was generated. They may be a few seconds old when a run is requested,
    so the project's folder as it is now is used if nothing has changed there since the request. Raises StoreError.
    """
    settings = load_settings()
    name = hashlib.sha256(f"{run.dag_id}\0{run.run_id}\0{run.clear_number or 0}".encode()).hexdigest()
    known = settings.documents / "runs" / name
    if not known.is_symlink():
        live = settings.projects / folder.name
        is_as_asked = (live / "project.yaml").is_file() and changed_at(live) <= _asked_at(run)
        copy = snapshot(settings.documents, live if is_as_asked else folder)
        known.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # a task that runs at the same time was first
            known.symlink_to(copy.parent)
    os.utime(known, follow_symlinks=False)
    return str(known.readlink())


def _asked_at(run: Run) -> datetime:
    """When somebody requested the run, or cleared it; for a scheduled run, when it starts, however late."""
    if run.start_date and (run.clear_number or run.run_type in ("scheduled", "backfill")):
        return run.start_date
    return min(run.run_after, run.start_date) if run.start_date else run.run_after
