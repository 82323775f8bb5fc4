"""Loads the airports' days that begin in a span of time."""

from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from ..nycflights import airport_days, rows_between


def load(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Rows with start <= begins < end."""
    columns = ["origin", "local_date", "begins", "scheduled"]
    return spark.createDataFrame(rows_between(airport_days(), "begins", start, end, columns))
