"""The rows of a table whose moment can lie in a span of time, whatever day they are filed under."""

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata.documents.base import format_duration
from giornata.documents.feature_group import Events
from giornata.documents.model import Data
from giornata.names import data_table
from jobs.runtime.session import say

__all__ = ["FILED_DAY", "earliest_filed", "filed_rows"]

FILED_DAY = "_filed_day"


def filed_rows(
    spark: SparkSession,
    project: str,
    data: Data | Events,
    columns: Sequence[str],
    begin: datetime,
    end: datetime,
) -> DataFrame:
    """The rows filed from `data.filed_ahead` before `begin` until the day of `end`: `columns` and FILED_DAY.

    Says how many of them have their moment so much later than they are filed that no run finds them.
    """
    first = begin - data.filed_ahead
    rows = spark.table(data_table(project, data.table)).where(F.col("day").between(_day(first), _day(end)))
    unreached = rows.where(F.col("day") < earliest_filed(data)).count()
    if unreached:
        say(
            "rows",
            f"{unreached} rows of {data.table} have their {data.event_time} more than "
            f"{format_duration(data.filed_ahead)} after the day they are filed under and are left out: "
            "state a longer filed_ahead",
        )
    return rows.select(F.col("day").alias(FILED_DAY), *dict.fromkeys([data.event_time, *columns]))


def earliest_filed(data: Data | Events) -> Column:
    """The first day that a row can be filed under and be found, as text."""
    return F.date_format(F.date_trunc("day", data.event_time) - F.lit(data.filed_ahead), "yyyy-MM-dd")


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
