"""A function of the project that runs on the executors."""

from pyspark.sql import functions as F

from ..letters import count


def compute(spark, start, end):
    letters = F.udf(count, "bigint")
    events = spark.table("arrivals").where(
        (F.col("arrived_at") >= F.lit(start)) & (F.col("arrived_at") < F.lit(end))
    )
    newest = events.groupBy("city").agg(F.max("arrived_at").alias("event_time"))
    return newest.select("city", "event_time", letters("city").alias("letters"))
