"""Numbers: Python implementations for one row."""

import math

NOT_A_NUMBER = math.nan

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


_LN2, _LN10 = 0.6931471805599453, 2.302585092994046


def log2(x: float) -> float:
    """log(x) / log(2), exact for powers of two; NaN for zero and below."""
    return _logarithm(x, _LN2, 2.0)


def log10(x: float) -> float:
    """log(x) / log(10), exact for powers of ten; NaN for zero and below."""
    return _logarithm(x, _LN10, 10.0)


def _logarithm(x: float, unit: float, base: float) -> float:
    if x <= 0.0:
        return NOT_A_NUMBER
    quotient = math.log(x) / unit
    whole = float(round(quotient))
    return whole if power(base, whole) == x else quotient
