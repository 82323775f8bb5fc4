"""The punctuality of routes over four weeks; a route with few flights is taken to be much like all routes."""

from datetime import datetime, timedelta

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

DAYS = 28
WEIGHT = 20  # flights' worth of what all routes say

ROUTE = ("origin", "dest")


def compute(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """One row per midnight in [start, end) and route with an arrival in the four weeks before it."""
    counts = daily_counts(spark, start - timedelta(days=DAYS), end)
    # The arrivals of a day count in the rows of the 28 midnights that follow it.
    following = F.explode(F.sequence(F.lit(1), F.lit(DAYS)))
    rows = (
        counts.select("*", following.alias("days"))
        .withColumn("event_time", F.col("date") + F.make_dt_interval("days"))
        .where((F.col("event_time") >= F.lit(start)) & (F.col("event_time") < F.lit(end)))
        .groupBy(*ROUTE, "event_time")
        .agg(F.sum("arrivals").alias("arrivals_28d"), F.sum("late").alias("late_28d"))
    )
    midnight = Window.partitionBy("event_time")
    of_all = F.sum("late_28d").over(midnight) / F.sum("arrivals_28d").over(midnight)
    share = (F.col("late_28d") + WEIGHT * of_all) / (F.col("arrivals_28d") + WEIGHT)
    return rows.select(*ROUTE, "event_time", share.alias("late_share_28d"), "arrivals_28d")


def daily_counts(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Arrivals, and late ones among them, of every route and day of [start, end); `date` is the day's midnight."""
    return (
        spark.table("arrivals")
        .where(F.col("day").between(f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}"))
        .where((F.col("arrived_at") >= F.lit(start)) & (F.col("arrived_at") < F.lit(end)))
        .groupBy(*ROUTE, F.date_trunc("day", "arrived_at").alias("date"))
        .agg(F.count("*").alias("arrivals"), F.count_if("late").alias("late"))
    )
