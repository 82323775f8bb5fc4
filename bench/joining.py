"""The point-in-time join compared with Feast's local offline engines, and how its time grows with the rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.feast_peer import FeastFault, Peer, describe
from bench.figures import show
from bench.flights_year import ASKED, AT, KEYS, PROJECT, START, asking_rows, inputs
from giornata.documents import FeatureGroup
from giornata.names import group_table
from jobs.features import point_in_time
from jobs.features.time_slices import SLICE

GIGABYTE = 2**30
MEMORY = 8 * GIGABYTE
LIMIT = 240.0
ROUNDS = 2
COPIES = 10

# Spark's database of views that last as long as the session: the copied groups need no tables.
VIEWS = "global_temp"

FEW = (1_000, 10_000)
"""The numbers of asking rows with which Feast's engines are tried, until they fail."""


def beside_feast(
    spark: SparkSession, groups: Mapping[str, FeatureGroup], python: str, folder: Path, days: int, most: int
) -> None:
    """Print the join of up to `most` asking rows beside Feast's engines, and in how many rows the answers differ.

    Feast gets the feature rows of the first `days`; of ours, the join itself leaves out days that nobody asks about.
    """
    asks, number = _write_asks(spark, folder, days, most)
    describe(folder, {name: groups[name] for name in ASKED})
    known = 0
    for name in ASKED:
        asked = F.col("day") < f"{START + timedelta(days=days):%Y-%m-%d}"
        rows = spark.table(group_table(PROJECT, name)).where(asked).drop("day").toArrow()
        pq.write_table(rows, folder / f"{name}.parquet")
        known += len(rows)
    print(f"{number} asking rows, {known} feature rows in {len(ASKED)} groups")
    ours: dict[int, tuple[float, pl.DataFrame]] = {}
    for engine, sizes in (("duckdb", (*FEW, number)), ("dask", (*FEW, number))):
        for few in sizes:
            asks_few = str(folder / "few.parquet")
            pl.read_parquet(asks).head(few).write_parquet(asks_few)
            name = f"join of {few} rows, x of Feast's {engine}"
            if few not in ours:
                ours[few] = _ours(spark, groups, asks_few)
            seconds, answer = ours[few]
            try:
                feast, found = _feast(python, folder, engine, asks_few)
            except FeastFault as fault:
                print(
                    f"{name:<44} {seconds:>12.1f} s   Feast fails: {str(fault).splitlines()[0]}", flush=True
                )
                break
            _show(name, seconds, feast, answer, found)
    if number not in ours:
        print(f"{f'join of {number} rows':<44} {_ours(spark, groups, asks)[0]:>12.1f} s", flush=True)


def _write_asks(spark: SparkSession, folder: Path, days: int, most: int) -> tuple[str, int]:
    """A file of at most so many asking rows, in an order that has nothing to do with time, and their number."""
    file = str(folder / "asks.parquet")
    rows = pl.from_arrow(asking_rows(spark, days).toArrow())
    assert isinstance(rows, pl.DataFrame)
    chosen = rows.sort(pl.col("flight_id").hash(0)).head(most)
    chosen.write_parquet(file)
    return file, len(chosen)


def _ours(spark: SparkSession, groups: Mapping[str, FeatureGroup], asks: str) -> tuple[float, pl.DataFrame]:
    """Seconds of our join with its answer in this process's memory, the least of some rounds, and the answer."""
    seconds, found = [], None
    for _ in range(ROUNDS):
        began = perf_counter()
        entities = spark.read.parquet(asks)
        found = point_in_time.join(spark, entities, AT, inputs(groups), groups, PROJECT).toArrow()
        seconds.append(perf_counter() - began)
    frame = pl.from_arrow(found)
    assert isinstance(frame, pl.DataFrame)
    return min(seconds), frame


def _feast(python: str, folder: Path, engine: str, asks: str) -> tuple[dict[str, Any], pl.DataFrame]:
    """The report of Feast's join, made in a process of its own, and its result. Raises FeastFault."""
    with Peer(python, folder) as peer:
        answer = str(folder / f"{engine}.parquet")
        told = peer.tell("historical", LIMIT, engine=engine, asks=asks, answer=answer, memory=MEMORY)
    return told, pl.read_parquet(answer)


def _show(
    name: str, ours: float, feast: Mapping[str, Any], answer: pl.DataFrame, found: pl.DataFrame
) -> None:
    seconds = feast["seconds"]
    show(name, f"{ours:.1f} s", f"{seconds:.1f} s", seconds / ours, 5)
    lost, different = differences(answer, found)
    print(
        f"    of {len(answer)} rows Feast does not give back {lost}; of the others {different} differ; "
        f"Feast's process needs {feast['peak'] / GIGABYTE:.1f} GiB"
    )


def differences(ours: pl.DataFrame, feasts: pl.DataFrame) -> tuple[int, int]:
    """Number of our rows that are missing in Feast's, and of the others in which a feature differs."""
    features = [column for column in ours.columns if "__" in column]
    kinds = dict.fromkeys(features, pl.Float64)
    both = (
        ours.cast(kinds)
        .join(feasts.select("flight_id", *features).cast(kinds).fill_nan(None), on="flight_id", suffix=":feast")
    )  # fmt: skip
    differ = pl.any_horizontal(pl.col(feature).ne_missing(pl.col(f"{feature}:feast")) for feature in features)
    return len(ours) - len(both), both.filter(differ).height


def growth(
    spark: SparkSession, groups: Mapping[str, FeatureGroup], folder: Path, days: int, most: int
) -> None:
    """Print how much longer the join takes when asking rows and feature rows are ten times as many."""
    tenfold = str(folder / "tenfold_asks")
    once, number = _write_asks(spark, folder, days, most)
    _copied(spark.read.parquet(once)).write.parquet(tenfold)
    for name in ASKED:
        asked = F.col("day") < f"{START + timedelta(days=days):%Y-%m-%d}"
        rows = _copied(spark.table(group_table(PROJECT, name)).where(asked))
        rows.hint("rebalance", "day").write.partitionBy("day").parquet(str(folder / name))
        spark.read.parquet(str(folder / name)).createOrReplaceGlobalTempView(name)

    def seconds(asks: str, project: str) -> float:
        began = perf_counter()
        joined = point_in_time.join(spark, spark.read.parquet(asks), AT, inputs(groups), groups, project)
        joined.write.format("noop").mode("overwrite").save()
        return perf_counter() - began

    seconds(once, PROJECT)  # a session that has just begun is slow
    taken = {"once": seconds(once, PROJECT), "tenfold": seconds(tenfold, VIEWS)}
    with _uncounted():
        uncounted = {"once": seconds(once, PROJECT), "tenfold": seconds(tenfold, VIEWS)}
    show(
        f"join of {COPIES * number} rows, x of {number}",
        f"{taken['tenfold']:.1f} s", f"{taken['once']:.1f} s", taken["tenfold"] / taken["once"], 11, at_most=True,
    )  # fmt: skip
    for name, rows in (("once", number), ("tenfold", COPIES * number)):
        all_of_it, without = taken[name], uncounted[name]
        share = (all_of_it - without) / all_of_it
        print(
            f"    looking for large entities costs {all_of_it - without:.1f} s, {share:.0%} of the join of {rows}"
        )


def _copied(rows: DataFrame) -> DataFrame:
    """Ten copies of the rows, each with keys of its own."""
    copies = rows.crossJoin(rows.sparkSession.range(COPIES).select(F.col("id").alias("copy")))
    keys = [key for key in KEYS if key in rows.columns]
    return copies.withColumns({key: F.concat_ws("-", key, "copy") for key in keys}).drop("copy")


@contextmanager
def _uncounted() -> Iterator[None]:
    """The join without the look for entities that are to be cut in slices."""
    sliced = point_in_time.sliced
    point_in_time.sliced = lambda sequence, *_: sequence.withColumn(SLICE, F.lit(0))
    try:
        yield
    finally:
        point_in_time.sliced = sliced
