"""A long backfill that is killed, begun twice at once or disturbed: it ends with the rows of an undisturbed one."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from giornata.settings import Settings
from giornata.stores import hive
from jobs.hive import day_batches
from jobs.hive.publish import ensure_table, publish
from jobs.materialize import run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
START, DAYS = datetime(2013, 1, 1, tzinfo=UTC), 30
END = START + DAYS * timedelta(days=1)
GROUP = """
description: Water levels
owner: tests
entity: {place: str}
ttl: 2d
features: {level: {type: float, description: Metres}, seen: {type: int, description: Readings of the hour}}
"""
QUERY = """
SELECT place, date_trunc('HOUR', observed_at) AS event_time, avg(level) AS level, count(*) AS seen
FROM readings WHERE observed_at >= :from AND observed_at < :to GROUP BY 1, 2
"""

# The job itself, on executors of their own, with steps of five days, so that there is a middle to be killed in.
JOB = """
import sys
from jobs import materialize
from jobs.runtime import session
materialize.in_steps = lambda days, do: [do(days[first : first + 5]) for first in range(0, len(days), 5)]
session.SMALL_MASTER = "local-cluster[2,1,1024]"
sys.exit(session.job_main(materialize.main))
"""

WriteProject = Callable[[Mapping[str, str]], Settings]


@pytest.fixture
def settings(spark: SparkSession, stores: Settings, project: str, write_project: WriteProject) -> Settings:
    """A project with readings of thirty days, three a place and hour, in Hive."""
    table = f"{project}.readings"
    ensure_table(spark, table, {"place": "str", "observed_at": "timestamp", "level": "float"})
    readings = spark.range(DAYS * 24 * 3 * 4).selectExpr(
        "concat('p', id % 4) AS place",
        f"timestamp_seconds({START.timestamp():.0f} + (id DIV 4) * 1200) AS observed_at",
        "(id * 7919 % 1000) / 8 AS level",
    )
    publish(
        spark,
        readings.selectExpr("*", "date_format(observed_at, 'yyyy-MM-dd') AS day"),
        table,
        settings=stores,
    )
    return write_project({"features/tides.yaml": GROUP, "features/tides.sql": QUERY})


def expected() -> dict[tuple[str, datetime], tuple[float, int]]:
    """The group by hand."""
    levels: dict[tuple[str, datetime], list[float]] = {}
    for number in range(DAYS * 24 * 3 * 4):
        hour = START + timedelta(hours=number // 4 // 3)
        levels.setdefault((f"p{number % 4}", hour), []).append(number * 7919 % 1000 / 8)
    return {key: (sum(found) / len(found), len(found)) for key, found in levels.items()}


def assert_complete(settings: Settings, project: str) -> None:
    rows = hive.query(settings, f"SELECT place, event_time, level, seen FROM {project}.tides")
    assert len(rows) == DAYS * 24 * 4
    assert {(row["place"], row["event_time"]): (row["level"], row["seen"]) for row in rows} == expected()


class Backfill:
    """The job in processes of its own, and what it has said so far."""

    def __init__(self, settings: Settings, project: str, *more: str) -> None:
        environment = {
            **os.environ,
            **settings.variables,
            "PYTHONPATH": str(ROOT),
            "PYSPARK_PYTHON": sys.executable,
        }
        days = ["--from", f"{START:%Y-%m-%d}", "--to", f"{END:%Y-%m-%d}"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", JOB, "--project", project, *days, *more],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []

    def follow(self) -> Iterator[str]:
        """Its lines as they come, until it ends."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.strip())
            yield line.strip()

    def until(self, text: str) -> None:
        """Wait for a line."""
        assert any(text in line for line in self.follow()), "\n".join(self.lines[-40:])

    def end(self) -> int:
        """Wait for its end; the exit code."""
        list(self.follow())
        return self.process.wait(60)

    def kill(self) -> None:
        """End all its processes at once, without a word."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)


def test_a_killed_driver_loses_no_published_day(settings: Settings, project: str) -> None:
    began = datetime.now(UTC)
    first = Backfill(settings, project)
    try:
        first.until("10 of 30 days")
    finally:
        first.kill()
    days = {row["day"] for row in hive.query(settings, f"SELECT DISTINCT day FROM {project}.tides")}
    assert len(days) in (10, 15)
    again = Backfill(settings, project, "--since", began.isoformat())
    try:
        assert again.end() == 0, "\n".join(again.lines[-40:])
    finally:
        again.kill()
    (resumed,) = [line for line in again.lines if "were published before" in line]
    assert f"{len(days)} of 30 days were published before, {30 - len(days)} are due" in resumed
    assert sum("rows published" in line for line in again.lines) == (30 - len(days)) / 5
    assert_complete(settings, project)


def test_a_killed_executor_is_replaced(settings: Settings, project: str) -> None:
    job = Backfill(settings, project)
    try:
        job.until("5 of 30 days")
        executors = executors_below(job.process.pid)
        assert len(executors) == 2
        executors[0].kill()
        assert job.end() == 0, "\n".join(job.lines[-40:])
    finally:
        job.kill()
    assert_complete(settings, project)


def executors_below(process: int) -> list[psutil.Process]:
    """Spark's executors among what a process has started; what ends meanwhile, such as `chmod`, is none."""
    found = []
    for child in psutil.Process(process).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "CoarseGrainedExecutorBackend" in " ".join(child.cmdline()):
                found.append(child)
    return found


def test_two_runs_of_the_same_days_at_once(
    spark: SparkSession, settings: Settings, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each day is that of one of the two, whole."""
    monkeypatch.setattr(day_batches, "FIRST_STEP", 10)
    together = threading.Barrier(2, timeout=60)

    def backfill() -> None:
        together.wait()
        run(spark, settings, project, START, END)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(backfill) for _ in range(2)]:
            done.result(300)
    assert_complete(settings, project)
