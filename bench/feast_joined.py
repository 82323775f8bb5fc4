"""What Feast's local engines give for a small case of the point-in-time join: tests/jobs/feast_joined.json.

    build/bench/environments/feast/bin/python -m bench.feast_joined

with the environment that `make bench NAME=feast_transformations` makes.

The case has ties, rows at the very edge of a ttl, nulls among values and keys, entities without rows, asking rows that
are alike and feature rows that are there twice. Feast is asked twice, about each moment and about a millisecond
before it, because it takes the newest row at or before a moment and Giornata the newest strictly before it.

Feast's default engine (dask) does not give every asking row back: of rows with equal keys and moment it keeps one, and
it drops a row whose entity has rows in a group but none that is visible. Those rows are null in the fixture.
"""

import json
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from bench.feast_side import ENGINES, Feast

FIXTURE = Path(__file__).parents[1] / "tests" / "jobs" / "feast_joined.json"
START = datetime(2013, 3, 30, 18, tzinfo=UTC)
STEP = timedelta(minutes=30)
MEMORY = 4 * 2**30
GROUPS: dict[str, dict[str, Any]] = {
    "tides": {
        "entity": {"place": "str", "number": "int"},
        "features": {"level": "float", "wind": "str"},
        "ttl": 5400.0,
    },
    "places": {"entity": {"place": "str"}, "features": {"height": "float"}, "ttl": None},
    "buoys": {"entity": {"number": "int"}, "features": {"charge": "float"}, "ttl": 14400.0},
}


def feature_rows(chance: random.Random) -> dict[str, list[list[Any]]]:
    """Rows of each group: its entity, the event time as text, its features; a few of them twice."""
    rows: dict[str, list[list[Any]]] = {}
    for name, group in GROUPS.items():
        keys = [
            [{"place": place, "number": number}[column] for column in group["entity"]]
            for place in ("a", "b", "c")
            for number in (1, 2, 3)
        ]
        known = {(*key, step) for key in keys for step in chance.sample(range(40), 12)}
        rows[name] = [
            [
                *key,
                (START + step * STEP).isoformat(),
                *(value(chance, type_) for type_ in group["features"].values()),
            ]
            for *key, step in sorted(known)
        ]
        rows[name] += rows[name][:5]
    return rows


def value(chance: random.Random, type_: str) -> float | str | None:
    """A value of a feature, null one time in eight."""
    if chance.random() < 1 / 8:
        return None
    return round(chance.uniform(-5, 5), 3) if type_ == "float" else chance.choice(["north", "south"])


def asking_rows(chance: random.Random, number: int = 300) -> list[list[Any]]:
    """Place, number and moment: every third moment is one at which feature rows may be; some rows are there twice."""
    rows: list[list[Any]] = []
    for place in range(number):
        beside = chance.choice([timedelta(0), timedelta(minutes=7), -timedelta(milliseconds=1)])
        at = START + chance.randrange(44) * STEP + beside
        rows.append(
            [
                # "d" and 4 have no rows anywhere.
                chance.choice(["a", "b", "c", "c", "d", None]) if place % 4 == 0 else chance.choice("abc"),
                chance.choice([1, 2, 3, 4]),
                at.isoformat(timespec="milliseconds"),
            ]
        )
    return rows + rows[:10]


def joined(folder: Path, engine: str, asks: pd.DataFrame) -> list[list[Any] | None]:
    """Feast's features of each asking row, in the order of GROUPS; None for a row that Feast does not give back."""
    asks.to_parquet(folder / "asks.parquet")
    Feast(folder).historical(engine, str(folder / "asks.parquet"), str(folder / "answer.parquet"), MEMORY)
    found = pd.read_parquet(folder / "answer.parquet").set_index("id")
    columns = [f"{name}__{feature}" for name, group in GROUPS.items() for feature in group["features"]]
    rows = {
        place: [None if pd.isna(value) else value for value in row]
        for place, row in zip(found.index, found[columns].itertuples(index=False), strict=True)
    }
    return [rows.get(place) for place in asks["id"]]


def main() -> None:
    """Write the fixture: the same rows in every run, with the answers of the Feast that runs it."""
    chance = random.Random(20130330)
    features, asking = feature_rows(chance), asking_rows(chance)
    asks = pd.DataFrame(asking, columns=["place", "number", "event_timestamp"])
    asks["event_timestamp"] = pd.to_datetime(asks.event_timestamp, utc=True, format="ISO8601")
    asks["id"] = range(len(asks))
    answers: dict[str, dict[str, Any]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "groups.json").write_text(json.dumps(GROUPS))
        for group, rows in features.items():
            columns = [*GROUPS[group]["entity"], "event_time", *GROUPS[group]["features"]]
            frame = pd.DataFrame(rows, columns=columns)
            frame["event_time"] = pd.to_datetime(frame.event_time, utc=True)
            frame.to_parquet(folder / f"{group}.parquet")
        before = asks.assign(event_timestamp=asks.event_timestamp - timedelta(milliseconds=1))
        for engine in ENGINES:
            answers[engine] = {
                "at": joined(folder, engine, asks),
                "a_millisecond_before": joined(folder, engine, before),
            }
    lines = [
        f'"groups": {json.dumps(GROUPS)}',
        *(f'"{part}": {_lines(rows)}' for part, rows in {**features, "asks": asking}.items()),
        *(
            f'"{engine} {when}": {_lines(rows)}'
            for engine, both in answers.items()
            for when, rows in both.items()
        ),
    ]
    FIXTURE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    for engine, both in answers.items():
        print(
            f"{engine}: {sum(row is None for row in both['at'])} of {len(asks)} rows not given back",
            file=sys.stderr,
        )


def _lines(rows: list[Any]) -> str:
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"


if __name__ == "__main__":
    main()
