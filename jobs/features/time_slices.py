"""Cuts the sequences of entities with very many rows into slices of time, so that no task has to sort one whole."""

from collections.abc import Sequence
from functools import reduce
from operator import add, and_

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

__all__ = ["SLICE", "sliced"]

SLICE = "__slice"

# The rows of one entity that one task is to sort.
ROWS = 1_000_000

_COUNT = "__count"


def sliced(
    sequence: DataFrame, keys: Sequence[str], time: str, order: str, answers: Sequence[str]
) -> DataFrame:
    """`sequence` with the column SLICE, the number of a row's slice of time: 0 except for entities of more than ROWS
    rows.

    `answers` are the columns of which rows see the newest value so far that is not null. Each later slice gets one row
    more, before all others at its first moment (-1 in the column `order`), with the newest answers of the slices before
    it.
    """
    counts = sequence.groupBy(*keys).agg(F.count("*").alias(_COUNT)).where(F.col(_COUNT) > ROWS)
    large = counts.collect()  # at most the number of all rows divided by ROWS
    if not large:
        return sequence.withColumn(SLICE, F.lit(0))
    spark = sequence.sparkSession
    entities = F.broadcast(spark.createDataFrame(large, counts.schema).drop(_COUNT))
    slices = -(-max(entity[_COUNT] for entity in large) // ROWS)
    bounds = _bounds(sequence.join(entities, _same(sequence, entities, keys), "left_semi"), time, slices)
    number = reduce(add, (F.when(F.unix_micros(time) >= bound, 1).otherwise(0) for bound in bounds))
    cut = sequence.join(
        entities.withColumn(_COUNT, F.lit(True)), _same(sequence, entities, keys), "left"
    ).select(
        *(sequence[column] for column in sequence.columns),
        F.when(F.col(_COUNT), number).otherwise(0).alias(SLICE),
    )
    return cut.unionByName(
        _beginnings(cut, entities, bounds, keys, time, order, answers), allowMissingColumns=True
    )


def _bounds(rows: DataFrame, time: str, slices: int) -> list[int]:
    """The first moments of all slices but the first, as microseconds from 1970: about as many rows in each."""
    shares = [place / slices for place in range(1, slices)]
    moments = rows.select(F.unix_micros(time).alias(time))
    return sorted({int(moment) for moment in moments.approxQuantile(time, shares, 0.1 / slices)})


def _beginnings(
    cut: DataFrame,
    entities: DataFrame,
    bounds: Sequence[int],
    keys: Sequence[str],
    time: str,
    order: str,
    answers: Sequence[str],
) -> DataFrame:
    """For every later slice of each entity a row with the newest answers before it."""
    known = cut.join(entities, _same(cut, entities, keys), "left_semi")
    moment = F.unix_micros(time)
    newest = known.groupBy(*keys, SLICE).agg(
        *(F.max_by(answer, F.when(F.col(answer).isNotNull(), moment)).alias(answer) for answer in answers)
    )
    starts = cut.sparkSession.createDataFrame(
        [(0, None), *enumerate(bounds, start=1)], f"{SLICE} int, {time} long"
    )
    every = entities.crossJoin(starts)
    before = Window.partitionBy(*keys).orderBy(SLICE).rowsBetween(Window.unboundedPreceding, -1)
    return (
        every.join(newest, _same(every, newest, [*keys, SLICE]), "left")
        .select(*(every[column] for column in every.columns), *answers)
        .withColumns({answer: F.last(answer, ignorenulls=True).over(before) for answer in answers})
        .where(F.col(SLICE) > 0)
        .withColumns({time: F.timestamp_micros(time), order: F.lit(-1)})
    )


def _same(left: DataFrame, right: DataFrame, keys: Sequence[str]) -> Column:
    """Both have the same values of `keys`; null is one of them."""
    return reduce(and_, (left[key].eqNullSafe(right[key]) for key in keys))
