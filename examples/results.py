"""The results of the demo, each with the command or address that shows it again."""

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
from cassandra.cluster import Session
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from giornata.catalogue.entries import entries
from giornata.catalogue.live import live_versions
from giornata.documents import ProjectDocuments
from giornata.errors import GiornataError
from giornata.records.model_version import ModelVersion
from giornata.settings import Settings
from giornata.stores import hive
from giornata.stores.statistics import Statistics


def show_predictions(console: Console, settings: Settings, project: str, model: str) -> None:
    """A few rows of the prediction table, each flight as predicted in batch and online."""
    table = f"{project}.{model}_predictions"
    sql = f"""SELECT flight_id, mode, round(prediction, 1) AS minutes, part
FROM {table}
WHERE flight_id IN (SELECT flight_id FROM {table} WHERE mode = 'online' ORDER BY flight_id LIMIT 3)
ORDER BY flight_id, mode"""
    _title(console, f"Predictions in Hive: {project}.{model}_predictions")
    _rows(console, hive.query(settings, sql))
    _again(console, "make sql FILE=sql/queries/latest_predictions.sql")


def show_accuracy(console: Console, version: ModelVersion) -> None:
    """Metrics on the test period: by level of the partition tree, without parts, and of the baseline."""
    test = version.windows["test"]
    _title(console, f"{version.model} on {test.start:%Y-%m-%d} to {test.end:%Y-%m-%d}, which it has not seen")
    rows: list[tuple[str, int, Mapping[str, float | None]]] = [("the model", test.rows, version.metrics)]
    if len(version.metrics_by_level) > 1:
        rows += [
            (f"  answered by {level.level}", level.rows, level.metrics) for level in version.metrics_by_level
        ]
        rows.append(("one model without parts", test.rows, version.single_model_metrics))
    rows.append(("baseline", test.rows, version.baseline_metrics))
    _rows(console, [{"": name, "rows": count, **metrics} for name, count, metrics in rows])
    _again(console, f"giornata show {version.uuid}")


def show_online(
    console: Console, settings: Settings, version: ModelVersion, tag: str, row: Mapping[str, Any]
) -> None:
    """One online prediction, requested with curl."""
    signature = version.signature
    names = [*signature.key, signature.event_time, *signature.inputs]
    body = {"rows": [{name: row[name] for name in dict.fromkeys(names)}]}
    url = f"{settings.serving}/models/{version.model}/{tag}/predict"
    _title(console, "One online prediction")
    answer = httpx.post(url, json=body, timeout=30)
    if answer.status_code != 200:
        raise GiornataError(f"the prediction server answers {answer.status_code}: {answer.text[:500]}")
    console.print_json(answer.text)
    _again(console, f"curl -s {url} -d {shlex.quote(json.dumps(body))}")


def show_monitored(console: Console, settings: Settings, project: str, metrics: Sequence[str]) -> None:
    """Accuracy by day from labels that arrived, batch beside online."""
    marks = ", ".join(["%s"] * len(metrics))
    sql = f"""SELECT model, metric, day, mode, round(value, 3) AS value, row_count
FROM {project}.model_metrics
WHERE part = 'all' AND time_window = '1d' AND metric IN ({marks}) AND row_count >= 20
ORDER BY model, metric, day, mode"""
    _title(console, "Accuracy that monitoring measured, by day")
    found: dict[tuple[object, ...], dict[str, object]] = {}
    for row in hive.query(settings, sql, metrics):
        key = (row["model"], row["metric"], row["day"])
        line = found.setdefault(key, dict(zip(("model", "metric", "day"), key, strict=True)))
        line[str(row["mode"])] = row["value"]
    _rows(console, list(found.values()))
    _again(console, "make sql FILE=sql/queries/accuracy_by_day.sql")


def show_catalogue(console: Console, session: Session, documents: ProjectDocuments) -> None:
    """The catalogue's groups: entity, newest day, its number of rows, and the models that use them."""
    statistics = Statistics(session)
    newest = {group: statistics.newest(documents.name, group) for group in documents.groups}
    live = live_versions(session, [documents.name])
    _title(console, "The catalogue of feature groups")
    rows = [
        {
            "group": entry.name,
            "entity": ", ".join(entry.document.entity),
            "features": len(entry.features),
            "newest day": entry.newest,
            "rows": entry.rows,
            "models": ", ".join(sorted({use.model for use in entry.uses})) or "none",
        }
        for entry in entries(documents, newest, live, datetime.now(UTC))
    ]
    _rows(console, rows)
    _again(console, f"giornata features {documents.name}")


def show_consistency(console: Console, settings: Settings, project: str) -> None:
    """How many feature values were served online as the offline join computes them, and the worst feature if any."""
    counts = ("equal", "different", "missing_online", "missing_offline")
    sums = ", ".join(f"sum({name}_count) AS {name}" for name in counts)
    table = f"{project}.feature_consistency"
    _title(console, "Features served online, recomputed offline for the same keys and moments")
    found = hive.query(settings, f"SELECT feature, {sums} FROM {table} GROUP BY feature ORDER BY feature")
    total = {name: sum(int(str(row[name])) for row in found) for name in counts}
    console.print(
        f"  {len(found)} features; values: "
        + ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in total.items()),
        highlight=False,
    )
    wrong = [row for row in found if any(row[name] for name in counts[1:])]
    if wrong:
        _rows(console, wrong)
    _again(console, "make sql FILE=sql/queries/feature_consistency.sql")


def show_mails(console: Console, folder: Path) -> None:
    """The alert mails that were delivered, the first one in full."""
    files = sorted(folder.glob("*.eml"))
    _title(console, f"Alert mails: {len(files)}")
    if not files:
        raise GiornataError(
            f"no mail was delivered to {folder}: the alert of the demo's bad day did not reach anyone"
        )
    mails = [read_mail(file) for file in files]
    for mail in mails:
        console.print(f"  {escape(str(mail['Subject']))}", highlight=False, soft_wrap=True)
    console.print(f"\n  To: {mails[0]['To']}\n", highlight=False)
    for line in str(mails[0].get_content()).splitlines():
        console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
    _again(console, f"cat {shlex.quote(str(files[0]))}")


def read_mail(file: Path) -> EmailMessage:
    """A mail stored by the mail sink."""
    return BytesParser(policy=policy.default).parsebytes(file.read_bytes())


def show_stages(console: Console, seconds: Sequence[tuple[str, float]]) -> None:
    """How long each stage took."""
    _title(console, "Time of each stage")
    table = Table(box=None, show_header=False)
    for title, taken in [*seconds, ("all stages", sum(taken for _, taken in seconds))]:
        table.add_row(f"  {title}", f"{taken:5.0f} s")
    console.print(table)


def _title(console: Console, text: str) -> None:
    console.print(f"\n[bold]{escape(text)}[/bold]", highlight=False)


def _again(console: Console, command: str) -> None:
    console.print(f"  [dim]again:[/dim] {escape(command)}", highlight=False, soft_wrap=True)


def _rows(console: Console, rows: Sequence[Mapping[str, object]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, padding=(0, 1))
    for place, name in enumerate(names):
        is_number = all(isinstance(row.get(name), int | float | None) for row in rows)
        justify: JustifyMethod = "right" if is_number else "left"
        # What a row is about stays on one line.
        table.add_column(name, justify=justify, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    console.print(table)


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:.4g}"
        case datetime() | date():
            return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
        case _:
            return escape(str(value))
