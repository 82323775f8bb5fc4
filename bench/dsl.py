"""Speed of the feature language: 30 expressions typical of the flights models, beside the same written by hand.

`make bench NAME=dsl` prints, from one run: a row by the generated Python and by null-safe Python written by hand;
columns by the language and by Polars written by hand, for growing frames; compiling, and opening from JSON. Each figure
is the least of several rounds taken in turn, so that a busy machine matters little. That both give the same answers is
checked first.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

if __name__ == "__main__":
    # Run as a file, it would stand before the package `dsl` on the path.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import recorded, show
from dsl import CompiledFeatures, Schema, compile_features

NEEDS = ()

NEW_YORK = ZoneInfo("America/New_York")
CARRIERS = ["9E", "AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN"]
NUMBERS = (
    "distance",
    "dep_delay",
    "temp",
    "dewp",
    "humid",
    "wind_speed",
    "wind_dir",
    "precip",
    "pressure",
    "visib",
)
NUMBERS += ("delay_1h", "delay_3h", "seats")
SCHEMA = Schema(
    {
        **dict.fromkeys(NUMBERS, "float"),
        "built_year": "int",
        "carrier": "str",
        "origin": "str",
        "tailnum": "str",
        "sched_dep": "timestamp",
        "sched_arr": "timestamp",
    }
)
EXPRESSIONS = {
    "distance": "row.distance",
    "log_distance": "log1p(row.distance)",
    "is_long": "row.distance > 1500",
    "distance_band": "bucketize(row.distance, 200, 500, 1000, 2000)",
    "dep_delay": "coalesce(row.dep_delay, 0)",
    "clipped_delay": "clip(row.dep_delay, -30, 180)",
    "was_late": "row.dep_delay > 15",
    "scheduled_minutes": "minutes_between(row.sched_dep, row.sched_arr)",
    "scheduled_speed": "row.distance / minutes_between(row.sched_dep, row.sched_arr) * 60",
    "hour": 'hour(row.sched_dep, "America/New_York")',
    "minute": 'minute_of_day(row.sched_dep, "America/New_York")',
    "weekday": 'day_of_week(row.sched_dep, "America/New_York")',
    "is_rush": 'hour(row.sched_dep, "America/New_York") in [7, 8, 16, 17, 18]',
    "carrier": "vocabulary(row.carrier, 8)",
    "origin": "vocabulary(row.origin, 3)",
    "is_regional": "row.carrier in ['9E', 'EV', 'MQ', 'OO']",
    "tail": "starts_with(row.tailnum, 'N')",
    "temp": "row.temp",
    "spread": "row.temp - row.dewp",
    "is_freezing": "row.temp <= 32 and row.precip > 0",
    "wind_speed": "coalesce(row.wind_speed, 8.5)",
    "head_wind": "row.wind_speed * cos(row.wind_dir / 57.29577951308232)",
    "precip": "log1p(row.precip)",
    "pressure": "normalize(row.pressure)",
    "fog": "row.visib < 1 or row.humid > 97",
    "delay_1h": "row.delay_1h",
    "delay_trend": "row.delay_1h - row.delay_3h",
    "age": "2013 - row.built_year",
    "seats": "coalesce(row.seats, 150)",
    "delay_per_seat": "max(row.dep_delay, 0) / row.seats if row.seats > 0 else 0",
}

Row = Mapping[str, Any]

# Rows of a frame, and the greatest ratio wanted.
FRAMES = {1_000: 1.4, 10_000: 1.1, 100_000: 1.1, 300_000: 1.1}


def rows_of(number: int) -> list[dict[str, Any]]:
    """So many different rows, about one value in twenty missing; no random numbers, so every run has the same."""
    rows = []
    for place in range(number):
        step = place * 2654435761 % 2**32 / 2**32
        leaves = datetime(2013, 1, 1, tzinfo=UTC) + timedelta(minutes=int(step * 500_000))
        row: dict[str, Any] = {name: (step * (3 + at) * 997) % 1000 / 7 for at, name in enumerate(NUMBERS)}
        row |= {"distance": 100 + 2400 * step, "pressure": 980 + 60 * step, "seats": 50.0 + place % 300}
        row |= {
            "built_year": 1985 + place % 28,
            "carrier": CARRIERS[place % 9],
            "origin": ("EWR", "JFK", "LGA")[place % 3],
        }
        row |= {
            "tailnum": f"N{place % 1000}UA",
            "sched_dep": leaves,
            "sched_arr": leaves + timedelta(minutes=60 + place % 300),
        }
        if place % 20 == 0:
            row[NUMBERS[place // 20 % len(NUMBERS)]] = None
        rows.append(row)
    return rows


def frame_of(rows: Sequence[Row]) -> pl.DataFrame:
    """The rows as columns of the schema's types."""
    types = {"float": pl.Float64, "int": pl.Int64, "str": pl.String, "timestamp": pl.Datetime("us", "UTC")}
    return pl.DataFrame(rows, schema={name: types[str(kind)] for name, kind in SCHEMA.row.items()})


def fitted(rows: Sequence[Row]) -> CompiledFeatures:
    """The expressions, with what they learn from the rows."""
    features = compile_features(EXPRESSIONS, SCHEMA)
    return features.fitted(features.aggregate(frame_of(rows)))


def by_hand(features: CompiledFeatures) -> Callable[[Row], list[Any]]:
    """Null-safe Python of the same features, as one would write it; what was learned is taken from `features`."""
    learned = features.to_json()["states"]
    codes = {word: place for place, word in enumerate(_words(learned, "carrier"), start=2)}
    origins = {word: place for place, word in enumerate(_words(learned, "origin"), start=2)}
    mean, deviation = _moments(learned)
    rush, regional = frozenset((7, 8, 16, 17, 18)), frozenset(("9E", "EV", "MQ", "OO"))

    def features_of(row: Row) -> list[Any]:
        get = row.get
        distance, delay, seats = get("distance"), get("dep_delay"), get("seats")
        leaves, arrives = get("sched_dep"), get("sched_arr")
        temp, dewp, wind, precip = get("temp"), get("dewp"), get("wind_speed"), get("precip")
        direction, pressure, visib, humid = get("wind_dir"), get("pressure"), get("visib"), get("humid")
        hour_1, hour_3, built = get("delay_1h"), get("delay_3h"), get("built_year")
        carrier, origin, tail = get("carrier"), get("origin"), get("tailnum")
        local = leaves.astimezone(NEW_YORK) if leaves is not None else None
        minutes = (
            (arrives - leaves).total_seconds() / 60 if leaves is not None and arrives is not None else None
        )
        hour = local.hour if local is not None else None
        if (visib is not None and visib < 1) or (humid is not None and humid > 97):
            fog: bool | None = True
        else:
            fog = None if visib is None or humid is None else False
        if (temp is not None and temp > 32) or (precip is not None and precip <= 0):
            freezing: bool | None = False
        else:
            freezing = None if temp is None or precip is None else True
        band = None
        if distance is not None:
            band = sum(distance >= bound for bound in (200, 500, 1000, 2000))
        per_seat: float | None = 0.0
        if seats is not None and seats > 0:
            per_seat = None if delay is None else max(delay, 0.0) / seats
        return [
            distance,
            None if distance is None or distance <= -1 else math.log1p(distance),
            None if distance is None else distance > 1500,
            band,
            0.0 if delay is None else delay,
            None if delay is None else min(max(delay, -30.0), 180.0),
            None if delay is None else delay > 15,
            minutes,
            None if distance is None or not minutes else distance / minutes * 60,
            hour,
            None if local is None else local.hour * 60 + local.minute,
            None if local is None else local.weekday(),
            None if hour is None else hour in rush,
            0 if carrier is None else codes.get(carrier, 1),
            0 if origin is None else origins.get(origin, 1),
            None if carrier is None else carrier in regional,
            None if tail is None else tail.startswith("N"),
            temp,
            None if temp is None or dewp is None else temp - dewp,
            freezing,
            8.5 if wind is None else wind,
            None if wind is None or direction is None else wind * math.cos(direction / 57.29577951308232),
            None if precip is None or precip <= -1 else math.log1p(precip),
            None if pressure is None else (pressure - mean) / deviation,
            fog,
            hour_1,
            None if hour_1 is None or hour_3 is None else hour_1 - hour_3,
            None if built is None else 2013 - built,
            150.0 if seats is None else seats,
            per_seat,
        ]

    return features_of


def polars_by_hand(features: CompiledFeatures) -> list[pl.Expr]:
    """Polars expressions of the same features."""
    learned = features.to_json()["states"]
    mean, deviation = _moments(learned)
    col, local = pl.col, pl.col("sched_dep").dt.convert_time_zone("America/New_York")
    minutes = (col("sched_arr") - col("sched_dep")).dt.total_microseconds() / 60_000_000

    def code(name: str) -> pl.Expr:
        words = _words(learned, name)
        known = col(name).replace_strict(
            pl.Series(words, dtype=pl.String),
            pl.Series(range(2, len(words) + 2), dtype=pl.Int64),
            default=1,
            return_dtype=pl.Int64,
        )
        return pl.when(col(name).is_null()).then(0).otherwise(known)

    distance, delay, seats = col("distance"), col("dep_delay"), col("seats")
    band = sum(
        ((distance >= bound).cast(pl.Int64) for bound in (500, 1000, 2000)), (distance >= 200).cast(pl.Int64)
    )
    expressions = [
        distance,
        pl.when(distance > -1).then(distance.log1p()),
        distance > 1500,
        band,
        delay.fill_null(0.0),
        delay.clip(-30, 180),
        delay > 15,
        minutes,
        pl.when(minutes != 0).then(distance / minutes * 60),
        local.dt.hour().cast(pl.Int64),
        local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute(),
        local.dt.weekday().cast(pl.Int64) - 1,
        local.dt.hour().is_in([7, 8, 16, 17, 18]),
        code("carrier"),
        code("origin"),
        col("carrier").is_in(["9E", "EV", "MQ", "OO"]),
        col("tailnum").str.starts_with("N"),
        col("temp"),
        col("temp") - col("dewp"),
        (col("temp") <= 32) & (col("precip") > 0),
        col("wind_speed").fill_null(8.5),
        col("wind_speed") * (col("wind_dir") / 57.29577951308232).cos(),
        pl.when(col("precip") > -1).then(col("precip").log1p()),
        (col("pressure") - mean) / deviation,
        (col("visib") < 1) | (col("humid") > 97),
        col("delay_1h"),
        col("delay_1h") - col("delay_3h"),
        2013 - col("built_year"),
        seats.fill_null(150.0),
        pl.when(seats > 0)
        .then(pl.max_horizontal(pl.when(delay.is_not_null()).then(0.0), delay) / seats)
        .otherwise(0.0),
    ]
    return [expression.alias(name) for expression, name in zip(expressions, EXPRESSIONS, strict=True)]


def _words(learned: Any, name: str) -> list[str]:
    return list(_state(learned, name)["words"])


def _moments(learned: Any) -> tuple[float, float]:
    state = _state(learned, "pressure")
    return state["mean"], state["deviation"]


def _state(learned: Any, column: str) -> dict[str, Any]:
    """The fitted state of a column's function, from the stored form."""
    return next(state for call, state in learned.items() if f"row.{column}" in call)


def least(
    work: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = process_time
) -> dict[str, float]:
    """Seconds of each piece of work: the least of several rounds in which all take turns."""
    best = dict.fromkeys(work, math.inf)
    for _ in range(rounds):
        for name, do in work.items():
            began = clock()
            do()
            best[name] = min(best[name], clock() - began)
    return best


def check(features: CompiledFeatures, rows: Sequence[Row]) -> None:
    """Raise SystemExit when a hand-written feature differs from the language's."""
    hand, columns = by_hand(features), frame_of(rows).select(polars_by_hand(features))
    for number, row in enumerate(rows):
        for name, wanted, by_row, by_column in zip(
            EXPRESSIONS, features.row(row), hand(row), columns.row(number), strict=True
        ):
            for found in (by_row, by_column):
                if not (found == wanted or (found and wanted and math.isclose(found, wanted, rel_tol=1e-12))):
                    raise SystemExit(
                        f"{name} of row {number}: the language has {wanted}, by hand it is {found}"
                    )


def beside_hand(what: str, taken: Mapping[str, float], unit: str, factor: float, goal: float) -> None:
    """Show both times of something and their ratio."""
    language, hand = taken["language"] * factor, taken["hand"] * factor
    show(what, f"{language:.2f} {unit}", f"by hand {hand:.2f} {unit}", language / hand, goal, at_most=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.dsl", description="Speed of the feature language.")
    parser.add_argument("--rows", type=int, nargs="*", default=list(FRAMES), help="rows of the frames")
    parser.add_argument("--rounds", type=int, default=15, help="in which both take turns")
    arguments = parser.parse_args()
    with recorded("dsl"):
        measure(arguments.rows, arguments.rounds)


def measure(sizes: Sequence[int], rounds: int) -> None:
    """The figures of rows and of columns; compiling and opening have no peer."""
    rows = rows_of(1000)
    features = fitted(rows)
    check(features, rows)
    hand = by_hand(features)
    stored = json.dumps(features.to_json())

    def each(work: Callable[[Row], object]) -> Callable[[], None]:
        def all_rows() -> None:
            for row in rows:
                work(row)

        return all_rows

    taken = least({"language": each(features.row), "hand": each(hand)}, 40)
    beside_hand(f"{len(EXPRESSIONS)} expressions, one row", taken, "us", 1e3, 1.1)
    for number in sizes:
        frame = frame_of(rows_of(number))
        expressions = polars_by_hand(features)
        taken = least(
            {
                "language": lambda frame=frame: features.columns(frame),
                "hand": lambda frame=frame, expressions=expressions: frame.select(expressions),
            },
            rounds,
            perf_counter,
        )
        goal = FRAMES.get(number, 1.1)
        beside_hand(f"{len(EXPRESSIONS)} expressions, columns of {number} rows", taken, "ms", 1e3, goal)
    taken = least(
        {
            "compile": lambda: compile_features(EXPRESSIONS, SCHEMA),
            "open": lambda: CompiledFeatures.from_json(json.loads(stored)).row(rows[0]),
        },
        10,
    )
    print(
        f"    compile {taken['compile'] * 1e3:.1f} ms, "
        f"open from JSON and answer a first row {taken['open'] * 1e3:.1f} ms"
    )


if __name__ == "__main__":
    main()
