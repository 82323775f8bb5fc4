"""The ready-made queries are understood by the SQL endpoint on tables such as jobs make them."""

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from giornata.documents import ProjectDocuments, load_project
from giornata.settings import Settings
from giornata.stores import hive
from jobs.hive.labels import label_columns
from jobs.hive.publish import SQL_TYPES
from jobs.monitoring.prediction_table import PARTITIONS, predictions_columns

ROOT = Path(__file__).resolve().parents[2]
QUERIES = sorted((ROOT / "sql" / "queries").glob("*.sql"))


def definitions(documents: ProjectDocuments, database: str) -> Iterator[str]:
    """CREATE TABLE statements of everything that jobs fill for a project, in another database."""

    def create(table: str, columns: dict[str, str], partitions: tuple[str, ...] = ("day",)) -> str:
        listed = ", ".join(f"{name} {SQL_TYPES[str(kind)]}" for name, kind in columns.items())
        filed = ", ".join(f"{name} STRING" for name in partitions)
        return f"CREATE TABLE {database}.{table} ({listed}) PARTITIONED BY ({filed}) STORED AS PARQUET"

    for name, table in documents.tables.items():
        yield create(name, dict(table.columns))
    for name, group in documents.groups.items():
        features = {feature: found.type for feature, found in group.features.items()}
        yield create(name, {**group.entity, "event_time": "timestamp", **features})
    for name, model in documents.models.items():
        columns = predictions_columns(model, documents.table(model.data.table))
        yield create(f"{name}_predictions", columns, PARTITIONS)
        if model.label:
            yield create(f"{name}_outcomes", {**columns, **label_columns(model.task)}, PARTITIONS)
    for file in sorted((ROOT / "sql" / "hive").glob("*.sql")):
        yield re.sub(r"IDENTIFIER\(:project \|\| '(\.\w+)'\)", rf"{database}\1", file.read_text())


@pytest.fixture(scope="module")
def ask(stores: Settings) -> Iterator[Callable[[str], list[dict[str, object]]]]:
    """Asks a query about flights of a database of our own that has its tables."""
    database = f"g_{uuid.uuid4().hex[:10]}"
    hive.query(stores, f"CREATE DATABASE {database}")
    for statement in definitions(load_project(ROOT / "projects" / "flights"), database):
        hive.query(stores, statement)
    yield lambda sql: hive.query(stores, sql.replace("flights.", f"{database}."))
    hive.query(stores, f"DROP DATABASE {database} CASCADE")
    assert {"namespace": database} not in hive.query(stores, "SHOW DATABASES")


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_query(file: Path, ask: Callable[[str], list[dict[str, object]]]) -> None:
    sql = file.read_text()
    assert re.match(r"-- [A-Z].*[.:].*\n(SELECT|WITH)", sql), "the first line says what the query answers"
    assert ask(sql) == []


def test_batch_and_online_meet(ask: Callable[[str], list[dict[str, object]]]) -> None:
    """The same flight, version and day meet; the greatest difference comes first."""
    rows = [
        ("AA1", 100.0, "batch", "u1"),
        ("AA1", 100.5, "online", "u1"),
        ("AA2", 90.0, "batch", "u1"),
        ("AA2", 93.0, "online", "u1"),
        ("AA3", 80.0, "batch", "u2"),
        ("AA3", 80.0, "online", "u1"),
    ]
    values = ", ".join(
        f"('{flight}', TIMESTAMP '2013-11-01 12:00:00', {value}D, '{flight}{mode}', "
        f"TIMESTAMP '2013-11-01 12:00:00', 'production', 'all', 'all', '{{}}', '2013-11-01', '{mode}', '{uuid_}')"
        for flight, value, mode, uuid_ in rows
    )
    ask(f"INSERT INTO flights.trip_minutes_predictions VALUES {values}")
    found = ask((ROOT / "sql" / "queries" / "batch_and_online.sql").read_text())
    assert [(row["flight_id"], row["difference"]) for row in found] == [("AA2", 3.0), ("AA1", 0.5)]
