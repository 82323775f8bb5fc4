"""The command line `giornata`: checks documents, and mounts the commands that need the stores."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from giornata.documents import ProjectDocuments, load_project, load_projects
from giornata.documents.load import shown_path
from giornata.errors import DocumentErrors, GiornataError

app = typer.Typer(
    name="giornata",
    help="Machine-learning projects as documents: check them, look at models, deploy them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _group() -> None:
    """Keeps `check` a command of its own even where no other command is installed."""


@app.command()
def check(
    projects: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders of projects; all in $GIORNATA_PROJECTS (else ./projects) if none is given."
        ),
    ] = None,
) -> None:
    """Check the documents of projects and print everything that is wrong in them."""
    results = _load(projects)
    broken = 0
    for name, result in results.items():
        if isinstance(result, DocumentErrors):
            broken += 1
            typer.echo(_report(name, result.problems))
        elif problems := _parameter_problems(result):
            broken += 1
            typer.echo(_report(name, problems))
        else:
            typer.echo(_summary(result))
    if broken:
        raise typer.Exit(1)


def _load(folders: list[Path] | None) -> dict[str, ProjectDocuments | DocumentErrors]:
    if not folders:
        root = Path(os.environ.get("GIORNATA_PROJECTS", "projects"))
        found = load_projects(root)
        if not found:
            raise GiornataError(f"there is no project in {root}: a project is a folder with a project.yaml")
        return found
    results: dict[str, ProjectDocuments | DocumentErrors] = {}
    for folder in folders:
        try:
            results[folder.resolve().name] = load_project(folder)
        except DocumentErrors as errors:
            results[folder.resolve().name] = errors
    return results


def _parameter_problems(documents: ProjectDocuments) -> list[str]:
    """What the models' types say of their parameters and search spaces."""
    from giornata.models import model_type
    from giornata.models.base import ParameterError

    problems = []
    for name, model in documents.models.items():
        try:
            model_type(model.type).check(model.parameters, model.search.space if model.search else {})
        except ParameterError as error:
            problems.append(f"{shown_path(documents.folder / 'models' / f'{name}.yaml')}: {error}")
    return problems


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
    """Add the commands about models where their libraries are installed; `check` needs none of them."""
    if importlib.util.find_spec("cassandra") and importlib.util.find_spec("giornata.cli_models"):
        from giornata import cli_models

        app.add_typer(cli_models.app)


def main() -> None:
    """Run the command line; a user's mistake ends with its message and exit code 1."""
    _mount_model_commands()
    try:
        app()
    except GiornataError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
