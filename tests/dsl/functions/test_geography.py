"""Geography against published values and the textbook bisection of geohashes."""

import math
import random

import pytest

PLACES = [
    (40.6413, -73.7781),
    (51.47, -0.4543),
    (-33.9461, 151.1772),
    (90.0, 0.0),
    (0.0, 180.0),
    (0.0, -180.0),
    (-90.0, 7.0),
]


def angle(first, second):
    """The angle between two places from their vectors, another formula than the one in use."""
    vectors = [
        (math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north))
        for north, east in (map(math.radians, place) for place in (first, second))
    ]
    dot = sum(x * y for x, y in zip(*vectors, strict=True))
    (a, b, c), (d, e, f) = vectors
    cross = math.hypot(b * f - c * e, c * d - a * f, a * e - b * d)
    return math.atan2(cross, dot)


def row_of(first, second):
    return dict(zip("abcd", (*first, *second), strict=True))


@pytest.mark.parametrize("first", PLACES)
@pytest.mark.parametrize("second", PLACES)
def test_haversine_is_the_angle_times_the_radius(evaluate, first, second):
    found = evaluate("haversine_km(row.a, row.b, row.c, row.d)", row_of(first, second))
    assert found == pytest.approx(angle(first, second) * 6371.0088, rel=1e-9, abs=1e-6)


def test_haversine_of_a_published_pair(evaluate):
    # Nashville to Los Angeles, Rosetta Code: 2887.2599506071106 km with a radius of 6372.8 km.
    found = evaluate("haversine_km(row.a, row.b, row.c, row.d)", row_of((36.12, -86.67), (33.94, -118.40)))
    assert found == pytest.approx(2887.2599506071106 * 6371.0088 / 6372.8, rel=1e-12)


def test_bearing_of_a_published_pair(evaluate):
    # Baghdad to Osaka by Chris Veness: 060 degrees.
    found = evaluate("bearing(row.a, row.b, row.c, row.d)", row_of((35.0, 45.0), (35.0, 135.0)))
    assert found == pytest.approx(60.16243352168624, rel=1e-9)


@pytest.mark.parametrize(
    ("second", "degrees"),
    [((1.0, 0.0), 0.0), ((0.0, 1.0), 90.0), ((-1.0, 0.0), 180.0), ((0.0, -1.0), 270.0), ((0.0, 0.0), 0.0)],
)
def test_bearings_of_the_four_winds(evaluate, second, degrees):
    assert evaluate("bearing(row.a, row.b, row.c, row.d)", row_of((0.0, 0.0), second)) == degrees


def test_a_bearing_a_hair_west_of_north_stays_below_360(evaluate):
    found = evaluate("bearing(row.a, row.b, row.c, row.d)", row_of((0.0, 0.0), (1.0, -1e-300)))
    assert found == 0.0


@pytest.mark.parametrize("bad", [90.00000000000001, -1e300])
def test_latitudes_beyond_the_poles_are_null(evaluate, bad):
    for name in ("haversine_km", "bearing"):
        assert evaluate(f"{name}(row.a, row.b, row.c, row.d)", row_of((bad, 0.0), (0.0, 0.0))) is None
        assert evaluate(f"{name}(row.a, row.b, row.c, row.d)", row_of((0.0, 0.0), (bad, 0.0))) is None


def bisected(latitude, longitude, precision):
    """The geohash by halving intervals, one bit after another."""
    ranges, values, bits = [[-180.0, 180.0], [-90.0, 90.0]], [longitude, latitude], []
    for number in range(precision * 5):
        low, high = ranges[number % 2]
        middle = (low + high) / 2
        bits.append(values[number % 2] >= middle)
        ranges[number % 2] = [middle, high] if bits[-1] else [low, middle]
    digits = "0123456789bcdefghjkmnpqrstuvwxyz"
    return "".join(
        digits[sum(bit << 4 - place for place, bit in enumerate(bits[start : start + 5]))]
        for start in range(0, len(bits), 5)
    )


@pytest.mark.parametrize("precision", [1, 2, 5, 7, 12])
def test_geohashes_are_those_of_bisection(evaluate, precision):
    chance = random.Random(precision)
    cell = 180.0 / 2**25
    places = [
        *PLACES,
        (-1e-20, -1e-20),
        (5e-324, -5e-324),
        (math.nextafter(45.0, 0), math.nextafter(-90.0, 0)),
        *(
            (k * cell, math.nextafter(k * cell, -math.inf))
            for k in (chance.randint(-(2**24), 2**24) for _ in range(8))
        ),
        *((chance.uniform(-90, 90), chance.uniform(-180, 180)) for _ in range(12)),
    ]
    for latitude, longitude in places:
        found = evaluate(f"geohash(row.a, row.b, {precision})", {"a": latitude, "b": longitude})
        assert found == bisected(latitude, longitude, precision)


@pytest.mark.parametrize("place", [(90.1, 0.0), (0.0, 180.1), (-91.0, 0.0), (0.0, -181.0)])
def test_geohashes_beyond_the_map_are_null(evaluate, place):
    assert evaluate("geohash(row.a, row.b, 5)", {"a": place[0], "b": place[1]}) is None


@pytest.mark.parametrize("missing", ["latitude", "longitude", "south", "west", "north", "east"])
@pytest.mark.parametrize("latitude", [0.0, 50.0])
def test_a_box_is_null_when_any_number_is(evaluate, missing, latitude):
    row = {
        "latitude": latitude,
        "longitude": 0.0,
        "south": -1.0,
        "west": -1.0,
        "north": 1.0,
        "east": 1.0,
        missing: None,
    }
    expression = f"in_bounding_box({', '.join(f'row.{name}' for name in row)})"
    assert evaluate(expression, row, kinds=dict.fromkeys(row, "float")) is None


@pytest.mark.parametrize(
    ("longitude", "west", "east", "inside"),
    [
        (1.0, 0.0, 2.0, True),
        (0.0, 0.0, 2.0, True),
        (3.0, 0.0, 2.0, False),
        (179.0, 170.0, -170.0, True),
        (-175.0, 170.0, -170.0, True),
        (0.0, 170.0, -170.0, False),
        (170.0, 170.0, -170.0, True),
    ],
)
def test_boxes_and_the_180th_meridian(evaluate, longitude, west, east, inside):
    row = {"x": longitude, "w": west, "e": east}
    assert evaluate("in_bounding_box(0, row.x, -1, row.w, 1, row.e)", row) is inside
