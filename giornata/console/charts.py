"""Geometry of small line charts: from points in time to coordinates that a template writes as SVG."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from giornata.records.metric_point import Point

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 12, 24


@dataclass(frozen=True)
class Dot:
    """One measurement on a chart, with its label."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Line:
    """Measurements of one version in one mode, joined by a line; `path` is SVG path data."""

    mode: str
    path: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: position and label."""

    at: float
    label: str


@dataclass(frozen=True)
class Threshold:
    """The bound of an alert rule as a horizontal line."""

    y: float
    label: str


@dataclass(frozen=True)
class ChartDay:
    """The value of a day, with a band around it if there is one; None if there is no value."""

    at: date
    value: float | None
    low: float | None = None
    high: float | None = None
    text: str = ""


@dataclass(frozen=True)
class Chart:
    """One metric over time, ready to draw in a box of `width` by `height`."""

    metric: str
    lines: tuple[Line, ...]
    thresholds: tuple[Threshold, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    last: tuple[tuple[str, float], ...]
    bands: tuple[str, ...] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def chart(metric: str, points: Iterable[Point], bounds: Sequence[tuple[float, str]] = ()) -> Chart | None:
    """The chart of one metric and window: a line for each mode and version, and the bounds (value, label) of its alert
    rules. None without points."""
    points = sorted(points, key=lambda point: (point.mode, point.uuid, point.at))
    if not points:
        return None
    days = [point.at for point in points]
    first, last = min(days), max(days)
    ticks = _ticks([point.value for point in points] + [value for value, _ in bounds])
    x, y = _scales(first, last, ticks)
    lines = []
    for (mode, _), group in groupby(points, key=lambda point: (point.mode, point.uuid)):
        dots = tuple(Dot(x(p.at), y(p.value), _said(p)) for p in group)
        lines.append(Line(mode, "M" + " L".join(f"{dot.x} {dot.y}" for dot in dots), dots))
    newest = {point.mode: point.value for point in sorted(points, key=lambda point: point.at)}
    return Chart(
        metric=metric,
        lines=tuple(lines),
        thresholds=tuple(Threshold(y(value), label) for value, label in bounds),
        x_ticks=tuple(Tick(x(day), f"{day}") for day in _day_ticks(first, last)),
        y_ticks=tuple(Tick(y(value), f"{value:.6g}") for value in ticks),
        last=tuple(sorted(newest.items())),
    )


def day_chart(title: str, days: Sequence[ChartDay], ends: Sequence[float] = ()) -> Chart | None:
    """The chart of one value per day with its band; a line breaks where days or values are missing.

    The vertical axis covers at least `ends`. None without values.
    """
    known = [day for day in sorted(days, key=lambda day: day.at) if day.value is not None]
    if not known:
        return None
    first, last = min(day.at for day in days), max(day.at for day in days)
    heights = [height for day in known for height in (day.value, day.low, day.high) if height is not None]
    ticks = _ticks([*ends, *heights])
    x, y = _scales(first, last, ticks)
    lines, bands = [], []
    for run in _runs(known):
        dots = tuple(Dot(x(day.at), y(day.value), day.text) for day in run if day.value is not None)
        lines.append(Line("batch", "M" + " L".join(f"{dot.x} {dot.y}" for dot in dots), dots))
        upper = [f"{x(day.at)} {y(day.high)}" for day in run if day.high is not None]
        lower = [f"{x(day.at)} {y(day.low)}" for day in reversed(run) if day.low is not None]
        if len(upper) > 1:
            bands.append(f"M{' L'.join([*upper, *lower])} Z")
    return Chart(
        metric=title,
        lines=tuple(lines),
        thresholds=(),
        x_ticks=tuple(Tick(x(day), f"{day}") for day in _day_ticks(first, last)),
        y_ticks=tuple(Tick(y(value), f"{value:.6g}") for value in ticks),
        last=(("", known[-1].value or 0.0),),
        bands=tuple(bands),
    )


def _runs(days: Sequence[ChartDay]) -> list[list[ChartDay]]:
    """Days in order, split where one or more are missing in between."""
    runs: list[list[ChartDay]] = []
    for day in days:
        if runs and (day.at - runs[-1][-1].at).days == 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _scales(
    first: date, last: date, ticks: Sequence[float]
) -> tuple[Callable[[date], float], Callable[[float], float]]:
    """Functions from a day and from a value to the coordinates of a chart."""

    def x(day: date) -> float:
        span = (last - first).days
        share = (day - first).days / span if span else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        share = (value - ticks[0]) / (ticks[-1] - ticks[0])
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    return x, y


def _said(point: Point) -> str:
    measured = f"{point.at}: {point.metric} {point.value:.4g}"
    return f"{measured}, {point.mode}, {point.rows} rows, version {point.uuid[:8]}"


def _ticks(values: Sequence[float], wanted: int = 3) -> list[float]:
    """Round numbers at equal distances that cover the range from the least to the greatest value."""
    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-3):  # all the same, as far as a chart can tell
        low, high = low - abs(low) / 100 - 1e-9, high + abs(high) / 100 + 1e-9
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    begin, end = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(begin, end + 1)]


def _day_ticks(first: date, last: date) -> list[date]:
    middle = first + (last - first) / 2
    return sorted({first, middle, last})
