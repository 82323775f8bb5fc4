"""Where the periods of a training end when labels come late, on rows whose delays are known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from giornata.documents.model import ModelSpec
from jobs.training.dataset import _BEFORE_TEST, LABEL, WINDOW, windows
from jobs.training.label_delay import complete

AS_OF = datetime(2013, 11, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TRAIN = AS_OF - 60 * DAY
TEST = AS_OF - 10 * DAY
SPEC = ModelSpec.model_validate(
    {
        "description": "Claims",
        "owner": "tests",
        "type": "linear",
        "task": "regression",
        "data": {"table": "orders", "key": ["id"], "event_time": "asked"},
        "label": {"table": "claims", "value": "amount", "event_time": "known"},
        "split": {"train": "50d", "validation": 0.2, "test": "10d"},
        "features": {"height": "1"},
    }
)


def asked(spark, delay_of, each=50):
    """So many rows a day, each with the delay that `delay_of` gives its number on the day: None for no label ever."""
    when = windows(SPEC.split, AS_OF)
    rows = []
    for day in range(60):
        for number in range(each):
            moment = TRAIN + day * DAY + number * DAY / each
            (window,) = (name for name, (start, end) in when.bounds.items() if start <= moment < end)
            delay = delay_of(number)
            known = moment + delay if delay is not None else None
            told = known is not None and known < (when.end if window == "test" else when.test)
            before = (known, 1.0) if known is not None and known < when.test else None
            rows.append((moment, window, 1.0 if told else None, before))
    struct = f"{_BEFORE_TEST} struct<label_known_at: timestamp, label: double>"
    return spark.createDataFrame(rows, f"asked timestamp, {WINDOW} string, {LABEL} double, {struct}")


def test_labels_that_come_within_minutes_leave_the_windows(spark):
    when = windows(SPEC.split, AS_OF)
    assert complete(asked(spark, lambda number: 20 * HOUR / 60), SPEC, when) == (when, [])


def test_rows_that_never_get_a_label_are_none_that_wait(spark):
    """A tenth of all, on the last days as before."""
    when = windows(SPEC.split, AS_OF)
    rows = asked(spark, lambda number: None if number % 10 == 5 else 20 * HOUR / 60)
    assert complete(rows, SPEC, when) == (when, [])


def test_labels_that_are_six_hours_late_cost_the_last_day(spark):
    when = windows(SPEC.split, AS_OF)
    rows = asked(spark, lambda number: None if number % 10 == 5 else 6 * HOUR)
    found, (validation, test) = complete(rows, SPEC, when)
    learned = TEST - DAY
    assert found == replace(
        when, validation=learned - (learned - TRAIN) * 0.2, learned=learned, end=AS_OF - DAY
    )
    # 50 and, of the quarter of the last day, 12 or 13, one or two of which are among them.
    assert validation == (
        "61 of the 500 rows of the validation period had no label yet on 2013-10-22 (99% of labels come within "
        "6 hours): training and validation end on 2013-10-21, up to which labels are complete"
    )
    assert test == (
        "61 of the 500 rows of the test period had no label yet on 2013-11-01 (99% of labels come within "
        "6 hours): it ends on 2013-10-31, up to which labels are complete"
    )


def test_validation_stays_the_same_share_of_what_has_labels(spark):
    """Labels thirty days late, in a test period of ten: the test period has none, and stays for others to refuse."""
    when = windows(SPEC.split, AS_OF)
    found, (validation, test) = complete(asked(spark, lambda number: 25 * DAY), SPEC, when)
    assert found.end == when.end
    assert "500 of the 500 rows of the test period had no label yet" in test
    assert "it is too short to end where labels are complete" in test
    assert "500 of the 500 rows of the validation period" in validation
    assert found.learned == TEST - 25 * DAY
    assert found.learned - found.validation == (found.learned - TRAIN) * 0.2


def test_delays_of_any_length(spark):
    """From none to eight days: the period ends at the last midnight before which a hundredth of the rows wait."""
    when = windows(SPEC.split, AS_OF)
    found, sentences = complete(asked(spark, lambda number: number * 8 * DAY / 50), SPEC, when)
    assert len(sentences) == 2
    waits = {}
    for end in range(1, 11):
        moments = [
            (TEST + day * DAY + number * DAY / 50, number) for day in range(end) for number in range(50)
        ]
        late = sum(moment + number * 8 * DAY / 50 >= AS_OF for moment, number in moments)
        waits[TEST + end * DAY] = late / len(moments)
    assert found.end == max(end for end, share in waits.items() if share <= 0.01)
    assert TEST < found.end < AS_OF - DAY


@pytest.mark.parametrize("delay", [-HOUR, timedelta(0)])
def test_labels_that_are_known_at_once_or_before(spark, delay):
    when = windows(SPEC.split, AS_OF)
    assert complete(asked(spark, lambda number: delay), SPEC, when) == (when, [])
