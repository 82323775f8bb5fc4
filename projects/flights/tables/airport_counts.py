"""Loads the counts of departures that were complete in a span of time."""

from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from ..nycflights import airport_days, rows_between


def load(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Rows with start <= counted_at < end."""
    columns = ["origin", "local_date", "counted_at", "departed"]
    return spark.createDataFrame(rows_between(airport_days(), "counted_at", start, end, columns))
