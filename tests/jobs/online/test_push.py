"""The push to Cassandra: what is due, what a correction changes, and what an outage does."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from giornata import names
from giornata.documents import Feature, FeatureGroup
from giornata.errors import StoreError
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.online_history import Covered, covered_days
from jobs.hive.metastore import metastore
from jobs.hive.publish import ensure_table, publish
from jobs.online.push import Pushed, push
from jobs.online.writer import Patience

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

GROUP = FeatureGroup(
    description="d",
    owner="o",
    entity={"place": "str", "number": "int"},
    features={
        "level": Feature(type="float", description="d"),
        "wet": Feature(type="bool", description="d"),
        "since": Feature(type="timestamp", description="d"),
    },
)
SCHEMA = "place string, number bigint, event_time timestamp, level double, wet boolean, since timestamp, day string"
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
IMPATIENT = Patience(attempts=2, longest_wait=0.1)

Row = tuple[str, int, datetime, float | None, bool | None, datetime | None]


def frame(spark: SparkSession, rows: list[Row]) -> DataFrame:
    return spark.createDataFrame([(*row, f"{row[2]:%Y-%m-%d}") for row in rows], SCHEMA)


@pytest.fixture
def table(spark: SparkSession, project: str) -> str:
    name = names.group_table(project, "tides")
    columns = {"place": "str", "number": "int", "event_time": "timestamp", "level": "float", "wet": "bool"}
    ensure_table(spark, name, {**columns, "since": "timestamp"})
    return name


def online(stores: Settings, project: str) -> list[tuple[Any, ...]]:
    """The rows in Cassandra, by a plain SELECT of this test's own."""
    with cassandra.session(stores) as session:
        rows = session.execute(
            f"SELECT place, number, event_time, level, wet, since FROM {names.keyspace(project)}.tides"
        )
        aware = [
            [value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in row]
            for row in rows
        ]
    return sorted(tuple(row) for row in aware)


def test_rows_arrive_typed_and_only_new_days_are_due(
    spark: SparkSession, stores: Settings, project: str, table: str
) -> None:
    rows: list[Row] = [
        ("a", 1, NOON, 1.5, True, NOON - DAY),
        ("a", 1, NOON + timedelta(milliseconds=1), 2.5, None, None),
        ("b", 2, NOON + DAY, None, False, None),
    ]
    publish(spark, frame(spark, rows), table, settings=stores)
    assert push(spark, stores, project, "tides", GROUP) == Pushed(("2013-01-01", "2013-01-02"), 3, 0)
    assert online(stores, project) == rows
    assert push(spark, stores, project, "tides", GROUP) == Pushed((), 0, 0)
    later: Row = ("c", 3, NOON + 2 * DAY, 3.5, None, None)
    publish(spark, frame(spark, [later]), table, settings=stores)
    assert push(spark, stores, project, "tides", GROUP) == Pushed(("2013-01-03",), 1, 0)
    assert online(stores, project) == [*rows, later]


def test_a_correction_replaces_empties_and_takes_away(
    spark: SparkSession, stores: Settings, project: str, table: str
) -> None:
    first: list[Row] = [("a", 1, NOON, 9.0, True, NOON), ("b", 1, NOON, 9.0, True, NOON)]
    other: Row = ("z", 1, NOON + DAY, 1.0, None, None)
    publish(spark, frame(spark, [*first, other]), table, settings=stores)
    push(spark, stores, project, "tides", GROUP)
    corrected: Row = ("a", 1, NOON, 1.0, None, None)
    publish(spark, frame(spark, [corrected]), table, settings=stores)
    assert push(spark, stores, project, "tides", GROUP) == Pushed(("2013-01-01",), 1, 1)
    assert online(stores, project) == [corrected, other]
    publish(spark, frame(spark, first), table, settings=stores)
    assert push(spark, stores, project, "tides", GROUP) == Pushed(("2013-01-01",), 2, 0)
    assert online(stores, project) == [*first, other], "what was taken away can come back"


def test_an_older_publication_pushed_later_changes_nothing(
    spark: SparkSession, stores: Settings, project: str, table: str
) -> None:
    old: Row = ("a", 1, NOON, 5.0, True, NOON)
    new: Row = ("a", 1, NOON, 4.0, None, None)
    publish(spark, frame(spark, [old]), table, settings=stores)
    with metastore(spark, stores) as hive:
        older = hive.locations(table)
    publish(spark, frame(spark, [new]), table, settings=stores)
    push(spark, stores, project, "tides", GROUP)
    with metastore(spark, stores) as hive:
        hive.point(table, older)
    push(spark, stores, project, "tides", GROUP)
    assert online(stores, project) == [new]


def test_a_day_without_rows_counts_as_pushed(
    spark: SparkSession, stores: Settings, project: str, table: str
) -> None:
    publish(spark, frame(spark, []), table, settings=stores, expected=[{"day": "2013-01-01"}])
    assert push(spark, stores, project, "tides", GROUP) == Pushed(("2013-01-01",), 0, 0)
    assert push(spark, stores, project, "tides", GROUP) == Pushed((), 0, 0)


def test_days_that_nobody_can_ask_for_any_more_are_not_pushed(
    spark: SparkSession, stores: Settings, project: str, table: str
) -> None:
    group = GROUP.model_copy(update={"ttl": timedelta(hours=12), "history": 2 * DAY})
    rows: list[Row] = [("a", 1, NOON + number * DAY, float(number), None, None) for number in range(6)]
    before = publish(spark, frame(spark, rows[:2]), table, settings=stores)
    assert before.rows == 2
    assert push(spark, stores, project, "tides", group).days == ("2013-01-01", "2013-01-02")
    assert covered(stores, project) == Covered(None, date(2013, 1, 2)), "all that is published is online"
    publish(spark, frame(spark, rows), table, settings=stores)
    # At midnight two days before the newest, which is the 6th, rows of the 3rd are not yet twelve hours old.
    assert push(spark, stores, project, "tides", group).days == tuple(
        f"2013-01-0{day}" for day in (3, 4, 5, 6)
    )
    assert online(stores, project) == rows
    # The first days were published again, and what is online of them is not that.
    assert covered(stores, project) == Covered(date(2013, 1, 3), date(2013, 1, 6))


def covered(stores: Settings, project: str) -> Covered:
    """The recorded online days of the group."""
    with cassandra.session(stores) as session:
        return covered_days(session, project)["tides"]


@pytest.fixture
def many(spark: SparkSession, stores: Settings, table: str) -> int:
    """Publishes 20,000 rows over ten days, of as many entities, so that each is a statement of its own."""
    size = 20_000
    rows = spark.range(size).selectExpr(
        "'a' AS place",
        "id AS number",
        "timestamp_millis(1357041600000 + (id % 10) * 86400000) AS event_time",
        "id / 2 AS level",
        "true AS wet",
        "CAST(NULL AS timestamp) AS since",
    )
    publish(
        spark, rows.selectExpr("*", "date_format(event_time, 'yyyy-MM-dd') AS day"), table, settings=stores
    )
    return size


def through(stores: Settings, address: str) -> Settings:
    return replace(stores, variables={**stores.variables, "GIORNATA_CASSANDRA": address})


def test_cassandra_lost_in_the_middle_is_a_clear_failure_and_the_next_push_completes(
    spark: SparkSession, stores: Settings, project: str, many: int, cassandra_proxy: Any
) -> None:
    cassandra_proxy.cut_after(300_000)
    with pytest.raises(StoreError, match="Cassandra"):
        push(spark, through(stores, cassandra_proxy.address), project, "tides", GROUP, IMPATIENT)
    written = len(online(stores, project))
    assert 0 < written < many, "the line was cut in the middle"
    assert push(spark, stores, project, "tides", GROUP).rows == many
    rows = online(stores, project)
    assert [row[1] for row in rows] == list(range(many))
    assert [row[3] for row in rows] == [number / 2 for number in range(many)]


def test_an_outage_is_survived(
    spark: SparkSession, stores: Settings, project: str, many: int, cassandra_proxy: Any
) -> None:
    cassandra_proxy.cut_after(300_000, refusals=3)
    pushed = push(spark, through(stores, cassandra_proxy.address), project, "tides", GROUP)
    assert pushed.rows == many
    assert cassandra_proxy.cuts == 1
    assert [row[1] for row in online(stores, project)] == list(range(many))
