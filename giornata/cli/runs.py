"""The command `giornata runs`: training runs, including those that produced no version."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from giornata.documents.described import check_is_described
from giornata.errors import NotFoundError
from giornata.names import parse_model_name
from giornata.settings import load_settings
from giornata.stores.cassandra import session
from giornata.stores.training_runs import TrainingRun, TrainingRuns

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

WIDTH = 80


@app.command()
def runs(
    model: Annotated[str | None, typer.Argument(help="Only this model, as project/model.")] = None,
) -> None:
    """List the runs of training, newest first: how far each is, or how and why it ended."""
    settings, name = load_settings(), parse_model_name(model) if model else None
    with session(settings) as cassandra:
        found = TrainingRuns(cassandra).list(str(name) if name else None)
    if not found:
        if name:
            check_is_described(settings.projects, name)
        raise NotFoundError(f"no training of {name or 'any model'} was started yet")
    now = datetime.now(UTC)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    for number, run in enumerate(found):
        if number:
            console.print()
        print_run(console, run, now)


def print_run(console: Console, run: TrainingRun, now: datetime) -> None:
    """A run in a few lines; `now` is the moment for which to decide whether it has been silent for too long."""
    console.print(Text.assemble((run.model, "bold"), "  ", state(run, now)), overflow="fold")
    about = [f"{run.uuid}  started {_moment(run.started_at)} by {run.trained_by}", run.stage, run.reason]
    for line in filter(None, about):
        console.print(Padding(Text(line, overflow="fold"), (0, 0, 0, 2), expand=False))


def state(run: TrainingRun, now: datetime) -> str:
    """The state of a run in words, with a remark if it has been silent for too long."""
    if not run.silent(now):
        return run.state
    return f"running?  no news since {_moment(run.updated_at)}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
