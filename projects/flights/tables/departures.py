"""Loads the departures scheduled in a span of time."""

from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from ..nycflights import flights, rows_between

COLUMNS = [
    "flight_id", "carrier", "tailnum", "origin", "dest", "dest_city", "dest_state", "dest_country",
    "distance", "sched_dep", "sched_arr", "ask_at", "pushed_back_at", "dep_delay",
]  # fmt: skip


def load(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Rows with start <= sched_dep < end."""
    return spark.createDataFrame(rows_between(flights(), "sched_dep", start, end, COLUMNS))
