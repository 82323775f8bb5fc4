"""The command `giornata init`: a new project to start from."""

from collections.abc import Iterator
from importlib import resources
from importlib.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from giornata.errors import SettingsError
from giornata.names import check_project_name

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

_SUFFIX = ".template"


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="The project's name: a folder is made of this name.")],
    folder: Annotated[
        Path, typer.Option("--in", help="Where to make it; the folder of projects, once it is whole.")
    ] = Path(),
) -> None:
    """Make a project that passes `giornata check`: two tables with made-up rows, a feature group, a model, a test.

    It is the project of the tutorial. Nothing is overwritten.
    """
    made = folder / check_project_name(name)
    if made.exists():
        raise SettingsError(f"{made} exists already, and nothing in it was changed: choose another name")
    for path, text in sorted(_files(resources.files("giornata") / "scaffold")):
        file = made / path.removesuffix(_SUFFIX)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        typer.echo(f"made {file}")
    typer.echo(f"\nNext: `giornata check {made}`. Put your own tables in place of the made-up ones.")


def _files(folder: Traversable, above: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of each file of the scaffold."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, f"{above}{entry.name}/")
        elif entry.name.endswith(_SUFFIX):
            yield f"{above}{entry.name}", entry.read_text(encoding="utf-8")
