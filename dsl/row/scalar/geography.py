"""Places on Earth: Python implementations for one row. Arithmetic is in the order of dsl/functions/geography.py."""

from math import asin, atan2, cos, floor, sin, sqrt

DEGREE = 0.017453292519943295
"""Radians in a degree."""
HALF_DEGREE = 0.008726646259971648
DIAMETER = 12742.0176
"""Diameter of the sphere with Earth's mean radius (IUGG), 6371.0088 km."""

GEOHASH_DIGITS = "0123456789bcdefghjkmnpqrstuvwxyz"


def haversine_km(
    latitude_1: float, longitude_1: float, latitude_2: float, longitude_2: float
) -> float | None:
    """Kilometres along the great circle, or None beyond the poles."""
    if not (-90.0 <= latitude_1 <= 90.0 and -90.0 <= latitude_2 <= 90.0):
        return None
    north = sin((latitude_2 - latitude_1) * HALF_DEGREE)
    east = sin((longitude_2 - longitude_1) * HALF_DEGREE)
    square = north * north + cos(latitude_1 * DEGREE) * cos(latitude_2 * DEGREE) * (east * east)
    return asin(sqrt(square) if square < 1.0 else 1.0) * DIAMETER


def heading(latitude_1: float, longitude_1: float, latitude_2: float, longitude_2: float) -> float | None:
    """Degrees clockwise from north at which the great circle to place 2 leaves place 1; None beyond the poles."""
    if not (-90.0 <= latitude_1 <= 90.0 and -90.0 <= latitude_2 <= 90.0):
        return None
    from_1, to_2, turn = latitude_1 * DEGREE, latitude_2 * DEGREE, (longitude_2 - longitude_1) * DEGREE
    east = sin(turn) * cos(to_2)
    north = cos(from_1) * sin(to_2) - sin(from_1) * cos(to_2) * cos(turn)
    return atan2(east, north) * 57.29577951308232


def compass(angle: float) -> float:
    """A direction from -180 to 180 degrees as one from 0 to below 360."""
    if angle >= 0.0:
        return abs(angle)
    angle += 360.0
    return angle if angle < 360.0 else 0.0


def geohash(latitude: float, longitude: float, precision: int) -> str | None:
    """The geohash of a place, or None beyond 90 and 180 degrees."""
    if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0):
        return None
    bits = precision * 5
    row, column = _cell(latitude, 180.0, bits // 2), _cell(longitude, 360.0, bits - bits // 2)
    even, odd = (column, row) if bits % 2 else (row, column)
    # Binary digits read as base 4 leave a gap after each.
    code = int(f"{even:b}", 4) + 2 * int(f"{odd:b}", 4)
    return "".join([GEOHASH_DIGITS[code >> shift & 31] for shift in range(bits - 5, -1, -5)])


def _cell(x: float, width: float, bits: int) -> int:
    """Index from 0 of the cell that holds x; 2**bits cells share the width, half of them below zero."""
    half: int = 2 ** (bits - 1)
    size = width / 2 / half
    # Whole multiples of size are exact, so that these comparisons decide at the cells' borders, not the quotient.
    index = floor(x * (half / (width / 2)))
    index += ((index + 1) * size <= x) - (index * size > x)
    return min(index + half, 2 * half - 1)
