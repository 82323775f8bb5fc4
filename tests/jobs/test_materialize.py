"""Materialization of a small project, from its documents to what people read in Hive and models read in Cassandra."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from giornata import names
from giornata.documents import load_project
from giornata.errors import DataError, NotFoundError, StoreError
from giornata.settings import Settings
from giornata.stores import cassandra, hive
from giornata.stores.validations import Validations
from jobs.features.validation import Outcome
from jobs.features.validation_results import publish_results, push_results
from jobs.hive.publish import ensure_table, publish
from jobs.materialize import run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

DAY = timedelta(days=1)
START = datetime(2013, 1, 1, tzinfo=UTC)
END = START + 3 * DAY

GROUP = """
description: Water levels
owner: tests
entity: {place: str}
ttl: 12h
features:
  level: {type: float, description: Metres}
  waves: {type: int, description: Number of waves}
"""
QUERY = """
-- every column from the table beside it
SELECT place, observed_at AS event_time, level, CAST(waves AS int) AS waves
FROM readings
WHERE observed_at >= :from AND observed_at < :to;
"""
EXPECT = """
expect:
  - expect_column_values_to_be_between: {{column: level, min_value: 0, max_value: 100}}
    policy: {policy}
  - expect_table_row_count_to_be_between: {{min_value: 1}}
    policy: warn
"""

Reading = tuple[str, datetime, float | None, int | None]
WriteProject = Callable[[Mapping[str, str]], Settings]


def hourly(hours: int = 72) -> list[Reading]:
    return [("a", START + timedelta(hours=hour), float(hour), hour) for hour in range(hours)]


@pytest.fixture
def write_readings(spark: SparkSession, stores: Settings, project: str) -> Callable[[list[Reading]], None]:
    def write(readings: list[Reading]) -> None:
        table = f"{project}.readings"
        ensure_table(
            spark, table, {"place": "str", "observed_at": "timestamp", "level": "float", "waves": "int"}
        )
        frame = spark.createDataFrame(
            [(*reading, f"{reading[1]:%Y-%m-%d}") for reading in readings],
            "place string, observed_at timestamp, level double, waves bigint, day string",
        )
        days = [{"day": f"{START + number * DAY:%Y-%m-%d}"} for number in range(3)]
        publish(spark, frame, table, settings=stores, expected=days)

    return write


def offline(stores: Settings, project: str, group: str = "tides") -> list[Reading]:
    rows = hive.query(
        stores, f"SELECT place, event_time, level, waves FROM {project}.{group} ORDER BY place, event_time"
    )
    return [tuple(row.values()) for row in rows]  # type: ignore[misc]


def online(stores: Settings, project: str, group: str = "tides") -> list[Reading]:
    with cassandra.session(stores) as session:
        rows = session.execute(
            f"SELECT place, event_time, level, waves FROM {names.keyspace(project)}.{group}"
        )
        found: list[Any] = [(row[0], row[1].replace(tzinfo=UTC), row[2], row[3]) for row in rows]
    return sorted(found)


def verdicts(stores: Settings, project: str) -> list[tuple[Any, ...]]:
    rows = hive.query(
        stores,
        "SELECT expectation, about, policy, verdict, row_count, unexpected_count, observed, day, until_day "
        f"FROM {project}.validation_results WHERE group_name = 'tides' ORDER BY expectation, day",
    )
    return [tuple(row.values()) for row in rows]


def verdicts_online(stores: Settings, project: str) -> list[tuple[Any, ...]]:
    """The same as the catalogue has them."""
    with cassandra.session(stores) as session:
        found = Validations(session).read(project, "tides", date(1970, 1, 1), date(9999, 1, 1))
    rows = [
        (
            result.name, result.columns, result.policy, result.verdict, result.rows, result.unexpected,
            result.observed, each.start.isoformat(), each.end.isoformat(),
        )
        for each in found
        for result in each.results
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row[0], row[-2]))


def test_both_stores_have_the_rows_of_the_query_however_often_it_runs(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    write_readings: Callable[[list[Reading]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = write_project({"features/tides.yaml": GROUP, "features/tides.sql": QUERY})
    readings = [*hourly(48), ("b", START + 47 * timedelta(hours=1), None, None)]
    write_readings(readings)
    for _ in range(2):
        run(spark, settings, project, START, END)
        assert offline(settings, project) == sorted(readings)
        assert online(settings, project) == sorted(readings)
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines
        == [
            "[materialize] tides: 3 of 3 days, 49 rows published",
            "[materialize] tides: 3 days, 49 rows pushed online",
        ]
        * 2
    )


def test_a_day_alone_leaves_the_others(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    write_readings: Callable[[list[Reading]], None],
) -> None:
    settings = write_project({"features/tides.yaml": GROUP, "features/tides.sql": QUERY})
    write_readings(hourly())
    run(spark, settings, project, START, END)
    changed = [
        ("a", at, -1.0, waves) if at.day == 2 else ("a", at, level, waves) for _, at, level, waves in hourly()
    ]
    changed = [reading for reading in changed if reading[1] != START + DAY + 3 * timedelta(hours=1)]
    write_readings(changed)
    run(spark, settings, project, START + DAY, START + 2 * DAY)
    assert offline(settings, project) == changed
    assert online(settings, project) == changed


def test_times_are_cut_to_what_both_stores_can_keep(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    write_readings: Callable[[list[Reading]], None],
) -> None:
    settings = write_project({"features/tides.yaml": GROUP, "features/tides.sql": QUERY})
    last = timedelta(hours=24) - timedelta(microseconds=1)
    write_readings([("a", START + timedelta(microseconds=1), 1.0, 1), ("a", START + last, 2.0, 2)])
    run(spark, settings, project, START, START + DAY)
    known = [("a", START, 1.0, 1), ("a", START + DAY - timedelta(milliseconds=1), 2.0, 2)]
    assert offline(settings, project) == known
    assert online(settings, project) == known


def test_a_bad_row_is_quarantined_and_comes_back_when_mended(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    write_readings: Callable[[list[Reading]], None],
) -> None:
    settings = write_project(
        {"features/tides.yaml": GROUP + EXPECT.format(policy="quarantine"), "features/tides.sql": QUERY}
    )
    bad = ("a", START + timedelta(hours=30), 1048.36, 30)
    readings = [bad if reading[1] == bad[1] else reading for reading in hourly()]
    write_readings(readings)
    good = [reading for reading in readings if reading != bad]
    between = ("expect_column_values_to_be_between", "level", "quarantine")
    count = (
        "expect_table_row_count_to_be_between",
        "",
        "warn",
        "met",
        None,
        None,
        "72",
        "2013-01-01",
        "2013-01-04",
    )
    for _ in range(2):
        run(spark, settings, project, START, END)
        assert offline(settings, project) == good
        assert online(settings, project) == good
        (kept_out,) = hive.query(settings, f"SELECT * FROM {project}.quarantined_rows")
        assert json.loads(str(kept_out.pop("content"))) == {
            "place": "a",
            "event_time": "2013-01-02T06:00:00.000Z",
            "level": 1048.36,
            "waves": 30,
        }
        assert kept_out == {
            "event_time": bad[1],
            "expectations": "expect_column_values_to_be_between",
            "day": "2013-01-02",
            "group_name": "tides",
        }
        assert verdicts(settings, project) == [
            (*between, "quarantined", 72, 1, "1048.36", "2013-01-01", "2013-01-04"),
            count,
        ]
        assert verdicts_online(settings, project) == verdicts(settings, project)
    write_readings(hourly())
    run(spark, settings, project, START, END)
    assert offline(settings, project) == hourly()
    assert online(settings, project) == hourly()
    assert hive.query(settings, f"SELECT * FROM {project}.quarantined_rows") == []
    assert verdicts(settings, project) == [
        (*between, "met", 72, 0, "", "2013-01-01", "2013-01-04"),
        count,
    ]
    assert verdicts_online(settings, project) == verdicts(settings, project)


def test_what_was_found_reaches_cassandra_by_and_by(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    write_readings: Callable[[list[Reading]], None],
) -> None:
    """A range that a run did not come to is brought by the next; one whose expectations are gone is emptied."""
    settings = write_project(
        {"features/tides.yaml": GROUP + EXPECT.format(policy="warn"), "features/tides.sql": QUERY}
    )
    write_readings(hourly())
    run(spark, settings, project, START, START + DAY)
    run(spark, settings, project, START + DAY, END)
    known = verdicts(settings, project)
    assert [row[-2:] for row in known] == [("2013-01-01", "2013-01-02"), ("2013-01-02", "2013-01-04")] * 2
    assert verdicts_online(settings, project) == known
    expectation = load_project(settings.projects / project).groups["tides"].expect[1]
    outcome = Outcome(expectation, "warned", None, None, "0")
    publish_results(spark, settings, project, "tides", ["2013-01-01"], [outcome])
    assert verdicts_online(settings, project) == known
    known = verdicts(settings, project)
    assert [row[3] for row in known] == ["met", "warned", "met"]
    assert push_results(spark, settings, project, "tides") == 1
    assert push_results(spark, settings, project, "tides") == 0
    assert verdicts_online(settings, project) == known

    write_project({"features/tides.yaml": GROUP, "features/tides.sql": QUERY})
    run(spark, settings, project, START + DAY, END)
    assert verdicts_online(settings, project) == [row for row in known if row[-1] == "2013-01-02"]
    assert push_results(spark, settings, project, "tides") == 0


def test_with_cassandra_gone_too_the_expectation_is_what_failed(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    write_readings: Callable[[list[Reading]], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Cassandra answers when the group begins and no longer when what was found is brought to it."""
    settings = write_project(
        {"features/tides.yaml": GROUP + EXPECT.format(policy="fail"), "features/tides.sql": QUERY}
    )
    write_readings([(place, at, -1.0, number) for number, (place, at, _, _) in enumerate(hourly())])
    nobody = Settings(settings.home, {**settings.variables, "GIORNATA_CASSANDRA": "127.0.0.1:1"})
    monkeypatch.setattr(
        "jobs.features.validation_results.push_results",
        lambda spark, _, *rest: push_results(spark, nobody, *rest),
    )
    with pytest.raises(StoreError, match="1 of 1 feature groups failed: tides"):
        run(spark, settings, project, START, END)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("[materialize] tides: failed: not met: ")
    assert "is in Hive alone until the next run: Cassandra at 127.0.0.1:1 does not answer" in last
    assert verdicts(settings, project)[0][3] == "failed"
    assert verdicts_online(settings, project) == []


@pytest.mark.parametrize(
    ("policy", "bad", "published"),
    [("warn", 10, True), ("fail", 1, False), ("quarantine", 3, True), ("quarantine", 4, False)],
)
def test_policies(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    write_readings: Callable[[list[Reading]], None],
    policy: str,
    bad: int,
    published: bool,
) -> None:
    settings = write_project(
        {"features/tides.yaml": GROUP + EXPECT.format(policy=policy), "features/tides.sql": QUERY}
    )
    readings = [
        (place, at, -1.0 if number < bad else level, number)
        for number, (place, at, level, _) in enumerate(hourly())
    ]
    write_readings(readings)
    if published:
        run(spark, settings, project, START, END)
        assert len(offline(settings, project)) == (72 if policy == "warn" else 72 - bad)
    else:
        with pytest.raises(DataError, match="1 of 1 feature groups failed: tides"):
            run(spark, settings, project, START, END)
        assert not spark.catalog.tableExists(f"{project}.tides")
    verdict = {"warn": "warned", "fail": "failed", "quarantine": "quarantined" if published else "failed"}[
        policy
    ]
    assert verdicts(settings, project)[0][3:6] == (verdict, 72, bad)
    assert verdicts_online(settings, project) == verdicts(settings, project)


def test_one_failing_group_does_not_stop_the_others(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    write_readings: Callable[[list[Reading]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    queries = {
        "a_refused": QUERY.replace("FROM readings", "FROM no_such_table"),
        "b_column": QUERY.replace("level, CAST", "level AS height, CAST"),
        "c_type": QUERY.replace(" level,", " CAST(level AS string) AS level,"),
        "d_double": QUERY.replace(
            "FROM readings", "FROM (SELECT * FROM readings UNION ALL SELECT * FROM readings)"
        ),
        "e_outside": QUERY.replace("observed_at < :to", "observed_at < :to + INTERVAL 1 DAY"),
        "f_keyless": QUERY.replace("SELECT place", "SELECT nullif(place, 'a') AS place"),
        "g_divided": QUERY.replace("level, CAST", "level / (waves - 5) AS level, CAST"),
        "h_fine": QUERY,
    }
    files = {f"features/{name}.yaml": GROUP for name in queries}
    settings = write_project({**files, **{f"features/{name}.sql": text for name, text in queries.items()}})
    write_readings(hourly())
    with pytest.raises(
        DataError, match="7 of 8 feature groups failed: a_refused, b_column, c_type, d_double, e_"
    ):
        run(spark, settings, project, START, START + DAY)
    lines = capsys.readouterr().out.splitlines()
    for part in (
        "a_refused fails: [TABLE_OR_VIEW_NOT_FOUND]",
        "column level is missing; column height is not declared",
        "column level is string instead of double",
        "2 rows have the same key: place a, event_time 2013-01-01",
        "24 rows have an event_time outside 2013-01-01 to 2013-01-02",
        "24 rows have no place",
        "g_divided fails: [DIVIDE_BY_ZERO]",
        "[materialize] h_fine: 1 of 1 days, 24 rows published",
    ):
        assert any(part in line for line in lines), part
    assert offline(settings, project, "h_fine") == hourly(24)


def test_groups_can_be_chosen(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    write_readings: Callable[[list[Reading]], None],
) -> None:
    files = {
        f"features/{name}.{end}": text
        for name in ("tides", "waves")
        for end, text in (("yaml", GROUP), ("sql", QUERY))
    }
    settings = write_project(files)
    write_readings(hourly(1))
    run(spark, settings, project, START, END, ["waves"])
    assert spark.catalog.tableExists(f"{project}.waves")
    assert not spark.catalog.tableExists(f"{project}.tides")
    with pytest.raises(NotFoundError, match="no feature group 'tide'"):
        run(spark, settings, project, START, END, ["tide"])


def test_features_come_and_go(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    write_readings: Callable[[list[Reading]], None],
) -> None:
    settings = write_project({"features/tides.yaml": GROUP, "features/tides.sql": QUERY})
    write_readings(hourly(48))
    run(spark, settings, project, START, START + DAY)
    group = GROUP.replace(
        "waves: {type: int, description: Number of waves}", "depth: {type: float, description: Metres}"
    )
    query = QUERY.replace("CAST(waves AS int) AS waves", "level * 2 AS depth")
    write_project({"features/tides.yaml": group, "features/tides.sql": query})
    run(spark, settings, project, START + DAY, END)
    rows = hive.query(settings, f"SELECT level, waves, depth FROM {project}.tides ORDER BY event_time")
    assert [tuple(row.values()) for row in rows] == [
        (float(hour), hour, None) if hour < 24 else (float(hour), None, hour * 2.0) for hour in range(48)
    ]
