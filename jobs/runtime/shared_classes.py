"""The archive of Spark's classes that the JVMs of this machine share: `python -m jobs.runtime.shared_classes` makes it.

A JVM of Spark reads, checks and links some 20,000 classes from 250 archives, most of what a short job does. With class
data sharing (https://docs.oracle.com/en/java/javase/17/vm/class-data-sharing.html) it maps them as they were when a
session like that of a job ended. The archive belongs to one Java and one list of jars: with any other the JVM goes on
without it.
"""

import os
import sys
import tempfile
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from giornata.spark_submit import CLASS_ARCHIVE, SHORT_LIVED_JVM

__all__ = ["main"]

_DAYS = 40
_ROWS = 4_000


def main() -> int:
    """Make CLASS_ARCHIVE anew; where this Java cannot, say so and do without."""
    CLASS_ARCHIVE.parent.mkdir(parents=True, exist_ok=True)
    CLASS_ARCHIVE.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=CLASS_ARCHIVE.parent) as name:
        folder = Path(name)
        unfinished = folder / CLASS_ARCHIVE.name
        write = f'"-XX:ArchiveClassesAtExit={unfinished}" -Xlog:cds=off -Xlog:cds+dynamic=off'
        write += f' "-Dderby.stream.error.file={folder / "derby.log"}"'
        _exercise(folder, f"{SHORT_LIVED_JVM} {write}")
        if not unfinished.is_file():
            print(f"Java shares no classes ({unfinished} was not written): jobs start more slowly.")
            return 0
        unfinished.rename(CLASS_ARCHIVE)
    print(f"{CLASS_ARCHIVE} holds Spark's classes, {CLASS_ARCHIVE.stat().st_size >> 20} MB.")
    return 0


def _exercise(folder: Path, options: str) -> None:
    """Run what jobs do, on a metastore in memory, in a JVM of its own that has ended on return."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.appName("shared classes")
        .master("local[2]")
        .config("spark.driver.extraJavaOptions", options)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.hadoop.javax.jdo.option.ConnectionURL", "jdbc:derby:memory:classes;create=true")
        .config("spark.hadoop.datanucleus.schema.autoCreateAll", "true")
        .config("spark.hadoop.hive.metastore.schema.verification", "false")
        .config("spark.hadoop.fs.file.impl", "org.apache.hadoop.fs.RawLocalFileSystem")
        .enableHiveSupport()
        .getOrCreate()
    )
    context = spark.sparkContext
    context.setLogLevel("OFF")
    rows = _rows(spark)
    _tables(spark, rows)
    _queries(spark, rows)
    spark.stop()
    gateway = context._gateway
    assert gateway is not None
    process = gateway.proc
    gateway.shutdown()
    process.stdin.close()
    process.wait(120)


def _rows(spark: SparkSession) -> DataFrame:
    frame = pd.DataFrame({"number": range(_ROWS)})
    return spark.createDataFrame(frame).selectExpr(
        "number",
        "number % 7 as part",
        "cast(number * 1.5 as double) as value",
        "timestamp_millis(1356998400000 + number * 600000) as event_time",
        "concat('name', number % 30) as name",
        f"date_format(date_add(date'2013-01-01', cast(number % {_DAYS} as int)), 'yyyy-MM-dd') as day",
    )


def _tables(spark: SparkSession, rows: DataFrame) -> None:
    spark.sql("CREATE DATABASE IF NOT EXISTS IDENTIFIER(:name)", args={"name": "shared"})
    spark.catalog.setCurrentDatabase("shared")
    spark.sql(
        "CREATE TABLE IF NOT EXISTS IDENTIFIER(:name) (number BIGINT, part BIGINT, value DOUBLE, event_time TIMESTAMP, "
        "name STRING) PARTITIONED BY (day STRING) STORED AS PARQUET",
        args={"name": "shared.rows"},
    )
    spark.sql("ALTER TABLE shared.rows SET TBLPROPERTIES ('meaning' = 'none')")
    spark.sql("ALTER TABLE shared.rows ADD COLUMNS (more DOUBLE)")
    complete = rows.withColumn("more", F.lit(None).cast("double"))
    complete = complete.select("number", "part", "value", "event_time", "name", "more", "day")
    complete.hint("rebalance", "day").write.insertInto("shared.rows", overwrite=False)
    spark.sql("SHOW TBLPROPERTIES shared.rows").collect()
    spark.catalog.listColumns("shared.rows")
    spark.catalog.tableExists("shared.rows")
    spark.catalog.refreshTable("shared.rows")


def _queries(spark: SparkSession, rows: DataFrame) -> None:
    table = spark.table("shared.rows").where(F.col("day").between("2013-01-05", "2013-02-01"))
    kept = table.persist()
    kept.count()
    number = F.col("value")
    kept.groupBy("day").agg(
        F.count(F.lit(1)),
        F.count_if(number > 3),
        F.avg(number),
        F.min(number),
        F.max_by("name", "value"),
        F.percentile_approx(number, [0.05, 0.5], 10_000),
        F.count_distinct("name"),
        F.to_json(F.struct(F.first("part"), F.first("name"))),
    ).collect()
    before = Window.partitionBy("part").orderBy("event_time").rowsBetween(Window.unboundedPreceding, -1)
    kept.withColumn("last", F.last("value", ignorenulls=True).over(before)).agg(F.sum("last")).toPandas()
    other = rows.select("number", (F.col("value") + 1).alias("other"))
    kept.join(F.broadcast(other), "number").where(F.col("other") > 4).agg(F.sum("other")).collect()
    kept.join(other, "number", "left_anti").unionByName(kept).orderBy("value").limit(5).collect()
    kept.join(other.hint("merge"), "number", "left").groupBy("part").agg(F.collect_list("name")).toArrow()
    again = kept.repartition(2, "part").sortWithinPartitions("part")
    again.select("number", "value").mapInArrow(
        lambda batches: batches, "number bigint, value double"
    ).collect()
    sampled = kept.select("number", "value", F.hash("name").alias("drawn")).where(F.rand(7) < 0.5)
    sampled.groupBy("number").applyInPandas(lambda frame: frame.head(1), sampled.schema).collect()
    kept.unpersist()


if __name__ == "__main__":
    sys.exit(main())
