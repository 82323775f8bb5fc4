"""Python meanings of functions for one row that are more than an expression; generated rows call them by name."""

import math

NOT_A_NUMBER = math.nan

WHITESPACE = "".join(
    map(
        chr,
        [
            *range(0x9, 0xE),
            0x20,
            0x85,
            0xA0,
            0x1680,
            *range(0x2000, 0x200B),
            0x2028,
            0x2029,
            0x202F,
            0x205F,
            0x3000,
        ],
    )
)
"""Unicode's White_Space characters (Python's own strip also removes U+001C to U+001F)."""

_LOW, _HIGH = -(2.0**63), 2.0**63
_WHOLE = 2.0**52


def floor_to_int(x: float) -> int | None:
    """Greatest integer not above x, or None beyond 64 bits."""
    return math.floor(x) if _LOW <= x < _HIGH else None


def ceil_to_int(x: float) -> int | None:
    """Least integer not below x, or None beyond 64 bits."""
    return math.ceil(x) if _LOW <= x < _HIGH else None


def round_to_int(x: float) -> int | None:
    """Nearest integer, halves to even, or None beyond 64 bits."""
    return round(x) if _LOW <= x < _HIGH else None


def truncate_to_int(x: float) -> int | None:
    """x without its fraction, or None beyond 64 bits."""
    return int(x) if _LOW <= x < _HIGH else None


def round_digits(x: float, scale: float) -> float:
    """x * scale rounded to the nearest integer, halves to even, divided by scale; x itself from 2**52 on."""
    return round(x * scale) / scale if -_WHOLE < x < _WHOLE else x


def power(base: float, exponent: float) -> float:
    """base ** exponent as IEEE 754 has it, NaN where it has no finite value."""
    try:
        return math.pow(base, exponent)
    except (ValueError, OverflowError):
        return NOT_A_NUMBER
