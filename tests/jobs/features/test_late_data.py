"""Data that comes late for groups of queries and functions that look back: both stores and the statistics follow."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

import pytest
from pyspark.sql import SparkSession

from giornata import names
from giornata.documents import FeatureGroup, ProjectDocuments, Table
from giornata.documents.feature_group import Events
from giornata.settings import Settings
from giornata.stores import cassandra, hive
from giornata.stores.statistics import Statistics
from jobs.features.late_data import reach
from jobs.hive.metastore import metastore
from jobs.hive.publish import ensure_table, publish
from jobs.materialize import run

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
START = datetime(2013, 1, 1, tzinfo=UTC)
DAYS = [START + number * DAY for number in range(8)]

GROUP = """
description: Rain of the last two days, every midnight
owner: tests
entity: {place: str}
looks_back: 2d
features:
  total: {type: float, description: Millimetres}
  readings: {type: int, description: How many readings}
"""
QUERY = """
WITH midnights AS (SELECT explode(sequence(:from, :to - INTERVAL 1 DAY, INTERVAL 1 DAY)) AS event_time)
SELECT place, event_time, sum(level) AS total, count(*) AS readings
FROM midnights JOIN readings ON observed_at >= event_time - INTERVAL 2 DAYS AND observed_at < event_time
WHERE :from < :to GROUP BY place, event_time
"""
FUNCTION = f"""
QUERY = '''{QUERY}'''

def compute(spark, start, end):
    return spark.sql(QUERY, args={{"from": start, "to": end}})
"""
GROUPS = ("asked", "computed")

Reading = tuple[str, datetime, float]


@pytest.fixture
def rainy(write_project: Any) -> Settings:
    """A project with the same group from a query and from a function."""
    files = {f"features/{name}.yaml": GROUP for name in GROUPS}
    return write_project({**files, "features/asked.sql": QUERY, "features/computed.py": FUNCTION})


def write_readings(spark: SparkSession, settings: Settings, project: str, readings: list[Reading]) -> None:
    table = f"{project}.readings"
    ensure_table(spark, table, {"place": "str", "observed_at": "timestamp", "level": "float"})
    rows = [(*reading, f"{reading[1]:%F}") for reading in readings]
    frame = spark.createDataFrame(rows, "place string, observed_at timestamp, level double, day string")
    publish(spark, frame, table, settings=settings)


def truth(readings: list[Reading]) -> dict[tuple[str, datetime], tuple[float, int]]:
    """Total and count of every place and midnight, from the readings one by one."""
    found = {}
    for midnight in DAYS:
        for place in ("a", "b"):
            inside = [
                level
                for at, observed, level in readings
                if at == place and midnight - 2 * DAY <= observed < midnight
            ]
            if inside:
                found[place, midnight] = (sum(inside), len(inside))
    return found


def locations(spark: SparkSession, settings: Settings, table: str) -> dict[str, str]:
    with metastore(spark, settings) as opened:
        return {day: location for (day,), location in opened.locations(table).items()}


def assert_everywhere(
    settings: Settings, project: str, group: str, expected: Mapping[tuple[str, datetime], tuple[float, int]]
) -> None:
    """Hive, Cassandra and the statistics in Cassandra say what is expected."""
    rows = hive.query(settings, f"SELECT place, event_time, total, readings FROM {project}.{group}")
    assert {(row["place"], row["event_time"]): (row["total"], row["readings"]) for row in rows} == expected
    with cassandra.session(settings) as session:
        online = session.execute(
            f"SELECT place, event_time, total, readings FROM {names.keyspace(project)}.{group}"
        )
        assert {(row[0], row[1].replace(tzinfo=UTC)): (row[2], row[3]) for row in online} == expected
        measured = Statistics(session).read(project, group, DAYS[0].date(), DAYS[-1].date() + DAY)
    means = {each.day: (each.mean, each.rows) for each in measured if each.feature == "total"}
    assert means == {
        midnight.date(): (fmean(totals) if totals else None, len(totals))
        for midnight in DAYS
        for totals in [[value[0] for (_, at), value in expected.items() if at == midnight]]
    }


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_a_late_reading_is_in_every_later_day_that_looks_back_on_it(
    spark: SparkSession, rainy: Settings, project: str, capsys: pytest.CaptureFixture[str]
) -> None:
    on_time = [
        (place, day + 6 * HOUR, float(number + 10 * (place == "b")))
        for number, day in enumerate(DAYS)
        for place in ("a", "b")
    ]
    write_readings(spark, rainy, project, on_time)
    run(spark, rainy, project, DAYS[0], DAYS[-1] + DAY)
    for group in GROUPS:
        assert_everywhere(rainy, project, group, truth(on_time))
    before = {group: locations(spark, rainy, f"{project}.{group}") for group in GROUPS}

    late = [*on_time, ("a", DAYS[2] + 23 * HOUR, 100.0)]
    write_readings(spark, rainy, project, late)
    capsys.readouterr()
    began = datetime.now(UTC)
    run(spark, rainy, project, DAYS[2], DAYS[3])
    said = capsys.readouterr().out
    after = {group: locations(spark, rainy, f"{project}.{group}") for group in GROUPS}
    for group in GROUPS:
        assert_everywhere(rainy, project, group, truth(late))
        assert f"{group}: later days look back on these, so 2013-01-04 and 2013-01-05 follow again\n" in said
        moved = {day for day, location in after[group].items() if before[group][day] != location}
        assert moved == {"2013-01-03", "2013-01-04", "2013-01-05"}

    # A second try of the same run: nothing is left to do.
    run(spark, rainy, project, DAYS[2], DAYS[3], since=began)
    assert {group: locations(spark, rainy, f"{project}.{group}") for group in GROUPS} == after
    assert "follow again" not in capsys.readouterr().out
    # It was cut off before the last day: that one alone is.
    with metastore(spark, rainy) as opened:
        opened.point(f"{project}.asked", {("2013-01-05",): before["asked"]["2013-01-05"]})
    run(spark, rainy, project, DAYS[2], DAYS[3], since=began)
    again = locations(spark, rainy, f"{project}.asked")
    assert {day for day, location in again.items() if after["asked"][day] != location} == {"2013-01-05"}
    assert "asked: later days look back on these, so 2013-01-05 follow again\n" in capsys.readouterr().out
    assert_everywhere(rainy, project, "asked", truth(late))


def described(**keys: object) -> ProjectDocuments:
    """Documents of a group `met` over calls that are filed by `filed_at`."""
    feature = {"type": "int", "description": "d"}
    if "events" in keys:
        feature["window"] = {"count": "boat", "over": "6h"}  # type: ignore[assignment]
    group = FeatureGroup.model_validate(
        {"description": "d", "owner": "o", "entity": {"boat": "str"}, "features": {"calls": feature}, **keys}
    )
    columns = {"boat": "str", "called_at": "timestamp", "filed_at": "timestamp"}
    table = Table.model_validate(
        {"description": "d", "key": ["boat"], "event_time": "filed_at", "columns": columns}
    )
    return ProjectDocuments("p", None, None, {"calls": table}, {"met": group}, {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, timedelta()),
        ({"looks_back": "7d"}, 7 * DAY),
        ({"events": Events(table="calls", time="filed_at")}, 6 * HOUR),
        ({"events": {"table": "calls", "time": "called_at", "filed_ahead": "2d"}}, 2 * DAY + 6 * HOUR),
    ],
)
def test_reach(keys: dict[str, object], expected: timedelta) -> None:
    assert reach(described(**keys), "met") == expected
