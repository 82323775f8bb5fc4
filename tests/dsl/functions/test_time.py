"""Time functions against datetime, zoneinfo and the calendar."""

import math
import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

NEW_YORK, SAO_PAULO, HAVANA = "America/New_York", "America/Sao_Paulo", "America/Havana"


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


CALENDAR = [
    at(2012, 2, 29, 23),
    at(2012, 12, 31, 12),
    at(2013, 1, 1),
    at(2016, 1, 3, 3),
    at(2020, 12, 31),
    at(1970, 1, 1),
]


@pytest.mark.parametrize("zone", ["UTC", NEW_YORK, "Asia/Kolkata", "Pacific/Apia"])
@pytest.mark.parametrize("time", CALENDAR)
def test_parts_of_the_calendar(evaluate, time, zone):
    local = time.astimezone(ZoneInfo(zone))
    expected = {
        "year": local.year,
        "quarter": {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 3, 8: 3, 9: 3}.get(local.month, 4),
        "month": local.month,
        "day": local.day,
        "day_of_year": int(local.strftime("%j")),
        "week": date(local.year, local.month, local.day).isocalendar().week,
        "minute": local.minute,
        "is_weekend": local.strftime("%a") in ("Sat", "Sun"),
    }
    found = {name: evaluate(f"{name}(row.t, {zone!r})", {"t": time}) for name in expected}
    assert found == expected


@pytest.mark.parametrize(
    ("unit", "zone", "time", "start"),
    [
        # Midnight does not exist in Sao Paulo on 2013-10-20: clocks go from 00:00 to 01:00, at 03:00 UTC.
        ("day", SAO_PAULO, at(2013, 10, 20, 15), at(2013, 10, 20, 3)),
        ("day", SAO_PAULO, at(2013, 10, 20, 2, 59), at(2013, 10, 19, 3)),
        ("week", SAO_PAULO, at(2013, 10, 20, 15), at(2013, 10, 14, 3)),
        # Midnight comes twice in Havana on 2013-11-03: clocks go from 01:00 back to 00:00, at 05:00 UTC.
        ("day", HAVANA, at(2013, 11, 3, 12), at(2013, 11, 3, 4)),
        ("day", HAVANA, at(2013, 11, 3, 5, 30), at(2013, 11, 3, 4)),
        # The hour from 01:00 to 02:00 comes twice in New York on 2013-11-03.
        ("hour", NEW_YORK, at(2013, 11, 3, 5, 45), at(2013, 11, 3, 5)),
        ("hour", NEW_YORK, at(2013, 11, 3, 6, 45, 1, 7), at(2013, 11, 3, 6)),
        ("hour", "Asia/Kolkata", at(2013, 1, 1, 0, 10), at(2012, 12, 31, 23, 30)),
        # Samoa had no 2011-12-30.
        ("day", "Pacific/Apia", at(2011, 12, 30, 9, 59), at(2011, 12, 29, 10)),
        ("day", "Pacific/Apia", at(2011, 12, 30, 10), at(2011, 12, 30, 10)),
        ("month", NEW_YORK, at(2013, 4, 1, 3), at(2013, 3, 1, 5)),
        ("month", NEW_YORK, at(2013, 4, 1, 4), at(2013, 4, 1, 4)),
        ("year", NEW_YORK, at(2013, 1, 1, 4), at(2012, 1, 1, 5)),
        ("year", NEW_YORK, at(1970, 1, 1), None),
        ("week", "UTC", at(1970, 1, 2), None),
        ("day", "UTC", at(2100, 1, 1), None),
    ],
)
def test_starts(evaluate, unit, zone, time, start):
    assert evaluate(f"start_of_{unit}(row.t, {zone!r})", {"t": time}) == start


def test_days_of_two_zones_start_when_the_clock_first_shows_the_day(evaluate):
    chance = random.Random(6)
    for zone in (NEW_YORK, "Australia/Lord_Howe"):
        for _ in range(10):
            time = at(2013, 1, 1) + timedelta(minutes=chance.randrange(525_600))
            day = time.astimezone(ZoneInfo(zone)).date()
            minute = next(
                first
                for first in (time - timedelta(minutes=back) for back in range(1, 1600))
                if first.astimezone(ZoneInfo(zone)).date() != day
            )
            exact = evaluate(f"start_of_day(row.t, {zone!r})", {"t": time})
            assert exact - timedelta(minutes=1) <= minute < exact


@pytest.mark.parametrize(
    ("unit", "seconds"), [("seconds", 1), ("minutes", 60), ("hours", 3600), ("days", 86400)]
)
def test_differences_are_exact_quotients(evaluate, unit, seconds):
    row = {"a": at(2013, 3, 10, 6, 0, 0, 1), "b": at(2014, 3, 9, 8, 15, 30)}
    micros = (row["b"] - row["a"]) // timedelta(microseconds=1)
    assert evaluate(f"{unit}_between(row.a, row.b)", row) == micros / (seconds * 10**6)


@pytest.mark.parametrize(
    "seconds", [0.0, -0.5, 1362900600.123456, 1e9 + 2**-21, -62135596800.0, 253402300799.0]
)
def test_epoch_there_and_back(evaluate, seconds):
    exact = at(1970, 1, 1) + timedelta(microseconds=round(seconds * 1e6))
    assert evaluate("from_epoch(row.x)", {"x": seconds}) == exact
    assert (
        evaluate("to_epoch(row.t)", {"t": exact})
        == (exact - at(1970, 1, 1)) // timedelta(microseconds=1) / 1e6
    )


@pytest.mark.parametrize("seconds", [253402300800.0, -62135596801.0, 1e300])
def test_epochs_outside_the_calendar_are_null(evaluate, seconds):
    assert evaluate("from_epoch(row.x)", {"x": seconds}) is None


@pytest.mark.parametrize("format", ["%Y-%m-%d", "%d.%m.%Y %H:%M", "%Y%m%dT%H%M%S", "a{0}%%%Y%m%d"])
def test_formats_are_those_of_strftime(evaluate, format):
    time = at(2013, 3, 5, 7, 8, 9, 10)
    written = time.astimezone(ZoneInfo(NEW_YORK)).strftime(format)
    assert evaluate(f"format_time(row.t, {format!r}, {NEW_YORK!r})", {"t": time}) == written


def test_microseconds_have_six_digits(evaluate):
    assert evaluate("format_time(row.t, '%S.%f')", {"t": at(2013, 3, 5, 7, 8, 9, 10)}) == "09.000010"


@pytest.mark.parametrize(
    ("text", "zone", "time"),
    [
        ("2013-03-05 07:08", "UTC", at(2013, 3, 5, 7, 8)),
        ("2013-03-05 07:08", NEW_YORK, at(2013, 3, 5, 12, 8)),
        ("2012-02-29 00:00", "UTC", at(2012, 2, 29)),
        ("2013-02-29 00:00", "UTC", None),
        ("2013-03-05 24:00", "UTC", None),
        ("2013-3-05 07:08", "UTC", None),
        (" 2013-03-05 07:08", "UTC", None),
        ("2013-03-05 07:08\n", "UTC", None),
        ("2013-03-05T07:08", "UTC", None),
        ("２013-03-05 07:08", "UTC", None),
        ("0000-03-05 07:08", "UTC", None),
        ("1969-12-31 23:59", "UTC", None),
        ("2100-01-01 00:00", "UTC", None),
        ("2013-03-10 02:30", NEW_YORK, None),
        ("2013-11-03 01:30", NEW_YORK, at(2013, 11, 3, 5, 30)),
        ("", "UTC", None),
    ],
)
def test_parsed_times(evaluate, text, zone, time):
    assert evaluate(f"parse_time(row.x, '%Y-%m-%d %H:%M', {zone!r})", {"x": text}) == time


def test_parsed_literals_compare_with_columns(evaluate):
    row = {"t": at(2013, 3, 10, 7, 30)}
    assert evaluate("row.t >= parse_time('2013-03-10', '%Y-%m-%d')", row) is True
    assert evaluate("parse_time('2013-03-11', '%Y-%m-%d') <= row.t", row) is False


@pytest.mark.parametrize("time", CALENDAR)
def test_cyclic_encodings_are_points_of_a_circle(evaluate, time):
    shares = {
        "hour": (time.hour * 60 + time.minute) / 1440,
        "weekday": time.weekday() / 7,
        "day_of_year": (int(time.strftime("%j")) - 1) / 365.25,
    }
    for name, share in shares.items():
        sine, cosine = (evaluate(f"{name}_{wave}(row.t)", {"t": time}) for wave in ("sin", "cos"))
        assert (sine, cosine) == (math.sin(share * math.tau), math.cos(share * math.tau))
