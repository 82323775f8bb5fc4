"""Durations, percentages and schedules are read as written and written as read."""

from datetime import date, datetime, timedelta

import pytest
from croniter import CroniterBadDateError, croniter
from hypothesis import example, given
from hypothesis import strategies as st

from giornata.days import FIRST_DATE, LAST_DATE
from giornata.documents.base import (
    check_duration,
    check_schedule,
    format_deadline,
    format_duration,
    parse_deadline,
    parse_duration,
)
from giornata.schema import parse_share


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90m", timedelta(hours=1, minutes=30)),
        ("12h", timedelta(hours=12)),
        ("3d", timedelta(days=3)),
        ("270d", timedelta(days=270)),
    ],
)
def test_durations(text, duration):
    assert parse_duration(text) == duration
    assert format_duration(duration) == text


@pytest.mark.parametrize(
    "text", ["", "0h", "12", "h", "1.5h", "-3d", "3 d", "3w", "٣d", "1d12h", "9999999999d"]
)
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["36501d", "876001h", "52560001m", "999999d", "999999999d"])
def test_durations_beyond_what_calendars_hold(text):
    with pytest.raises(ValueError, match="too long: a duration has 36500d"):
        check_duration(parse_duration(text))


def test_the_longest_durations_lead_to_dates():
    longest = parse_duration("36500d")
    assert longest == parse_duration("876000h") == parse_duration("52560000m")
    # The earliest and the latest moment that the windows of a document can reach from any date of a project.
    assert FIRST_DATE - 3 * longest > date.min
    assert LAST_DATE + 3 * longest < date.max


@given(st.integers(1, 52_560_000))
def test_durations_round_trip(minutes):
    assert parse_duration(format_duration(timedelta(minutes=minutes))) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("text", "deadline"), [("200ms", timedelta(milliseconds=200)), ("2s", timedelta(seconds=2))]
)
def test_deadlines(text, deadline):
    assert parse_deadline(text) == deadline
    assert format_deadline(deadline) == text


@pytest.mark.parametrize("text", ["", "0ms", "200", "ms", "1.5s", "2m", "-2s", "2 s", "٣s", "100000ms"])
def test_what_is_no_deadline(text):
    with pytest.raises(ValueError, match="is not a deadline"):
        parse_deadline(text)


@pytest.mark.parametrize(
    ("text", "share"), [("100%", 1.0), ("0%", 0.0), ("5%", 0.05), ("7%", 0.07), ("12.5%", 0.125)]
)
def test_shares(text, share):
    assert parse_share(text) == share


@given(st.decimals(0, 100, places=12))
def test_a_percentage_is_the_number_with_the_same_digits(percent):
    assert parse_share(f"{percent:f}%") == float(percent / 100)


@pytest.mark.parametrize("text", ["5", "101%", "-1%", "%", "5 %", "100.1%"])
def test_what_is_no_share(text):
    with pytest.raises(ValueError, match="is not a percentage"):
        parse_share(text)


@pytest.mark.parametrize(
    "text", ["@daily", "@hourly", "* * * * *", "*/15 * * * *", "0 6,18 * * 1-5", "0-30/10 0 1 1 7"]
)
def test_schedules(text):
    assert check_schedule(text) == text


@pytest.mark.parametrize(
    "text",
    ["daily", "@dayly", "* * * *", "60 * * * *", "* 24 * * *", "5-1 * * * *", "*/0 * * * *", "a * * * *"],
)
def test_what_is_no_schedule(text):
    with pytest.raises(ValueError, match=r"is not an? "):
        check_schedule(text)


CRON_DATES = st.tuples(
    st.sampled_from(["*", "31", "30", "29-31", "30,31", "*/30", "30/1", "31,1"]),
    st.sampled_from(["*", "2", "2,4", "*/5", "4-6/2", "2-6", "9/2", "11"]),
    st.sampled_from(["*", "0-5"]),
)


@given(CRON_DATES)
@example(("30", "2", "*"))
@example(("29", "2", "*"))
@example(("31", "4,6,9,11", "*"))
def test_a_schedule_has_a_moment_when_cron_finds_one(fields):
    """As croniter says, which looks for it in the next eight years."""
    text = f"0 5 {' '.join(fields)}"
    try:
        croniter(text, datetime(2013, 1, 1), max_years_between_matches=8).get_next()
    except CroniterBadDateError:
        with pytest.raises(ValueError, match="no month of it has such a day"):
            check_schedule(text)
    else:
        assert check_schedule(text) == text
