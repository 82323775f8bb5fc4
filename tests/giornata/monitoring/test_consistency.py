"""Verdicts on single values, and shares over days, against numbers counted by hand."""

from dataclasses import replace
from datetime import date

import pytest

from giornata.absence import Reason
from giornata.documents.model import CONSISTENCY, SERVED
from giornata.monitoring.consistency import ABSENT, Counts, compare, consistency_points

DAYS = [date(2013, 11, day) for day in (1, 2, 3)]


@pytest.mark.parametrize(
    ("served", "recomputed", "verdict", "difference"),
    [
        (0.1, 0.1, "equal", None),
        (None, None, "equal", None),
        ("Žižkov", "Žižkov", "equal", None),
        (0.1, 0.10000000000000002, "different", 1.3877787807814457e-17),
        (0.0, -0.0, "different", 0.0),
        (5, 5.0, "different", 0.0),
        (7, 4, "different", 3.0),
        (True, False, "different", None),
        ("a", "b", "different", None),
        ("2013-11-01T00:00:00+00:00", "2013-11-01T00:00:00.001000+00:00", "different", None),
        (None, 0.0, "missing_online", None),
        (None, False, "missing_online", None),
        (0, None, "missing_offline", None),
    ],
)
def test_verdicts(served, recomputed, verdict, difference):
    assert compare("wind", served, recomputed) == (verdict, difference)


def test_ages_may_differ_by_the_precision_of_cassandras_times():
    assert compare("event_age", 10.0, 10.0004).verdict == "equal"
    assert compare("event_age", 10.0, 10.002).verdict == "different"
    assert compare("event_age", None, 10.0).verdict == "missing_online"
    assert compare("event_ages", 10.0, 10.0004).verdict == "different"


def counts(
    day: int, feature: str, rows: int, equal: int, online: int = 0, uuid: str = "u1", tag: str = "production"
):
    return Counts(date(2013, 11, day), uuid, tag, feature, rows, equal, rows - equal - online, online, 0)


def shares(found: list[Counts], windows: set[int], metric: str = "consistency"):
    points = consistency_points("flights/late", found, windows, DAYS)
    assert {(point.model, point.mode) for point in points} <= {("flights/late", "online")}
    return {
        (point.tag, point.uuid, point.window, point.at.day, point.part): (point.value, point.rows)
        for point in points
        if point.metric == metric
    }


def test_each_feature_and_all_of_them():
    found = [counts(1, "weather.wind", 10, 9), counts(1, "plane.seats", 10, 7, online=2)]
    place = ("production", "u1", "1d", 1)
    assert shares(found, {1}) == {
        (*place, "weather.wind"): (0.9, 10),
        (*place, "plane.seats"): (0.7, 10),
        (*place, "all"): (0.8, 10),
    }
    assert shares(found, {1}, "values_missing_online")[*place, "all"] == (0.1, 10)
    assert shares(found, {1}, "values_different")[*place, "all"] == (0.1, 10)


def test_values_that_were_null_for_want_of_a_row_have_shares_by_reason():
    wind, seats = counts(1, "weather.wind", 10, 9), counts(1, "plane.seats", 10, 10)
    found = [
        replace(wind, absent={Reason.NO_ROW: 1, Reason.TOO_OLD: 2}),
        replace(seats, absent={Reason.NO_ROW: 4}),
    ]
    place = ("production", "u1", "1d", 1)
    assert shares(found, {1}, "values_no_row") == {
        (*place, "weather.wind"): (0.1, 10),
        (*place, "plane.seats"): (0.4, 10),
        (*place, "all"): (0.25, 10),
    }
    assert shares(found, {1}, "values_too_old")[*place, "all"] == (0.1, 10)
    assert shares(found, {1}, "values_not_read")[*place, "all"] == (0.0, 10)
    assert {f"values_{reason}" for reason in Reason} == set(ABSENT.values())
    assert {CONSISTENCY, *ABSENT.values()} <= set(SERVED), "alerts may watch them"


def test_a_window_counts_values_and_is_no_mean_of_days():
    found = [counts(1, "weather.wind", 90, 90), counts(2, "weather.wind", 10, 0)]
    seen = shares(found, {2})
    assert seen["production", "u1", "2d", 1, "all"] == (1.0, 90)
    assert seen["production", "u1", "2d", 2, "all"] == (0.9, 100)
    assert seen["production", "u1", "2d", 3, "all"] == (0.0, 10)


def test_versions_and_tags_do_not_mix():
    found = [counts(1, "w.x", 10, 10), counts(1, "w.x", 10, 5, uuid="u2"), counts(1, "w.x", 10, 0, tag="")]
    assert shares(found, {1}) == {
        ("production", "u1", "1d", 1, "w.x"): (1.0, 10),
        ("production", "u1", "1d", 1, "all"): (1.0, 10),
        ("production", "u2", "1d", 1, "w.x"): (0.5, 10),
        ("production", "u2", "1d", 1, "all"): (0.5, 10),
        ("", "u1", "1d", 1, "w.x"): (0.0, 10),
        ("", "u1", "1d", 1, "all"): (0.0, 10),
    }
