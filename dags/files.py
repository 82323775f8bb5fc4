"""The DAG files: a few lines for each project, written and removed as projects come and go."""

import os
from pathlib import Path

SUFFIX = ".dags.py"  # with its dot no module can be imported by this name, whatever the project is called

FILE = '''\
"""The Airflow DAGs of project {name}, made from the documents in {folder}."""

from dags.projects import project_dags

project_dags({folder!r})
'''


def write_dag_files(projects: Path, target: Path) -> None:
    """Make `target` hold the DAG file of every project in the folder `projects`, and of no other.

    A project is a folder that holds `project.yaml`. Each file is replaced atomically, and only when it
    changes, so that processes may do this at the same time. It is as old as the newest document of its
    project: Airflow reads a file again at once when its time has changed.
    """
    target.mkdir(parents=True, exist_ok=True)
    folders = {
        f"{document.parent.name}{SUFFIX}": document.parent for document in projects.glob("*/project.yaml")
    }
    for file, folder in folders.items():
        _write(target / file, FILE.format(name=folder.name, folder=str(folder)), _last_change(folder))
    for file in target.glob(f"*{SUFFIX}"):
        if file.name not in folders:
            file.unlink(missing_ok=True)


def _last_change(folder: Path) -> int:
    documents = (path for kind in ("*.yaml", "*.sql", "*.py") for path in folder.rglob(kind))
    return max(path.stat().st_mtime_ns for path in [folder, *documents])


def _write(file: Path, text: str, changed: int) -> None:
    if file.is_file() and file.stat().st_mtime_ns == changed and file.read_text() == text:
        return
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(text)
    os.utime(new, ns=(changed, changed))
    new.replace(file)
