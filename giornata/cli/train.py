"""The command `giornata train`: the job of a training DAG, run from the command line."""

import getpass
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from giornata.documents.snapshots import snapshot
from giornata.errors import SettingsError
from giornata.names import parse_model_name
from giornata.settings import Settings, load_settings
from giornata.spark_submit import SHORT_LIVED_JVM, check_program, command, with_shared_classes

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

ROOT = Path(__file__).resolve().parents[2]

# A job that is told to end does so within 20 seconds of hearing it, and may have to be started before it hears.
END_SECONDS = 60.0


@app.command()
def train(
    model: Annotated[str, typer.Argument(help="The model, as project/model.")],
    by: Annotated[str, typer.Option(default_factory=getpass.getuser, help="Who does it; by default you.")],
    as_of: Annotated[
        str | None,
        typer.Option(help="The day (00:00 UTC) that the periods are counted back from; by default today."),
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Size of the search, instead of the document's.")] = None,
    parameters: Annotated[str, typer.Option(help="A JSON object, over the document's parameters.")] = "{}",
    executors: Annotated[int | None, typer.Option(help="Instead of the document's.")] = None,
    cores: Annotated[int | None, typer.Option(help="Of each executor, instead of the document's.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Of each executor, such as 2g, instead of the document's.")
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="Of each executor, instead of the document's.")] = None,
) -> None:
    """Train a version of a model: the job of its DAG, with its output and its exit code. Ctrl-C cancels it.

    Nothing is deployed. What is wrong with the order is said before Spark is started. The documents are read as they
    are now, whatever is edited meanwhile.
    """
    check_program()
    version = str(uuid.uuid4())
    asked = {"executors": executors, "cores": cores, "memory": memory, "gpus": gpus}
    resources = {name: value for name, value in asked.items() if value is not None}
    order = ["--model", model, "--as-of", as_of or f"{datetime.now(UTC):%Y-%m-%d}", "--uuid", version]
    order += ["--trained-by", by, "--parameters", parameters, "--resources", json.dumps(resources)]
    order += [] if trials is None else ["--trials", str(trials)]
    settings = load_settings()
    copied = _copied(settings, model)
    if code := _run(
        [sys.executable, "-m", "jobs.training.request", *order], _environment(settings, settings.projects)
    ):
        raise typer.Exit(code)
    code = _run(command("train", order, f"train {model}"), _environment(settings, copied))
    if code:
        typer.echo(f"\nNo version was made by run {version}: `giornata runs {model}` shows it.", err=True)
        raise typer.Exit(code)
    typer.echo(f"\nVersion {version} is trained: `giornata show {version}` shows it.")


@app.command(name="training-data")
def training_data(
    model: Annotated[str, typer.Argument(help="The model, as project/model.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    as_of: Annotated[
        str | None,
        typer.Option(help="The day (00:00 UTC) that the periods are counted back from; by default today."),
    ] = None,
) -> None:
    """Write the rows that a model learns from into a file: keys, period, label, what is read, features.

    The rows are those of a training as of that day; nothing is trained.
    """
    check_program()
    if not out.absolute().parent.is_dir():
        raise SettingsError(f"there is no folder {out.absolute().parent} to write {out.name} into")
    asked = [
        "--model",
        model,
        "--as-of",
        as_of or f"{datetime.now(UTC):%Y-%m-%d}",
        "--out",
        str(out.absolute()),
    ]
    settings = load_settings()
    environment = _environment(settings, _copied(settings, model))
    submit = command("export_training_data", asked, f"training data of {model}")
    if code := _run(submit, environment):
        raise typer.Exit(code)


def _copied(settings: Settings, model: str) -> Path:
    """The folder of projects for the job to read: a copy of the model's project as it is now."""
    folder = settings.projects / parse_model_name(model).project
    if not (folder / "project.yaml").is_file():
        return settings.projects  # the check of the order says what is missing
    return snapshot(settings.documents, folder).parent


def _environment(settings: Settings, projects: Path) -> dict[str, str]:
    """The environment variables that a job needs to find its servers, its code and its Python, from any folder."""
    folders = {"SPARK_CONF_DIR": settings.home / "conf", "HADOOP_CONF_DIR": settings.home / "conf" / "hadoop"}
    local = {"SPARK_LOCAL_IP": "127.0.0.1"} if settings.spark_master.startswith("local") else {}
    return {
        **{name: str(folder) for name, folder in folders.items() if folder.is_dir()},
        **local,
        "SPARK_SUBMIT_OPTS": with_shared_classes(SHORT_LIVED_JVM),
        **os.environ,
        **settings.variables,
        "GIORNATA_PROJECTS": str(projects),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
    }


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command in the installation's folder to its end and return its exit code.

    A signal that ends this process ends the command first: its process group gets SIGINT, which all its processes
    except the job itself ignore. So the JVM that runs the job exists until the job has recorded its end.
    """
    told: list[int] = []
    heard = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in heard}
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child inherits this
    try:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
        for number in heard:
            signal.signal(number, lambda number, frame: told.append(number))
        last = float("inf")
        while (code := _ended(process)) is None:
            if told:
                last = min(last, time.monotonic() + END_SECONDS)
                # Again and again: at first there may be nobody yet who hears it.
                os.killpg(process.pid, signal.SIGINT if time.monotonic() < last else signal.SIGKILL)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if told:
        return 128 + told[0]
    return code if code >= 0 else 128 - code


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(0.5)
    except subprocess.TimeoutExpired:
        return None
