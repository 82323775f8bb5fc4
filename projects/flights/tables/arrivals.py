"""Loads the arrivals of a span of time; flights that were cancelled or diverted never arrive."""

from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from ..nycflights import flights, rows_between

COLUMNS = [
    "flight_id", "carrier", "tailnum", "origin", "dest", "arrived_at", "gate_minutes", "door_minutes", "arr_delay",
    "late",
]  # fmt: skip


def load(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Rows with start <= arrived_at < end."""
    return spark.createDataFrame(rows_between(flights(), "arrived_at", start, end, COLUMNS))
