import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from cassandra.cluster import Session

from giornata.records.validation_result import ExpectationResult, Validation
from giornata.stores import cassandra
from giornata.stores.validations import Validations

DAY = date(2013, 11, 1)
AT = datetime(2013, 11, 2, 6, tzinfo=UTC)
BETWEEN = ExpectationResult(
    "expect_column_values_to_be_between",
    '{"column": "wind", "min_value": 0}',
    "wind",
    "quarantine",
    "quarantined",
    72,
    3,
    "-4.0, “-3”",
)
ROWS = ExpectationResult(
    "expect_table_row_count_to_equal", '{"value": 7}', "", "warn", "met", None, None, "7"
)
FIRST = Validation(DAY, DAY + timedelta(days=3), AT, (BETWEEN, ROWS))


@pytest.fixture
def validations(repository_session: Session) -> Validations:
    cassandra.apply_schema(repository_session)
    return Validations(repository_session)


@pytest.fixture
def project() -> str:
    """A project that no other test uses."""
    return f"v_{uuid.uuid4().hex[:10]}"


def read(validations: Validations, project: str, group: str = "sea") -> list[Validation]:
    return validations.read(project, group, date(1970, 1, 1), date(9999, 1, 1))


def test_what_was_written_is_read(validations: Validations, project: str) -> None:
    later = Validation(FIRST.end, FIRST.end + timedelta(days=1), AT, ())
    validations.replace(project, "sea", later, "/b")
    validations.replace(project, "sea", FIRST, "/a")
    assert read(validations, project) == [FIRST, later]
    assert validations.locations(project, "sea") == {
        (FIRST.start, FIRST.end): "/a",
        (later.start, later.end): "/b",
    }
    assert read(validations, project, "lake") == []


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [(-9, 0, False), (-9, 1, True), (2, 9, True), (3, 9, False), (1, 2, True)],
)
def test_a_range_is_found_by_any_of_its_days(
    validations: Validations, project: str, start: int, end: int, found: bool
) -> None:
    validations.replace(project, "sea", FIRST, "/a")
    days = (DAY + timedelta(days=number) for number in (start, end))
    assert validations.read(project, "sea", *days) == ([FIRST] if found else [])


def test_lately_is_thirty_days_before_the_end_of_the_newest(validations: Validations, project: str) -> None:
    assert validations.lately(project, "sea") == []
    newest = replace(FIRST, start=DAY + timedelta(days=32), end=DAY + timedelta(days=33))
    gone = replace(FIRST, end=DAY + timedelta(days=3))
    reaching_in = replace(FIRST, end=DAY + timedelta(days=4))
    for number, each in enumerate((newest, gone, reaching_in)):
        validations.replace(project, "sea", each, f"/{number}")
    assert validations.lately(project, "sea") == [reaching_in, newest]


def test_a_range_is_replaced_whole_and_by_nothing_older(validations: Validations, project: str) -> None:
    validations.replace(project, "sea", FIRST, "/a")
    second = replace(FIRST, at=AT + timedelta(seconds=1), results=(ROWS,))
    validations.replace(project, "sea", second, "/b")
    validations.replace(project, "sea", FIRST, "/a")
    assert read(validations, project) == [second]
    assert validations.locations(project, "sea") == {(FIRST.start, FIRST.end): "/b"}
