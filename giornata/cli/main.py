"""The command line `giornata`: checks documents, and adds the commands that query the stores."""

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dsl import CompiledFeatures
from giornata.bundle import open_bundle
from giornata.catalogue.deployed import deployed_problems, superseded
from giornata.catalogue.versions import LiveVersion
from giornata.cli import features, init, train
from giornata.cli.live import NotReachedError, live_now
from giornata.documents import ModelSpec, ProjectDocuments, compile_model, load_project, load_projects
from giornata.documents.counts import null_counts
from giornata.documents.dry_run import try_out
from giornata.documents.load import load_or_problems
from giornata.documents.queries import can_read_queries, query_findings
from giornata.documents.text_files import shown_path
from giornata.documents.yaml_positions import Place, YamlFile
from giornata.errors import DocumentErrors, GiornataError, NotFoundError, Problem
from giornata.explain import explained
from giornata.names import parse_model_name
from giornata.settings import HOME

app = typer.Typer(
    name="giornata",
    help="Machine-learning projects as documents: check them, look at models, deploy them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"giornata {metadata.version('giornata')}")
        raise typer.Exit


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    """Keeps `check` a subcommand even if no other command is installed."""


@app.command()
def check(
    projects: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders of projects; all in $GIORNATA_PROJECTS (else ./projects) if none is given."
        ),
    ] = None,
) -> None:
    """Check the documents of projects and print everything that is wrong in them.

    The Python files of a project are imported, vectorised functions are compared with their scalar form on random rows,
    Great Expectations is asked about the arguments of expectations, and the columns of queries are looked up. What
    live versions of the models read must still be there, if Cassandra can be asked which these are; it is told, too,
    which old versions of feature groups none of them reads any more, and which counts of events are null where 0 may
    be expected.
    """
    results = _load(projects)
    sound = [result for result in results.values() if isinstance(result, ProjectDocuments)]
    live, reason = _live([documents.name for documents in sound])
    trials = try_out(sound, _memory())
    skipped = trials.skipped + ([] if can_read_queries() else ["queries: sqlglot is not installed here"])
    broken = 0
    for name, result in results.items():
        if isinstance(result, DocumentErrors):
            broken += 1
            typer.echo(_report(name, result.problems))
            continue
        found = [*trials.findings[name], *(query_findings(result) if can_read_queries() else ())]
        certain = sorted({each.problem for each in found if each.certain})
        if problems := [*_parameter_problems(result), *certain, *deployed_problems(result, live)]:
            broken += 1
            typer.echo(_report(name, problems))
        else:
            typer.echo(_summary(result))
            for line in [*null_counts(result), *([] if reason else superseded(result, live))]:
                typer.echo(f"  {line}")
        for warning in sorted({each.problem for each in found if not each.certain}):
            typer.echo(f"warning: {warning}", err=True)
    if reason:
        typer.echo(f"Deployed versions were not compared: {reason}", err=True)
    for each in skipped:
        typer.echo(f"Not checked: {each}", err=True)
    if broken:
        raise typer.Exit(1)


@app.command()
def explain(
    model: Annotated[str, typer.Argument(help="The model, as project/model.")],
    row: Annotated[
        str | None,
        typer.Option(help="A row as JSON, by the names of the inputs; its values at every step are shown."),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="A trained version's bundle, instead of the model's document.")
    ] = None,
) -> None:
    """Show what a model reads, and every step of its expressions with types and, for a row, values."""
    name = parse_model_name(model)
    if bundle is None:
        documents = load_project(Path(os.environ.get("GIORNATA_PROJECTS", "projects")) / name.project)
        features, partition = compile_model(documents, name.name)
    else:
        features, partition = _of_bundle(bundle, str(name))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 80)
    console.print(explained(str(name), features, partition, row))


def _of_bundle(path: Path, model: str) -> tuple[CompiledFeatures, CompiledFeatures | None]:
    opened = open_bundle(path)
    if opened.version.model != model:
        raise NotFoundError(f"{path} is a version of {opened.version.model}, not of {model}")
    partition = CompiledFeatures.from_json(dict(opened.partition)) if opened.partition else None
    return CompiledFeatures.from_json(dict(opened.features)), partition


def _load(folders: list[Path] | None) -> dict[str, ProjectDocuments | DocumentErrors]:
    if not folders:
        root = Path(os.environ.get("GIORNATA_PROJECTS", "projects"))
        found = load_projects(root)
        if not found:
            raise GiornataError(f"there is no project in {root}: a project is a folder with a project.yaml")
        return found
    return {folder.resolve().name: load_or_problems(folder) for folder in folders}


def _live(projects: list[str]) -> tuple[list[LiveVersion], str]:
    """The live versions of projects, and why they are unknown, if they are."""
    try:
        return (live_now(projects) if projects else []), ""
    except NotReachedError as error:
        return [], str(error)


def _memory() -> Path | None:
    """The file in this installation's state folder that remembers results between checks, if there is such a folder."""
    home = os.environ.get(HOME)
    return Path(home).absolute() / "checked_expectations.json" if home else None


def _parameter_problems(documents: ProjectDocuments) -> Iterator[Problem]:
    """Mistakes in the models' parameters and search spaces; classes of a project are checked elsewhere."""
    for name, model in documents.models.items():
        if not model.class_:
            path = documents.folder / "models" / f"{name}.yaml"
            file = YamlFile.read(path, shown_path(path))
            for place, message in _wrong_parameters(model):
                yield file.key_problem(place, message)


def _wrong_parameters(model: ModelSpec) -> Iterator[tuple[Place, str]]:
    """Mistakes in each parameter and dimension by itself; if there are none, in all of them together."""
    from giornata.models import model_type
    from giornata.models.base import ParameterError

    type_, space = model_type(model.type), model.search.space if model.search else {}
    right = True
    for place, parameters, dimensions in [
        *((("parameters", key), {key: value}, {}) for key, value in model.parameters.items()),
        *((("search", "space", key), {}, {key: dimension}) for key, dimension in space.items()),
        (("parameters",), model.parameters, space),
    ]:
        if len(place) == 1 and not right:
            return
        try:
            type_.check(parameters, dimensions)
        except ParameterError as error:
            right = False
            yield place, str(error)


def _summary(documents: ProjectDocuments) -> str:
    counts = (
        (len(documents.tables), "table"),
        (len(documents.groups), "feature group"),
        (len(documents.models), "model"),
    )
    shown = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
    return f"{documents.name}: ok ({shown})"


def _report(name: str, problems: Sequence[object]) -> str:
    count = len(problems)
    return "\n".join(
        [f"{name}: {count} problem{'' if count == 1 else 's'}", "", *(f"{each}\n" for each in problems)]
    )


def _mount_model_commands() -> None:
    """Add the commands about models if their libraries are installed; the other commands need none of them."""
    if all(importlib.util.find_spec(library) for library in ("cassandra", "httpx", "pyhive")):
        from giornata.cli import doctor, example, models, runs

        app.add_typer(doctor.app)
        app.add_typer(models.app)
        app.add_typer(runs.app)
        app.add_typer(example.app)


def main() -> None:
    """Run the command line; a user's mistake ends with its message and exit code 1."""
    app.add_typer(init.app)
    app.add_typer(features.app)
    app.add_typer(train.app)
    if importlib.util.find_spec("httpx"):
        from giornata.cli import airflow

        app.add_typer(airflow.app)
    _mount_model_commands()
    try:
        app()
    except GiornataError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
