"""Statistics of features, from a project's documents to both stores, against Polars and numpy on generated data."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from pyspark.sql import SparkSession

from giornata.documents import Feature
from giornata.records.feature_statistics import FeatureStatistics
from giornata.settings import Settings
from giornata.stores import cassandra, hive
from giornata.stores.statistics import Statistics
from jobs.features.statistics import measure, publish_statistics, push_statistics
from jobs.hive.publish import ensure_table, publish
from jobs.materialize import run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

DAY = timedelta(days=1)
START = datetime(2013, 1, 1, tzinfo=UTC)
END = START + 3 * DAY
DAYS = ["2013-01-01", "2013-01-02", "2013-01-03"]
TYPES = {"height": "float", "waves": "int", "stormy": "bool", "colour": "str", "seen_at": "timestamp"}
GROUP = """
description: What is seen of the sea
owner: tests
entity: {place: str}
features:
"""
QUERY = f"""
SELECT place, observed_at AS event_time, {", ".join(TYPES)} FROM readings
WHERE observed_at >= :from AND observed_at < :to
"""
LEVELS = {"q05": 5, "q25": 25, "q50": 50, "q75": 75, "q95": 95}


def generated(seed: int) -> pl.DataFrame:
    """Rows of the first two days, none of the third, with nulls everywhere and NaN and infinities among the floats.

    On the second day `height` has no value at all.
    """
    random = np.random.default_rng(seed)
    rows = 311
    height = random.normal(0, 3, rows)
    height[:3] = [np.nan, np.inf, -np.inf]
    day = np.where(np.arange(rows) < 173, 0, 1)
    minute = random.integers(0, 1440, rows)
    observed = [START + timedelta(days=int(d), minutes=int(m)) for d, m in zip(day, minute, strict=True)]
    frame = pl.DataFrame(
        {
            "place": [f"p{number}" for number in range(rows)],
            "observed_at": observed,
            "height": height,
            "waves": random.integers(-50, 50, rows),
            "stormy": random.random(rows) < 0.3,
            "colour": random.choice(["blue", "green", "grey", "black"], rows),
            "seen_at": observed,
        }
    )
    lost = {name: pl.Series(random.random(rows) < 0.2) for name in TYPES}
    lost["height"] |= pl.Series(day == 1)
    return frame.with_columns(pl.when(lost[name]).then(None).otherwise(name).alias(name) for name in TYPES)


def expected(frame: pl.DataFrame, days: list[str], types: Mapping[str, str]) -> list[FeatureStatistics]:
    """The same by Polars and by sorting."""
    found = []
    for text in days:
        day = date.fromisoformat(text)
        own = frame.filter(pl.col("observed_at").dt.date() == day)
        for name, type_ in sorted(types.items()):
            values = own[name].drop_nulls()
            if type_ == "float":
                values = values.filter(values.is_finite())
            share = 1 - values.len() / own.height if own.height else None
            more: dict[str, Any] = {}
            if type_ == "str" and own.height:
                more["distinct"] = values.n_unique()
            elif type_ == "bool" and values.len():
                more["true_share"] = values.mean()
            elif type_ in ("int", "float") and values.len():
                ordered = sorted(float(value) for value in values)
                more = {
                    key: ordered[-(-percent * len(ordered) // 100) - 1] for key, percent in LEVELS.items()
                }
                more |= {"minimum": ordered[0], "maximum": ordered[-1], "mean": float(np.mean(ordered))}
            found.append(FeatureStatistics(name, type_, day, own.height, share, **more))
    return found


def same(found: list[FeatureStatistics], wanted: list[FeatureStatistics]) -> None:
    assert [asdict(one) for one in found] == [
        {
            key: pytest.approx(value) if isinstance(value, float) else value
            for key, value in asdict(one).items()
        }
        for one in wanted
    ]


def in_hive(settings: Settings, project: str) -> list[FeatureStatistics]:
    """The statistics in SQL; the third day has a row for every feature, too."""
    rows = hive.query(
        settings, f"SELECT * FROM {project}.feature_statistics WHERE group_name = 'sea' ORDER BY day, feature"
    )
    renamed = {"row_count": "rows", "distinct_count": "distinct"}
    return [
        FeatureStatistics(
            **{renamed.get(key, key): value for key, value in row.items() if key != "group_name"}
            | {"day": date.fromisoformat(str(row["day"]))}
        )  # type: ignore[arg-type]
        for row in rows
    ]


def in_cassandra(settings: Settings, project: str) -> list[FeatureStatistics]:
    with cassandra.session(settings) as session:
        return Statistics(session).read(project, "sea", date(1970, 1, 1), date(9999, 1, 1))


def write_readings(spark: SparkSession, settings: Settings, project: str, frame: pl.DataFrame) -> None:
    table = f"{project}.readings"
    ensure_table(spark, table, {"place": "str", "observed_at": "timestamp", **TYPES})
    rows = spark.createDataFrame(
        [(*row, f"{row[1]:%Y-%m-%d}") for row in frame.iter_rows()],
        "place string, observed_at timestamp, height double, waves bigint, stormy boolean, colour string, "
        "seen_at timestamp, day string",
    )
    publish(spark, rows, table, settings=settings, expected=[{"day": day} for day in DAYS])


def documents(types: Mapping[str, str]) -> dict[str, str]:
    features = "".join(f"  {name}: {{type: {type_}, description: d}}\n" for name, type_ in types.items())
    query = QUERY if types == TYPES else QUERY.replace(", stormy", "")
    return {"features/sea.yaml": GROUP + features, "features/sea.sql": query}


def test_both_stores_say_what_polars_says_and_a_day_that_runs_again_is_replaced(
    spark: SparkSession, project: str, write_project: Any
) -> None:
    settings = write_project(documents(TYPES))
    first = generated(seed=1)
    write_readings(spark, settings, project, first)
    run(spark, settings, project, START, END)
    wanted = expected(first, DAYS, TYPES)
    same(in_hive(settings, project), wanted)
    same(in_cassandra(settings, project), wanted)

    # Late rows, and a document that has lost a feature: of the second day alone.
    fewer = {name: type_ for name, type_ in TYPES.items() if name != "stormy"}
    write_project(documents(fewer))
    second = generated(seed=2)
    write_readings(spark, settings, project, second)
    run(spark, settings, project, START + DAY, START + 2 * DAY)
    wanted = [
        *expected(first, DAYS[:1], TYPES),
        *expected(second, DAYS[1:2], fewer),
        *expected(first, DAYS[2:], TYPES),
    ]
    same(in_hive(settings, project), wanted)
    same(in_cassandra(settings, project), wanted)

    # What a run published and did not come to push, the next one does.
    declared = {name: Feature(type=type_, description="d") for name, type_ in TYPES.items()}
    rows = spark.table(f"{project}.sea").where(f"day = '{DAYS[0]}'")
    publish_statistics(spark, settings, project, "sea", DAYS[:1], measure(rows, declared, DAYS[:1]))
    assert push_statistics(spark, settings, project, "sea") == 1
    assert push_statistics(spark, settings, project, "sea") == 0
    same(in_cassandra(settings, project), wanted)


def test_quantiles_of_many_values_are_near_their_places(spark: SparkSession) -> None:
    """60,000 different values in disorder: the value is its own place in the order."""
    rows = spark.range(60_000).selectExpr(
        "TIMESTAMP '2013-01-01 12:00:00' AS event_time", "(id * 7919) % 60000 + 1 AS height"
    )
    (found,) = measure(rows, {"height": Feature(type="int", description="d")}, DAYS[:1])
    assert (found.rows, found.minimum, found.maximum, found.mean) == (60_000, 1, 60_000, 30_000.5)
    for name, percent in LEVELS.items():
        assert abs(getattr(found, name) - percent * 600) <= 60_000 / 10_000
