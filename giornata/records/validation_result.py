"""Results of validating a group's rows: of each run, and of each of its expectations."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Verdict = Literal["met", "warned", "quarantined", "failed"]


@dataclass(frozen=True)
class ExpectationResult:
    """The result of one expectation; `name`, `arguments` (JSON, keys in order) and `policy` as they were then.

    `rows` were checked and `unexpected` of them failed, `observed` being a few of their values; for an expectation on
    the table as a whole both are None, and `observed` is the value that was found. `columns` are those that it is
    about.
    """

    name: str
    arguments: str
    columns: str
    policy: str
    verdict: Verdict
    rows: int | None
    unexpected: int | None
    observed: str


@dataclass(frozen=True)
class Validation:
    """The results for the rows of the days start <= day < end, by the run that validated them `at` this moment."""

    start: date
    end: date
    at: datetime
    results: tuple[ExpectationResult, ...]


# How many days back from the newest that was validated `Judged.days` looks.
LATELY = 30
