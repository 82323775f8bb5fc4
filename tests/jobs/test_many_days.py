"""Three years of days in three groups: what is asked of Hive does not grow into what its metastore refuses."""

import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from giornata import names
from giornata.errors import StoreError
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.statistics import Statistics
from jobs.features import statistics as feature_statistics
from jobs.features.statistics import push_statistics
from jobs.hive.metastore import metastore
from jobs.hive.publish import create_table, ensure_table, new_run_id
from jobs.hive.schema import on_days
from jobs.materialize import run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

NUMBER = 1100
FIRST = datetime(2011, 1, 1, tzinfo=UTC)
DAYS = [f"{FIRST + timedelta(days=number):%F}" for number in range(NUMBER)]
# Of more than a thousand values Spark asks for the span by itself; of some hundreds it names each.
GROUPS = {"ebb": NUMBER, "flow": NUMBER, "swell": 800}
DOCUMENT = """
description: Water
owner: tests
entity: {place: str}
ttl: 30d
features: {level: {type: float, description: The number of the day}}
"""
FUNCTION = f"""
from datetime import date

def compute(spark, start, end):
    first = date({FIRST:%Y}, 1, 1).toordinal()
    rows = [("a", float(day - first)) for day in range(start.toordinal(), end.toordinal())]
    frame = spark.createDataFrame(rows, "place string, level double")
    return frame.selectExpr("place", f"timestamp_seconds({{start.timestamp()}} + 3600) AS event_time", "level")
"""


def write_partitions(
    spark: SparkSession, settings: Settings, table: str, rows: Mapping[tuple[str, ...], pa.Table]
) -> None:
    """Publish a file for each partition, as one run of a job does, and without Spark."""
    with metastore(spark, settings) as hive:
        home = f"{hive.location(table)}/_runs/{new_run_id()}"
        folders = {}
        for number, (value, content) in enumerate(rows.items()):
            folders[value] = f"{home}/{number}"
            folder = Path(folders[value].removeprefix("file:"))
            folder.mkdir(parents=True)
            pq.write_table(content, folder / "part-0.parquet")
        hive.point(table, folders)


def measured(number: int) -> dict[str, Any]:
    """What is measured of the one row of a day."""
    level = float(number)
    same = dict.fromkeys(("minimum", "mean", "maximum", "q05", "q25", "q50", "q75", "q95"), level)
    return {"feature": "level", "type": "float", "row_count": 1, "null_share": 0.0, **same}


@pytest.fixture
def three_years(spark: SparkSession, project: str, write_project: Any) -> Settings:
    """Three groups, of which rows and statistics are published for 1,100 days or the last 800, and nothing is in
    Cassandra."""
    files = {
        f"features/{name}.{kind}": text
        for name in GROUPS
        for kind, text in (("yaml", DOCUMENT), ("py", FUNCTION))
    }
    settings: Settings = write_project(files)
    create_table(spark, feature_statistics.TABLE, project)
    times = pa.timestamp("us", "UTC")
    statistics = {}
    for name, days in GROUPS.items():
        published = list(enumerate(DAYS))[-days:]
        ensure_table(
            spark,
            names.group_table(project, name),
            {"place": "str", "event_time": "timestamp", "level": "float"},
        )
        rows = {
            (day,): pa.table(
                {
                    "place": ["a"],
                    "event_time": pa.array([FIRST + timedelta(days=number, hours=1)], times),
                    "level": [float(number)],
                }
            )
            for number, day in published
        }
        write_partitions(spark, settings, names.group_table(project, name), rows)
        statistics |= {(day, name): pa.Table.from_pylist([measured(number)]) for number, day in published}
    write_partitions(spark, settings, names.statistics_table(project), statistics)
    return settings


def in_cassandra(settings: Settings, project: str, group: str) -> dict[date, float | None]:
    with cassandra.session(settings) as session:
        found = Statistics(session).read(project, group, date(1970, 1, 1), date(9999, 1, 1))
    return {one.day: one.mean for one in found}


def test_any_number_of_due_days(
    spark: SparkSession, project: str, three_years: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """A day is computed of three groups, of which 1,100 are due; of one of them, the statistics cannot be read."""
    table, last = names.statistics_table(project), FIRST + timedelta(days=NUMBER)
    with metastore(spark, three_years) as hive:
        whole = hive.locations_of(table, [(DAYS[0], "flow")])
        (folder,) = whole.values()
        damaged = folder.replace(Path(folder).name, f"damaged-{uuid.uuid4().hex[:6]}")
        Path(damaged.removeprefix("file:")).mkdir()
        (Path(damaged.removeprefix("file:")) / "part-0.parquet").write_bytes(b"no parquet")
        hive.point(table, {(DAYS[0], "flow"): damaged})
    with pytest.raises(StoreError, match="1 of 3 feature groups failed: flow"):
        run(spark, three_years, project, last, last + timedelta(days=1))
    said = capsys.readouterr().out
    assert (
        "flow: failed: its rows are published and pushed, and the statistics of its days are not yet: "
        in said
    )
    truth = {(FIRST + timedelta(days=number)).date(): float(number) for number in range(NUMBER + 1)}
    assert in_cassandra(three_years, project, "ebb") == truth
    late = FIRST.date() + timedelta(days=NUMBER - GROUPS["swell"])
    assert in_cassandra(three_years, project, "swell") == {
        day: at for day, at in truth.items() if day >= late
    }

    with metastore(spark, three_years) as hive:
        hive.point(table, whole)
        assert len(hive.locations(table)) == sum(GROUPS.values()) + len(GROUPS)
        assert hive.locations(table, group_name="flow").keys() == {
            *((day, "flow") for day in DAYS),
            (f"{last:%F}", "flow"),
        }
    assert push_statistics(spark, three_years, project, "flow") == NUMBER + 1
    assert in_cassandra(three_years, project, "flow") == truth
    assert on_days(spark.table(table), DAYS[::2]).count() == sum(GROUPS.values()) // 2
