"""Publication as a reader sees it: the reader is PyHive on the Thrift Server, another process than the writer."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from giornata.errors import DataError, StoreError
from giornata.settings import Settings
from giornata.stores import hive
from jobs.hive import publish as publication
from jobs.hive.metastore import metastore
from jobs.hive.publish import Published, ensure_table, publish, published_at
from jobs.runtime.session import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

COLUMNS = {"number": "int", "text": "str"}


@pytest.fixture
def table(spark: SparkSession, project: str) -> str:
    name = f"{project}.numbers"
    ensure_table(spark, name, COLUMNS)
    return name


def frame(spark: SparkSession, *rows: tuple[int, str, str]) -> DataFrame:
    return spark.createDataFrame(list(rows), "number bigint, text string, day string")


def read(stores: Settings, table: str) -> list[tuple[object, ...]]:
    rows = hive.query(stores, f"SELECT number, text, day FROM {table} ORDER BY day, number")
    return [tuple(row.values()) for row in rows]


def test_a_reader_sees_the_newest_rows_of_each_day(spark: SparkSession, stores: Settings, table: str) -> None:
    first = publish(
        spark, frame(spark, (1, "a", "2013-01-01"), (2, "b", "2013-01-02")), table, settings=stores
    )
    assert first == Published((("2013-01-01",), ("2013-01-02",)), 2)
    assert read(stores, table) == [(1, "a", "2013-01-01"), (2, "b", "2013-01-02")]
    publish(spark, frame(spark, (3, "c", "2013-01-02"), (4, "d", "2013-01-03")), table, settings=stores)
    assert read(stores, table) == [(1, "a", "2013-01-01"), (3, "c", "2013-01-02"), (4, "d", "2013-01-03")]


def test_a_day_that_has_no_rows_any_more_is_emptied(
    spark: SparkSession, stores: Settings, table: str
) -> None:
    days = [{"day": "2013-01-01"}, {"day": "2013-01-02"}]
    publish(spark, frame(spark, (1, "a", "2013-01-01"), (2, "b", "2013-01-02")), table, settings=stores)
    again = publish(spark, frame(spark, (2, "b", "2013-01-02")), table, settings=stores, expected=days)
    assert again == Published((("2013-01-01",), ("2013-01-02",)), 1)
    assert read(stores, table) == [(2, "b", "2013-01-02")]
    none = publish(spark, frame(spark), table, settings=stores, expected=days)
    assert none == Published((("2013-01-01",), ("2013-01-02",)), 0)
    assert read(stores, table) == []


def test_the_same_day_twice_gives_the_same_rows(spark: SparkSession, stores: Settings, table: str) -> None:
    rows = [(number, "x", "2013-01-01") for number in range(100)]
    for _ in range(2):
        publish(spark, frame(spark, *rows), table, settings=stores)
    assert read(stores, table) == rows


def test_a_row_outside_the_days_of_the_run_is_refused(
    spark: SparkSession, stores: Settings, table: str
) -> None:
    publish(spark, frame(spark, (1, "a", "2013-01-01")), table, settings=stores)
    rows = frame(spark, (9, "z", "2013-01-01"), (9, "z", "2013-01-05"))
    with pytest.raises(DataError, match="outside the partitions of this run: 2013-01-05"):
        publish(spark, rows, table, settings=stores, expected=[{"day": "2013-01-01"}])
    assert read(stores, table) == [(1, "a", "2013-01-01")]


@pytest.mark.parametrize("day", [None, "a/b", "it's"])
def test_a_day_that_is_no_partition_is_refused(
    spark: SparkSession, stores: Settings, table: str, day: str | None
) -> None:
    rows = spark.createDataFrame([(1, "a", day)], "number bigint, text string, day string")
    with pytest.raises(DataError, match="as its partition column day"):
        publish(spark, rows, table, settings=stores)


def test_columns_must_be_those_of_the_table(spark: SparkSession, stores: Settings, table: str) -> None:
    wrong = spark.createDataFrame([("1", 2, "2013-01-01")], "number string, other int, day string")
    with pytest.raises(DataError) as error:
        publish(spark, wrong, table, settings=stores)
    for part in (
        "column text is missing",
        "column other is not declared",
        "number is string instead of bigint",
    ):
        assert part in str(error.value)


def test_a_table_grows_new_columns_and_keeps_its_rows(
    spark: SparkSession, stores: Settings, table: str
) -> None:
    publish(spark, frame(spark, (1, "a", "2013-01-01")), table, settings=stores)
    ensure_table(spark, table, {**COLUMNS, "extra": "float"})
    ensure_table(spark, table, {**COLUMNS, "extra": "float"})
    rows = spark.createDataFrame(
        [(2, "b", 0.5, "2013-01-02")], "number bigint, text string, extra double, day string"
    )
    publish(spark, rows, table, settings=stores)
    found = hive.query(stores, f"SELECT number, extra FROM {table} ORDER BY number")
    assert found == [{"number": 1, "extra": None}, {"number": 2, "extra": 0.5}]


def test_a_table_does_not_change_a_type_or_its_partitions(spark: SparkSession, table: str) -> None:
    with pytest.raises(StoreError, match="column text as string, not as bigint"):
        ensure_table(spark, table, {"text": "int"})
    with pytest.raises(StoreError, match="partitioned by day, not by day, mode"):
        ensure_table(spark, table, COLUMNS, ("day", "mode"))


def test_several_partition_columns(spark: SparkSession, stores: Settings, project: str) -> None:
    table = f"{project}.scores"
    ensure_table(spark, table, {"number": "int"}, ("day", "mode"))
    schema = "number bigint, day string, mode string"
    rows = [(1, "2013-01-01", "batch"), (2, "2013-01-01", "online")]
    published = publish(spark, spark.createDataFrame(rows, schema), table, ["day", "mode"], settings=stores)
    assert published == Published((("2013-01-01", "batch"), ("2013-01-01", "online")), 2)
    publish(
        spark,
        spark.createDataFrame([(3, "2013-01-01", "online")], schema),
        table,
        ["day", "mode"],
        settings=stores,
        expected=[{"day": "2013-01-01", "mode": "online"}],
    )
    found = hive.query(stores, f"SELECT number FROM {table} ORDER BY number")
    assert [row["number"] for row in found] == [1, 3]


KILLED = """
import os, signal, sys
from giornata.settings import load_settings
from jobs.hive import publish
from jobs.runtime import session
from jobs.hive.metastore import Metastore

def die(self, table, folders):
    os.kill(os.getpid(), signal.SIGKILL)

Metastore.point = die
settings = load_settings()
spark = session.start(settings, "killed")
rows = spark.createDataFrame([(7, "new", "2013-01-01")], "number bigint, text string, day string")
publish.publish(spark, rows, sys.argv[1], settings=settings)
"""


def run_folders(spark: SparkSession, stores: Settings, table: str) -> set[Path]:
    with metastore(spark, stores) as opened:
        folder = Path(opened.location(table).removeprefix("file:")) / "_runs"
    return set(folder.iterdir())


def test_a_job_killed_before_publishing_changes_nothing(
    spark: SparkSession, stores: Settings, table: str, tmp_path: Path
) -> None:
    publish(spark, frame(spark, (1, "old", "2013-01-01")), table, settings=stores)
    before = run_folders(spark, stores, table)
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    binaries = Path(sys.executable).parent
    environment = {
        **os.environ,
        **stores.variables,
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
    }
    killed = subprocess.run(
        [binaries / "spark-submit", script, table], env=environment, timeout=180, capture_output=True
    )
    assert killed.returncode not in (0, 1), killed.stderr
    (left,) = run_folders(spark, stores, table) - before
    assert list(left.glob("day=2013-01-01/*.parquet")), "the rows were written before the kill"
    assert read(stores, table) == [(1, "old", "2013-01-01")]
    publish(spark, frame(spark, (7, "new", "2013-01-01")), table, settings=stores)
    assert read(stores, table) == [(7, "new", "2013-01-01")]


def test_folders_of_old_runs_are_removed_after_the_grace_period(
    spark: SparkSession, stores: Settings, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(spark, frame(spark, (1, "a", "2013-01-01"), (1, "a", "2013-01-02")), table, settings=stores)
    (used,) = run_folders(spark, stores, table)
    publish(spark, frame(spark, (2, "b", "2013-01-01")), table, settings=stores)
    publish(spark, frame(spark, (3, "c", "2013-01-01")), table, settings=stores)
    assert len(run_folders(spark, stores, table)) == 3, "within the grace period readers may need them"
    monkeypatch.setattr(publication, "GRACE", timedelta(0))
    publish(spark, frame(spark, (4, "d", "2013-01-01")), table, settings=stores)
    kept = run_folders(spark, stores, table)
    assert len(kept) == 2
    assert used in kept, "the second day still lies in it"
    assert read(stores, table) == [(4, "d", "2013-01-01"), (1, "a", "2013-01-02")]


def test_the_moment_of_a_publication_is_read_from_its_folder() -> None:
    moment = published_at("file:/warehouse/a.db/t/_runs/20130102T030405060708-0a1b2c3d/day=2013-01-01")
    assert moment.isoformat() == "2013-01-02T03:04:05.060708+00:00"
    with pytest.raises(StoreError, match="not written by a job of Giornata"):
        published_at("file:/warehouse/a.db/t/day=2013-01-01")
