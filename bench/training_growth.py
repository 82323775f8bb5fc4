"""How training grows from some rows to ten times as many, how much memory its driver takes, and what is not fitting.

A project of its own: flights/trip_minutes without what it reads from the feature store. Ten times the rows are copies
of the flights with keys of their own.
"""

import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import psutil
from pyspark.sql import functions as F

from bench.figures import show
from giornata.names import data_table
from giornata.removal import remove_project
from giornata.settings import Settings
from giornata.stores import cassandra
from jobs import ingest, train
from jobs.hive.publish import publish
from jobs.runtime.session import ROOT, days_between, parse_day, start

PROJECT = "bench_training"
COPIES = 10
MODEL = """\
description: Gate-to-gate minutes
owner: bench
type: xgboost
task: regression
data: {table: departures, key: [flight_id], event_time: pushed_back_at}
label: {table: arrivals, value: gate_minutes, event_time: arrived_at}
split: {train: 300d, validation: 0.2, test: 30d}
features:
  distance: row.distance
  departure_minute: minute_of_day(row.sched_dep, "America/New_York")
  carrier: vocabulary(row.carrier)
  origin: vocabulary(row.origin)
  dep_delay: row.dep_delay
partition: {by: [row.dest_state], min_rows: 2000}
parameters: {n_estimators: 60, max_depth: 4, learning_rate: 0.1}
search: {trials: 2, metric: rmse, space: {max_depth: {int: [3, 5]}}}
resources: {executors: 2, cores: 1, memory: 1g, gpus: 0}
"""
_STAGE = re.compile(r"^\[train\] [^:]+: (.*)$")
_MEMORY = re.compile(r"^MEMORY (\d+) (\d+)$")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def growth(settings: Settings, master: str) -> None:
    """Print the seconds and the driver's memory of both trainings, and what was done when."""
    with TemporaryDirectory() as folder:
        project = Path(folder) / PROJECT
        flights = ROOT / "projects" / "flights"
        shutil.copytree(flights / "tables", project / "tables")
        for file in ("nycflights.py", "project.yaml"):
            shutil.copy(flights / file, project / file)
        (project / "models").mkdir()
        (project / "models" / "minutes.yaml").write_text(MODEL)
        variables = {**settings.variables, "GIORNATA_PROJECTS": folder, "GIORNATA_SPARK_MASTER": master}
        own = Settings(settings.home, variables)
        try:
            measured = {}
            for copies in (1, COPIES):
                rows = _load(own, copies)
                measured[copies] = (rows, *_train(own))
            (few, once, small, _), (many, tenfold, large, _) = measured.values()
            show(
                f"training of {many} rows, x of {few}",
                f"{tenfold:.0f} s", f"{once:.0f} s", tenfold / once, 11, at_most=True,
            )  # fmt: skip
            for name, less, more in zip(("Python", "Java"), small, large, strict=True):
                show(
                    f"memory of the driver's {name}, x",
                    f"{more:.0f} MiB", f"{less:.0f} MiB", more / less, 1.2, at_most=True,
                )  # fmt: skip
            for rows, _, _, stages in measured.values():
                print(
                    f"    {rows} rows: " + "; ".join(f"{seconds:.0f} s {stage}" for seconds, stage in stages)
                )
        finally:
            shutil.rmtree(project)
            with cassandra.session(own) as session:
                for _ in remove_project(own, session, PROJECT):
                    pass


def _load(settings: Settings, copies: int) -> int:
    """Publish the tables of the year with so many copies of each flight; returns the flights that arrived."""
    begin, end = parse_day("2013-01-01"), parse_day("2014-01-01")
    spark = start(settings, "bench training")
    try:
        ingest.run(spark, settings, PROJECT, begin, end)
        for name in ("departures", "arrivals") if copies > 1 else ():
            table = data_table(PROJECT, name)
            # Read whole before it is replaced.
            rows = spark.table(table).crossJoin(spark.range(copies).select(F.col("id").alias("copy")))
            rows = rows.withColumn("flight_id", F.concat_ws("-", "flight_id", "copy")).drop("copy")
            expected = [{"day": day} for day in days_between(begin, end)]
            publish(spark, rows, table, settings=settings, expected=expected)
        return spark.table(data_table(PROJECT, "arrivals")).count()
    finally:
        spark.stop()


def _train(settings: Settings) -> tuple[float, tuple[float, ...], list[tuple[float, str]]]:
    """Seconds, MiB of the driver's Python and Java at their largest, and the stages with the second of their end."""
    command = [sys.executable, "-m", "bench.training_growth", str(uuid.uuid4())]
    began = perf_counter()
    stages: list[tuple[float, str]] = []
    memory: tuple[float, ...] = ()
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **settings.variables}, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            if stage := _STAGE.match(line):
                stages.append((perf_counter() - began, stage[1]))
            elif found := _MEMORY.match(line):
                memory = tuple(int(each) / 1024 for each in found.groups())
    if process.returncode:
        raise SystemExit(f"training ended with {process.returncode}; its last stages: {stages[-3:]}")
    return perf_counter() - began, memory, stages


def main() -> None:
    """Train, and say how much memory this process and its Java took at most, in KiB."""
    train.main(["--model", f"{PROJECT}/minutes", "--as-of", "2013-12-31", "--uuid", sys.argv[1]])
    java = psutil.Process().children()
    print(f"MEMORY {_peak(os.getpid())} {sum(_peak(child.pid) for child in java)}", flush=True)


def _peak(process: int) -> int:
    """The most memory that a process had, in KiB (Linux, proc(5))."""
    found = _PEAK.search(Path(f"/proc/{process}/status").read_text())
    assert found, "Linux says how much memory a process had"
    return int(found[1])


if __name__ == "__main__":
    main()
