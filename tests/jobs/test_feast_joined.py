"""The point-in-time join gives what Feast's local engines gave for the same rows: an independent truth.

`bench/feast_joined.py` made `feast_joined.json` with Feast 0.67. Feast takes the newest row at or before a moment,
Giornata the newest strictly before it; so Feast was asked about a millisecond earlier, too. The oldest row that
a ttl still shows is the same for both.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from dsl.schema import Inputs, StoreInput
from giornata import names
from giornata.documents import Feature, FeatureGroup
from giornata.settings import Settings
from jobs.features.point_in_time import join
from jobs.hive.publish import ensure_table, publish

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

CASE = json.loads((Path(__file__).parent / "feast_joined.json").read_text())
GROUPS = {
    name: FeatureGroup(
        description="d",
        owner="o",
        entity=group["entity"],
        ttl=group["ttl"] and timedelta(seconds=group["ttl"]),
        features={
            feature: Feature(type=type_, description="d") for feature, type_ in group["features"].items()
        },
    )
    for name, group in CASE["groups"].items()
}
INPUTS = Inputs(
    row={"place": "str", "number": "int"},
    store={
        name: StoreInput(name, keys={key: key for key in group["entity"]}, features=group["features"])
        for name, group in CASE["groups"].items()
    },
)
SQL = {"int": "bigint", "float": "double", "str": "string"}
ASKS: list[tuple[str | None, int, datetime]] = [
    (place, number, datetime.fromisoformat(at)) for place, number, at in CASE["asks"]
]

Answer = list[Any] | None


def publish_groups(spark: SparkSession, stores: Settings, project: str) -> None:
    for name, group in CASE["groups"].items():
        table = names.group_table(project, name)
        time = len(group["entity"])
        rows = []
        for row in CASE[name]:
            event_time = datetime.fromisoformat(row[time])
            rows.append((*row[:time], event_time, *row[time + 1 :], f"{event_time:%Y-%m-%d}"))
        columns = {**group["entity"], "event_time": "timestamp", **group["features"]}
        schema = ", ".join(f"{column} {SQL.get(type_, type_)}" for column, type_ in columns.items())
        ensure_table(spark, table, columns)
        publish(spark, spark.createDataFrame(rows, f"{schema}, day string"), table, settings=stores)


@pytest.fixture
def ours(spark: SparkSession, stores: Settings, project: str) -> list[Answer]:
    """Our features of every asking row, in the order of the rows."""
    publish_groups(spark, stores, project)
    asked = [(place, *ask) for place, ask in enumerate(ASKS)]
    entities = spark.createDataFrame(asked, "id int, place string, number bigint, at timestamp")
    columns = [
        f"{name}__{feature}" for name, group in CASE["groups"].items() for feature in group["features"]
    ]
    found = {row["id"]: row for row in join(spark, entities, "at", INPUTS, GROUPS, project).collect()}
    return [[found[place][column] for column in columns] for place in range(len(ASKS))]


def tied(ask: tuple[str | None, int, datetime]) -> bool:
    """Whether a feature row of the asked entity has the very moment of asking."""
    place, number, at = ask
    asked = {"place": place, "number": number}
    return any(
        row[: len(group["entity"])] == [asked[key] for key in group["entity"]]
        and datetime.fromisoformat(row[len(group["entity"])]) == at
        for name, group in CASE["groups"].items()
        for row in CASE[name]
    )


@pytest.mark.parametrize("engine", ["dask", "duckdb"])
def test_the_join_gives_what_feast_gives(engine: str, ours: list[Answer]) -> None:
    """Feast at a moment, where nothing is tied; and Feast a millisecond earlier, everywhere."""
    ties = 0
    for ask, answer, at, before in zip(
        ASKS, ours, CASE[f"{engine} at"], CASE[f"{engine} a_millisecond_before"], strict=True
    ):
        ties += tied(ask) and at not in (None, answer)
        assert tied(ask) or at in (None, answer), ask
        assert before in (None, answer), ask
    assert ties > 40, "where a row is tied, Feast sees it and Giornata does not"


def test_the_case_compares_most_rows() -> None:
    """Feast's dask engine loses rows that are alike or see nothing; of the rest, and of DuckDB's, enough is left."""
    for engine, least in (("dask", 190), ("duckdb", len(ASKS))):
        for when in ("at", "a_millisecond_before"):
            assert sum(row is not None for row in CASE[f"{engine} {when}"]) >= least
    assert sum(place is None for place, *_ in ASKS) > 5
    assert len(set(ASKS)) < len(ASKS)
