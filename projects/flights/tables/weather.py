"""Loads the weather observed in a span of time."""

from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from ..nycflights import rows_between, weather

COLUMNS = [
    "origin", "observed_at", "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib",
]  # fmt: skip


def load(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Rows with start <= observed_at < end."""
    return spark.createDataFrame(rows_between(weather(), "observed_at", start, end, COLUMNS))
