"""Speed of the function library for one row: generated rows beside null-safe Python written by hand.

`make bench NAME=functions` prints, for each function, the processor time of a call in microseconds and its ratio to the
same thing written by hand, measured in turn in one process; the least of several rounds counts. Reading the inputs
from the row is part of both.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

from bench.figures import recorded, show
from dsl import Schema, compile_features

NEEDS = ()

# The greatest ratios wanted: a call alone also pays for being called, which a row of all pays once.
ALONE, TOGETHER = 2.5, 1.1

SCHEMA = Schema(
    {"a": "float", "b": "float", "c": "float", "d": "float", "s": "str", "n": "str", "t": "timestamp"}
)
ROW = {
    "a": 40.64,
    "b": -73.78,
    "c": 51.47,
    "d": -0.45,
    "s": "N142UA",
    "n": " 42 ",
    "t": datetime(2013, 7, 1, 12, 34, 56, tzinfo=UTC),
}
CALLS, ROUNDS = 5_000, 9

Row = Mapping[str, Any]
NEW_YORK = ZoneInfo("America/New_York")
_is_tail = re.compile(r"\AN[0-9]+[A-Z]*\Z").search
_digits = re.compile("([0-9]+)").search
_is_number = re.compile("[+-]?[0-9]+").fullmatch
_BOUNDS = (0.0, 10.0, 100.0)


def sigmoid(row: Row) -> float | None:
    x = row.get("a")
    if x is None:
        return None
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


def sine(row: Row) -> float | None:
    x = row.get("a")
    return None if x is None else math.sin(x)


def haversine(row: Row) -> float | None:
    a, b, c, d = row.get("a"), row.get("b"), row.get("c"), row.get("d")
    if a is None or b is None or c is None or d is None or abs(a) > 90 or abs(c) > 90:
        return None
    half = math.radians(0.5)
    north, east = math.sin((c - a) * half), math.sin((d - b) * half)
    square = north**2 + math.cos(math.radians(a)) * math.cos(math.radians(c)) * east**2
    return 12742.0176 * math.asin(math.sqrt(min(1.0, square)))


def concat(row: Row) -> str | None:
    s, n = row.get("s"), row.get("n")
    return None if s is None or n is None else s + "-" + n


def prefix(row: Row) -> str | None:
    s = row.get("s")
    return None if s is None else s[:3]


def replace(row: Row) -> str | None:
    s = row.get("s")
    return None if s is None else s.replace("UA", "AA")


def matches(row: Row) -> bool | None:
    s = row.get("s")
    return None if s is None else _is_tail(s) is not None


def extract(row: Row) -> str | None:
    s = row.get("s")
    found = None if s is None else _digits(s)
    return found[1] if found else None


def to_int(row: Row) -> int | None:
    n = row.get("n")
    n = n and n.strip()
    return int(n) if n and _is_number(n) else None


def hash_bucket(row: Row) -> int | None:
    s = row.get("s")
    return None if s is None else int.from_bytes(blake2b(s.encode(), digest_size=8).digest(), "little") % 1000


def bucketize(row: Row) -> int | None:
    x = row.get("a")
    return None if x is None else bisect_right(_BOUNDS, x)


def month(row: Row) -> int | None:
    t = row.get("t")
    return None if t is None else t.astimezone(NEW_YORK).month


def start_of_day(row: Row) -> datetime | None:
    t = row.get("t")
    if t is None:
        return None
    return t.astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


def format_time(row: Row) -> str | None:
    t = row.get("t")
    return None if t is None else t.astimezone(NEW_YORK).strftime("%Y-%m-%d")


def hour_sin(row: Row) -> float | None:
    t = row.get("t")
    if t is None:
        return None
    clock = t.astimezone(NEW_YORK)
    return math.sin((clock.hour * 60 + clock.minute) / 1440 * math.tau)


BY_HAND: dict[str, Callable[[Row], Any]] = {
    "sigmoid(row.a)": sigmoid,
    "sin(row.a)": sine,
    "haversine_km(row.a, row.b, row.c, row.d)": haversine,
    "concat(row.s, '-', row.n)": concat,
    "slice(row.s, 0, 3)": prefix,
    "replace(row.s, 'UA', 'AA')": replace,
    "matches(row.s, '^N[0-9]+[A-Z]*$')": matches,
    "extract(row.s, '([0-9]+)')": extract,
    "to_int(row.n)": to_int,
    "hash_bucket(row.s, 1000)": hash_bucket,
    "bucketize(row.a, 0, 10, 100)": bucketize,
    "month(row.t, 'America/New_York')": month,
    "start_of_day(row.t, 'America/New_York')": start_of_day,
    "format_time(row.t, '%Y-%m-%d', 'America/New_York')": format_time,
    "hour_sin(row.t, 'America/New_York')": hour_sin,
}


def times(*functions: Callable[[Row], Any]) -> list[float]:
    """Least microseconds of a call of each function, measured in turn."""
    best = [math.inf] * len(functions)
    for _ in range(ROUNDS):
        for place, function in enumerate(functions):
            start = process_time()
            for _ in range(CALLS):
                function(ROW)
            best[place] = min(best[place], (process_time() - start) / CALLS * 1e6)
    return best


def main() -> None:
    """Measure and print."""
    with recorded("functions"):
        measure()


def measure() -> None:
    """The figures of each function alone, and of all in one row. Both must give the same answers."""
    features = compile_features({expression: expression for expression in BY_HAND}, SCHEMA)
    for (expression, by_hand), value in zip(BY_HAND.items(), features.row(ROW), strict=True):
        expected = by_hand(ROW)
        is_near = isinstance(value, float) and math.isclose(value, expected, rel_tol=1e-12)
        assert value == expected or is_near, (expression, value, expected)
        row = compile_features({"f": expression}, SCHEMA).row
        ours, theirs = times(row, by_hand)
        show(expression, f"{ours:.2f} us", f"by hand {theirs:.2f} us", ours / theirs, ALONE, at_most=True)
    together, theirs = times(features.row, lambda row: [by_hand(row) for by_hand in BY_HAND.values()])
    show(
        f"all {len(BY_HAND)} in one row",
        f"{together:.2f} us", f"by hand {theirs:.2f} us", together / theirs, TOGETHER, at_most=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
