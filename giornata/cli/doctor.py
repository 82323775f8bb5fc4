"""The command `giornata doctor`: examines every server, folder and clock of the installation."""

import logging

import typer

from giornata.doctor import WRONG, examine
from giornata.settings import load_settings

__all__ = ["app"]

app = typer.Typer(no_args_is_help=False)


@app.command()
def doctor() -> None:
    """Try every server, folder and clock that the settings name, and say what to mend; exit code 1 if anything is."""
    # What the driver would log is in what is found.
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    settings = load_settings()
    wrong = 0
    for finding in examine(settings):
        wrong += finding.state == WRONG
        typer.echo(f"{finding.state:<7} {finding.what:<20} {finding.told}")
        if finding.remedy:
            typer.echo(f"{'':<28} → {finding.remedy}")
    if wrong:
        typer.echo(f"\n{wrong} thing{'' if wrong == 1 else 's'} to mend", err=True)
        raise typer.Exit(1)
