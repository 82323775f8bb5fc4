"""The command `giornata example`: a request that a deployed version answers, as curl and as Python."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from giornata.bundle import open_bundle
from giornata.errors import NotFoundError
from giornata.example import example as made
from giornata.names import parse_model_name
from giornata.settings import load_settings
from giornata.stores.cassandra import session
from giornata.stores.deployments import Deployments
from giornata.stores.online_history import covered_days
from giornata.stores.repository import Repository

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.command()
def example(
    model: Annotated[str, typer.Argument(help="The model, as project/model.")],
    tag: Annotated[str, typer.Option(help="The tag to ask under.")] = "production",
    uuid: Annotated[
        str | None,
        typer.Option(
            help="A version to ask by its uuid, or 6 or more of its first digits, instead of a tag."
        ),
    ] = None,
) -> None:
    """Print a request that the prediction server answers: a row in the model's types, with curl and in Python."""
    name, settings = parse_model_name(model), load_settings()
    with session(settings) as cassandra:
        repository = Repository(cassandra)
        if uuid is None:
            live = Deployments(cassandra).current(str(name), tag)
            if live is None:
                raise NotFoundError(f"nothing is deployed to {name} under the tag {tag!r}")
            asked = live.uuid
        else:
            asked = repository.uuid(uuid)
        bundle = open_bundle(repository.bundle(asked))
        covered = covered_days(cassandra, name.project)
    if bundle.version.model != str(name):
        raise NotFoundError(f"version {asked} is one of {bundle.version.model}, not of {name}")
    request = made(bundle, covered, settings.serving, None if uuid else tag, datetime.now(UTC))
    typer.echo(f"{request.curl}\n\n{request.python}")
