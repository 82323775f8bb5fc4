"""Scans the day partitions in which rows with an event time in a given range can lie."""

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata.documents.base import format_duration
from giornata.documents.feature_group import Events
from giornata.documents.model import Data
from giornata.names import data_table
from jobs.runtime.session import say

__all__ = ["PARTITION_DAY", "earliest_partition", "scan_partitions"]

PARTITION_DAY = "_partition_day"


def scan_partitions(
    spark: SparkSession,
    project: str,
    data: Data | Events,
    columns: Sequence[str],
    begin: datetime,
    end: datetime,
) -> DataFrame:
    """The rows in partitions from `data.filed_ahead` before `begin` to the day of `end`: `columns` and PARTITION_DAY.

    Reports how many rows lie in a partition so long before their event time that no run finds them.
    """
    first = begin - data.filed_ahead
    rows = spark.table(data_table(project, data.table)).where(F.col("day").between(_day(first), _day(end)))
    unreached = rows.where(F.col("day") < earliest_partition(data)).count()
    if unreached:
        say(
            "rows",
            f"{unreached} rows of {data.table} have their {data.event_time} more than "
            f"{format_duration(data.filed_ahead)} after the day of their partition and are left out: "
            "set a longer filed_ahead",
        )
    return rows.select(F.col("day").alias(PARTITION_DAY), *dict.fromkeys([data.event_time, *columns]))


def earliest_partition(data: Data | Events) -> Column:
    """The earliest partition in which a row is found, as text."""
    return F.date_format(F.date_trunc("day", data.event_time) - F.lit(data.filed_ahead), "yyyy-MM-dd")


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
