"""Sliding windows against a naive oracle: the events of each window picked one by one, at rows and at any moment."""

import math
from datetime import timedelta
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from giornata.documents.feature_group import Window
from jobs.features.window_kernels import slide

MINUTE = 60_000
MILLISECOND = timedelta(milliseconds=1)
OVERS = (1, 3, 10)
TYPES = {
    "whole": pa.int64(), "number": pa.float64(), "flag": pa.bool_(), "word": pa.string(),
    "moment": pa.timestamp("us", "UTC"),
}  # fmt: skip
NUMERIC = ("whole", "number", "flag")
SHARES = (0.0, 0.5, 0.9, 1.0)

VALUES = {
    "whole": st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1),
    "number": st.sampled_from([-1.5, 0.0, -0.0, 0.1, 0.3, 2.0, math.nan, math.inf, 1e17, 5e-324])
    | st.floats(-1e3, 1e3)
    | st.floats(),
    "flag": st.booleans(),
    "word": st.sampled_from(["", "a", "b", "é", "日本"]),
    "moment": st.integers(0, 5),
}
# Few moments, so that events tie and leave a window when others come; those a minute apart meet the windows' edges.
TIMES = st.integers(0, 12).map(lambda minute: minute * MINUTE) | st.integers(0, 12 * MINUTE)
EVENT = st.fixed_dictionaries(
    {
        "place": st.sampled_from(["x", "y", "z"]),
        "number_of_place": st.integers(1, 2),
        "_time": TIMES,
        **{column: st.none() | values for column, values in VALUES.items()},
    }
)
ENTITY = ("place", "number_of_place")


def windows() -> dict[str, Window]:
    """Every function of every column that it takes, over every length."""
    found = {}
    for over in OVERS:
        for column in TYPES:
            for function in ("count", "distinct", "min", "max", "last"):
                found[f"{function}_{column}_{over}"] = Window(**{function: column}, over=f"{over}m")
        for column in NUMERIC:
            for function in ("sum", "mean"):
                found[f"{function}_{column}_{over}"] = Window(**{function: column}, over=f"{over}m")
        for column in ("whole", "number"):
            for share in SHARES:
                found[f"quantile{share}_{column}_{over}"] = Window(
                    quantile=column, share=share, over=f"{over}m"
                )
    return found


WINDOWS = windows()
ASKED = st.sets(st.sampled_from(sorted(WINDOWS)), min_size=1, max_size=12).map(
    lambda names: {name: WINDOWS[name] for name in sorted(names)}
)
EVENTS = st.lists(EVENT, min_size=1, max_size=12)


def value_of(window: Window, events: list[dict]) -> object:
    """The function of a window over the events in it, by its definition."""
    found = [
        (event["_time"], event[window.column])
        for event in events
        if event[window.column] is not None and (window.column != "number" or math.isfinite(event["number"]))
    ]
    values = [value for _, value in found]
    match window.function:
        case "count":
            return len(values)
        case "distinct":
            return len(set(values))
        case _ if not values:
            return None
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "last":
            return max(found)[1]
        case "sum" if window.column == "number":
            return as_float(sum(map(Fraction, values)))
        case "sum":
            return total if -(2**63) <= (total := sum(values)) < 2**63 else None
        case "mean":
            return as_float(sum(map(Fraction, values)) / len(values))
        case "quantile":
            with np.errstate(all="ignore"):
                return finite(float(np.quantile(np.array(values, float), window.share)))
    raise AssertionError(window)


def as_float(number: Fraction) -> float | None:
    try:
        return float(number)
    except OverflowError:
        return None


def finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def table_of(events: list[dict]) -> pa.Table:
    """The events as Spark hands them over: those of an entity together, in no order of time."""
    entities = list(dict.fromkeys((event["place"], event["number_of_place"]) for event in events))
    together = sorted(events, key=lambda event: entities.index((event["place"], event["number_of_place"])))
    fields = [("place", pa.string()), ("number_of_place", pa.int64()), ("_time", pa.int64()), *TYPES.items()]
    return pa.Table.from_pydict(
        {name: pa.array([event[name] for event in together], type_) for name, type_ in fields}
    )


def plain(value: object) -> object:
    return value.timestamp() * 1_000_000 if hasattr(value, "timestamp") else value


def rows(
    events: list[dict], asked: dict[str, Window], start: int = -(10**9), end: int = 10**9
) -> dict[tuple, dict]:
    found = slide(table_of(events), "_time", ENTITY, asked, start, end).to_pylist()
    by_key = {
        (row.pop("place"), row.pop("number_of_place"), row.pop("_time")): {
            name: plain(value) for name, value in row.items()
        }
        for row in found
    }
    assert len(by_key) == len(found)
    return by_key


def agree(name: str, found: object, expected: object) -> bool:
    """Equal to the last bit and in type; a quantile is rounded in its two steps, to a few bits of the values."""
    if name.startswith("quantile") and found is not None and expected is not None:
        return found == pytest.approx(expected, rel=1e-14, abs=1e-300)
    return found == expected and (found is None or type(found) is type(expected))


@given(EVENTS, ASKED, st.lists(TIMES, max_size=8))
def test_the_newest_row_before_a_moment_holds_its_windows(events, windows, asked):
    by_key = rows(events, windows)
    for entity in {(event["place"], event["number_of_place"]) for event in events}:
        own = [event for event in events if (event["place"], event["number_of_place"]) == entity]
        overs = {timedelta(), *(window.over for window in windows.values())}
        changes = {event["_time"] + over // MILLISECOND for event in own for over in overs}
        assert {key[2] for key in by_key if key[:2] == entity} == changes
        for moment in {*asked, *changes, *(change + 1 for change in changes), 25 * MINUTE}:
            before = [change for change in changes if change < moment]
            if not before:
                assert not any(event["_time"] < moment for event in own)
                continue
            row = by_key[*entity, max(before)]
            for name, window in windows.items():
                over = window.over // MILLISECOND
                inside = [event for event in own if moment - over <= event["_time"] < moment]
                expected = value_of(window, inside)
                if window.column == "moment" and window.function not in ("count", "distinct"):
                    expected = expected if expected is None else float(expected)
                assert agree(name, row[name], expected), (name, moment, inside)


@given(EVENTS, ASKED, TIMES, TIMES)
def test_a_range_has_the_rows_of_any_longer_range(events, windows, first, last):
    longest = max(window.over for window in windows.values()) // MILLISECOND
    needed = [event for event in events if first - longest <= event["_time"] < last]
    whole = {key: row for key, row in rows(events, windows).items() if first <= key[2] < last}
    assert (rows(needed, windows, first, last) if needed else {}) == whole


def test_a_window_by_hand():
    column = pa.array([10.0, None, 40.0, 20.0, 7.0])
    events = pa.table(
        {"place": ["a", "a", "a", "a", "b"], "_time": [0, 60_000, 60_000, 180_000, 60_000], "delay": column}
    )
    asked = {
        "mean": Window(mean="delay", over="2m"),
        "count": Window(count="delay", over="2m"),
        "median": Window(quantile="delay", share=0.5, over="3m"),
    }
    found = slide(events, "_time", ["place"], asked, 0, 300_000).to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("a", 0, 10.0, 1, 10.0),
        ("a", 60_000, 25.0, 2, 25.0),
        ("a", 120_000, 40.0, 1, 25.0),
        ("a", 180_000, 20.0, 1, 30.0),
        ("a", 240_000, 20.0, 1, 20.0),
        ("b", 60_000, 7.0, 1, 7.0),
        ("b", 180_000, None, 0, 7.0),
        ("b", 240_000, None, 0, None),
    ]


def test_of_tied_newest_events_last_takes_the_greatest():
    """In whatever order they come; an older one that is greater does not count."""
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        times = [0, 60_000, 60_000, 60_000]
        numbers, words = [99.0, 5.0, None, 7.0], ["z", "b", None, "c"]
        events = pa.table(
            {
                "place": ["a"] * 4,
                "_time": [times[number] for number in order],
                "number": pa.array([numbers[number] for number in order]),
                "word": pa.array([words[number] for number in order]),
            }
        )
        asked = {name: Window(last=name, over="2m") for name in ("number", "word")}
        found = slide(events, "_time", ["place"], asked, 60_000, 60_001).to_pylist()
        assert found == [{"place": "a", "_time": 60_000, "number": 7.0, "word": "c"}]
