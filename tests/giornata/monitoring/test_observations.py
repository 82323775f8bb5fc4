from dataclasses import replace
from datetime import date

import pytest

from giornata.monitoring.observations import observations
from giornata.records.alert import Observation, Rule
from giornata.records.metric_point import Point

RULE = Rule("flights/trip_minutes", "production", "batch", "rmse", "above", 18.0, "7d", 50, ("a@x.org",))


def point(day: int, metric: str, window: str, value: float, uuid: str = "u1", **other: str) -> Point:
    place = {"model": RULE.model, "tag": RULE.tag, "mode": RULE.mode, "part": "all", **other}
    return Point(
        metric=metric, window=window, at=date(2013, 11, day), uuid=uuid, value=value, rows=100, **place
    )


def day_of(day: int, rmse: float, coverage: float, uuid: str = "u1", **other: str) -> list[Point]:
    return [
        point(day, "rmse", "7d", rmse, uuid, **other),
        point(day, "rmse", "1d", rmse + 100, uuid, **other),
        point(day, "label_coverage", "1d", coverage, uuid, **other),
        point(day, "label_coverage", "7d", 1.0, uuid, **other),
    ]


def seen(points: list[Point], end: int, deployed: list[str] | None = None) -> list[Observation]:
    return observations(RULE, points, deployed or ["u1"], date(2013, 11, end))


def test_the_rules_own_window_and_no_other() -> None:
    assert seen(day_of(1, 15.0, 1.0), 2) == [Observation(date(2013, 11, 1), 15.0, 100, "u1")]


@pytest.mark.parametrize(
    "other", [{"mode": "online"}, {"tag": "shadow"}, {"part": "level:all"}, {"model": "flights/late"}]
)
def test_points_of_others_are_not_watched(other: dict[str, str]) -> None:
    assert seen(day_of(1, 15.0, 1.0, **other), 2) == []


def test_a_day_waits_for_its_labels_and_holds_back_the_next() -> None:
    points = day_of(1, 15.0, 0.95) + day_of(2, 16.0, 0.89) + day_of(3, 17.0, 0.99)
    assert [o.day.day for o in seen(points, 4)] == [1]
    assert [o.day.day for o in seen(points, 5)] == [1]


def test_a_day_waits_three_days_at_most() -> None:
    points = day_of(2, 16.0, 0.5) + day_of(3, 17.0, 0.99)
    assert seen(points, 5) == []
    assert [o.day.day for o in seen(points, 6)] == [2, 3]


def test_a_day_with_predictions_and_no_label_waits_too() -> None:
    assert [o.day.day for o in seen([point(1, "label_coverage", "1d", 0.0), *day_of(2, 16.0, 1.0)], 3)] == []


def test_the_day_at_which_the_monitor_stands_is_not_over() -> None:
    assert [o.day.day for o in seen(day_of(1, 15.0, 1.0) + day_of(2, 15.0, 1.0), 2)] == [1]


def test_of_two_versions_on_a_day_the_one_deployed_last_is_judged() -> None:
    points = day_of(1, 15.0, 1.0, "old") + day_of(2, 15.0, 1.0, "old") + day_of(2, 12.0, 1.0, "new")
    assert [o.uuid for o in seen(points, 3, ["new", "old"])] == ["old", "new"]
    assert [o.uuid for o in seen(points, 3, ["old", "new", "old"])] == ["old", "old"]


def test_a_version_that_no_longer_answers_is_not_judged_by_the_rest_of_its_window() -> None:
    points = [*day_of(1, 15.0, 1.0, "old"), point(2, "rmse", "7d", 15.0, "old"), *day_of(2, 12.0, 1.0, "new")]
    assert [o.uuid for o in seen(points, 3, ["old", "new"])] == ["old", "new"]


@pytest.mark.parametrize("metric", ["consistency", "values_missing_online", "values_no_row"])
def test_what_was_served_is_judged_on_every_day_that_was_checked(metric: str) -> None:
    rule = replace(RULE, metric=metric, bound="below", threshold=0.99, mode="online", window="1d")
    place = {"mode": "online"}
    points = [
        point(1, "label_coverage", "1d", 0.0, **place),
        point(1, metric, "1d", 1.0, **place),
        point(2, metric, "1d", 0.9, "old", **place),
        point(2, metric, "1d", 0.8, "new", **place),
        point(2, metric, "7d", 0.7, "new", **place),
        point(3, metric, "1d", 0.6, **place),
    ]
    assert observations(rule, points, ["new", "old"], date(2013, 11, 3)) == [
        Observation(date(2013, 11, 1), 1.0, 100, "u1"),
        Observation(date(2013, 11, 2), 0.8, 100, "new"),
    ]


def test_what_has_no_labels_is_judged_on_every_day_on_which_anything_was_answered() -> None:
    rule = replace(RULE, metric="distance")
    points = [
        point(1, "rows", "1d", 80.0),
        point(1, "distance", "1d", 9.0),
        point(1, "distance", "7d", 1.5),
        point(2, "distance", "7d", 1.6),  # of the days before: nothing was answered on this one
        point(3, "rows", "1d", 90.0, "old"),
        point(3, "distance", "7d", 1.7, "old"),
        point(3, "rows", "1d", 70.0, "new"),
        point(3, "distance", "7d", 1.8, "new"),
        point(4, "rows", "1d", 80.0),
        point(4, "distance", "7d", 1.9),
    ]
    assert observations(rule, points, ["new", "old"], date(2013, 11, 4)) == [
        Observation(date(2013, 11, 1), 1.5, 100, "u1"),
        Observation(date(2013, 11, 3), 1.8, 100, "new"),
    ]
