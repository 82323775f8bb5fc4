"""Lists: Python implementations for one row. A list is a tuple; its items may be None, and floats in it are finite.

Sums of floats are exact and rounded once, so that they do not depend on the order of the items.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

Numbers = Sequence[float | None]


def list_sum_of_ints(items: Sequence[int | None]) -> int | None:
    """Sum of the ints that are not null, 0 where there are none; None beyond 64 bits."""
    total = sum(item for item in items if item is not None)
    return total if -(2**63) <= total < 2**63 else None


def list_sum_of_floats(items: Numbers) -> float | None:
    """Sum of the floats that are not null, exactly rounded; 0.0 where there are none."""
    return _float_sum([item for item in items if item is not None])


def list_mean(items: Numbers) -> float | None:
    """Mean of the items that are not null; None where there are none."""
    values = [item for item in items if item is not None]
    if not values:
        return None
    total = _float_sum(values) if isinstance(values[0], float) else sum(values)
    return None if total is None else total / len(values)


def list_min(items: Sequence[Any]) -> Any:
    """Least item that is not null; None where there are none. A zero is 0.0."""
    value = min((item for item in items if item is not None), default=None)
    return value + 0.0 if isinstance(value, float) else value


def list_max(items: Sequence[Any]) -> Any:
    """Greatest item that is not null; None where there are none. A zero is 0.0."""
    value = max((item for item in items if item is not None), default=None)
    return value + 0.0 if isinstance(value, float) else value


def list_element(items: Sequence[Any], index: int) -> Any:
    """Item at an index from 0, or from -1 counted from the end; None where there is none."""
    return items[index] if -len(items) <= index < len(items) else None


def list_of_floats(items: Sequence[int | None]) -> tuple[float | None, ...]:
    """Each int as its nearest float."""
    return tuple(None if item is None else float(item) for item in items)


def dot(a: Numbers, b: Numbers) -> float | None:
    """Sum of the products, each rounded; None where the lists differ in length, hold None, or it is not finite."""
    if len(a) != len(b):
        return None
    products = [x * y for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    return _float_sum(products) if len(products) == len(a) else None


def norm(items: Numbers) -> float | None:
    """Square root of the sum of squares, each rounded; None where the list holds None or it is not finite."""
    squares = dot(items, items)
    return None if squares is None else math.sqrt(squares)


def split(text: str, separator: str) -> tuple[str, ...] | None:
    """The pieces of text between the separators; None for an empty separator."""
    return tuple(text.split(separator)) if separator else None


def _float_sum(values: Sequence[float]) -> float | None:
    """Exact sum, rounded once; None for one too large, also of products that are."""
    try:
        total = math.fsum(values)
    except OverflowError:
        # Only a part of the sum may be too large, in this order of the values.
        try:
            total = float(sum(map(Fraction, values)))
        except OverflowError:
            return None
    except ValueError:
        return None
    return total + 0.0 if math.isfinite(total) else None
