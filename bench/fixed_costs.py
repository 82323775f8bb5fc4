"""Seconds of each stage of materializing a feature group, beside a bare write of the same rows.

    python -m bench.fixed_costs --from 2013-11-11 --to 2013-11-16

The local stack must be up and the tables of the project's days loaded (as `make demo` leaves them). The days are
materialized once more. The peer is what writes a group's rows and nothing else: one `INSERT OVERWRITE` of a table with
a partition a day, and a loop of the bare Cassandra driver, 32 statements under way.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cassandra.concurrent import execute_concurrent_with_args
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bench.figures import recorded, show
from giornata import names
from giornata.documents import FeatureGroup, load_project
from giornata.settings import Settings, load_settings
from giornata.stores import cassandra
from jobs.features import stages
from jobs.materialize import run
from jobs.runtime.session import add_range, start

NEEDS = ("stack",)

STAGES = (
    "check_rows",
    "validate_rows",
    "measure_rows",
    "publish_rows",
    "push_results",
    "push_rows",
    "push_statistics",
)
BARE = "bench_fixed_costs"
GOAL_SECONDS = 4.0
KINDS = {"str": "text", "int": "bigint", "float": "double", "bool": "boolean", "timestamp": "timestamp"}

Seconds = dict[str, dict[str, float]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.fixed_costs", description="Fixed costs of feature groups.")
    parser.add_argument("--project", default="flights", help="name of the project")
    add_range(parser)
    arguments = parser.parse_args()
    settings = load_settings()
    groups = load_project(settings.projects / arguments.project).groups
    with recorded("fixed_costs"):
        began = time.monotonic()
        spark = start(settings, "bench")
        starting = time.monotonic() - began
        seconds = materialize(spark, settings, arguments.project, arguments.start, arguments.end)
        print(f"{'':24}" + "".join(f"{stage:>16}" for stage in (*STAGES, "together", "bare writing")))
        ours = peer = 0.0
        for name, group in groups.items():
            bare = bare_seconds(
                spark, settings, arguments.project, name, group, arguments.start, arguments.end
            )
            together = sum(seconds[name].values())
            figures = [*(seconds[name][stage] for stage in STAGES), together, bare]
            print(f"{name:24}" + "".join(f"{figure:>16.2f}" for figure in figures))
            ours, peer = ours + together, peer + bare
        spark.sql(f"DROP DATABASE IF EXISTS {BARE} CASCADE")
        print(f"Spark started in {starting:.1f} s")
        each, bare = ours / len(groups), peer / len(groups)
        show(
            f"a group, share of {GOAL_SECONDS:g} s, {len(groups)} groups",
            f"{each:.2f} s",
            f"{bare:.2f} s",
            each / GOAL_SECONDS,
            1,
            at_most=True,
        )
        spark.stop()


def materialize(
    spark: SparkSession, settings: Settings, project: str, begin: datetime, end: datetime
) -> Seconds:
    """Materialize the days of a project; the seconds of each stage by group."""
    seconds: Seconds = defaultdict(lambda: defaultdict(float))
    group = ""

    def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any) -> Any:
            nonlocal group
            began = time.monotonic()
            if isinstance(arguments[0], stages.GroupRun):
                group = arguments[0].name
            try:
                return function(*arguments)
            finally:
                seconds[group][stage] += time.monotonic() - began

        return measured

    computed = stages.compute

    def compute(of: stages.GroupRun) -> Any:
        nonlocal group
        group = of.name
        return computed(of)

    stages.compute = compute
    for stage in STAGES:
        setattr(stages, stage, timed(stage, getattr(stages, stage)))
    run(spark, settings, project, begin, end)
    return seconds


def bare_seconds(
    spark: SparkSession,
    settings: Settings,
    project: str,
    name: str,
    group: FeatureGroup,
    begin: datetime,
    end: datetime,
) -> float:
    """Seconds for writing the published rows of a group's days into a table of Hive and one of Cassandra."""
    rows = spark.table(names.group_table(project, name)).where(
        F.col("day").between(f"{begin:%F}", f"{end:%F}") & (F.col("day") < f"{end:%F}")
    )
    columns = [*group.entity, "event_time", *group.features]
    rows = rows.select(*columns, "day")
    spark.sql(f"CREATE DATABASE IF NOT EXISTS {BARE}")
    spark.createDataFrame([], rows.schema).write.partitionBy("day").format("parquet").saveAsTable(
        f"{BARE}.{name}", mode="overwrite"
    )
    types = {**group.entity, "event_time": "timestamp"}
    types |= {feature: declared.type for feature, declared in group.features.items()}
    with cassandra.session(settings) as session:
        session.execute(
            f"CREATE KEYSPACE IF NOT EXISTS {BARE} "
            "WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
        )
        described = ", ".join(f"{column} {KINDS[type_]}" for column, type_ in types.items())
        key = f"({', '.join(group.entity)}), event_time"
        session.execute(f"CREATE TABLE {BARE}.{name} ({described}, PRIMARY KEY ({key}))", timeout=60.0)
        insert = session.prepare(
            f"INSERT INTO {BARE}.{name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        )
        began = time.monotonic()
        spark.sql("SET spark.sql.sources.partitionOverwriteMode=dynamic")
        rows.write.insertInto(f"{BARE}.{name}", overwrite=True)
        in_memory = [tuple(row)[:-1] for row in rows.collect()]
        execute_concurrent_with_args(session, insert, in_memory, concurrency=32)
        seconds = time.monotonic() - began
        session.execute(f"DROP KEYSPACE {BARE}", timeout=60.0)
    return seconds


if __name__ == "__main__":
    main()
