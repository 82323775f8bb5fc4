"""Tries out a wheel as those who install it do, outside of the repository: `python -m stack.release WHEEL`.

On a stack of its own, with the jobs of the installed wheel, the project of the tutorial is loaded and its model
trained; an environment that holds nothing but the library answers the version's self-test.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from giornata.settings import load_settings
from giornata.stores import cassandra
from giornata.stores.repository import Repository
from stack.control import Stack
from stack.errors import StackError
from stack.installation import REPOSITORY, Installation
from stack.ports import free_ports
from stack.services import STORES

PROJECT, MODEL = "deliveries", "deliveries/minutes"
FIRST, AFTER = "2024-03-01", "2024-03-22"

# A job of the installed wheel, by the command that DAGs and `giornata train` use.
_SUBMIT = """\
import subprocess, sys
from giornata.spark_submit import command
sys.exit(subprocess.run(command(sys.argv[1], sys.argv[2:], sys.argv[1])).returncode)
"""

_SCORE = """\
import importlib.util, sys
from pathlib import Path
from giornata.bundle import open_bundle
from giornata.scorer import Scorer
for absent in ("pyspark", "pandas", "sklearn", "airflow"):
    assert importlib.util.find_spec(absent) is None, f"{absent} is here"
bundle = open_bundle(Path(sys.argv[1]))
Scorer(bundle).check_self_test()
print(f"{len(bundle.self_test)} rows of the self-test have their answers, without Spark, pandas and scikit-learn")
"""


@dataclass(frozen=True)
class Environment:
    """A Python environment in a folder of its own."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def install(self, wheel: Path, *extras: str) -> None:
        """Make it and install the wheel with these extras, in the versions of the repository's lock."""
        uv = str(Path(sys.executable).parent / "uv")
        wanted = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(self.folder)])
        locked = ["--constraint", str(REPOSITORY / "requirements.txt")]
        _run([uv, "pip", "install", "--quiet", "--python", str(self.python), *locked, wanted])


def main(arguments: Sequence[str]) -> None:
    """Try out the wheel. Raises CalledProcessError where a step fails."""
    wheel = Path(arguments[0]).resolve()
    folder = Path(tempfile.mkdtemp(prefix="giornata-release-", dir="/tmp"))
    stack = Stack(Installation(folder / "home", free_ports(), projects=folder / "projects"))
    try:
        write_tutorial(folder / "projects")
        jobs, library = Environment(folder / "jobs"), Environment(folder / "library")
        jobs.install(wheel, "jobs")
        library.install(wheel)
        for environment in (jobs, library):
            _run([str(environment.folder / "bin" / "giornata"), "--version"], folder)
        stack.up(STORES)
        bundle = folder / "version.bundle"
        bundle.write_bytes(train(jobs, stack.installation, folder))
        _run([str(library.python), "-c", _SCORE, str(bundle)], folder)
    finally:
        stack.down()
        shutil.rmtree(folder)
    print(f"{wheel.name} trains and scores")


def write_tutorial(projects: Path) -> None:
    """Write the project that docs/tutorial.md makes."""
    page = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8").split("\n## Run it\n")[0]
    files = re.findall(
        rf"^`({PROJECT}/[\w./]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
    )
    for name, text in files:
        (projects / name).parent.mkdir(parents=True, exist_ok=True)
        (projects / name).write_text(text, encoding="utf-8")


def train(jobs: Environment, installation: Installation, folder: Path) -> bytes:
    """Fill the stores, train as somebody does who has the wheel and the stack's settings, and give the bundle."""
    days = ["--from", FIRST, "--to", AFTER]
    environment = installation.environment()
    # What is of the repository, or of its Python alone.
    del environment["PYTHONPATH"], environment["SPARK_SUBMIT_OPTS"]
    environment |= {
        "GIORNATA_HOME": str(installation.home),
        "PATH": f"{jobs.python.parent}{os.pathsep}{environment['PATH']}",
        "PYSPARK_PYTHON": str(jobs.python),
    }
    submit = [str(jobs.python), "-c", _SUBMIT]
    _run([*submit, "ingest", "--project", PROJECT, *days], folder, environment)
    _run([*submit, "materialize", "--project", PROJECT, *days], folder, environment)
    own = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "GIORNATA_HOME": str(installation.home)}
    _run([str(jobs.folder / "bin" / "giornata"), "train", MODEL, "--as-of", AFTER], folder, own)
    with cassandra.session(load_settings({"GIORNATA_HOME": str(installation.home)})) as session:
        repository = Repository(session)
        versions = repository.list(MODEL)
        if len(versions) != 1:
            raise StackError(f"{MODEL} has {len(versions)} versions instead of the one that was trained")
        return repository.bundle(versions[0].uuid)


def _run(
    command: Sequence[str], folder: Path | None = None, environment: dict[str, str] | None = None
) -> None:
    subprocess.run(command, cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
