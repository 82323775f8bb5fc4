"""The flights' feature groups, against windows computed one by one from the events."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata.documents import ProjectDocuments, load_project
from jobs.features.late_data import reach
from jobs.features.source import group_rows

DAY = datetime(2013, 11, 12, tzinfo=UTC)  # a bad day, with delays of many hours
NEXT = DAY + timedelta(days=1)


# What carrier_delays was before it was stated as windows: a row every quarter of an hour.
CARRIER_QUERY = """
WITH arrived AS (
  SELECT
    carrier,
    arr_delay,
    explode(sequence(
      timestamp_seconds((unix_seconds(arrived_at) DIV 900 + 1) * 900),
      arrived_at + INTERVAL 6 HOURS,
      INTERVAL 15 MINUTES
    )) AS event_time
  FROM arrivals
  WHERE arrived_at >= :from - INTERVAL 6 HOURS AND arrived_at < :to
)
SELECT carrier, event_time, avg(arr_delay) AS mean_arr_delay_6h, count(*) AS arrivals_6h
FROM arrived
WHERE event_time >= :from AND event_time < :to
GROUP BY carrier, event_time
"""


@pytest.fixture(scope="module")
def database() -> str:
    return f"test_{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="module")
def documents(request: pytest.FixtureRequest, database: str) -> ProjectDocuments:
    """The project's documents, with its tables in a database of our own."""
    return replace(load_project(request.config.rootpath / "projects" / "flights"), name=database)


@pytest.fixture(scope="module")
def events(nycflights: ModuleType) -> pd.DataFrame:
    """The flights scheduled around the day."""
    flights = nycflights.flights()
    near = (flights.sched_dep >= DAY - timedelta(days=3)) & (flights.sched_dep < NEXT + timedelta(days=2))
    return flights[near]


@pytest.fixture(scope="module")
def tables(
    spark: SparkSession, nycflights: ModuleType, events: pd.DataFrame, database: str
) -> Iterator[SparkSession]:
    """Spark with the project's tables in Hive, partitioned as the jobs do it."""
    spark.sql(f"CREATE DATABASE {database}")
    weather = nycflights.weather()
    frames = {
        "departures": (events, "sched_dep"),
        "arrivals": (events[events.arrived_at.notna()], "arrived_at"),
        "weather": (weather[weather.observed_at.between(DAY - timedelta(days=1), NEXT)], "observed_at"),
        "planes": (nycflights.planes(), "registered_at"),
        "cancellations": (events, "known_at"),
    }
    for name, (frame, moment) in frames.items():
        table = nycflights.rows_between(
            frame, moment, datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC), list(frame)
        )
        partitioned = spark.createDataFrame(table).withColumn("day", F.date_format(moment, "yyyy-MM-dd"))
        partitioned.write.partitionBy("day").saveAsTable(f"{database}.{name}")
    yield spark
    spark.catalog.setCurrentDatabase("default")
    spark.sql(f"DROP DATABASE {database} CASCADE")


def compute(
    tables: SparkSession, documents: ProjectDocuments, group: str, start: datetime, end: datetime
) -> DataFrame:
    return group_rows(tables, documents, group, start, end)


def rows_of(frame: DataFrame, *key: str) -> dict[tuple, dict]:
    """The other columns of every row by its key."""
    rows = [row.asDict() for row in frame.collect()]
    found = {tuple(_aware(row.pop(column)) for column in key): row for row in rows}
    assert len(found) == len(rows)
    return found


def _aware(value: object) -> object:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def window(events: pd.DataFrame, moment: str, end: datetime, hours: int) -> pd.DataFrame:
    """The events with end - hours <= moment < end."""
    return events[(events[moment] >= end - timedelta(hours=hours)) & (events[moment] < end)]


@pytest.mark.parametrize(
    ("group", "key", "moment", "value", "minutes", "windows"),
    [
        ("origin_delays", "origin", "pushed_back_at", "dep_delay", 15,
         {1: ("mean_dep_delay_1h", "departures_1h"), 3: ("mean_dep_delay_3h", "departures_3h")}),
    ],
)  # fmt: skip
def test_windows_of_a_query_are_half_open_and_complete(
    tables, documents, events, group, key, moment, value, minutes, windows
):
    found = rows_of(compute(tables, documents, group, DAY, NEXT), key, "event_time")
    expected = {}
    for snapshot in pd.date_range(DAY, NEXT, freq=f"{minutes}min", inclusive="left"):
        for entity, widest in window(events, moment, snapshot, max(windows)).groupby(key):
            row = {}
            for hours, (mean, count) in windows.items():
                inside = window(widest, moment, snapshot, hours)[value]
                row |= {mean: inside.mean() if len(inside) else None, count: len(inside)}
            expected[entity, snapshot.to_pydatetime()] = row
    assert found.keys() == expected.keys()
    for place, row in expected.items():
        assert {name: found[place][name] for name in row} == pytest.approx(row)


def visible(frame: DataFrame, key: list[str], asked: pd.DatetimeIndex) -> dict[tuple, dict]:
    """The newest row before each moment, by entity and moment: the rule of time."""
    rows = rows_of(frame, *key, "event_time")
    times: dict[tuple, list[datetime]] = {}
    for *entity, moment in sorted(rows):
        times.setdefault(tuple(entity), []).append(moment)
    found = {}
    for entity, moments in times.items():
        for moment in asked.to_pydatetime():
            before = [at for at in moments if at < moment]
            if before:
                found[*entity, moment] = rows[*entity, before[-1]]
    return found


@pytest.mark.parametrize(
    ("group", "key", "moment", "value", "features"),
    [
        ("carrier_delays", ["carrier"], "arrived_at", "arr_delay",
         {"mean_arr_delay_6h": (6, np.mean), "arrivals_6h": (6, len)}),
        ("dest_delays", ["dest"], "arrived_at", "arr_delay",
         {"mean_arr_delay_6h": (6, np.mean), "arrivals_6h": (6, len)}),
        ("carrier_at_origin", ["carrier", "origin"], "pushed_back_at", "dep_delay",
         {"mean_dep_delay_3h": (3, np.mean), "departures_3h": (3, len),
          "dep_delay_p90_6h": (6, lambda values: np.quantile(values, 0.9))}),
        ("origin_cancellations", ["origin"], "known_at", "cancelled", {"cancelled_share_6h": (6, np.mean)}),
    ],
)  # fmt: skip
def test_windows_at_any_moment(tables, documents, events, group, key, moment, value, features):
    asked = pd.date_range(DAY, NEXT, freq="21min", inclusive="right")
    found = visible(compute(tables, documents, group, DAY - timedelta(days=1), NEXT), key, asked)
    seen = 0
    for snapshot in asked:
        for entity, widest in window(events, moment, snapshot, 6).groupby(key):
            row = found[*entity, snapshot.to_pydatetime()]
            for feature, (hours, function) in features.items():
                inside = window(widest, moment, snapshot, hours)[value].to_numpy()
                expected = function(inside) if len(inside) or function is len else None
                assert row[feature] == pytest.approx(expected), (entity, snapshot, feature)
            seen += 1
    assert seen > 150
    empty = [row for row in found.values() if row[next(iter(features))] is None]
    assert all(row[feature] == 0 for row in empty for feature in features if features[feature][1] is len)


def test_windows_give_what_the_query_gave_at_its_quarter_hours(tables, documents):
    start, end = DAY - timedelta(days=1), NEXT + timedelta(days=1)
    tables.catalog.setCurrentDatabase(documents.name)
    query = tables.sql(CARRIER_QUERY, args={"from": start + timedelta(days=1), "to": end})
    expected = rows_of(query, "carrier", "event_time")
    asked = pd.date_range(start + timedelta(days=1), end, freq="15min", inclusive="left")
    found = visible(compute(tables, documents, "carrier_delays", start, end), ["carrier"], asked)
    assert len(expected) > 2_000
    for place, row in expected.items():
        assert found[place] == pytest.approx(row)
    assert {row["arrivals_6h"] for place, row in found.items() if place not in expected} == {0}


def test_the_history_of_a_route(tables, documents, events):
    found = rows_of(compute(tables, documents, "route_history", DAY, NEXT), "origin", "dest", "event_time")
    before = window(events, "arrived_at", DAY, 28 * 24)
    of_all = before.late.mean()
    expected = {
        (*route, DAY): {
            "late_share_28d": (flights.late.sum() + 20 * of_all) / (len(flights) + 20),
            "arrivals_28d": len(flights),
        }
        for route, flights in before.groupby(["origin", "dest"])
    }
    assert len(expected) > 150
    assert found.keys() == expected.keys()
    for place, row in expected.items():
        assert found[place] == pytest.approx(row)


def test_a_late_flight_reopens_every_day_that_has_it_in_its_rows(nycflights, documents):
    """Of a whole year: the last row that a flight is in, against the days that follow when its day is loaded again."""
    flights = nycflights.flights()
    last_rows = {
        "origin_delays": ("sched_dep", flights.pushed_back_at + timedelta(hours=3)),
        "route_history": ("arrived_at", flights.arrived_at.dt.floor("D") + timedelta(days=28)),
        "last_flight": ("arrived_at", flights.arrived_at),
    }
    for group, (filed, last_row) in last_rows.items():
        loaded_until = flights[filed].dt.floor("D") + timedelta(days=1)
        lag = (last_row.dt.floor("D") - loaded_until).max()  # of the day that the last row lies in
        # The days that follow are those that begin less than that after the days loaded.
        assert lag < reach(documents, group) or (lag < timedelta() and not reach(documents, group)), group
    assert not reach(documents, "origin_weather")
    assert not reach(documents, "plane")


@pytest.mark.parametrize(
    "group",
    [
        "origin_weather", "origin_delays", "carrier_delays", "dest_delays", "carrier_at_origin", "route_history",
        "last_flight", "origin_cancellations",
    ],
)  # fmt: skip
def test_a_day_has_the_same_rows_in_any_range(tables, documents, group):
    alone = compute(tables, documents, group, DAY, NEXT)
    within = compute(tables, documents, group, DAY - timedelta(days=1), NEXT).where(
        F.col("event_time") >= F.lit(DAY)
    )
    key = [*documents.group(group).entity, "event_time"]
    found, expected = rows_of(alone, *key), rows_of(within, *key)
    assert found
    assert found.keys() == expected.keys()
    exact = documents.source(group) == "windows"
    for place, row in expected.items():
        assert found[place] == (row if exact else pytest.approx(row))


def test_the_columns_are_those_of_the_document(tables, documents):
    types = {"bigint": "int", "double": "float", "string": "str", "timestamp": "timestamp"}
    for name, group in documents.groups.items():
        frame = compute(tables, documents, name, DAY, NEXT)
        found = {column: types[type_] for column, type_ in frame.dtypes}
        features = {feature: declared.type for feature, declared in group.features.items()}
        assert found == {**group.entity, "event_time": "timestamp", **features}


def test_the_last_flight_of_a_plane(tables, documents, events):
    found = rows_of(compute(tables, documents, "last_flight", DAY, NEXT), "tailnum", "event_time")
    landed = events[(events.arrived_at >= DAY) & (events.arrived_at < NEXT)]
    assert len(landed) > 900
    for flight in landed.itertuples():
        assert found[flight.tailnum, flight.arrived_at.to_pydatetime()]["arr_delay"] == flight.arr_delay
    assert len(found) == len(landed)


def test_planes_are_known_from_the_first_day(tables, documents):
    new_year = datetime(2013, 1, 1, tzinfo=UTC)
    assert compute(tables, documents, "plane", new_year, new_year + timedelta(days=1)).count() == 3_322
    assert compute(tables, documents, "plane", DAY, NEXT).count() == 0
