"""Which of many validations speaks for an expectation, by truths written by hand."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from giornata.catalogue.validation import Judged, judged
from giornata.documents import FeatureGroup
from giornata.records.validation_result import ExpectationResult, Validation, Verdict

RANGE = {"column": "wind", "min_value": 0}
GROUP = FeatureGroup.model_validate(
    {
        "description": "d",
        "owner": "o",
        "entity": {"origin": "str"},
        "features": {"wind": {"type": "float", "description": "d"}},
        "expect": [
            {"expect_column_values_to_be_between": RANGE, "policy": "warn"},
            {"expect_column_values_to_not_be_null": {"column": "wind"}, "policy": "quarantine"},
        ],
    }
)


def day(number: int) -> date:
    """A day of November 2013."""
    return date(2013, 11, 1) + timedelta(days=number - 1)


def between(verdict: Verdict, unexpected: int | None = 0, policy: str = "warn") -> ExpectationResult:
    arguments = json.dumps(dict(reversed(RANGE.items())), sort_keys=True)
    name = "expect_column_values_to_be_between"
    return ExpectationResult(name, arguments, "wind", policy, verdict, 1072, unexpected, "-4.0, -3.0")


def not_null(verdict: Verdict) -> ExpectationResult:
    name = "expect_column_values_to_not_be_null"
    return ExpectationResult(name, '{"column": "wind"}', "wind", "quarantine", verdict, 72, 3, "")


def validation(first: int, last: int, hour: int, *results: ExpectationResult) -> Validation:
    """Of the days from `first` to `last`, found at an hour of 30 November."""
    return Validation(day(first), day(last + 1), datetime(2013, 11, 30, hour, tzinfo=UTC), results)


def test_the_newest_validation_of_a_day_holds() -> None:
    found = judged(
        GROUP,
        [
            validation(8, 10, 9, between("met"), not_null("quarantined")),
            validation(1, 10, 5, between("warned", 7), not_null("failed")),
            validation(9, 9, 12, between("warned", 2)),
        ],
    )
    assert [(each.expectation, each.first_day, each.last_day, each.at) for each in found] == [
        (expectation, day(8), day(10), datetime(2013, 11, 30, 9, tzinfo=UTC)) for expectation in GROUP.expect
    ]
    assert [each.result for each in found] == [between("met"), not_null("quarantined")]
    # Day 9 was validated last when the second expectation was not stated.
    assert [each.days for each in found] == [{"warned": 8, "met": 2}, {"failed": 7, "quarantined": 2}]
    assert [each.lately for each in found] == ["8 days warned", "7 days failed, 2 days quarantined"]


def test_a_failed_validation_stands_until_the_same_days_are_validated_again() -> None:
    failed = validation(5, 6, 8, not_null("failed"))
    earlier = validation(5, 6, 7, not_null("met"))
    later = validation(6, 6, 9, not_null("met"))
    assert judged(GROUP, [failed, earlier])[1].result == not_null("failed")
    mended = judged(GROUP, [failed, earlier, later])[1]
    assert (mended.result, mended.first_day, mended.last_day) == (not_null("met"), day(6), day(6))
    assert (mended.days, mended.lately) == ({"failed": 1, "met": 1}, "1 day failed")


def test_thirty_days_are_counted_back_from_the_last_that_was_validated() -> None:
    long_ago = validation(-40, 1, 8, between("warned"))
    assert judged(GROUP, [long_ago])[0].days == {"warned": 30}
    assert judged(GROUP, [long_ago, validation(29, 29, 9, between("met"))])[0].days == {"warned": 2, "met": 1}
    (first, _) = judged(GROUP, [long_ago, validation(31, 31, 9, between("met"))])
    assert (first.days, first.lately) == ({"met": 1}, "")


@pytest.mark.parametrize(
    "other",
    [
        between("failed", policy="fail"),
        ExpectationResult(
            "expect_column_values_to_be_between", '{"column": "wind"}', "wind", "warn", "met", 1, 0, ""
        ),
        not_null("met"),
    ],
)
def test_what_is_stated_otherwise_now_was_not_judged_yet(other: ExpectationResult) -> None:
    expectation = GROUP.expect[0]
    expected = Judged(expectation, None, None, None, None, {})
    assert judged(GROUP, [validation(1, 1, 1, other)])[0] == expected
    assert judged(GROUP, [])[0] == expected
    assert (expected.found, expected.lately) == ("", "")


def test_what_was_found_reads_like_a_sentence() -> None:
    def said(result: ExpectationResult) -> str:
        return judged(GROUP, [validation(1, 1, 1, result)])[0].found

    assert said(between("warned", 1001)) == "1,001 of 1,072 rows do not meet it, such as -4.0, -3.0"
    whole = ExpectationResult(
        "expect_column_values_to_be_between",
        json.dumps(RANGE, sort_keys=True),
        "wind",
        "warn",
        "met",
        None,
        None,
        "17",
    )
    assert said(whole) == "found 17"
    assert judged(GROUP, [])[0].arguments == "{column: wind, min_value: 0}"
