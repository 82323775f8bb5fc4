"""`giornata check` prints every problem readably and tells by its exit code whether all is well."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from giornata.cli import main as cli

pytestmark = pytest.mark.processes

PROJECTS = Path(__file__).parents[3] / "projects"


def giornata(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from giornata.cli.main import main; main()", *arguments]
    path = str(PROJECTS.parent)
    return subprocess.run(
        command,
        cwd=cwd,
        # With the state folder of all tests, what Great Expectations once took is remembered.
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "GIORNATA_HOME": os.environ["GIORNATA_HOME"]}
        | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of projects: flights, and a copy of it with two mistakes called broken."""
    for name in ("flights", "broken"):
        shutil.copytree(
            PROJECTS / "flights", tmp_path / "projects" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    model = tmp_path / "projects" / "broken" / "models" / "late.yaml"
    text = model.read_text().replace("seats: store.plane.seats", "seats: store.plane.seat")
    model.write_text(text.replace("owner: flights-team", "ower: flights-team"))
    model = tmp_path / "projects" / "broken" / "models" / "trip_minutes.yaml"
    model.write_text(model.read_text().replace("distance: row.distance", "distance: row.distanc"))
    return tmp_path


def test_the_version_is_that_of_the_distribution(tmp_path):
    stated = tomllib.loads((PROJECTS.parent / "pyproject.toml").read_text())["project"]["version"]
    done = giornata("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"giornata {stated}\n")


NULL_COUNTS = "".join(
    f"  models/{model}.yaml: where no row is known, carrier_arrivals is null and not 0: "
    "write coalesce(…, 0) where 0 is meant\n"
    for model in ("cancelled", "late")
)
"""What the check says of the example, whose trees learn from a count that is null, too."""


def test_check_prints_every_problem_and_the_healthy_neighbours(root):
    done = giornata("check", cwd=root)
    assert done.returncode == 1
    assert done.stderr == (
        "Deployed versions were not compared: no stack is set up here (GIORNATA_CASSANDRA is not set)\n"
    )
    assert done.stdout == (
        "broken: 3 problems\n"
        "\n"
        "projects/broken/models/late.yaml:1:1: the key 'owner' is missing\n"
        "\n"
        "projects/broken/models/late.yaml:2:1: unknown key 'ower' (did you mean 'owner'?)\n"
        "    ower: flights-team\n"
        "    ^^^^\n"
        "\n"
        "projects/broken/models/trip_minutes.yaml:9:13: the row has no column 'distanc' "
        "(did you mean row.distance?)\n"
        "      distance: row.distanc\n"
        "                ^^^^^^^^^^^\n"
        "\n"
        "flights: ok (7 tables, 9 feature groups, 9 models)\n" + NULL_COUNTS
    )


def test_check_one_project(root):
    done = giornata("check", "projects/flights", cwd=root)
    assert (done.returncode, done.stdout) == (
        0,
        "flights: ok (7 tables, 9 feature groups, 9 models)\n" + NULL_COUNTS,
    )


def test_check_knows_the_parameters_of_the_model_types(root):
    model = root / "projects" / "flights" / "models" / "late.yaml"
    model.write_text(model.read_text().replace("  max_depth: 6", "  max_dept: 6"))
    done = giornata("check", "projects/flights", cwd=root)
    assert done.returncode == 1
    assert done.stdout == (
        "flights: 1 problem\n"
        "\n"
        "projects/flights/models/late.yaml:36:3: xgboost has no parameter 'max_dept'; did you mean max_depth?\n"
        "      max_dept: 6\n"
        "      ^^^^^^^^\n"
        "\n"
    )


def test_check_finds_the_projects_by_the_setting(root):
    done = giornata("check", cwd=root.parent, GIORNATA_PROJECTS=str(root / "projects"))
    assert done.returncode == 1
    assert "flights: ok" in done.stdout


def test_check_without_projects_says_so(tmp_path):
    done = giornata("check", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: there is no folder of projects at projects\n"


def test_an_unknown_project_is_a_message_not_a_traceback(tmp_path):
    done = giornata("check", "nowhere", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no project folder at ")
    assert "Traceback" not in done.stderr


def test_check_says_that_cassandra_does_not_answer_and_does_not_fail(root):
    done = giornata("check", "projects/flights", cwd=root, GIORNATA_CASSANDRA="127.0.0.1:9")
    assert (done.returncode, done.stdout) == (
        0,
        "flights: ok (7 tables, 9 feature groups, 9 models)\n" + NULL_COUNTS,
    )
    assert done.stderr.startswith(
        "Deployed versions were not compared: Cassandra at 127.0.0.1:9 does not answer"
    )
    assert done.stderr.count("\n") == 1


def test_check_does_not_wait_for_a_cassandra_that_hangs(root, cassandra_proxy):
    cassandra_proxy.stall()
    done = giornata("check", "projects/flights", cwd=root, GIORNATA_CASSANDRA=cassandra_proxy.address)
    assert done.returncode == 0
    assert done.stderr.startswith(
        f"Deployed versions were not compared: Cassandra at {cassandra_proxy.address}"
    )


def test_check_tells_which_old_versions_of_groups_may_go(root, monkeypatch):
    """What is live is stubbed: the cases are in `tests/giornata/catalogue`, the stores in `tests/jobs/online`."""
    features = root / "projects" / "flights" / "features"
    for suffix in (".yaml", ".sql"):
        shutil.copy(features / f"plane{suffix}", features / f"plane.v2{suffix}")
    monkeypatch.chdir(root)
    monkeypatch.setattr(cli, "live_now", lambda projects: [])
    done = CliRunner().invoke(cli.app, ["check", "projects/flights"])
    assert (done.exit_code, done.output) == (
        0,
        "flights: ok (7 tables, 10 feature groups, 9 models)\n"
        f"{NULL_COUNTS}"
        "  features/plane.yaml has a newer version, features/plane.v2.yaml, and no live version reads it: "
        "it may be removed, with its source\n",
    )


def test_check_tries_out_the_vectorised_functions(root):
    shutil.rmtree(root / "projects" / "broken")
    file = root / "projects" / "flights" / "udfs.py"
    file.write_text(file.read_text().replace("nearness > 0.0", "nearness > 0.5"))
    done = giornata("check", cwd=root)
    assert done.returncode == 1
    assert done.stdout.startswith(
        "flights: 1 problem\n\nprojects/flights/udfs.py:14:1: rush_columns gives 0.0 where rush gives 0."
    )
