"""Converts the input values of one row to their declared types, or raises an error that names the input."""

import math
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from dsl.errors import InputError
from dsl.types import INT_BOUNDS


def accept_int(name: str, value: Any) -> int:
    """A whole number of any integer type but bool, within 64 bits."""
    if isinstance(value, bool):
        raise InputError(name, "expected an int, got a bool")
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(name, f"expected an int, got {_said(value)}") from None
    if not INT_BOUNDS[0] <= number <= INT_BOUNDS[1]:
        shown = str(number) if number.bit_length() <= 256 else f"a number of {number.bit_length()} bits"
        raise InputError(name, f"{shown} does not fit in 64 bits")
    return number


def accept_float(name: str, value: Any) -> float | None:
    """A number of any kind but bool; null for NaN and infinity."""
    if isinstance(value, bool | str | bytes) or not hasattr(type(value), "__float__"):
        raise InputError(name, f"expected a number, got {_said(value)}")
    try:
        number = float(value)
    except OverflowError:
        return None
    except (TypeError, ValueError):
        raise InputError(name, f"expected a number, got {_said(value)}") from None
    return number if math.isfinite(number) else None


def accept_bool(name: str, value: Any) -> bool:
    """True or false, also numpy's."""
    if type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise InputError(name, f"expected true or false, got {_said(value)}")


def accept_str(name: str, value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise InputError(name, f"expected a text, got {_said(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            name,
            f"character {error.start + 1} of the text is half of a surrogate pair, which is no character",
        ) from None
    return str(value)


def accept_timestamp(name: str, value: Any) -> datetime:
    """A datetime with a time zone, as UTC."""
    if not isinstance(value, datetime):
        raise InputError(name, f"expected a timestamp, got {_said(value)}")
    if value.tzinfo is None:
        raise InputError(name, f"{value.isoformat()} has no time zone; hand in an aware datetime")
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        raise InputError(name, f"{value.isoformat()} lies outside the years 1 to 9999 of UTC") from None
    return datetime(
        utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond, tzinfo=UTC
    )


def _items(accept: Callable[[str, Any], Any]) -> Callable[[str, Any], tuple[Any, ...]]:
    def accept_list(name: str, value: Any) -> tuple[Any, ...]:
        """A list, tuple or array whose items are null or of the type; an error names the item."""
        items = value.tolist() if hasattr(value, "tolist") else value
        if not isinstance(items, list | tuple):
            raise InputError(name, f"expected a list, got {_said(value)}")
        return tuple(
            None if item is None else accept(f"{name}[{place}]", item) for place, item in enumerate(items)
        )

    return accept_list


accept_list_int = _items(accept_int)
accept_list_float = _items(accept_float)
accept_list_bool = _items(accept_bool)
accept_list_str = _items(accept_str)
accept_list_timestamp = _items(accept_timestamp)


def _said(value: Any) -> str:
    try:
        shown = repr(value)
    except (ValueError, RecursionError):
        return f"a value of type {type(value).__name__}"
    return f"{shown if len(shown) <= 40 else shown[:37] + '...'} of type {type(value).__name__}"
