from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from dags.days import days_of
from giornata.days import Days, DaysError

NIGHT = datetime(2024, 2, 29, tzinfo=UTC)


def run(
    key: str | None = None, start: datetime | None = None, end: datetime | None = None
) -> SimpleNamespace:
    return SimpleNamespace(partition_key=key, data_interval_start=start, data_interval_end=end)


def days(first: tuple[int, int, int], last: tuple[int, int, int]) -> Days:
    return Days(date(*first), date(*last))


def test_dates_of_the_form_come_first():
    params = {"from": "2024-02-27", "to": "2024-03-02"}
    found = days_of(params, run("2013-01-01/2013-01-02", NIGHT, NIGHT + timedelta(days=1)))
    assert found == days((2024, 2, 27), (2024, 3, 2))


def test_the_partition_key_comes_before_the_interval():
    found = days_of(
        {"from": None, "to": None}, run("2013-01-31/2013-02-02", NIGHT, NIGHT + timedelta(days=1))
    )
    assert found == days((2013, 1, 31), (2013, 2, 2))


def test_a_key_is_the_text_of_its_days():
    assert str(days((2013, 1, 31), (2013, 2, 2))) == "2013-01-31/2013-02-02"


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (NIGHT, NIGHT + timedelta(days=1), days((2024, 2, 29), (2024, 3, 1))),
        (NIGHT, NIGHT + timedelta(days=7), days((2024, 2, 29), (2024, 3, 7))),
        (NIGHT + timedelta(hours=23), NIGHT + timedelta(days=1), days((2024, 2, 29), (2024, 3, 1))),
        (NIGHT + timedelta(hours=3), NIGHT + timedelta(hours=4), days((2024, 2, 29), (2024, 3, 1))),
        (NIGHT - timedelta(hours=1), NIGHT + timedelta(seconds=1), days((2024, 2, 28), (2024, 3, 1))),
    ],
)
def test_an_interval_is_widened_to_whole_days(start: datetime, end: datetime, expected: Days):
    assert days_of({}, run(None, start, end)) == expected


def test_days_are_utc_whatever_the_zone_of_the_interval():
    tokyo = timezone(timedelta(hours=9))
    start = datetime(2024, 3, 1, 9, tzinfo=tokyo)
    assert days_of({}, run(None, start, start + timedelta(days=1))) == days((2024, 3, 1), (2024, 3, 2))


@pytest.mark.parametrize(
    ("params", "key", "told"),
    [
        ({}, None, "trigger it with the dates"),
        ({"from": "2024-01-01", "to": None}, None, "both dates"),
        ({"from": None, "to": "2024-01-01"}, "2024-01-01/2024-01-02", "both dates"),
        ({"from": "2024-01-02", "to": "2024-01-02"}, None, "no day"),
        ({"from": "2024-01-03", "to": "2024-01-02"}, None, "no day"),
        ({"from": "soon", "to": "2024-01-02"}, None, "is not a date: write it as"),
        ({}, "2024-01-01", "not a range"),
        ({}, "2024-01-01/2024-13-01", "is not a date: write it as"),
    ],
)
def test_a_run_without_days_says_what_to_do(params: dict[str, str | None], key: str | None, told: str):
    with pytest.raises(DaysError, match=told):
        days_of(params, run(key))


def test_an_empty_interval_is_no_range():
    # A DAG without a schedule gets the moment of the trigger as both ends.
    with pytest.raises(DaysError, match="trigger it with the dates"):
        days_of({}, run(None, NIGHT, NIGHT))
