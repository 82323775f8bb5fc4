"""Compares a project's vectorised functions with their scalar ones, bit for bit, on random rows.

The rows are the same in every run, so that a difference is reproducible.
"""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from dsl.errors import UdfError
from dsl.features import compile_features
from dsl.schema import Schema
from dsl.types import Type
from dsl.udfs import Udfs

ROWS = 1_000

_EXTREMES: dict[Type, tuple[Any, ...]] = {
    Type.INT: (0, 1, -1, 2, 60, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)),
    Type.FLOAT: (
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        0.1,
        2.675,
        1e-300,
        5e-324,
        1e16,
        1e300,
        -1e308,
        math.nan,
        math.inf,
    ),
    Type.BOOL: (True, False),
    Type.STR: ("", " ", "a", "A", "EWR", "ß", "é", "e\u0301", "😀", "a b", "0", "12.5"),
    Type.TIMESTAMP: (
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2012, 2, 29, 23, 59, tzinfo=UTC),
        datetime(2013, 3, 10, 7, tzinfo=UTC),
        datetime(2013, 11, 3, 6, tzinfo=UTC),
        datetime(2099, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ),
}


def differences(udfs: Udfs) -> Iterator[tuple[str, str]]:
    """(function, difference) for each function whose vectorised form gives another value.

    Raises UdfError for a source that cannot be loaded.
    """
    _ = udfs.namespace
    for name in udfs.vectorised:
        problem = _difference(udfs, name)
        if problem:
            yield name, problem


def _difference(udfs: Udfs, name: str) -> str | None:
    import polars as pl

    from dsl.polars.types import POLARS

    function = udfs.functions[name]
    kinds = {parameter.name: Type(parameter.kind) for parameter in function.parameters}
    call = f"udfs.{name}({', '.join(f'row.{column}' for column in kinds)})"
    features = compile_features({"value": call}, Schema(dict(kinds), udfs=udfs))
    rows, wanted = [], []
    for row in _rows(kinds):
        try:
            wanted.append(features.row(row)[0])
        except UdfError:
            continue  # there is no value to compare with
        rows.append(row)
    frame = pl.DataFrame(rows, schema={column: POLARS[kind] for column, kind in kinds.items()})
    try:
        found = features.columns(frame)["value"].to_list()
    except (pl.exceptions.PolarsError, TypeError, ValueError, AttributeError, UdfError) as error:
        return f"{name}_columns raises {type(error).__name__}: {error}"
    for row, by_row, by_column in zip(rows, wanted, found, strict=True):
        if _bits(by_row) != _bits(by_column):
            shown = ", ".join(f"{column}={value!r}" for column, value in row.items())
            return f"{name}_columns gives {by_column!r} where {name} gives {by_row!r}, for {shown}"
    return None


def _rows(kinds: dict[str, Type]) -> Iterator[dict[str, Any]]:
    chance = random.Random(2013)
    for _ in range(ROWS):
        yield {name: _value(kind, chance) for name, kind in kinds.items()}


def _value(kind: Type, chance: random.Random) -> Any:
    if chance.random() < 0.1:
        return None
    if kind.item:
        return [_value(kind.item, chance) for _ in range(chance.randrange(4))]
    if chance.random() < 0.4:
        return chance.choice(_EXTREMES[kind])
    match kind:
        case Type.INT:
            return chance.randint(-1000, 1000)
        case Type.FLOAT:
            return chance.choice(
                [chance.uniform(-100, 100), math.ldexp(chance.random(), chance.randint(-60, 60))]
            )
        case Type.BOOL:
            return chance.random() < 0.5
        case Type.STR:
            return "".join(chance.choices("abXY09 -.éß", k=chance.randrange(8)))
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=chance.randrange(2**51))


def _bits(value: Any) -> object:
    if isinstance(value, list | tuple):
        return tuple(map(_bits, value))
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return type(value), repr(value)
