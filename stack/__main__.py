"""The command line of the local stack: `python -m stack up|down|status|logs`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from giornata.errors import GiornataError
from giornata.settings import load_settings
from stack.control import Stack
from stack.errors import StackError
from stack.installation import AIRFLOW_PASSWORDS, installation
from stack.services import with_needed
from stack.sql import prompt, run_file

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

Services = Annotated[list[str] | None, typer.Argument(help="Names of services; all when left out.")]


@app.command()
def up(services: Services = None) -> None:
    """Start the stack, or some services and what they need; those that run are left alone."""
    stack = _stack()
    stack.up(services or None)
    variables = stack.installation.variables()
    logins = " or ".join(f"{user}/{password}" for user, password in AIRFLOW_PASSWORDS.items())
    if not services or "airflow" in with_needed(services, stack.services):
        print(f"Airflow: {variables['GIORNATA_AIRFLOW']} (login {logins})")
    print(f"Settings of this stack: {stack.installation.home / 'giornata.env'}")


@app.command()
def down() -> None:
    """Stop the stack; its data stays."""
    _stack().down()


@app.command()
def status() -> None:
    """Show the state of each service; the exit status is 1 unless all of them answer."""
    table = Table("service", "state", "answers", "address", "memory", box=None)
    statuses = _stack().status()
    for line in statuses:
        answers = "yes" if line.is_ready else line.answer or "no"
        table.add_row(line.service, line.state, answers, line.address, f"{line.memory / 2**20:.0f} MB")
    Console().print(table)
    raise typer.Exit(0 if all(line.is_ready for line in statuses) else 1)


@app.command()
def logs(
    services: Services = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines arrive.")] = False,
) -> None:
    """Show the end of the services' logs."""
    stack = _stack()
    for name in services or []:
        if name not in stack.services:
            raise StackError(f"there is no service {name!r}; the services are {', '.join(stack.services)}")
    files = [str(file) for name in services or stack.services if (file := stack.log_file(name)).is_file()]
    if not files:
        raise StackError(f"there are no logs in {stack.installation.logs}: nothing was started there yet")
    os.execvp("tail", ["tail", *(["-F"] if follow else []), "-n", "30", *files])


@app.command()
def sql(
    file: Annotated[Path | None, typer.Argument(help="A file to run; a prompt when left out.")] = None,
    project: Annotated[
        str | None, typer.Option(help="In a ready query, instead of the example's project.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="In a ready query, instead of the example's model.")
    ] = None,
) -> None:
    """Open an SQL prompt on the Spark Thrift Server, or run a file on it."""
    here = installation()
    settings = load_settings(here.variables())
    if file is None:
        raise typer.Exit(prompt(here, settings.hiveserver))
    run_file(settings, file, project or None, model or None)


def _stack() -> Stack:
    return Stack(installation(), tell=_print_line)


def _print_line(line: str) -> None:
    # In one piece: several services report at once.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the command line; an expected error ends with its message and exit status 1."""
    os.umask(0o077)  # logs, mails and data are their user's alone
    try:
        app()
    except GiornataError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
