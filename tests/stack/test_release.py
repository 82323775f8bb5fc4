"""What the wheel holds, and what it asks for. Training and scoring with it is `make release`."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from stack.installation import REPOSITORY
from stack.release import write_tutorial

PACKAGES = ("dags", "dsl", "giornata", "jobs", "sql")


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files of the tree below the folders that are installed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [file for file in listed.stdout.splitlines() if (REPOSITORY / file).is_file()]


@pytest.fixture(scope="module")
def wheel(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of the tree, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    for file in (*tracked, "pyproject.toml", "README.md", "LICENSE"):
        (folder / "tree" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / file, folder / "tree" / file)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(folder)], cwd=folder / "tree", capture_output=True, check=True
    )
    (built,) = folder.glob("giornata-*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_every_file_of_its_folders(tracked: list[str], wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == set(tracked)
    assert {
        "jobs/train.py",
        "jobs/runtime/log4j2.properties",
        "dags/projects.py",
        "sql/hive/model_metrics.sql",
        "sql/cassandra/giornata.cql",
        "dsl/py.typed",
        "giornata/py.typed",
    } <= held


def test_a_job_finds_its_tables_beside_itself(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    found = (
        "from jobs import check_consistency as job, monitor; from jobs.online import push; "
        "from giornata.stores import cassandra; from giornata import spark_submit as submit; "
        "print(job.TABLE, monitor.METRICS_TABLE, push.SCHEMA, cassandra.SCHEMA / 'giornata.cql', submit.LOG4J)"
    )
    said = subprocess.run(
        [sys.executable, "-c", found], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(said) == 5
    for file in map(Path, said):
        assert file.is_relative_to(tmp_path)
        assert file.is_file()


def test_what_is_pinned_is_pinned_alike() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = (REPOSITORY / "requirements.in").read_text().splitlines()
    locked = {
        found.name: found
        for line in lines
        if line and not line.startswith("#")
        for found in [Requirement(line)]
    }
    asked = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    for requirement in map(Requirement, asked):
        known = locked.get(requirement.name)
        if known and known.specifier and requirement.specifier:
            assert requirement.specifier == known.specifier, requirement.name


def test_the_tutorials_project_is_what_is_trained(tmp_path: Path) -> None:
    write_tutorial(tmp_path)
    assert (tmp_path / "deliveries" / "models" / "minutes.yaml").is_file()
    assert (tmp_path / "deliveries" / "tables" / "orders.py").is_file()
