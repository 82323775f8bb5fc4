"""Starting Spark for a job, and what a job says and returns."""

import argparse
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from giornata.errors import DataError, SettingsError
from giornata.settings import Settings
from giornata.spark_submit import SHORT_LIVED_JVM
from jobs.runtime.session import ROOT, add_range, days_between, job_main, parse_day


def test_a_day_is_midnight_in_utc() -> None:
    assert parse_day("2013-02-28") == datetime(2013, 2, 28, tzinfo=UTC)
    for text in ("2013-02-30", "0001-01-01", "9999-12-31"):
        with pytest.raises(argparse.ArgumentTypeError, match=rf"^'{text}' is not a date"):
            parse_day(text)


def test_the_days_of_a_range() -> None:
    start = datetime(2013, 2, 27, tzinfo=UTC)
    assert days_between(start, datetime(2013, 3, 2, tzinfo=UTC)) == ["2013-02-27", "2013-02-28", "2013-03-01"]
    with pytest.raises(SettingsError, match="holds no day"):
        days_between(start, start)


def test_the_arguments_of_a_range() -> None:
    parser = argparse.ArgumentParser()
    add_range(parser)
    arguments = parser.parse_args(["--from", "2013-01-01", "--to", "2013-01-02"])
    assert (arguments.start.day, arguments.end.day) == (1, 2)
    with pytest.raises(SystemExit):
        parser.parse_args(["--from", "yesterday", "--to", "2013-01-02"])


def test_an_error_for_people_ends_a_job_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def failing(argv: list[str] | None) -> None:
        raise DataError("the loader of table t: column a is missing")

    assert job_main(failing) == 65
    captured = capsys.readouterr()
    assert captured.err == "error: the loader of table t: column a is missing\n"
    assert job_main(lambda argv: None) == 0
    with pytest.raises(ZeroDivisionError):
        job_main(lambda argv: 1 // 0)


@pytest.mark.timeout(600)
def test_all_times_are_utc_wherever_the_code_runs(spark: SparkSession) -> None:
    def zone(_: int) -> str:
        import time

        return time.tzname[0]

    row = spark.range(1).select(
        F.udf(zone, "string")("id").alias("python"),
        F.current_timezone().alias("sql"),
        F.expr("timestamp '2013-07-01T12:00:00Z'").alias("noon"),
    ).first()  # fmt: skip
    assert row is not None
    assert (row["python"], row["sql"], row["noon"]) == ("UTC", "UTC", datetime(2013, 7, 1, 12))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("rows", "is_sent_to_all"), [(1_000, True), (1_000_000, False)])
def test_only_few_rows_of_a_join_pass_the_driver(
    spark: SparkSession, tmp_path: Path, rows: int, is_sent_to_all: bool
) -> None:
    spark.range(1_000_000).write.parquet(str(tmp_path / "many"))
    spark.range(rows).select("id", (F.col("id") * 2).alias("twice")).write.parquet(str(tmp_path / "labels"))
    # Of a size that Spark would send by itself.
    assert sum(file.stat().st_size for file in (tmp_path / "labels").glob("*.parquet")) < 10 * 2**20
    joined = spark.read.parquet(str(tmp_path / "many")).join(
        spark.read.parquet(str(tmp_path / "labels")), "id"
    )

    executed = joined.agg(F.sum("twice"))
    assert executed.collect()[0][0] == rows * (rows - 1)
    plan = executed._jdf.queryExecution().executedPlan().toString().partition("Initial Plan")[0]
    assert ("BroadcastHashJoin" in plan, "SortMergeJoin" in plan) == (is_sent_to_all, not is_sent_to_all)


@pytest.mark.timeout(600)
def test_a_job_as_it_is_submitted(stores: Settings, tmp_path: Path) -> None:
    binaries = Path(sys.executable).parent
    environment = {
        **os.environ,
        **stores.variables,
        "GIORNATA_PROJECTS": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
    }
    job = [binaries / "spark-submit", ROOT / "jobs" / "materialize.py", "--project", "nowhere"]
    ended = subprocess.run(
        [*job, "--from", "2013-01-01", "--to", "2013-01-02"],
        env=environment,
        timeout=150,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 65
    said = ended.stdout + ended.stderr  # spark-submit prints what Python writes to stderr on its stdout
    assert f"error: there is no project folder at {tmp_path / 'nowhere'}" in said
    assert "Traceback" not in said


GREEDY_JOB = """
import sys
from pathlib import Path
from giornata.settings import load_settings
from jobs.runtime.session import job_main, start

def main(argv):
    # More than its memory, as an answer that is collected can be.
    start(load_settings(), "greedy").sparkContext._jvm.java.nio.ByteBuffer.allocate(2_000_000_000)

Path(sys.argv[1]).write_text(str(job_main(main)))
"""


@pytest.mark.timeout(300)
def test_a_driver_whose_memory_is_full_ends(stores: Settings, tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text(GREEDY_JOB)
    environment = {
        **os.environ,
        **stores.variables,
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_SUBMIT_OPTS": SHORT_LIVED_JVM,
    }
    submit = Path(sys.executable).parent / "spark-submit"
    code = tmp_path / "code"
    ended = subprocess.run(
        [submit, tmp_path / "greedy.py", code], env=environment, timeout=120, capture_output=True, text=True
    )
    assert ended.returncode != 0
    assert "OutOfMemoryError: Java heap space" in ended.stdout + ended.stderr
    ends = time.monotonic() + 30
    while not code.exists():
        assert time.monotonic() < ends, "its Python goes on"
        time.sleep(0.1)
    assert code.read_text() == "143"
