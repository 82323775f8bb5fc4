"""The queries of the flights' feature groups, against windows computed one by one from the events."""

from datetime import UTC, datetime, timedelta
from types import ModuleType

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata.documents import ProjectDocuments, load_project

DAY = datetime(2013, 11, 12, tzinfo=UTC)  # a bad day, with delays of many hours
NEXT = DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def documents(request: pytest.FixtureRequest) -> ProjectDocuments:
    return load_project(request.config.rootpath / "projects" / "flights")


@pytest.fixture(scope="module")
def events(nycflights: ModuleType) -> pd.DataFrame:
    """The flights scheduled around the day."""
    flights = nycflights.flights()
    near = (flights.sched_dep >= DAY - timedelta(days=3)) & (flights.sched_dep < NEXT + timedelta(days=2))
    return flights[near]


@pytest.fixture(scope="module")
def tables(spark: SparkSession, nycflights: ModuleType, events: pd.DataFrame) -> SparkSession:
    """Spark with the project's tables as views, partitioned as Hive has them."""
    weather = nycflights.weather()
    frames = {
        "departures": (events, "sched_dep"),
        "arrivals": (events[events.arrived_at.notna()], "arrived_at"),
        "weather": (weather[weather.observed_at.between(DAY - timedelta(days=1), NEXT)], "observed_at"),
        "planes": (nycflights.planes(), "registered_at"),
    }
    for name, (frame, moment) in frames.items():
        table = nycflights.rows_between(
            frame, moment, datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC), list(frame)
        )
        partitioned = spark.createDataFrame(table).withColumn("day", F.date_format(moment, "yyyy-MM-dd"))
        partitioned.createOrReplaceTempView(name)
    return spark


def compute(
    tables: SparkSession, documents: ProjectDocuments, group: str, start: datetime, end: datetime
) -> DataFrame:
    return tables.sql(documents.query(group), args={"from": start, "to": end})


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
        ("carrier_delays", "carrier", "arrived_at", "arr_delay", 15, {6: ("mean_arr_delay_6h", "arrivals_6h")}),
        ("dest_delays", "dest", "arrived_at", "arr_delay", 30, {6: ("mean_arr_delay_6h", "arrivals_6h")}),
    ],
)  # fmt: skip
def test_windows_are_half_open_and_complete(
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


@pytest.mark.parametrize(
    "group", ["origin_weather", "origin_delays", "carrier_delays", "dest_delays", "last_flight"]
)
def test_a_day_has_the_same_rows_in_any_range(tables, documents, group):
    alone = compute(tables, documents, group, DAY, NEXT)
    within = compute(tables, documents, group, DAY - timedelta(days=1), NEXT).where(
        F.col("event_time") >= F.lit(DAY)
    )
    key = [*documents.group(group).entity, "event_time"]
    found, expected = rows_of(alone, *key), rows_of(within, *key)
    assert found
    assert found.keys() == expected.keys()
    for place, row in expected.items():
        assert found[place] == pytest.approx(row)


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
