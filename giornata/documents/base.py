"""Shared by all documents: the strict pydantic base and the scalar types of YAML values."""

import re
import unicodedata
from collections.abc import Callable, Hashable, Iterator
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    ValidationInfo,
)

from giornata import names
from giornata.days import parse_date
from giornata.errors import GiornataError, InvalidNameError

__all__ = [
    "ColumnType",
    "Date",
    "Deadline",
    "Duration",
    "MailAddress",
    "MisplacedError",
    "NameText",
    "Schedule",
    "TableColumnType",
    "Text",
]

ColumnType = Literal["int", "float", "bool", "str", "timestamp"]
TableColumnType = Literal[
    ColumnType, "list[int]", "list[float]", "list[bool]", "list[str]", "list[timestamp]"
]

LONGEST_DURATION = timedelta(days=36_500)
"""A century: dates so far from any data are still valid everywhere."""

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_SHORT_UNITS = {"s": timedelta(seconds=1), "ms": timedelta(milliseconds=1)}
_PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
_CRON_RANGES = {
    "a minute": (0, 59),
    "an hour": (0, 23),
    "a day of month": (1, 31),
    "a month": (1, 12),
    "a day of week": (0, 7),
}
_CRON_ITEM = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/([1-9]\d?))?", re.ASCII)
_LONGEST = {month: 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31 for month in range(1, 13)}
"""The most days of each month."""


WRITTEN = {"written": True}
"""The context in which pydantic validates what a person has written. A record is validated without it: a document that
was accepted, trained and deployed is not refused because of a newer rule."""


def _as_written(check: Callable[[Any], Any]) -> AfterValidator:
    """A validator for documents that a person has written. `check` returns the value to use, or raises ValueError."""

    def validate(value: Any, info: ValidationInfo) -> Any:
        return check(value) if info.context == WRITTEN else value

    return AfterValidator(validate)


class MisplacedError(GiornataError, ValueError):
    """A validator's error about one part of a value; `place` is the path to it, of keys and indexes.

    It is also a ValueError, since pydantic only collects those.
    """

    def __init__(self, place: tuple[Hashable, ...], message: str):
        super().__init__(message)
        self.place = place


def _parse(type_: type, parse: Callable[[str], Any]) -> BeforeValidator:
    """A validator that parses text and leaves values of `type_` as they are."""

    def read(value: object) -> object:
        if isinstance(value, type_):
            return value
        return parse(str(value))

    return BeforeValidator(read)


def parse_duration(text: str) -> timedelta:
    """The length of time written as a whole number of minutes, hours or days: `90m`, `12h`, `3d`."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})([mhd])", text, re.ASCII)
    if not match:
        raise ValueError(f"{text!r} is not a duration: write minutes, hours or days such as 90m, 12h or 3d")
    return int(match[1]) * _UNITS[match[2]]


def check_duration(duration: timedelta) -> timedelta:
    """The duration. Raises ValueError if it is longer than LONGEST_DURATION."""
    if duration > LONGEST_DURATION:
        most = f"a duration has {LONGEST_DURATION.days}d (a century) at most"
        raise ValueError(f"'{format_duration(duration)}' is too long: {most}")
    return duration


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads as `duration`, which is a whole number of minutes."""
    unit = next(unit for unit, length in _UNITS.items() if not duration % length)
    return f"{duration // _UNITS[unit]}{unit}"


def parse_deadline(text: str) -> timedelta:
    """The length of time written as a whole number of milliseconds or seconds: `200ms`, `2s`."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})(ms|s)", text, re.ASCII)
    if not match:
        raise ValueError(f"{text!r} is not a deadline: write milliseconds or seconds such as 200ms or 2s")
    return int(match[1]) * _SHORT_UNITS[match[2]]


def format_deadline(deadline: timedelta) -> str:
    """The shortest text that `parse_deadline` reads as `deadline`, which is a whole number of milliseconds."""
    unit = next(unit for unit, length in _SHORT_UNITS.items() if not deadline % length)
    return f"{deadline // _SHORT_UNITS[unit]}{unit}"


def check_schedule(text: str) -> str:
    """Return `text` when it is a preset (`@hourly`) or a cron line of five fields, else raise ValueError."""
    if text.startswith("@"):
        if text not in _PRESETS:
            raise ValueError(f"{text!r} is not a schedule: use one of {', '.join(_PRESETS)} or a cron line")
        return text
    fields = text.split()
    if len(fields) != len(_CRON_RANGES):
        raise ValueError(f"{text!r} is not a schedule: a cron line has five fields, as in '15 * * * *'")
    for field, (name, (low, high)) in zip(fields, _CRON_RANGES.items(), strict=True):
        for item in field.split(","):
            match = _CRON_ITEM.fullmatch(item)
            bounds = [int(number) for number in match.groups()[:2] if number] if match else []
            if not match or bounds != sorted(bounds) or any(not low <= number <= high for number in bounds):
                raise ValueError(f"{item!r} is not {name} of a cron line ({low} to {high}, *, ranges, steps)")
    _, _, day, month, weekday = fields
    if weekday == "*" and min(_numbers(day, 1, 31)) > max(
        _LONGEST[number] for number in _numbers(month, 1, 12)
    ):
        raise ValueError(f"{text!r} is not a schedule: no month of it has such a day")
    return text


def _numbers(field: str, low: int, high: int) -> Iterator[int]:
    """The numbers that a checked field of a cron line stands for."""
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.replace("*", f"{low}-{high}").partition("-")
        # As in cron, a step after a single number goes on to the end.
        yield from range(int(first), int(last or (high if step else first)) + 1, int(step or 1))


def _check_name(text: str) -> str:
    try:
        return names.check_name(text)
    except InvalidNameError as error:
        raise ValueError(str(error)) from None


def _check_text(text: str) -> str:
    if not text.strip():
        raise ValueError("expected text, found nothing")
    return text


def _check_characters(text: str) -> str:
    for character in text:
        if unicodedata.category(character) == "Cc" and character not in "\n\t":
            raise ValueError(f"the control character {character!a} does not belong into text")
    return text


def check_mail(text: str) -> str:
    """The address in the form that mail servers take, its domain in ASCII. Raises ValueError if it is not one."""
    from email_validator import EmailSyntaxError, EmailUndeliverableError, validate_email

    try:
        found = validate_email(
            text,
            check_deliverability=False,
            globally_deliverable=False,
            allow_smtputf8=False,
            strict=True,
        )
    except EmailUndeliverableError:
        return text  # a name that no public server knows, such as localhost: one's own may
    except EmailSyntaxError as error:
        raise ValueError(f"{text!r} is not a mail address: {str(error).rstrip('.')}") from None
    return found.ascii_email or text


NameText = Annotated[str, AfterValidator(_check_name)]
Text = Annotated[str, AfterValidator(_check_text), _as_written(_check_characters)]
MailAddress = Annotated[str, _as_written(check_mail)]
Schedule = Annotated[str, AfterValidator(check_schedule)]
Date = Annotated[date, _parse(date, parse_date)]
Duration = Annotated[
    timedelta,
    _parse(timedelta, parse_duration),
    _as_written(check_duration),
    PlainSerializer(format_duration, when_used="json"),
]
Deadline = Annotated[
    timedelta, _parse(timedelta, parse_deadline), PlainSerializer(format_deadline, when_used="json")
]
