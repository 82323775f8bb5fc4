"""Loads the planes registered in a span of time: all of them on 2013-01-01, none on another day."""

from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from ..nycflights import planes, rows_between

COLUMNS = ["tailnum", "built_year", "seats", "engines", "manufacturer", "model", "registered_at"]


def load(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Rows with start <= registered_at < end."""
    return spark.createDataFrame(rows_between(planes(), "registered_at", start, end, COLUMNS))
