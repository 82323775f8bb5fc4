"""Great Expectations on Spark frames: outcomes, rows set aside, and what it cannot judge."""

from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from giornata.documents import Expectation
from giornata.errors import DataError
from jobs.features.validation import QUARANTINE_ROWS, validate

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

KEY = ["place", "event_time"]


def expect(name: str, policy: str, **arguments: Any) -> Expectation:
    return Expectation.model_validate({"name": name, "arguments": arguments, "policy": policy})


@pytest.fixture
def rows(spark: SparkSession) -> DataFrame:
    """A hundred rows: levels 0 to 99, three of them null; places a and b."""
    return spark.range(100).selectExpr(
        "if(id % 2 = 0, 'a', 'b') AS place",
        "timestamp_seconds(1357000000 + id) AS event_time",
        "if(id < 3, NULL, CAST(id AS double)) AS level",
    )


def levels(frame: DataFrame | None) -> list[float | None]:
    assert frame is not None
    return sorted((row["level"] for row in frame.collect()), key=lambda level: -1 if level is None else level)


def test_a_row_may_break_several_expectations(rows: DataFrame) -> None:
    validated = validate(
        rows,
        100,
        [
            expect("expect_column_values_to_be_between", "quarantine", column="level", max_value=97),
            expect("expect_column_values_to_not_be_null", "quarantine", column="level"),
            expect("expect_column_values_to_be_between", "quarantine", column="level", max_value=98),
            expect("expect_column_values_to_be_in_set", "fail", column="place", value_set=["a", "b"]),
        ],
        KEY,
    )
    assert [(outcome.verdict, outcome.unexpected) for outcome in validated.outcomes] == [
        ("quarantined", 2), ("quarantined", 3), ("quarantined", 1), ("met", 0)
    ]  # fmt: skip
    assert validated.failures == []
    assert levels(validated.good) == [float(level) for level in range(3, 98)]
    assert levels(validated.quarantined) == [None, None, None, 98.0, 99.0]
    assert validated.quarantined is not None
    last = validated.quarantined.where("level = 99").first()
    assert last is not None
    assert last["expectations"] == "expect_column_values_to_be_between, expect_column_values_to_be_between"
    assert last["event_time"] == datetime(2013, 1, 1, 0, 28, 19)


def test_a_table_as_a_whole_cannot_be_quarantined(rows: DataFrame) -> None:
    validated = validate(rows, 100, [expect("expect_table_row_count_to_equal", "quarantine", value=99)], KEY)
    (outcome,) = validated.failures
    assert str(outcome) == "expect_table_row_count_to_equal(): found 100"


def test_outcomes_are_explained(rows: DataFrame) -> None:
    validated = validate(
        rows, 100, [expect("expect_column_values_to_be_between", "warn", column="level", max_value=97)], KEY
    )
    assert str(validated.outcomes[0]) == (
        "expect_column_values_to_be_between(level): 2 of 100 rows do not meet it, with values such as 98.0, 99.0"
    )
    assert validated.good is rows


def test_rows_that_an_expectation_tolerates_are_counted(rows: DataFrame) -> None:
    tolerant = expect("expect_column_values_to_be_between", "fail", column="level", max_value=97, mostly=0.9)
    (outcome,) = validate(rows, 100, [tolerant], KEY).outcomes
    assert (outcome.verdict, outcome.rows, outcome.unexpected) == ("met", 100, 2)


def test_too_many_rows_to_set_aside(spark: SparkSession) -> None:
    many = spark.range(50 * QUARANTINE_ROWS).selectExpr(
        "'a' AS place", "timestamp_seconds(id) AS event_time", "CAST(id AS double) AS level"
    )
    expectation = expect(
        "expect_column_values_to_be_between", "quarantine", column="level", min_value=QUARANTINE_ROWS + 1
    )
    assert [
        outcome.verdict for outcome in validate(many, 50 * QUARANTINE_ROWS, [expectation], KEY).outcomes
    ] == ["failed"]


def test_no_rows_meet_expectations_on_rows(rows: DataFrame) -> None:
    expectation = expect("expect_column_values_to_be_between", "quarantine", column="level", max_value=97)
    validated = validate(rows.limit(0), 0, [expectation], KEY)
    assert [(outcome.verdict, outcome.rows) for outcome in validated.outcomes] == [("met", 0)]


def test_what_great_expectations_cannot_judge(rows: DataFrame) -> None:
    with pytest.raises(DataError, match="does not take expect_column_values_to_be_between"):
        validate(rows, 100, [expect("expect_column_values_to_be_between", "fail", colum="level")], KEY)
    with pytest.raises(DataError, match="cannot judge expect_column_values_to_be_between"):
        validate(
            rows, 100, [expect("expect_column_values_to_be_between", "fail", column="nope", max_value=1)], KEY
        )
