"""The point-in-time join: for every row, the features as they were known at the row's own moment.

It is the offline implementation of point-in-time reads (`giornata/stores/features.py` is the online one): at moment t a
row sees, per group and entity, the newest feature row with event_time < t, unless that row is older than t - ttl.

Requesting rows and feature rows are put in one sequence per entity, in order of time and, at the same instant,
requesting rows first, since what becomes known in an instant is not yet known in it. The newest feature row is then the
last one before each requesting row. One shuffle serves all groups that are looked up by the same columns; rows are only
sorted, so the cost grows as n log n, however many feature rows an entity has. An entity with millions of rows is sorted
by several tasks (see `jobs/features/time_slices.py`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from dsl.schema import AGE, Inputs, StoreInput
from giornata import names
from giornata.documents import FeatureGroup
from giornata.errors import NotFoundError, StoreError
from jobs.features.time_slices import SLICE, sliced

# Names that no document can give a column: a legal name has no double underscore at its beginning.
_ASKING = "__asking"
_TIME = "__time"
_KEY = "__key"
_ORDER = "__order"


def join(
    spark: SparkSession,
    entities: DataFrame,
    at: str,
    inputs: Inputs,
    groups: Mapping[str, FeatureGroup],
    project: str,
) -> DataFrame:
    """`entities` with a column `use__feature` for every store feature in `inputs`.

    A use is a group, or `group__column` if stated columns are its keys (see `dsl.schema.store_use`). `at` is the
    timestamp column with the moment of each row. Every row comes back once, in any order; its features are null if no
    feature row was known, if the newest is older than the group's ttl, and if a key or `at` is null. `event_age` is the
    time from the feature row's event time to the moment, in seconds.

    Raises NotFoundError for a group the project does not have, StoreError for one that has no Hive table yet.
    """
    if not inputs.store:
        return entities
    first, last = entities.agg(F.min(at), F.max(at)).collect()[0]
    by_key: dict[tuple[str, ...], dict[str, StoreInput]] = {}
    for use, store in inputs.store.items():
        if store.group not in groups:
            raise NotFoundError(f"project {project} has no feature group {store.group}.")
        columns = tuple(store.keys[entity] for entity in groups[store.group].entity)
        by_key.setdefault(columns, {})[use] = store
    joined = entities
    for columns, stores in by_key.items():
        answers = {
            use: _answers(spark, project, use, groups[store.group], store, first, last)
            for use, store in stores.items()
        }
        joined = _join_key(joined, at, columns, stores, answers, groups)
    return joined


def _answers(
    spark: SparkSession,
    project: str,
    use: str,
    group: FeatureGroup,
    store: StoreInput,
    first: datetime | None,
    last: datetime | None,
) -> DataFrame:
    """Key, time and a struct of values of each row of a group that moments from `first` to `last` can see."""
    table = names.group_table(project, store.group)
    if not spark.catalog.tableExists(table):
        raise StoreError(
            f"the feature group {store.group} has no table {table} yet: "
            f"trigger {names.dag_id(project, 'features')} with a range of days first."
        )
    rows = spark.table(table)
    if last is not None:
        rows = rows.where(F.col("day") <= f"{last:%Y-%m-%d}")
    if first is not None and group.ttl is not None:
        rows = rows.where(F.col("day") >= f"{first - group.ttl:%Y-%m-%d}")
    return rows.select(
        *(F.col(entity).alias(f"{_KEY}{place}") for place, entity in enumerate(group.entity)),
        F.col("event_time").alias(_TIME),
        F.struct("event_time", *store.stored).alias(use),
    )


def _join_key(
    entities: DataFrame,
    at: str,
    columns: Sequence[str],
    stores: Mapping[str, StoreInput],
    answers: Mapping[str, DataFrame],
    groups: Mapping[str, FeatureGroup],
) -> DataFrame:
    keys = [f"{_KEY}{place}" for place in range(len(columns))]
    sequence = entities.select(
        *(F.col(column).alias(key) for column, key in zip(columns, keys, strict=True)),
        F.col(at).alias(_TIME),
        F.struct(*entities.columns).alias(_ASKING),
    )
    for rows in answers.values():
        sequence = sequence.unionByName(rows, allowMissingColumns=True)
    sequence = sequence.withColumn(_ORDER, F.when(F.col(_ASKING).isNotNull(), 0).otherwise(1))
    so_far = (
        Window.partitionBy(*keys, SLICE)
        .orderBy(_TIME, _ORDER)
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    newest = sliced(sequence, keys, _TIME, _ORDER, list(answers)).select(
        _ASKING, _TIME, *(F.last(use, ignorenulls=True).over(so_far).alias(use) for use in answers)
    )
    features = [
        _visible(use, feature, groups[store.group].ttl)
        for use, store in stores.items()
        for feature in store.features
    ]
    asked = newest.where(F.col(_ASKING).isNotNull())
    return asked.select(*(F.col(f"{_ASKING}.{column}") for column in entities.columns), *features)


def _visible(use: str, feature: str, ttl: timedelta | None) -> Column:
    event_time = F.col(f"{use}.event_time")
    value = _age(event_time) if feature == AGE else F.col(f"{use}.{feature}")
    if ttl is not None:
        value = F.when(event_time >= F.col(_TIME) - F.lit(ttl), value)
    return value.alias(names.store_column(use, feature))


def _age(event_time: Column) -> Column:
    """Seconds from an event time to the moment of a row: whole microseconds, divided as doubles."""
    return (F.unix_micros(F.col(_TIME)) - F.unix_micros(event_time)) / F.lit(1_000_000.0)
