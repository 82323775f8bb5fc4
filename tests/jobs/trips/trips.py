"""The trips, made from their numbers alone: the same on every machine."""

from pyspark.sql import functions as F

NUMBER = 800


def between(spark, moment, start, end):
    """The trips whose `moment`, left_at or arrived_at, lies in [start, end)."""
    noise = (F.col("id") * 104729 % 97) / 12 - 4
    steep = F.col("id") % 5 < 2
    left = F.timestamp_seconds(F.lit(1362096000) + F.col("id") * 1080)
    return (
        spark.range(NUMBER)
        .withColumn("distance", 100 + (F.col("id") * 7919 % 9000) / 10)
        .select(
            F.format_string("t%04d", "id").alias("trip_id"),
            left.alias("left_at"),
            (left + F.expr("INTERVAL 2 HOURS")).alias("arrived_at"),
            "distance",
            F.when(steep, "Steep").otherwise("Plain").alias("city"),
            (F.col("distance") * F.when(steep, 0.8).otherwise(0.1) + noise).alias("minutes"),
        )
        .where((F.col(moment) >= F.lit(start)) & (F.col(moment) < F.lit(end)))
    )
