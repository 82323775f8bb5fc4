"""Division of a range of days into batches."""

from datetime import date, timedelta

import pytest

from jobs.hive import day_batches

FIRST = date(2013, 1, 1)


def days(*numbers):
    return [str(FIRST + timedelta(days=number)) for number in numbers]


def taken(seconds_a_day, given):
    """The numbers of days of each step, when a day takes so many seconds; and all days in the order of their steps."""
    now, sizes, seen = 0.0, [], []

    def do(step):
        nonlocal now
        now += seconds_a_day * len(step)
        sizes.append(len(step))
        seen.extend(step)

    day_batches.in_steps(given, do, clock=lambda: now)
    return sizes, seen


@pytest.mark.parametrize(
    ("seconds_a_day", "sizes"),
    [
        (0.0, [31, 334]),  # all that is left
        (0.5, [31, 334]),  # 360 days would take 180 s
        (1.2, [31, 167, 167]),  # 150 days would; what is left is divided evenly
        (1.6, [31, 112, 111, 111]),  # 112 days, after which 222 are left
        (60.0, [31, 4, *[3] * 110]),
        (1000.0, [31, *[1] * 334]),
    ],
)
def test_later_steps_take_about_three_minutes(seconds_a_day, sizes):
    year = days(*range(365))
    assert taken(seconds_a_day, year) == (sizes, year)


def test_a_step_is_bounded_however_quick_a_day_is():
    assert taken(0.0, days(*range(31 + 700)))[0] == [31, 350, 350]


def test_a_step_has_consecutive_days_only():
    given = days(0, 1, 2, 5, 6, 9)
    assert taken(0.0, given) == ([3, 2, 1], given)


def test_no_days_no_steps():
    assert taken(1.0, []) == ([], [])


def test_what_a_step_raises_goes_on_and_no_other_begins():
    begun = []

    def do(step):
        begun.append(step)
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        day_batches.in_steps(days(0, 5), do)
    assert begun == [days(0)]
