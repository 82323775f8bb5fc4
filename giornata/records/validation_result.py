"""What validation found in the rows of a group: of each run, and of each of its expectations."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Verdict = Literal["met", "warned", "quarantined", "failed"]


@dataclass(frozen=True)
class ExpectationResult:
    """What one expectation found; `name`, `arguments` (JSON, keys in order) and `policy` as it was stated then.

    `rows` were looked at and `unexpected` of them do not meet it, `observed` being a few of their values; of an
    expectation on the table as a whole both are None, and `observed` is what was found instead. `columns` are those
    that it is about.
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
    """What was found in the rows of the days start <= day < end, by the run that said so `at` this moment."""

    start: date
    end: date
    at: datetime
    results: tuple[ExpectationResult, ...]


# How many days back from the newest that was validated `Judged.days` looks.
LATELY = 30
