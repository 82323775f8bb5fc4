"""Loading the tables of a small project by their loaders."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import SparkSession

from giornata.errors import DataError
from giornata.settings import Settings
from giornata.stores import hive
from jobs.ingest import run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

WriteProject = Callable[[Mapping[str, str]], Settings]
START = datetime(2013, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

TABLE = """
description: Readings
key: [place, observed_at]
event_time: observed_at
columns: {place: str, observed_at: timestamp, level: float, waves: int}
"""
SHARED = """
from datetime import UTC, datetime, timedelta

START = datetime(2013, 1, 1, tzinfo=UTC)
ROWS = [("a", START + timedelta(hours=hour), hour / 2, hour) for hour in range(36)]
"""
LOADER = """
from pyspark.sql import functions as F

from ..shared import ROWS

SCHEMA = "place string, observed_at timestamp, level float, waves int"


def doubled(level):
    return level * 2


def load(spark, start, end):
    rows = [row for row in ROWS if start <= row[1] < end]
    return spark.createDataFrame(rows, SCHEMA).withColumn("level", F.udf(doubled, "double")("level"))
"""


def read(settings: Settings, project: str) -> list[tuple[object, ...]]:
    rows = hive.query(
        settings, f"SELECT place, observed_at, level, waves, day FROM {project}.readings ORDER BY observed_at"
    )
    return [tuple(row.values()) for row in rows]


def loaded(hours: int) -> list[tuple[object, ...]]:
    moments = [START + timedelta(hours=hour) for hour in range(hours)]
    return [("a", at, float(hour), hour, f"{at:%Y-%m-%d}") for hour, at in enumerate(moments)]


@pytest.fixture
def written(write_project: WriteProject) -> Settings:
    return write_project({"tables/readings.yaml": TABLE, "tables/readings.py": LOADER, "shared.py": SHARED})


def test_days_are_loaded_and_a_day_without_rows_is_named(
    spark: SparkSession, project: str, written: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        run(spark, written, project, START, START + 4 * DAY)
        assert read(written, project) == loaded(36)
    assert capsys.readouterr().out.splitlines() == [
        "[ingest] readings: 4 days, 36 rows published",
        "[ingest] readings: no rows on 2013-01-03 and 2013-01-04",
    ] * 2  # fmt: skip


def test_one_day_leaves_the_others(
    spark: SparkSession, project: str, write_project: WriteProject, written: Settings
) -> None:
    run(spark, written, project, START, START + 2 * DAY)
    write_project({"shared.py": SHARED.replace("range(36)", "range(30)")})
    run(spark, written, project, START, START + DAY)
    assert read(written, project) == loaded(36), "the second day was not asked for"
    run(spark, written, project, START + DAY, START + 2 * DAY)
    assert read(written, project) == loaded(30)


def test_a_table_without_a_loader_is_left_to_others(
    spark: SparkSession, project: str, write_project: WriteProject, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write_project({"tables/readings.yaml": TABLE})
    run(spark, settings, project, START, START + DAY)
    assert capsys.readouterr().out == "[ingest] readings: has no loader, something else fills it\n"
    assert not spark.catalog.tableExists(f"{project}.readings")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("level float, waves int", "height float, waves int"), None),
        (('"level", F.udf', '"waves", F.udf'), "column waves is double instead of bigint"),
        (('"level", F.udf', '"other", F.udf'), "column other is not declared"),
        (("if start <= row[1] < end", ""), "12 rows have an observed_at outside 2013-01-01 to 2013-01-02"),
        (
            ("for row in ROWS", "for row in ROWS + ROWS[:1]"),
            "2 rows have the same key: place a, observed_at 2013",
        ),
        (("rows, SCHEMA", "[(None, *row[1:]) for row in rows], SCHEMA"), "24 rows have no place"),
    ],
)
def test_rows_that_break_the_document_are_refused(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    written: Settings,
    change: tuple[str, str],
    problem: str | None,
) -> None:
    loader = LOADER.replace(*change)
    if problem is None:
        loader = loader.replace('("level")', '("height")').replace('"level", F', '"height", F')
        problem = "column level is missing; column height is not declared"
    write_project({"tables/readings.py": loader})
    with pytest.raises(DataError, match="the loader of table readings") as error:
        run(spark, written, project, START, START + DAY)
    assert problem in str(error.value)
    assert not spark.catalog.tableExists(f"{project}.readings")
