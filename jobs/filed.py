"""The rows of a model's table that can have been asked about in a span of time, whatever day they are filed under."""

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata.documents.base import format_duration
from giornata.documents.model import Data
from giornata.names import data_table
from jobs.session import say

__all__ = ["FILED_DAY", "filed_rows"]

FILED_DAY = "_filed_day"


def filed_rows(
    spark: SparkSession, project: str, data: Data, columns: Sequence[str], begin: datetime, end: datetime
) -> DataFrame:
    """The rows filed from `data.filed_ahead` before `begin` until the day of `end`: `columns` and FILED_DAY.

    Says how many of them are asked about so much later than they are filed that no run finds them.
    """
    first = begin - data.filed_ahead
    rows = spark.table(data_table(project, data.table)).where(F.col("day").between(_day(first), _day(end)))
    earliest_found = F.date_trunc("day", data.event_time) - F.lit(data.filed_ahead)
    unreached = rows.where(F.col("day") < F.date_format(earliest_found, "yyyy-MM-dd")).count()
    if unreached:
        say(
            "rows",
            f"{unreached} rows of {data.table} are asked about more than "
            f"{format_duration(data.filed_ahead)} after the day they are filed under and are left out: "
            "state a longer data.filed_ahead in the model",
        )
    return rows.select(F.col("day").alias(FILED_DAY), *dict.fromkeys([*data.key, data.event_time, *columns]))


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
