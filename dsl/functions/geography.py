"""Functions of places on Earth."""

from typing import TYPE_CHECKING

from dsl.functions.limits import always
from dsl.polars.expressions import choose, to_int
from dsl.row.scalar.geography import DEGREE, DIAMETER, GEOHASH_DIGITS, HALF_DEGREE
from dsl.signature import Example, Function

if TYPE_CHECKING:
    import polars as pl


def _are_latitudes(*latitudes: "pl.Expr") -> "pl.Expr":
    first, *others = [latitude.abs() <= 90.0 for latitude in latitudes]
    for other in others:
        first &= other
    return first


def _haversine(
    latitude_1: "pl.Expr", longitude_1: "pl.Expr", latitude_2: "pl.Expr", longitude_2: "pl.Expr"
) -> "pl.Expr":
    north = ((latitude_2 - latitude_1) * HALF_DEGREE).sin()
    east = ((longitude_2 - longitude_1) * HALF_DEGREE).sin()
    square = north * north + (latitude_1 * DEGREE).cos() * (latitude_2 * DEGREE).cos() * (east * east)
    length = square.clip(upper_bound=1.0).sqrt().arcsin() * DIAMETER
    return choose((_are_latitudes(latitude_1, latitude_2), length))


def _heading(
    latitude_1: "pl.Expr", longitude_1: "pl.Expr", latitude_2: "pl.Expr", longitude_2: "pl.Expr"
) -> "pl.Expr":
    import polars as pl

    from_1, to_2, turn = latitude_1 * DEGREE, latitude_2 * DEGREE, (longitude_2 - longitude_1) * DEGREE
    east = turn.sin() * to_2.cos()
    north = from_1.cos() * to_2.sin() - from_1.sin() * to_2.cos() * turn.cos()
    angle = pl.arctan2(east, north) * 57.29577951308232
    return choose((_are_latitudes(latitude_1, latitude_2), angle))


def _compass(angle: "pl.Expr") -> "pl.Expr":
    turned = angle + 360.0
    return choose((angle >= 0.0, angle.abs()), (turned < 360.0, turned), (angle < 0.0, (angle * 0.0).abs()))


# A character of a geohash has five bits, of longitude and latitude in turn: three of one and two of the other. This is
# the alphabet in the order of the three bits followed by the two.
_DIGITS = "".join(
    GEOHASH_DIGITS[(a & 4) << 2 | (b & 2) << 2 | (a & 2) << 1 | (b & 1) << 1 | a & 1]
    for a in range(8)
    for b in range(4)
)


def _geohash(latitude: "pl.Expr", longitude: "pl.Expr", precision: int, digits: int) -> "pl.Expr":
    import polars as pl

    bits = precision * 5
    left = {"row": bits // 2, "column": bits - bits // 2}
    cells = {
        "row": _cell(latitude, 180.0, left["row"]),
        "column": _cell(longitude, 360.0, left["column"]),
    }
    alphabet, places = pl.lit(_DIGITS), []
    for place in range(precision):
        three, two = ("row", "column") if place % 2 else ("column", "row")
        left[three] -= 3
        left[two] -= 2
        high, low = (cells[three] // 2 ** left[three]) & 7, (cells[two] // 2 ** left[two]) & 3
        places.append(alphabet.str.slice(high * 4 + low, 1))
    return choose((_are_latitudes(latitude) & (longitude.abs() <= 180.0), pl.concat_str(places)))


def _cell(x: "pl.Expr", width: float, bits: int) -> "pl.Expr":
    half: int = 2 ** (bits - 1)
    size = width / 2 / half
    index = (x * (half / (width / 2))).floor()
    index = to_int(index) + to_int((index + 1) * size <= x) - to_int(index * size > x)
    return (index + half).clip(upper_bound=2 * half - 1)


def _in_box(
    latitude: "pl.Expr",
    longitude: "pl.Expr",
    south: "pl.Expr",
    west: "pl.Expr",
    north: "pl.Expr",
    east: "pl.Expr",
) -> "pl.Expr":
    after, before = longitude >= west, longitude <= east
    inside = choose((west <= east, after & before), (west > east, after | before))
    # A null coordinate makes one of these comparisons null, and so the sum.
    known = to_int(latitude >= south) + to_int(latitude <= north) + to_int(after) + to_int(before)
    return choose((known.is_not_null(), (latitude >= south) & (latitude <= north) & inside))


GEOGRAPHY = (
    Function(
        signature=(
            "haversine_km(latitude_1: float, longitude_1: float, latitude_2: float, longitude_2: float) -> float"
        ),
        section="geography",
        doc=(
            "Kilometres between two places along the great circle, on a sphere of radius 6371.0088 km; "
            "up to 0.6 % from "
            "the distance on the ellipsoid. Null for a latitude beyond 90."
        ),
        examples=(
            Example("haversine_km(0, 0, 0, 180)", 20015.114442035923),
            Example("haversine_km(40.6, -73.8, 40.6, -73.8)", 0.0),
            Example("haversine_km(91, 0, 0, 0)", None),
        ),
        row="haversine_km({latitude_1}, {longitude_1}, {latitude_2}, {longitude_2})",
        columns=_haversine,
        full=("latitude_1", "longitude_1", "latitude_2", "longitude_2"),
        passes=(),
        partial=always,
        may_be_non_finite=True,
        repeats=True,
    ),
    Function(
        signature="bearing(latitude_1: float, longitude_1: float, latitude_2: float, longitude_2: float) -> float",
        section="geography",
        doc=(
            "Direction from place 1 in which the shortest way to place 2 begins: degrees from 0 to "
            "below 360, clockwise "
            "from north. Null for a latitude beyond 90."
        ),
        examples=(
            Example("bearing(0, 0, 0, 1)", 90.0),
            Example("bearing(0, 0, -1, 0)", 180.0),
            Example("bearing(0, 0, 0, -1)", 270.0),
            Example("bearing(row.x, 0, 1, 1)", None, {"x": None}),
        ),
        definition="_compass(_heading(latitude_1, longitude_1, latitude_2, longitude_2))",
    ),
    Function(
        signature="geohash(latitude: float, longitude: float, precision: constant[int]) -> str",
        section="geography",
        doc=(
            "The geohash of a place, precision (1 to 12) characters long: places with the same "
            "beginning share a cell, of "
            "about 5 km with 5 characters, 150 m with 7. Null beyond 90 and 180 degrees."
        ),
        examples=(
            Example("geohash(57.64911, 10.40744, 11)", "u4pruydqqvj"),
            Example("geohash(42.6, -5.6, 5)", "ezs42"),
            Example("geohash(0, 181, 5)", None),
        ),
        row="geohash({latitude}, {longitude}, {digits})",
        columns=_geohash,
        bind=lambda precision: {"digits": precision},
        ranges={"precision": (1, 12)},
        partial=always,
        repeats=True,
    ),
    Function(
        signature=(
            "in_bounding_box(latitude: float, longitude: float, south: float, west: float, north: float, east: float) "
            "-> bool"
        ),
        section="geography",
        doc=(
            "Whether a place lies in a box, its borders included. A box whose west is greater than its "
            "east crosses the "
            "180th meridian."
        ),
        examples=(
            Example("in_bounding_box(40.6, -73.8, 40, -75, 41, -73)", True),
            Example("in_bounding_box(0, 179, -10, 170, 10, -170)", True),
            Example("in_bounding_box(0, 0, -10, 170, 10, -170)", False),
            Example("in_bounding_box(50, row.x, -10, 170, 10, -170)", None, {"x": None}),
        ),
        row=(
            "({south} <= {latitude} <= {north} and ({west} <= {longitude} <= {east} if {west} <= {east} "
            "else {longitude} >= {west} or {longitude} <= {east}))"
        ),
        columns=_in_box,
        repeats=True,
    ),
)

PLACE_PARTS = (
    Function(
        signature="_heading(latitude_1: float, longitude_1: float, latitude_2: float, longitude_2: float) -> float",
        section="parts",
        doc="Direction of the great circle to place 2 at place 1, -180 to 180 degrees.",
        examples=(),
        row="heading({latitude_1}, {longitude_1}, {latitude_2}, {longitude_2})",
        columns=_heading,
        full=("latitude_1", "longitude_1", "latitude_2", "longitude_2"),
        partial=always,
        may_be_non_finite=True,
        repeats=True,
    ),
    Function(
        signature="_compass(angle: float) -> float",
        section="parts",
        doc="A direction from -180 to 180 as one from 0 to below 360.",
        examples=(),
        row="compass({angle})",
        columns=_compass,
        repeats=True,
    ),
)
