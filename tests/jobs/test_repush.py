"""The push of everything on demand: Cassandra is spoilt by hand, and ends as Hive is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from giornata import names
from giornata.errors import NotFoundError
from giornata.settings import Settings
from giornata.stores import cassandra, hive
from jobs import repush as module
from jobs.hive.metastore import metastore
from jobs.hive.publish import ensure_table, publish
from jobs.online.push import push
from jobs.repush import run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

DAY = timedelta(days=1)
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
GROUP = """
description: Water levels
owner: tests
entity: {place: str, number: int}
ttl: 12h
history: 2d
features:
  level: {type: float, description: Metres}
  wet: {type: bool, description: Whether it rained}
"""
AGELESS = GROUP.replace("ttl: 12h\nhistory: 2d\n", "")
SCHEMA = "place string, number bigint, event_time timestamp, level double, wet boolean, day string"

Row = tuple[str, int, datetime, float | None, bool | None]


def publish_rows(spark: SparkSession, settings: Settings, project: str, group: str, rows: list[Row]) -> None:
    types = {"place": "str", "number": "int", "event_time": "timestamp", "level": "float", "wet": "bool"}
    ensure_table(spark, f"{project}.{group}", types)
    frame = spark.createDataFrame([(*row, f"{row[2]:%F}") for row in rows], SCHEMA)
    publish(spark, frame, f"{project}.{group}", settings=settings)


def offline(settings: Settings, project: str, group: str) -> list[Row]:
    columns = "place, number, event_time, level, wet"
    return [
        tuple(row.values())
        for row in hive.query(settings, f"SELECT {columns} FROM {project}.{group} ORDER BY 1, 2, 3")
    ]  # type: ignore[misc]


def online(settings: Settings, project: str, group: str) -> list[Row]:
    with cassandra.session(settings) as session:
        rows = session.execute(
            f"SELECT place, number, event_time, level, wet FROM {names.keyspace(project)}.{group}"
        )
        return sorted((*row[:2], row[2].replace(tzinfo=UTC), *row[3:]) for row in rows)


@pytest.fixture
def settings(spark: SparkSession, project: str, write_project: Any) -> Settings:
    """Two groups of six days in both stores: `tides`, of which the days from the 3rd on are online, and `ageless`."""
    files = {"tides": GROUP, "ageless": AGELESS, "never": GROUP}
    found = write_project(
        {f"features/{name}.yaml": text for name, text in files.items()}
        | {f"features/{name}.sql": "SELECT :from, :to" for name in files}
    )
    rows = [
        (place, number, NOON + day * DAY, None if (number, day) == (1, 4) else day + number / 8, day % 2 == 0)
        for day in range(6)
        for place in ("a", "b", "ü")
        for number in range(20)
    ]
    for name in ("tides", "ageless"):
        publish_rows(spark, found, project, name, rows)
    run_first(spark, found, project)
    return found


def run_first(spark: SparkSession, settings: Settings, project: str) -> None:
    documents = module.load_project(settings.projects / project)
    for name in ("tides", "ageless"):
        push(spark, settings, project, name, documents.group(name))


def test_what_was_spoilt_by_hand_is_as_in_hive_again(
    spark: SparkSession, settings: Settings, project: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recent = [row for row in offline(settings, project, "tides") if row[2] >= NOON + 2 * DAY]
    everything = offline(settings, project, "ageless")
    assert (online(settings, project, "tides"), online(settings, project, "ageless")) == (recent, everything)
    keyspace = names.keyspace(project)
    key = "place, number, event_time"
    with cassandra.session(settings) as session:
        session.execute(f"TRUNCATE {keyspace}.tides")
        for statement, values in (
            # Wrong values, also where there is none; a row and an entity too few and too many; days never published.
            (f"UPDATE {keyspace}.ageless SET level = 99 WHERE place = %s AND number = %s AND event_time = %s",
             ("a", 0, NOON)),
            (f"UPDATE {keyspace}.ageless SET level = 99 WHERE place = %s AND number = %s AND event_time = %s",
             ("a", 1, NOON + 4 * DAY)),
            (f"DELETE FROM {keyspace}.ageless WHERE place = %s AND number = %s AND event_time = %s",
             ("b", 3, NOON + DAY)),
            (f"DELETE FROM {keyspace}.ageless WHERE place = %s AND number = %s", ("ü", 7)),
            (f"INSERT INTO {keyspace}.ageless ({key}, level) VALUES (%s, %s, %s, 1)", ("a", 2, NOON + DAY / 2)),
            (f"INSERT INTO {keyspace}.ageless ({key}, level) VALUES (%s, %s, %s, 1)", ("nobody", 2, NOON)),
            (f"INSERT INTO {keyspace}.ageless ({key}, level) VALUES (%s, %s, %s, 1)", ("a", 2, NOON - 40 * DAY)),
            (f"INSERT INTO {keyspace}.tides ({key}, level) VALUES (%s, %s, %s, 1)", ("a", 2, NOON + 9 * DAY)),
        ):  # fmt: skip
            session.execute(statement, values)
    run_first(spark, settings, project)
    assert online(settings, project, "tides") != recent, "an ordinary push does not know of it"

    run(spark, settings, project)
    assert (online(settings, project, "tides"), online(settings, project, "ageless")) == (recent, everything)
    assert capsys.readouterr().out.splitlines() == [
        "[repush] ageless: 6 days, 360 rows pushed again, 3 that Hive does not have deleted",
        "[repush] never: nothing is published yet",
        "[repush] tides: 4 days, 240 rows pushed again, 1 that Hive does not have deleted",
    ]
    with pytest.raises(NotFoundError, match="no feature group 'tide'"):
        run(spark, settings, project, ["tide"])

    # What is published afterwards stands over what was pushed again.
    publish_rows(spark, settings, project, "tides", [("a", 0, NOON + 5 * DAY, -1.0, None)])
    run_first(spark, settings, project)
    corrected = [row for row in recent if row[2] < NOON + 5 * DAY] + [("a", 0, NOON + 5 * DAY, -1.0, None)]
    assert online(settings, project, "tides") == sorted(corrected)


def test_a_day_that_is_published_meanwhile_is_not_lost(
    spark: SparkSession, settings: Settings, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two publications the older one is seen first, and the newer one appears while it is pushed again."""
    with metastore(spark, settings) as opened:
        older = {day: opened.locations(f"{project}.tides")[day] for day in [("2013-01-06",)]}
    publish_rows(spark, settings, project, "tides", [("a", 0, NOON + 5 * DAY, -1.0, None)])
    with metastore(spark, settings) as opened:
        newer = {day: opened.locations(f"{project}.tides")[day] for day in [("2013-01-06",)]}
        opened.point(f"{project}.tides", older)
    insert = module.OnlineTable.insert

    def interrupted(self: Any, rows: Any) -> int:
        monkeypatch.setattr(module.OnlineTable, "insert", insert)
        written = insert(self, rows)
        with metastore(spark, settings) as opened:
            opened.point(f"{project}.tides", newer)
        run_first(spark, settings, project)
        return written

    monkeypatch.setattr(module.OnlineTable, "insert", interrupted)
    run(spark, settings, project, ["tides"])
    expected = [row for row in offline(settings, project, "tides") if row[2] >= NOON + 2 * DAY]
    assert ("a", 0, NOON + 5 * DAY, -1.0, None) in expected
    assert online(settings, project, "tides") == expected
