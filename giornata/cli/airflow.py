"""The command `giornata run`: starts a stage of a project's chain in Airflow, and follows it with `--wait`."""

import difflib
import enum
import uuid
from typing import Annotated

import typer
from rich.console import Console

from giornata.airflow_api import AirflowApi, AirflowError, Run
from giornata.days import days
from giornata.documents import ProjectDocuments
from giornata.documents.load import load_or_problems
from giornata.documents.resources import read_overrides
from giornata.errors import NotFoundError
from giornata.names import check_project_name, dag_id
from giornata.settings import Settings, load_settings

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

LIMIT_HOURS = 24.0


class ChainStage(enum.StrEnum):
    """The stages of a project's chain, in order."""

    ingest = "ingest"
    features = "features"
    score = "score"
    monitor = "monitor"


@app.command(name="run")
def run_stage(
    stage: Annotated[ChainStage, typer.Argument(help="Which part of the chain.")],
    project: Annotated[str, typer.Argument(help="The project.")],
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day, UTC, such as 2013-11-01.")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="Day after the last.")],
    groups: Annotated[
        str | None, typer.Option(help="Only these feature groups, a,b (of `features`; by default all).")
    ] = None,
    resources: Annotated[
        str | None,
        typer.Option(help="A JSON object, over the documents' resources: executors, cores, memory."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show its progress to the end; exit code 1 when it fails.")
    ] = False,
    hours: Annotated[
        float, typer.Option(min=0.01, help="With --wait: how long to follow it at most.")
    ] = LIMIT_HOURS,
) -> None:
    """Run a part of a project's chain in Airflow for a range of days; the parts after it follow by themselves.

    The run goes on in Airflow when this command ends, also by Ctrl-C. Airflow is asked as GIORNATA_AIRFLOW_USER.
    """
    settings = load_settings()
    dag = dag_id(check_project_name(project), stage.value)
    conf: dict[str, object] = {"from": first, "to": last}
    if resources is not None:
        try:
            conf["resources"] = read_overrides(resources)
        except ValueError as error:
            raise typer.BadParameter(f"--resources: {error}") from error
    days(first, last)
    if groups is not None:
        if stage is not ChainStage.features:
            raise typer.BadParameter("only `giornata run features` has --groups")
        conf["groups"] = _known_groups(settings, project, groups)
    airflow = AirflowApi.of(settings)
    try:
        _check(airflow, dag)
        started = airflow.start(dag, f"command__{uuid.uuid4()}", conf)
        typer.echo(f"{dag}: run {started.run_id}, see {airflow.run_url(started)}")
        if wait:
            _follow(airflow, started, hours * 3600)
    finally:
        airflow.close()


def _known_groups(settings: Settings, project: str, names: str) -> list[str]:
    """The feature groups named in a text. Raises NotFoundError for one that the project lacks, if its documents are
    here."""
    groups = [name for name in names.split(",") if name]
    folder = settings.projects / project
    documents = load_or_problems(folder) if folder.is_dir() else None
    if isinstance(documents, ProjectDocuments):
        for name in groups:
            documents.group(name)
    return groups


def _check(airflow: AirflowApi, dag: str) -> None:
    """Raise if Airflow has no such DAG, with the reason if it has one, or if it would not run it."""
    known = {found["dag_id"]: found for found in airflow.dags()}
    if dag in known:
        if known[dag]["is_paused"]:
            raise AirflowError(
                f"{dag} is paused in Airflow, so that a run would wait: unpause it there first"
            )
        return
    project = dag.partition(".")[0]
    errors = [
        error
        for error in airflow.import_errors()
        if error["filename"].rpartition("/")[2] == f"{project}.dags.py"
    ]
    if errors:
        raise NotFoundError(f"the documents of {project} are broken:\n{errors[0]['stack_trace']}")
    ours = sorted(name for name in known if name.startswith(f"{project}."))
    if ours:
        raise NotFoundError(f"Airflow has no DAG {dag}; of {project} it has {', '.join(ours)}")
    projects = {name.partition(".")[0] for name in known}
    near = difflib.get_close_matches(project, projects, 1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(projects)) or 'none'}"
    raise NotFoundError(f"Airflow has no DAG of a project {project}; {hint}")


def _follow(airflow: AirflowApi, run: Run, seconds: float) -> None:
    """Show the progress of a run until it ends. Raises AirflowError with the end of the log if it fails."""
    console = Console(highlight=False)
    shown = ""

    def progress(line: str) -> None:
        nonlocal shown
        if line != shown:
            shown = line
            console.print(f"  {line}", markup=False, overflow="ellipsis", no_wrap=True)

    try:
        ended = airflow.wait(run, progress, seconds)
    except KeyboardInterrupt:
        typer.echo(f"\nno longer followed; {run.dag_id} goes on: {airflow.run_url(run)}", err=True)
        raise typer.Exit(130) from None
    console.print(f"{ended.dag_id}: {ended.state}", markup=False)
