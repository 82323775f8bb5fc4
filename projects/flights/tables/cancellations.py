"""Loads what became known of cancellations in a span of time."""

from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from ..nycflights import flights, rows_between


def load(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Rows with start <= known_at < end."""
    columns = ["flight_id", "origin", "known_at", "cancelled"]
    return spark.createDataFrame(rows_between(flights(), "known_at", start, end, columns))
