"""Ranges of whole UTC days, as trigger forms, partition keys and commands write them."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from giornata.errors import GiornataError

FIRST_DATE, LAST_DATE = date(1900, 1, 1), date(2199, 12, 31)
"""The earliest and the latest date that may be written: periods counted from one of them stay within dates, too."""


class DaysError(GiornataError):
    """A range of days is missing or invalid."""


class Days(NamedTuple):
    """UTC days from `start`, `end` excluded; as text and partition key `2013-11-01/2013-11-04`."""

    start: date
    end: date

    def __str__(self) -> str:
        return f"{self.start}/{self.end}"

    def covers(self, other: "Days") -> bool:
        """Whether every day of `other` is among these."""
        return self.start <= other.start and other.end <= self.end


def parse_date(text: str) -> date:
    """A date written YYYY-MM-DD. Raises ValueError, in words, if it is invalid or outside FIRST_DATE to LAST_DATE."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date: write it as 2013-10-31") from None
    if not FIRST_DATE <= found <= LAST_DATE:
        raise ValueError(f"{text!r} is not a date between {FIRST_DATE} and {LAST_DATE}")
    return found


def days(first: str, last: str) -> Days:
    """The days from `first`, `last` excluded, both written YYYY-MM-DD. Raises DaysError.

    For instance:

        >>> november = days("2013-11-01", "2013-12-01")
        >>> str(november), november.covers(days("2013-11-04", "2013-11-05"))
        ('2013-11-01/2013-12-01', True)
        >>> days("2013-11-01", "2013-11-01")
        Traceback (most recent call last):
        giornata.days.DaysError: from 2013-11-01 to 2013-11-01 there is no day: 'to' is not included, make it later
    """
    try:
        found = Days(parse_date(first), parse_date(last))
    except ValueError as error:
        raise DaysError(f"{first!r} and {last!r} are not both days: {error}") from error
    if found.start >= found.end:
        raise DaysError(f"from {first} to {last} there is no day: 'to' is not included, make it later")
    return found


def days_of_key(key: str) -> Days:
    """The days of a partition key. Raises DaysError."""
    first, slash, last = key.partition("/")
    if not slash:
        raise DaysError(f"the partition key {key!r} is not a range of days such as 2013-11-01/2013-11-04")
    return days(first, last)


def spans(days: Iterable[str], most: int = 5) -> str:
    """Days written YYYY-MM-DD in short, in at most `most` pieces: `2013-01-02, 2013-02-01 to 2013-02-28`.

    Three or more consecutive days are one piece.
    """
    found: list[list[date]] = []
    for day in sorted(map(date.fromisoformat, set(days))):
        if found and found[-1][-1] + timedelta(days=1) == day:
            found[-1].append(day)
        else:
            found.append([day])
    pieces: list[tuple[str, int]] = []
    for span in found:
        if len(span) > 2:
            pieces.append((f"{span[0]} to {span[-1]}", len(span)))
        else:
            pieces += [(str(day), 1) for day in span]
    texts = [text for text, _ in pieces[:most]]
    if left := sum(count for _, count in pieces[most:]):
        texts.append(f"{left} day{'' if left == 1 else 's'} more")
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
