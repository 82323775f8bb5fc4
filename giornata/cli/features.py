"""The command `giornata features`: the catalogue of features on the command line."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from giornata.catalogue.entries import FeatureEntry, GroupEntry, entries, search, source_of
from giornata.catalogue.validation import Judged, judged
from giornata.cli.live import NotReachedError, reached_session
from giornata.documents import ProjectDocuments, load_project, load_projects
from giornata.errors import NotFoundError
from giornata.records.validation_result import LATELY, Validation

if TYPE_CHECKING:
    from giornata.catalogue.versions import LiveVersion
    from giornata.records.feature_statistics import FeatureStatistics

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

WIDTH = 80

Published = dict[str, dict[str, list["FeatureStatistics"]]]


@app.command()
def features(
    name: Annotated[
        str | None, typer.Argument(help="A project, or one group in full as project/group.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--search", help="Only where these words are in names, descriptions or owners."),
    ] = None,
) -> None:
    """Show the feature groups and features there are: what they mean, how fresh they are, which models use them."""
    project, _, group = (name or "").partition("/")
    documents = _documents(project)
    if group:
        documents[0].group(group)
    published, live, validations, reason = _asked(documents, group)
    now = datetime.now(UTC)
    found = [
        entry
        for each in documents
        for entry in entries(each, published[each.name] if published is not None else None, live, now)
        if group in ("", entry.name)
    ]
    found = search(found, text) if text else found
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    for number, entry in enumerate(found):
        if number:
            console.print()
        _print_head(console, entry, known=published is not None)
        _print_indented(console, _features(entry.features, known=published is not None))
        if group:
            _print_rest(console, entry, documents[0], validations)
    if not found:
        where = f"project {project}" if project else "any project"
        wanted = f" in which all of '{text}' is found" if text else ""
        typer.echo(f"There is no feature group{wanted} in {where}.")
    if reason:
        typer.echo(f"\nPublished days and live versions are not shown: {reason}", err=True)


def _documents(project: str) -> list[ProjectDocuments]:
    """The documents of one project or of all; the names of projects with errors are printed."""
    root = Path(os.environ.get("GIORNATA_PROJECTS", "projects"))
    if project:
        return [load_project(root / project)]
    found = load_projects(root)
    if not found:
        raise NotFoundError(f"there is no project in {root}: a project is a folder with a project.yaml")
    for name, documents in found.items():
        if not isinstance(documents, ProjectDocuments):
            typer.echo(f"{name} is left out: `giornata check` says what is wrong in its documents", err=True)
    return [documents for documents in found.values() if isinstance(documents, ProjectDocuments)]


def _asked(
    documents: Sequence[ProjectDocuments], group: str
) -> tuple[Published | None, "list[LiveVersion]", list[Validation] | None, str]:
    """The newest statistics by project and group, the live versions, and the recent validations of `group`.

    Validations are None without a group. The last item says why some of it is missing.
    """
    try:
        with reached_session() as session:
            from giornata.catalogue.live import live_versions
            from giornata.stores.statistics import Statistics
            from giornata.stores.validations import Validations

            statistics = Statistics(session)
            published = {
                each.name: {group: statistics.newest(each.name, group) for group in each.groups}
                for each in documents
            }
            live = live_versions(session, [each.name for each in documents])
            found = Validations(session).lately(documents[0].name, group) if group else None
            return published, live, found, ""
    except NotReachedError as error:
        return None, [], None, str(error)


def _print_head(console: Console, entry: GroupEntry, known: bool) -> None:
    console.print(Text(entry.full_name, style="bold"), soft_wrap=True)
    about = [
        entry.document.description,
        f"owner {entry.document.owner} · entity {entry.entity} · {entry.ttl}",
        f"computed {entry.cadence}{f' · {entry.sla}' if entry.sla else ''}",
    ]
    if known:
        about += freshness(entry)
    for line in about:
        _print_indented(console, Text(line))


def _print_indented(console: Console, what: Table | Text) -> None:
    console.print(Padding(what, (0, 0, 0, 2), expand=False))


def freshness(entry: GroupEntry) -> list[str]:
    """The newest day of a group, and since when the next one is late, one line each."""
    if entry.newest is None:
        lines = ["no day is published yet"]
    else:
        lines = [f"newest day {entry.newest}: {entry.rows} row{'' if entry.rows == 1 else 's'}"]
    if entry.late_since:
        lines.append(f"late since {entry.late_since:%Y-%m-%d %H:%M} UTC: the next day is not published")
    return lines


def _features(found: Sequence[FeatureEntry], known: bool) -> Table:
    table = _table("Feature", "Type", *(["Missing"] if known else []), "Meaning", "Used by")
    for feature in found:
        share = feature.statistics.null_share if feature.statistics else None
        missing = [_percent(share)] if known else []
        used = ", ".join(map(str, feature.uses)) or "-"
        table.add_row(feature.name, feature.type, *missing, feature.description, used)
    return table


def _print_rest(
    console: Console,
    entry: GroupEntry,
    documents: ProjectDocuments,
    validations: Sequence[Validation] | None,
) -> None:
    """Details of a single group: values, expectations, source.

    `validations` are the recent results of its expectations, None if unknown.
    """
    group = entry.document
    known = [feature for feature in entry.features if feature.statistics]
    if known and entry.rows:
        _print_title(console, f"Values on {entry.newest}")
        _print_indented(console, _values(known))
    _print_title(console, "Online")
    _print_indented(console, Text(entry.history))
    if group.expect:
        _print_title(console, "Expectations, and what happens when they are not met")
        for each in judged(group, validations or []):
            policy, name = each.expectation.policy, each.expectation.name
            _print_indented(console, Text(f"{policy}: {name} {each.arguments}"))
            if validations is not None:
                console.print(Padding(Text(found_by(each)), (0, 0, 0, 6), expand=False))
    source = source_of(documents, entry.name)
    _print_title(console, f"Computed by {'its document' if source.kind == 'document' else source.kind}")
    for line in source.text.splitlines():
        # Not wrapped: it is there to be copied.
        console.print(Text(f"  {line}"), soft_wrap=True)


def found_by(each: Judged) -> str:
    """The result of an expectation on one line."""
    if each.result is None:
        return "not checked yet in its present form"
    first, last = each.first_day, each.last_day
    days = f"{last}" if first == last else f"{first} to {last}"
    lately = f"; in the last {LATELY} days {each.lately}" if each.lately else ""
    return f"{each.result.verdict} on {days}: {each.found}{lately}"


def _print_title(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, style="bold"))


def _values(found: Sequence[FeatureEntry]) -> Table:
    """The values of each feature on the newest day: the range of numbers, the shares of bool and text."""
    table = _table("Feature", "Least", "5%", "Median", "Mean", "95%", "Greatest")
    for column in table.columns[1:]:
        column.justify = "right"
    for feature in found:
        values = feature.statistics
        assert values is not None
        if values.true_share is not None:
            table.add_row(feature.name, f"true: {_percent(values.true_share)}")
        elif values.distinct is not None:
            table.add_row(feature.name, f"{values.distinct} values")
        else:
            numbers = (values.minimum, values.q05, values.q50, values.mean, values.q95, values.maximum)
            table.add_row(feature.name, *map(_number, numbers))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold", justify="right" if name == "Missing" else "left")
    return table


def _percent(share: float | None) -> str:
    """A share as a percentage; 0% and 100% only if it is exactly that."""
    if share is None:
        return "-"
    if share in (0, 1):
        return f"{share:.0%}"
    return "<0.1%" if share < 0.001 else ">99.9%" if share > 0.999 else f"{share:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
