"""Ranges of whole UTC days, as trigger forms, partition keys and commands write them."""

from datetime import date
from typing import NamedTuple

from giornata.errors import GiornataError


class DaysError(GiornataError):
    """A range of days is missing, or is none."""


class Days(NamedTuple):
    """UTC days from `start`, `end` not included; as text and partition key `2013-11-01/2013-11-04`."""

    start: date
    end: date

    def __str__(self) -> str:
        return f"{self.start}/{self.end}"

    def covers(self, other: "Days") -> bool:
        """Whether every day of `other` is among these."""
        return self.start <= other.start and other.end <= self.end


def days(first: str, last: str) -> Days:
    """The days from `first`, `last` not included, both written YYYY-MM-DD. Raises DaysError."""
    try:
        found = Days(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError as error:
        raise DaysError(f"{first!r} and {last!r} are not both days YYYY-MM-DD: {error}") from error
    if found.start >= found.end:
        raise DaysError(f"from {first} to {last} there is no day: 'to' is not included, make it later")
    return found


def days_of_key(key: str) -> Days:
    """The days that a partition key stands for. Raises DaysError."""
    first, slash, last = key.partition("/")
    if not slash:
        raise DaysError(f"the partition key {key!r} is not a range of days such as 2013-11-01/2013-11-04")
    return days(first, last)
