"""Recomputes the feature values of logged online predictions by the offline join, and counts how the served ones
compare.

The served values are in the JSON of a prediction's inputs, with the keys they were looked up by. The offline side is
the point-in-time join at the prediction's moment, its values written as the same JSON. Every feature value of a
prediction's inputs came from the online store: the server takes none from its callers.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import orjson
import polars as pl
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from dsl.schema import AGE, Inputs
from giornata.absence import LOGGED, Reason
from giornata.errors import StoreError
from giornata.monitoring.consistency import Verdict, compare
from giornata.names import group_table, parse_store_column, store_column
from giornata.records.model_version import ModelVersion
from giornata.scorer import inputs_of
from giornata.settings import Settings
from jobs.features.point_in_time import join
from jobs.hive.metastore import metastore
from jobs.hive.publish import published_at
from jobs.hive.schema import SQL_TYPES, input_frame
from jobs.monitoring.prediction_table import inputs_json

# No column of a document begins with an underscore.
_AT, _ANSWERED, _TAG, _DAY, _SERVED = "_at", "_answered", "_tag", "_day", "_served"

ABSENT_COUNTS = {reason: f"{reason}_count" for reason in Reason}
"""The columns that count values which were null because their group had no row, by reason."""

_TALLY = (
    "row_count",
    *(f"{verdict}_count" for verdict in Verdict),
    "null_count",
    "published_later_count",
    *ABSENT_COUNTS.values(),
)
_TALLIES = pa.schema(
    [
        *((name, pa.string()) for name in ("day", "tag", "feature")),
        *((name, pa.int64()) for name in _TALLY),
        ("differences", pa.list_(pa.float64())),
    ]
)
_QUANTILES = {"p50_difference": 0.5, "p90_difference": 0.9, "p99_difference": 0.99}

Published = Mapping[str, Mapping[str, datetime]]  # when Hive published each day of a use's group


def compared(answers: DataFrame, version: ModelVersion, project: str, settings: Settings) -> DataFrame:
    """The comparison of the features of `version` in its logged online predictions with the recomputed ones.

    `answers` are the rows of the model's predictions table by this version. The result has a row for each day, tag and
    feature, and the columns of `sql/hive/feature_consistency.sql` except the model's name. Raises StoreError if a group
    has no Hive table.
    """
    spark = answers.sparkSession
    inputs = inputs_of(version.signature)
    served = {store_column(use, feature) for use, store in inputs.store.items() for feature in store.features}
    joined = join(spark, _asked(answers, inputs), _AT, _with_ages(inputs), version.groups, project)
    types = {
        store_column(use, feature): type_
        for use, store in _with_ages(inputs).store.items()
        for feature, type_ in store.features.items()
    }
    published = _published(joined, inputs, project, settings)

    def tally(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield _count(frame, served, published)

    tallies = input_frame(joined, types, _AT, _ANSWERED, _TAG, _DAY, _SERVED).mapInArrow(
        tally, from_arrow_schema(_TALLIES)
    )
    return _summed(tallies).withColumn("model_uuid", F.lit(version.uuid))


def _asked(answers: DataFrame, inputs: Inputs) -> DataFrame:
    """The lookup of each prediction in the store: its keys, as it used them, and its moment."""
    keys = {column: inputs.row[column] for store in inputs.store.values() for column in store.keys.values()}
    schema = ", ".join(f"{name} {SQL_TYPES[type_]}" for name, type_ in keys.items())
    return answers.select(
        F.from_json("inputs", schema).alias("_keys"),
        F.col("event_time").alias(_AT),
        F.col("predicted_at").alias(_ANSWERED),
        F.coalesce("tag", F.lit("")).alias(_TAG),
        F.col("day").alias(_DAY),
        F.col("inputs").alias(_SERVED),
    ).select("_keys.*", _AT, _ANSWERED, _TAG, _DAY, _SERVED)


def _with_ages(inputs: Inputs) -> Inputs:
    """The same inputs with the age of every row that is found, which gives the day of the row."""
    return replace(
        inputs,
        store={
            use: replace(store, features={**store.features, AGE: "float"})
            for use, store in inputs.store.items()
        },
    )


def _published(joined: DataFrame, inputs: Inputs, project: str, settings: Settings) -> Published:
    found: dict[str, dict[str, datetime]] = {}
    with metastore(joined.sparkSession, settings) as hive:
        for use, store in inputs.store.items():
            locations = hive.locations(group_table(project, store.group))
            found[use] = {}
            for values, location in locations.items():
                try:
                    found[use][values[0]] = published_at(location)
                except StoreError:
                    continue  # not written by a job of ours: nobody knows when
    return found


def _count(frame: pl.DataFrame, served: set[str], published: Published) -> pa.RecordBatch:
    """The tallies of the predictions in a frame."""
    counts: dict[tuple[str, str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(_TALLY, 0))
    differences: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    named = {column: parse_store_column(column) for column in sorted(served)}
    for row in frame.iter_rows(named=True):
        was = orjson.loads(row[_SERVED])
        now = orjson.loads(inputs_json({column: row[column] for column in named}))
        absent = was.get(LOGGED, {})
        for column, (use, feature) in named.items():
            place = (row[_DAY], row[_TAG], f"{use}.{feature}")
            verdict, difference = compare(feature, was.get(column), now[column])
            own = counts[place]
            own["row_count"] += 1
            own[f"{verdict}_count"] += 1
            if use in absent and f"{absent[use]}_count" in own:
                own[f"{absent[use]}_count"] += 1
            if verdict == Verdict.EQUAL:
                own["null_count"] += was.get(column) is None
            elif verdict != Verdict.MISSING_OFFLINE:
                own["published_later_count"] += _published_later(row, use, published)
            if difference is not None:
                differences[place].append(difference)
    rows = [
        {
            "day": place[0],
            "tag": place[1],
            "feature": place[2],
            **tally,
            "differences": differences.get(place, []),
        }
        for place, tally in counts.items()
    ]
    return pa.RecordBatch.from_pylist(rows, _TALLIES)


def _published_later(row: Mapping[str, object], use: str, published: Published) -> bool:
    """Whether the day of the row that the join found was last published after the prediction."""
    at, answered, age = row[_AT], row[_ANSWERED], row[store_column(use, AGE)]
    if not isinstance(at, datetime) or not isinstance(answered, datetime) or not isinstance(age, float):
        return False
    day = (at - timedelta(seconds=age)).date().isoformat()
    return day in published[use] and published[use][day] > answered


def _summed(tallies: DataFrame) -> DataFrame:
    """One row for each day, tag and feature. Sums of floats are made in order of size: the same in every run."""
    differences = F.sort_array(F.flatten(F.collect_list("differences"))).alias("differences")
    summed = tallies.groupBy("day", "tag", "feature").agg(
        *(F.sum(name).alias(name) for name in _TALLY), differences
    )
    number = F.size("differences")
    total = F.aggregate("differences", F.lit(0.0), lambda so_far, next_: so_far + next_)
    return summed.select(
        "day",
        "tag",
        "feature",
        *_TALLY,
        F.when(number > 0, total / number).alias("mean_difference"),
        F.get("differences", number - 1).alias("max_difference"),
        *(_quantile(share).alias(name) for name, share in _QUANTILES.items()),
    )


def _quantile(share: float) -> Column:
    """The least difference that at least this share of them does not exceed; null if there is none."""
    return F.get("differences", F.ceil(F.size("differences") * F.lit(share)).cast("int") - 1)
