"""Long lists of days are told to people as the ranges that they are."""

from datetime import date, timedelta

import pytest

from giornata.days import spans


def following(first: str, count: int) -> list[str]:
    return [str(date.fromisoformat(first) + timedelta(days=number)) for number in range(count)]


@pytest.mark.parametrize(
    ("days", "told"),
    [
        ([], ""),
        (["2013-01-03"], "2013-01-03"),
        (["2013-01-04", "2013-01-03"], "2013-01-03 and 2013-01-04"),
        (following("2012-02-27", 400), "2012-02-27 to 2013-04-01"),
        (
            [*following("2013-01-30", 3), "2013-02-05", *following("2013-03-01", 31)],
            "2013-01-30 to 2013-02-01, 2013-02-05 and 2013-03-01 to 2013-03-31",
        ),
        (
            [f"2013-{month:02}-{day:02}" for month in range(1, 13) for day in (1, 2, 3, 9)],
            "2013-01-01 to 2013-01-03, 2013-01-09, 2013-02-01 to 2013-02-03, 2013-02-09, 2013-03-01 to 2013-03-03 "
            "and 37 days more",
        ),
        ([f"2013-0{month}-01" for month in range(1, 7)], "2013-01-01, 2013-02-01, 2013-03-01, 2013-04-01, 2013-05-01 "
        "and 1 day more"),
    ],
)  # fmt: skip
def test_days_that_follow_one_another_are_a_range(days: list[str], told: str) -> None:
    assert spans(days) == told
