"""The flights of 2013 as a project of the benchmarks in the local stack: its tables and feature groups."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dsl.schema import Inputs, StoreInput
from giornata.documents import FeatureGroup, load_project
from giornata.names import data_table, group_table
from giornata.removal import remove_project
from giornata.settings import Settings, load_settings
from giornata.stores import cassandra
from jobs import ingest, materialize
from jobs.runtime.session import ROOT

PROJECT = "bench_flights"
START = datetime(2013, 1, 1, tzinfo=UTC)
DAYS = 366  # the last flights left New York on the evening of 31 December, the next day in UTC

ASKED = ("last_flight", "dest_delays", "carrier_at_origin", "origin_weather")
"""The groups that the benchmarks ask: four keys, from 3 entities to 4,000, 13 features."""

KEYS = ("tailnum", "dest", "carrier", "origin")
AT = "event_timestamp"


@dataclass(frozen=True)
class Backfilled:
    """The result of a backfill: rows of feature groups in Hive, and the seconds that tables and groups took."""

    rows: int
    loading: float
    materializing: float


@contextmanager
def flights_year() -> Iterator[tuple[Settings, dict[str, FeatureGroup]]]:
    """The settings of the local stack with a copy of the project `flights` by the name of PROJECT, and its groups."""
    settings = load_settings()
    with TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "projects" / "flights", Path(folder) / PROJECT)
        settings = replace(settings, variables={**settings.variables, "GIORNATA_PROJECTS": folder})
        yield settings, dict(load_project(Path(folder) / PROJECT).groups)


def backfill(
    spark: SparkSession, settings: Settings, groups: Mapping[str, FeatureGroup], days: int
) -> Backfilled:
    """Load the tables and compute, publish and push every group, for `days` from START, in this one application."""
    remove()
    end = START + timedelta(days=days)
    began = perf_counter()
    ingest.run(spark, settings, PROJECT, START, end)
    loaded = perf_counter()
    materialize.run(spark, settings, PROJECT, START, end)
    done = perf_counter()
    rows = sum(spark.table(group_table(PROJECT, name)).count() for name in groups)
    return Backfilled(rows, loaded - began, done - loaded)


def inputs(groups: Mapping[str, FeatureGroup]) -> Inputs:
    """All features of the groups ASKED, looked up by the columns of their own names."""
    return Inputs(
        row=dict.fromkeys(KEYS, "str"),
        store={
            name: StoreInput(
                name,
                keys={key: key for key in groups[name].entity},
                features={feature: document.type for feature, document in groups[name].features.items()},
            )
            for name in ASKED
        },
    )


def asking_rows(spark: SparkSession, days: int = DAYS) -> DataFrame:
    """Flights of the first `days`, each asking half a minute after its push-back.

    All event times are whole minutes, so no feature row has the moment of asking, which Feast would see and Giornata
    would not. A plane asks once a moment, since Feast's dask engine keeps one of rows with equal keys.
    """
    departures = spark.table(data_table(PROJECT, "departures"))
    return (
        departures.where("tailnum IS NOT NULL AND pushed_back_at IS NOT NULL")
        .where(F.col("pushed_back_at") < F.lit(START + timedelta(days=days)))
        .dropDuplicates(["tailnum", "pushed_back_at"])
        .select("flight_id", *KEYS, (F.col("pushed_back_at") + F.expr("INTERVAL 30 SECONDS")).alias(AT))
    )


def remove() -> None:
    """Take all of the project out of the stores again."""
    settings = load_settings()
    with cassandra.session(settings) as session:
        for _ in remove_project(settings, session, PROJECT):
            pass
