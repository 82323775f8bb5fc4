"""The commands `giornata models|show|deploy|rollback|timeline|remove`: show versions, move tags, remove projects."""

import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from giornata.airflow_api import AirflowApi, AirflowError
from giornata.deployment import deploy as put_live
from giornata.deployment import rollback as put_back
from giornata.documents import load_project
from giornata.documents.described import check_is_described, check_project_is_described
from giornata.errors import DocumentErrors, NotFoundError, SettingsError
from giornata.names import check_name, check_project_name, parse_model_name
from giornata.records.model_version import Metrics, ModelVersion, PartRecord, RecordedWindow, VersionSummary
from giornata.removal import check_folder_is_gone, check_is_known, fail_runs, remove_project
from giornata.search.description import describe_search
from giornata.settings import Settings, load_settings
from giornata.stores.cassandra import apply_schema, session
from giornata.stores.deployments import Deployment, Deployments
from giornata.stores.repository import Repository

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

_MOST_PARTS = 15

# What DAGs do with a version that is live for each mode.
_MODES = {"batch": "scores it", "online": "brings what it answers into Hive"}

Model = Annotated[str, typer.Argument(help="The model, as project/model.")]
Tag = Annotated[str, typer.Argument(help="The tag, such as production.")]
By = Annotated[str, typer.Option(default_factory=getpass.getuser, help="Who does it; by default you.")]


@app.command()
def schema() -> None:
    """Create Giornata's tables in Cassandra, or add what they lack; `make up` does this by itself."""
    settings = load_settings()
    with session(settings) as cassandra:
        apply_schema(cassandra, settings.cassandra_replicas)
    typer.echo("Giornata's tables are in Cassandra")


@app.command()
def models(
    model: Annotated[
        str | None, typer.Argument(help="Only this model, as project/model, or those of this project.")
    ] = None,
) -> None:
    """List the trained versions, newest first, with their test metrics and tags."""
    settings = load_settings()
    with session(settings) as cassandra:
        versions = _versions(Repository(cassandra), model)
        live = Deployments(cassandra).all_current()
    table = _table("Model", "Version", "Trained", "By", "Tags", "Test metrics")
    for version in versions:
        tags = sorted(entry.tag for entry in live if entry.uuid == version.uuid)
        trained = _moment(version.finished_at)
        table.add_row(
            version.model,
            version.uuid,
            trained,
            version.trained_by,
            ", ".join(tags),
            _metrics(version.metrics),
        )
    if not versions:
        if model and "/" in model:
            check_is_described(settings.projects, parse_model_name(model))
        elif model:
            check_project_is_described(settings.projects, model)
        raise NotFoundError(f"no version of {model or 'any model'} has been trained yet")
    _print(table)


def _versions(repository: Repository, wanted: str | None) -> list[VersionSummary]:
    """Versions of all models, of a model, or of all models of a project, newest first."""
    if wanted is None or "/" in wanted:
        return repository.list(wanted and str(parse_model_name(wanted)))
    check_project_name(wanted)
    return [version for version in repository.list() if parse_model_name(version.model).project == wanted]


@app.command()
def show(
    uuid: Annotated[str, typer.Argument(help="The version's uuid, or 6 or more of its first digits.")],
) -> None:
    """Show a version: warnings, windows, parameters, metrics by level, parts and importances."""
    with session(load_settings()) as cassandra:
        repository = Repository(cassandra)
        version = repository.get(repository.uuid(uuid))
    _print(_about(version), _accuracy(version), _parts(version), _importances(version))


@app.command()
def deploy(
    model: Model,
    by: By,
    uuid: Annotated[
        str, typer.Option(help="The version to deploy, by its uuid or 6 or more of its first digits.")
    ],
    reason: Annotated[str, typer.Option(help="Why, for the timeline.")],
    tag: Annotated[
        str | None, typer.Option(help="The tag; by default that of the document it was trained with.")
    ] = None,
    modes: Annotated[
        str | None, typer.Option(help="batch, online or batch,online; by default those of that document.")
    ] = None,
) -> None:
    """Put a version under a tag, if its metrics meet the gate and its signature fits."""
    settings, wanted = load_settings(), _modes(modes)
    if tag is not None:
        check_name(tag)
    with session(settings) as cassandra:
        repository = Repository(cassandra)
        trained = repository.get(repository.uuid(uuid))
        if trained.model != str(parse_model_name(model)):
            raise NotFoundError(f"version {trained.uuid} is one of {trained.model}, not of {model}")
        for warning in trained.warnings:
            typer.secho(f"WARNING: {warning}", fg="red", bold=True, err=True)
        before = Deployments(cassandra).all_current()
        done = put_live(settings, cassandra, trained.uuid, by, reason, datetime.now(UTC), tag, wanted)
    if done in before:
        typer.echo(
            f"{done.model}: version {done.uuid} is live under {done.tag} ({', '.join(done.modes)}) already, since "
            f"{_moment(done.at)}, by {done.by}: nothing has changed"
        )
        return
    _announce(done)
    for mode in _without_dag(settings, done):
        text = f"no DAG {_MODES[mode]}, as no document of the project has `deploy` with {mode}: add it to the model's"
        typer.secho(f"WARNING: {text}", fg="red", bold=True, err=True)


@app.command()
def rollback(
    model: Model,
    tag: Tag,
    by: By,
    reason: Annotated[str, typer.Option(help="Why, for the timeline.")],
) -> None:
    """Put back the version that was under a tag before the present one; again, the one before that."""
    settings = load_settings()
    with session(settings) as cassandra:
        _announce(
            put_back(settings, cassandra, str(parse_model_name(model)), tag, by, reason, datetime.now(UTC))
        )


@app.command()
def timeline(model: Model, tag: Tag = "production") -> None:
    """List what has been deployed to a tag, newest first."""
    settings, name = load_settings(), parse_model_name(model)
    with session(settings) as cassandra:
        entries = Deployments(cassandra).timeline(str(name), tag)
        is_known = bool(entries or Repository(cassandra).list(str(name)))
    if not is_known:
        check_is_described(settings.projects, name)
    if not entries:
        raise NotFoundError(f"nothing was ever deployed to {model}, tag {tag}")
    table = _table("At (UTC)", "Version", "What", "Modes", "By", "Reason")
    for entry in entries:
        modes = ", ".join(entry.modes)
        table.add_row(_moment(entry.at), entry.uuid, entry.kind, modes, entry.by, entry.reason)
    _print(table)


@app.command()
def remove(
    project: Annotated[str, typer.Argument(help="A project whose folder you have deleted.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove all that is stored of a project: tables, features, model versions, metrics, logged predictions.

    Its runs in Airflow that go on or wait are failed.
    """
    settings = load_settings()
    check_folder_is_gone(settings, project)
    with session(settings) as cassandra, _airflow(settings) as airflow:
        check_is_known(settings, cassandra, airflow, project)
        if not yes:
            typer.confirm(f"Remove everything of {project} from Hive and Cassandra, for good?", abort=True)
        if airflow:  # first, so that nothing is written that was just removed
            typer.echo(f"failed {fail_runs(airflow, project)} runs in Airflow that were not finished")
        for line in remove_project(settings, cassandra, project):
            typer.echo(f"removed {line}")
    if airflow is None:
        typer.echo(f"Runs of {project} in Airflow that were not finished are so still.", err=True)
    else:
        typer.echo("Airflow keeps the runs of its DAGs until you delete them there.")


@contextmanager
def _airflow(settings: Settings) -> Iterator[AirflowApi | None]:
    """A logged-in client of Airflow; None if it does not answer, after printing the reason."""
    try:
        api = AirflowApi.of(settings)
    except (AirflowError, SettingsError) as error:
        typer.secho(f"WARNING: Airflow is not asked: {error}", fg="red", bold=True, err=True)
        yield None
        return
    try:
        yield api
    finally:
        api.close()


def _about(version: ModelVersion) -> Table:
    table = Table(box=None, show_header=False)
    table.add_row("model", version.model)
    table.add_row("version", version.uuid)
    table.add_row("trained", f"{_moment(version.finished_at)} by {version.trained_by}")
    for warning in version.warnings:
        table.add_row(Text("WARNING", style="bold red"), Text(warning, style="red"))
    for name, window in version.windows.items():
        table.add_row(name, _period(window))
    if version.refit:
        table.add_row("refit", f"{_period(version.refit)}; the metrics are those of the first fit")
    table.add_row("parameters", ", ".join(f"{name} {value}" for name, value in version.parameters.items()))
    table.add_row("search", describe_search(version))
    return table


def _period(window: RecordedWindow) -> str:
    told = f"{_moment(window.start)} to {_moment(window.end)}, {window.rows} rows"
    return f"{told}, {window.unlabelled} more without a label in time" if window.unlabelled else told


def _accuracy(version: ModelVersion) -> Table:
    table = _table("Test period", "Rows", *version.metrics)
    lines: list[tuple[str, int | str, Metrics]] = [
        ("whole model", version.windows["test"].rows, version.metrics)
    ]
    for level in version.metrics_by_level:
        lines.append((f"answered by {level.level}", level.rows, level.metrics))
        if len(version.metrics_by_level) > 1:
            beside = {"without parts": level.beside.single_model, "baseline": level.beside.baseline}
            beside["version before"] = level.beside.previous
            lines += [
                (f"  {name}, there", level.rows, metrics) for name, metrics in beside.items() if metrics
            ]
    lines += [
        ("without parts", version.windows["test"].rows, version.single_model_metrics),
        ("baseline", version.windows["test"].rows, version.baseline_metrics),
    ]
    if before := version.previous:
        where = "same rows" if before.same_rows else "its own test period"
        rows = version.windows["test"].rows if before.same_rows else ""
        lines.append((f"version before, {where}", rows, before.metrics))
    for title, rows, values in lines:
        table.add_row(title, str(rows), *(_number(values.get(name)) for name in version.metrics))
    return table


def _parts(version: ModelVersion) -> Table:
    kept = sum(part.kept for part in version.parts)
    shown = sorted(version.parts, key=lambda part: -part.rows)[:_MOST_PARTS]
    metric = version.part_metric
    method = ["Method"] if any(part.method for part in version.parts) else []
    table = _table(
        *("Part", "Rows", "Kept", *method, f"Validation {metric}", "of its parent", "Reason"),
        *(f"Test {metric}", "baseline", "before"),
    )
    table.title = f"{kept} of {len(version.parts)} parts have a model; the {len(shown)} largest:"
    table.title_justify = "left"
    for part in shown:
        answers = (_number(part.metric), _number(part.parent_metric))
        tested = (part.test, part.beside.baseline, part.beside.previous)
        table.add_row(
            *(part.name, str(part.rows), "yes" if part.kept else "no", *([part.method] if method else [])),
            *(*answers, _reason(part, version)),
            *(_number(found.get(metric)) for found in tested),
        )
    return table


def _reason(part: PartRecord, version: ModelVersion) -> str:
    """Why a part was kept or not, and its own parameters."""
    own = ", ".join(
        f"{name} {value:.6g}"
        if isinstance(value, float)
        else f"{name} {'unstated' if value is None else value}"
        for name, value in part.own_parameters(version.parameters).items()
    )
    return f"{part.reason}; with {own}, the best of {part.tried} tried" if own else part.reason


def _importances(version: ModelVersion) -> Table:
    table = _table("Feature", "Share of the gain")
    for name, share in version.importances.items():
        table.add_row(name, f"{share:.1%}")
    return table


def _announce(entry: Deployment) -> None:
    typer.echo(f"{entry.model}: version {entry.uuid} is live under {entry.tag} ({', '.join(entry.modes)})")


def _modes(text: str | None) -> list[str] | None:
    """The modes in a text such as `batch,online`."""
    if text is None:
        return None
    modes = [mode.strip() for mode in text.split(",")]
    if set(modes) - _MODES.keys():
        raise typer.BadParameter(f"{text!r} is not batch, online or batch,online", param_hint="--modes")
    return sorted(set(modes))


def _without_dag(settings: Settings, entry: Deployment) -> list[str]:
    """The modes of a deployment for which the project's documents generate no DAG."""
    try:
        documents = load_project(settings.projects / parse_model_name(entry.model).project)
    except (NotFoundError, DocumentErrors, SettingsError):
        return []
    planned = {mode for model in documents.models.values() if model.deploy for mode in model.deploy.modes}
    return [mode for mode in entry.modes if mode not in planned]


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        # A uuid that is cut or broken cannot be copied.
        table.add_column(name, no_wrap=name == "Version", overflow="fold")
    return table


def _print(*tables: Table) -> None:
    # Wide enough for a uuid and its neighbours where the output is a file.
    console = Console() if Console().is_terminal else Console(width=160)
    for number, table in enumerate(tables):
        if number:
            console.print()
        console.print(table)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _metrics(values: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in values.items())


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
