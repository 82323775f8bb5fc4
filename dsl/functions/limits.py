"""Bounds of whole-number results from those of the arguments."""

from dsl.types import IntBounds


def quotient_bounds(a: IntBounds, b: IntBounds) -> IntBounds:
    """Bounds of a // b."""
    divisors = [d for d in (*b, -1, 1) if d and b[0] <= d <= b[1]]
    corners = [n // d for n in a for d in divisors] or [0]
    return min(corners), max(corners)


def remainder_bounds(a: IntBounds, b: IntBounds) -> IntBounds:
    """Bounds of a % b."""
    return min(b[0] + 1, 0), max(b[1] - 1, 0)


def spans_zero(a: IntBounds, b: IntBounds) -> bool:
    """Whether b can be zero."""
    return b[0] <= 0 <= b[1]


def product_bounds(a: IntBounds, b: IntBounds) -> IntBounds:
    """Bounds of a * b."""
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def absolute_bounds(x: IntBounds) -> IntBounds:
    """Bounds of the distance from zero."""
    return (0 if x[0] <= 0 <= x[1] else min(map(abs, x))), max(map(abs, x))


def always(*_: IntBounds | None) -> bool:
    """True whatever the bounds: for functions that can be null without a null argument."""
    return True
