"""Statistics of features by day: measured in one aggregation, published to Hive, brought from there to Cassandra.

They are published before the rows that they are about: a job that is killed in between has not published
these days, so that the next run does both again. What is in Cassandra follows Hive by the folders of the
partitions, as the features themselves do (see `jobs/online/push.py`): nothing that a run left undone stays undone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from types import MappingProxyType
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata import names
from giornata.documents import Feature
from giornata.records.feature_statistics import FeatureStatistics
from giornata.settings import Settings
from giornata.stores.cassandra import SCHEMA, apply
from giornata.stores.statistics import Statistics
from jobs.hive.metastore import metastore
from jobs.hive.publish import publish_records, published_at
from jobs.hive.schema import day_of, on_days
from jobs.online.writer import Patience, patient_session
from jobs.runtime.session import ROOT

TABLE = ROOT / "sql" / "hive" / "feature_statistics.sql"
PARTITIONS = ("day", "group_name")
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}

# Spark's bound on the rank of a quantile: it may be 1 / ACCURACY of the values away, and keeps as many in memory.
ACCURACY = 10_000

# Days that are read from Hive at once: each is a row for every feature.
DAYS_TOGETHER = 366

# Fields of FeatureStatistics that a column in Hive calls otherwise.
_RENAMED = {"rows": "row_count", "distinct": "distinct_count"}

_DEFAULT_PATIENCE = Patience()


def publish_statistics(
    spark: SparkSession,
    settings: Settings,
    project: str,
    group: str,
    days: Sequence[str],
    measured: Sequence[FeatureStatistics],
) -> dict[str, list[FeatureStatistics]]:
    """Replace the statistics of `days` in Hive by what was `measured`; returns them by the folder of their day there.

    The table, TABLE, is there. Raises StoreError.
    """
    published = publish_records(
        spark,
        [_record(found, group) for found in measured],
        names.statistics_table(project),
        PARTITIONS,
        settings=settings,
        expected=[{"day": day, "group_name": group} for day in days],
    )
    by_day: dict[str, list[FeatureStatistics]] = {day: [] for day in days}
    for found in measured:
        by_day[found.day.isoformat()].append(found)
    return {published.folders[day, group]: by_day[day] for day in days}


def measure(rows: DataFrame, features: Mapping[str, Feature], days: Sequence[str]) -> list[FeatureStatistics]:
    """What FeatureStatistics says of every feature on every one of `days` (ISO dates), one without rows too."""
    measures = [
        measure.alias(f"{name}__{what}")
        for name, feature in features.items()
        for what, measure in _measures(F.col(name), feature.type).items()
    ]
    by_day = rows.groupBy(day_of("event_time").alias("__day"))
    found = {
        row["__day"]: row.asDict()
        for row in by_day.agg(F.count(F.lit(1)).alias("__rows"), *measures).collect()
    }
    return [
        _statistics(name, feature.type, day, found.get(day, {"__rows": 0}))
        for day in days
        for name, feature in features.items()
    ]


def _measures(column: Column, type_: str) -> dict[str, Column]:
    """The aggregates of a column by the fields of FeatureStatistics that they give."""
    if type_ == "float":
        column = F.when(~F.isnan(column) & (F.abs(column) < math.inf), column)
    measures = {"null_share": F.avg(column.isNull().cast("double"))}
    if type_ == "bool":
        measures["true_share"] = F.avg(column.cast("double"))
    elif type_ == "str":
        measures["distinct"] = F.count_distinct(column)
    elif type_ in ("int", "float"):
        number = column.cast("double")
        measures |= {"minimum": F.min(number), "mean": F.avg(number), "maximum": F.max(number)}
        measures["quantiles"] = F.percentile_approx(number, list(QUANTILES.values()), ACCURACY)
    return measures


def _statistics(name: str, type_: str, day: str, row: Mapping[str, Any]) -> FeatureStatistics:
    prefix = f"{name}__"
    measured = {key.removeprefix(prefix): row[key] for key in row if key.startswith(prefix)}
    quantiles = measured.pop("quantiles", None)
    if quantiles:
        measured |= dict(zip(QUANTILES, quantiles, strict=True))
    # The sum of huge numbers may have no finite mean, which JSON could not carry.
    finite = {key: value for key, value in measured.items() if value is None or math.isfinite(value)}
    return FeatureStatistics(
        name, type_, date.fromisoformat(day), row["__rows"], **{"null_share": None, **finite}
    )


def _record(found: FeatureStatistics, group: str) -> dict[str, Any]:
    """A row of the table in Hive."""
    values = asdict(found) | {"day": found.day.isoformat(), "group_name": group}
    return {_RENAMED.get(field, field): value for field, value in values.items()}


def push_statistics(
    spark: SparkSession,
    settings: Settings,
    project: str,
    group: str,
    known: Mapping[str, Sequence[FeatureStatistics]] = MappingProxyType({}),
    patience: Patience = _DEFAULT_PATIENCE,
) -> int:
    """Bring Cassandra to the statistics that Hive has of the published days of a group; returns how many changed.

    `known` are the statistics in some of the folders in Hive, as `publish_statistics` gives them; others are read.
    Raises StoreError when Cassandra still does not answer after limited retries.
    """
    table = names.statistics_table(project)
    if not spark.catalog.tableExists(table):
        return 0
    with metastore(spark, settings) as hive:
        rows = {day for (day,) in hive.locations(names.group_table(project, group))}
        measured = {day: at for (day, _), at in hive.locations(table, group_name=group).items()}
    with patient_session(settings, patience) as session:
        apply(session, SCHEMA / "feature_statistics.cql", settings.cassandra_replicas)
        store = Statistics(session)
        there = store.locations(project, group)
        due = [
            day
            for day, at in sorted(measured.items())
            if day in rows and there.get(date.fromisoformat(day)) != at
        ]
        for first in range(0, len(due), DAYS_TOGETHER):
            days = due[first : first + DAYS_TOGETHER]
            found = {day: known[measured[day]] for day in days if measured[day] in known}
            unknown = [day for day in days if day not in found]
            found |= _read(spark, table, group, unknown) if unknown else {}
            for day in days:
                patience.retrying()(
                    store.replace,
                    project,
                    group,
                    date.fromisoformat(day),
                    found[day],
                    measured[day],
                    published_at(measured[day]),
                )
    return len(due)


def _read(
    spark: SparkSession, table: str, group: str, days: Sequence[str]
) -> dict[str, list[FeatureStatistics]]:
    """The statistics in Hive of a group on `days`: one row a day and feature."""
    found: dict[str, list[FeatureStatistics]] = {day: [] for day in days}
    rows = spark.table(table).where(F.col("group_name") == group)
    for row in on_days(rows, days).collect():
        feature, type_, *values, day, _ = row
        found[day].append(FeatureStatistics(feature, type_, date.fromisoformat(day), *values))
    return found
