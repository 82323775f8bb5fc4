"""The DAG files: a few lines for each project, written and removed as projects come and go."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

SUFFIX = ".dags.py"  # with its dot no module can be imported by this name, whatever the project is called

FILE = '''\
"""The Airflow DAGs of project {name}, made from its documents."""

from dags.projects import project_dags

project_dags({folder!a})
'''


def project_folders(projects: Path) -> list[Path]:
    """The projects in a folder: a project is a folder that holds `project.yaml`."""
    return sorted(document.parent for document in projects.glob("*/project.yaml"))


def write_dag_files(projects: Iterable[Path], target: Path) -> None:
    """Make `target` hold the DAG file of each of the projects, and of no other.

    A project with an illegal name gets a file that says so. Each file is replaced atomically, and only when it changes,
    so that several processes may do this at once. Its modification time is that of the project's newest document:
    Airflow reads a file again at once when its time has changed.
    """
    target.mkdir(parents=True, exist_ok=True)
    folders = {f"{_plain(folder)}{SUFFIX}": folder for folder in projects}
    for file, folder in folders.items():
        _write(target / file, FILE.format(name=_plain(folder), folder=str(folder)), _last_change(folder))
    for found in target.glob(f"*{SUFFIX}"):
        if found.name not in folders:
            found.unlink(missing_ok=True)


def _plain(folder: Path) -> str:
    """The name of a project's folder if it is legal, else with its odd characters escaped."""
    return quote(os.fsencode(folder.name), safe="")


def _last_change(folder: Path) -> int:
    times = [0]
    for path in [folder, *(path for kind in ("*.yaml", "*.sql", "*.py") for path in folder.rglob(kind))]:
        with suppress(OSError):  # a file that has gone meanwhile, or a link to nowhere
            times.append(path.stat().st_mtime_ns)
    return max(times)


def _write(file: Path, text: str, changed: int) -> None:
    if file.is_file() and file.stat().st_mtime_ns == changed and file.read_bytes() == text.encode():
        return
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(text)
    os.utime(new, ns=(changed, changed))
    new.replace(file)
