from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giornata.console.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, ChartDay, chart, day_chart
from giornata.records.metric_point import Point

FIRST = date(2013, 11, 1)


def point(day: int, value: float, mode: str = "batch", uuid: str = "u1") -> Point:
    at = FIRST + timedelta(days=day)
    return Point("flights/late", "production", mode, "auc", "1d", "all", at, uuid, value, 10)


def test_places_of_points() -> None:
    drawn = chart("auc", [point(0, 0.0), point(5, 1.5), point(10, 2.0)], [(0.5, "mail when below 0.5")])
    assert drawn is not None
    assert [tick.label for tick in drawn.y_ticks] == ["0", "1", "2"]
    (line,) = drawn.lines
    height = HEIGHT - TOP - BOTTOM
    assert [(dot.x, dot.y) for dot in line.dots] == [
        (LEFT, HEIGHT - BOTTOM),
        (LEFT + (WIDTH - LEFT - RIGHT) / 2, TOP + height / 4),
        (WIDTH - RIGHT, TOP),
    ]
    assert line.path == "M46.0 166.0 L198.0 50.5 L350.0 12.0"
    assert drawn.thresholds[0].y == TOP + height * 3 / 4
    assert [tick.label for tick in drawn.x_ticks] == ["2013-11-01", "2013-11-06", "2013-11-11"]


def test_versions_and_modes_are_lines_of_their_own() -> None:
    points = [point(0, 0.7), point(1, 0.8, uuid="u2"), point(0, 0.6, "online"), point(1, 0.65, "online")]
    drawn = chart("auc", points)
    assert drawn is not None
    assert [(line.mode, len(line.dots)) for line in drawn.lines] == [
        ("batch", 1),
        ("batch", 1),
        ("online", 2),
    ]
    assert drawn.last == (("batch", 0.8), ("online", 0.65))
    assert drawn.lines[0].dots[0].text == "2013-11-01: auc 0.7, batch, 10 rows, version u1"


def test_nothing_to_draw() -> None:
    assert chart("auc", []) is None


@pytest.mark.parametrize("value", [0.0, -3.5, 1e-9, 1e9])
def test_one_value_is_drawn_inside_the_box(value: float) -> None:
    drawn = chart("auc", [point(0, value)])
    assert drawn is not None
    assert TOP <= drawn.lines[0].dots[0].y <= HEIGHT - BOTTOM


@given(st.lists(st.floats(-1e12, 1e12, allow_nan=False), min_size=1, max_size=30))
def test_every_point_is_inside_the_box(values: list[float]) -> None:
    drawn = chart("auc", [point(day, value) for day, value in enumerate(values)])
    assert drawn is not None
    assert 2 <= len(drawn.y_ticks) <= 6
    for dot in drawn.lines[0].dots:
        assert LEFT <= dot.x <= WIDTH - RIGHT
        assert TOP - 0.1 <= dot.y <= HEIGHT - BOTTOM + 0.1


def test_a_value_a_day_with_its_band_breaks_where_days_or_values_are_missing() -> None:
    values = [(0, 1.0), (1, 3.0), (2, None), (3, 2.0), (5, 2.0), (6, 4.0)]
    days = [
        ChartDay(date(2013, 11, 1 + at), value, value and value - 1, value and value + 1)
        for at, value in values
    ]
    drawn = day_chart("mean", days)
    assert drawn is not None
    left, right = drawn.left, drawn.right
    # Ticks 0, 2, 4, 6 (the band reaches from 0 to 5), seven days from edge to edge.
    assert [tick.label for tick in drawn.y_ticks] == ["0", "2", "4", "6"]
    step = (right - left) / 6
    height = (drawn.bottom - TOP) / 6
    places = [[(dot.x, dot.y) for dot in line.dots] for line in drawn.lines]
    wanted = [[(0, 1), (1, 3)], [(3, 2)], [(5, 2), (6, 4)]]
    for found, points in zip(places, wanted, strict=True):
        assert found == [
            (
                pytest.approx(left + at * step, abs=0.06),
                pytest.approx(drawn.bottom - value * height, abs=0.06),
            )
            for at, value in points
        ]
    assert len(drawn.bands) == 2, "of one day alone there is no band"
    first = [tuple(map(float, pair.split())) for pair in drawn.bands[0][1:-2].split(" L")]
    corners = [(0, 2), (1, 4), (1, 2), (0, 0)]
    assert first == [
        (pytest.approx(left + at * step, abs=0.06), pytest.approx(drawn.bottom - value * height, abs=0.06))
        for at, value in corners
    ]
    assert drawn.last == (("", 4.0),)


def test_the_axis_of_a_value_a_day_reaches_to_the_ends_that_are_given() -> None:
    drawn = day_chart("missing, %", [ChartDay(date(2013, 11, 1), 0.0)], (0, 1))
    assert drawn is not None
    assert [tick.label for tick in drawn.y_ticks] == ["0", "0.5", "1"]
    assert day_chart("mean", [ChartDay(date(2013, 11, 1), None)]) is None
