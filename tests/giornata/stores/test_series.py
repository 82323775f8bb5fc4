import uuid
from dataclasses import replace
from datetime import date, timedelta

import pytest
from cassandra.cluster import Session

from giornata.records.metric_point import Point
from giornata.stores.series import Series

FIRST = date(2013, 11, 1)
EVER = (date(1970, 1, 1), date(9999, 12, 31))


@pytest.fixture
def series(repository_session: Session) -> Series:
    return Series(repository_session)


@pytest.fixture
def model() -> str:
    """A model that no other test uses."""
    return f"g_{uuid.uuid4().hex[:10]}/trip_minutes"


def point(model: str, day: int, value: float = 15.0, **other: object) -> Point:
    made = Point(
        model, "production", "batch", "rmse", "7d", "all", FIRST + timedelta(days=day), "u1", value, 900
    )
    return replace(made, **other)


def read(series: Series, model: str, start: date = EVER[0], end: date = EVER[1], **other: str) -> list[Point]:
    key = {"tag": "production", "mode": "batch", "metric": "rmse", "window": "7d"} | other
    return series.read(model, start=start, end=end, **key)


def test_what_was_written_is_read_oldest_first(series: Series, model: str) -> None:
    points = [point(model, day, value=10 + day) for day in range(4)]
    series.write(reversed(points))
    assert read(series, model) == points


def test_the_end_of_a_range_is_exclusive(series: Series, model: str) -> None:
    series.write(point(model, day) for day in range(4))
    found = read(series, model, FIRST + timedelta(days=1), FIRST + timedelta(days=3))
    assert [p.at.day for p in found] == [2, 3]


def test_series_do_not_mix(series: Series, model: str) -> None:
    others = [
        {"tag": "shadow"},
        {"mode": "online"},
        {"metric": "mae"},
        {"window": "1d"},
        {"part": "level:all"},
    ]
    series.write([point(model, 0), *(point(model, 0, value=99.0, **other) for other in others)])
    assert read(series, model) == [point(model, 0)]
    for other in others:
        assert [p.value for p in read(series, model, **other)] == [99.0]
    assert read(series, f"{model}_2") == []


def test_two_versions_on_a_day(series: Series, model: str) -> None:
    points = [point(model, 0, uuid="u1"), point(model, 0, uuid="u2", value=12.0)]
    series.write(points)
    assert read(series, model) == points


def test_writing_again_replaces_the_value(series: Series, model: str) -> None:
    series.write([point(model, 0, value=15.0)])
    series.write([point(model, 0, value=16.0, rows=950)])
    assert read(series, model) == [point(model, 0, value=16.0, rows=950)]


def test_answers_asked_for_by_uuid_have_no_tag(series: Series, model: str) -> None:
    series.write([point(model, 0, tag="")])
    assert read(series, model, tag="") == [point(model, 0, tag="")]


def test_replacing_leaves_nothing_stale_in_the_range_and_all_outside(series: Series, model: str) -> None:
    part = "dest_city=Chicago, Illinois"
    before = [point(model, day, part=p) for day in range(5) for p in ("all", part)]
    other_tag = point(model, 2, tag="shadow")
    neighbour = point(f"{model}_2", 2)
    series.write([*before, other_tag, neighbour])
    new = [point(model, day, value=20.0) for day in (1, 3)]
    series.replace(model, new, FIRST + timedelta(days=1), FIRST + timedelta(days=4), {"rmse"})
    assert [(p.at.day, p.value) for p in read(series, model)] == [(1, 15.0), (2, 20.0), (4, 20.0), (5, 15.0)]
    assert [p.at.day for p in read(series, model, part=part)] == [1, 5]
    assert read(series, model, tag="shadow") == []
    assert read(series, f"{model}_2") == [neighbour]


def test_replacing_leaves_the_metrics_of_other_jobs_alone(series: Series, model: str) -> None:
    other = point(model, 2, metric="consistency", part="weather.wind")
    series.write([point(model, 2), other])
    series.replace(model, [], *EVER, {"rmse", "mae"})
    assert read(series, model) == []
    assert series.read_parts(model, "production", "batch", "consistency", "7d", *EVER) == [other]


def test_all_parts_of_a_series_are_read(series: Series, model: str) -> None:
    points = [point(model, day, part=part) for part in ("all", "level:all") for day in (1, 2)]
    series.write([*points, point(model, 3), point(model, 1, metric="mae")])
    days = (FIRST, FIRST + timedelta(days=3))
    assert series.read_parts(model, "production", "batch", "rmse", "7d", *days) == points


def test_keys_are_those_of_the_model(series: Series, model: str) -> None:
    series.write([point(model, 0), point(model, 1), point(model, 0, metric="mae"), point(f"{model}_2", 0)])
    place = (model, "production", "batch")
    assert series.keys(model) == [(*place, "mae", "7d"), (*place, "rmse", "7d")]
