"""The column back end: which frames it accepts, and agreement with the row back end over long columns."""

import math
import random
from datetime import UTC, datetime

import polars as pl
import pytest

from dsl import InputError, Schema, compile_features

SCHEMA = Schema({"x": "float", "i": "int", "b": "bool", "s": "str", "t": "timestamp", "l": "list[float]"})


@pytest.mark.parametrize(
    ("name", "series", "message"),
    [
        ("x", pl.Series("y", [1.0]), "input 'x': the frame has no such column; it has y"),
        ("x", pl.Series("x", ["1"]), "input 'x': expected a column of type Float64, got String"),
        ("i", pl.Series("i", [1.0]), "input 'i': expected a column of type Int64, got Float64"),
        ("b", pl.Series("b", [1]), "input 'b': expected a column of type Boolean, got Int64"),
        (
            "l",
            pl.Series("l", [["a"]]),
            "input 'l': expected a column of type List(Float64), got List(String)",
        ),
        ("l", pl.Series("l", [1.0]), "input 'l': expected a column of type List(Float64), got Float64"),
        ("s", pl.Series("s", [1]), "input 's': expected a column of type String, got Int64"),
        (
            "t",
            pl.Series("t", [datetime(2013, 1, 1)]),
            "input 't': expected a column of type Datetime(time_unit='us', time_zone='UTC'), "
            "got Datetime(time_unit='us', time_zone=None)",
        ),
    ],
)
def test_a_column_of_another_type_is_an_error_naming_the_input(name, series, message):
    features = compile_features({"f": f"row.{name}"}, SCHEMA)
    with pytest.raises(InputError) as caught:
        features.columns(series.to_frame())
    assert str(caught.value) == message


def test_an_unsigned_int_beyond_64_bits_is_an_error():
    features = compile_features({"f": "row.i"}, SCHEMA)
    with pytest.raises(InputError, match="the column of type UInt64 does not fit Int64"):
        features.columns(pl.DataFrame({"i": [2**64 - 1]}, schema={"i": pl.UInt64}))


@pytest.mark.parametrize(
    ("name", "series", "accepted"),
    [
        ("x", pl.Series([1, 2], dtype=pl.Int32), [1.0, 2.0]),
        ("x", pl.Series([None, None], dtype=pl.Null), [None, None]),
        ("i", pl.Series([7], dtype=pl.UInt8), [7]),
        ("s", pl.Series(["a", "b"], dtype=pl.Categorical), ["a", "b"]),
        ("l", pl.Series([[1, None], None, []], dtype=pl.List(pl.Int32)), [[1.0, None], None, []]),
        ("l", pl.Series([[1.0, math.nan]], dtype=pl.Array(pl.Float64, 2)), [[1.0, None]]),
        (
            "t",
            pl.Series([datetime(2013, 1, 1)], dtype=pl.Datetime("ms")).dt.replace_time_zone(
                "America/New_York"
            ),
            [datetime(2013, 1, 1, 5, tzinfo=UTC)],
        ),
    ],
)
def test_columns_of_kindred_types_are_brought_to_the_declared_one(name, series, accepted):
    frame = series.alias(name).to_frame()
    assert compile_features({"f": f"row.{name}"}, SCHEMA).columns(frame)["f"].to_list() == accepted


def test_what_expressions_share_is_computed_once_and_constants_are_folded():
    features = compile_features(
        {
            "a": "log(row.x + 1) * 2",
            "b": "log(row.x + 1) / row.x",
            "c": "max(log(row.x + 1), 0)",
            "d": "1 + 2 * 3",
            "e": "row.x + (2 - 0.5)",
        },
        SCHEMA,
    )
    stages = [str(expression) for stage in features._program._stages for expression in stage.expressions]
    assert sum(text.count(".log") for text in stages) == 1
    assert [text for text in stages if 'alias("d")' in text] == [str(pl.lit(7, pl.Int64).alias("d"))]
    assert "1.5" in next(text for text in stages if 'alias("e")' in text)


def test_what_is_neither_a_number_nor_missing_is_null_in_every_place() -> None:
    """In an input, in a column that others use and in an answer, also where all that is finite is too large to add."""
    features = compile_features(
        {"same": "row.x", "twice": "row.x * 2", "shared": "is_null(row.x * 2)", "inverse": "1 / row.x"},
        SCHEMA,
    )
    x = [1.0, math.nan, math.inf, -math.inf, None, 0.0, 1e308, 1.5e308]
    by_column = features.columns(pl.DataFrame({"x": x}, schema={"x": pl.Float64}))
    assert by_column.to_dict(as_series=False) == {
        "same": [1.0, None, None, None, None, 0.0, 1e308, 1.5e308],
        "twice": [2.0, None, None, None, None, 0.0, None, None],
        "shared": [False, True, True, True, True, False, True, True],
        "inverse": [1.0, None, None, None, None, None, 1 / 1e308, 1 / 1.5e308],
    }


def test_frames_of_other_types_one_after_the_other() -> None:
    """Properties of one frame are not assumed of the next."""
    features = compile_features({"self": "row.x", "one": "1"}, SCHEMA)
    for kind, beside in ((pl.Float64, "a"), (pl.Float64, "b"), (pl.Int32, "b"), (pl.Float64, "b")):
        for height in (0, 1, 3):
            frame = pl.DataFrame(
                {beside: ["?"] * height, "x": [7] * height}, schema={beside: pl.String, "x": kind}
            )
            wanted = {"self": [7.0] * height, "one": [1] * height}
            assert features.columns(frame).to_dict(as_series=False) == wanted
            assert features.columns(frame).schema == {"self": pl.Float64, "one": pl.Int64}
    with pytest.raises(InputError, match="expected a column of type Float64, got String"):
        features.columns(pl.DataFrame({"b": ["?"], "x": ["7"]}))
    constant = compile_features({"one": "1", "half": "1 / 2"}, SCHEMA)
    for height in (0, 1, 3):
        found = constant.columns(pl.DataFrame({"s": ["?"] * height}, schema={"s": pl.String}))
        assert found.to_dict(as_series=False) == {"one": [1] * height, "half": [0.5] * height}


LONG = {
    "third": "row.x / 3",
    "power": "abs(row.x) ** 2.0",
    "cube": "row.x ** 3.0",
    "logs": "log(abs(row.x)) - log1p(abs(row.x))",
    "exp": "exp(row.x)",
    "floor": "row.x // 0.1",
    "modulo": "row.x % 0.1",
    "round": "round(row.x, 3)",
    "int": "row.i * 3 - row.i // 7",
    "minute": "minutes_between(row.t, row.t) / 7 + minute_of_day(row.t, 'Europe/London')",
}


def test_long_columns_agree_with_rows_to_the_bit():
    chance = random.Random(5)
    rows = [
        {
            "x": chance.choice([-1, 1]) * math.ldexp(chance.random(), chance.randint(-30, 30)),
            "i": chance.randint(-(2**63), 2**63 - 1),
            "t": datetime.fromtimestamp(chance.uniform(0, 4e9), UTC),
        }
        for _ in range(10_000)
    ]
    features = compile_features(LONG, SCHEMA)
    schema = {"x": pl.Float64, "i": pl.Int64, "t": pl.Datetime("us", "UTC")}
    by_column = features.columns(pl.DataFrame(rows, schema=schema))
    by_row = features.row_many(rows)
    for position, name in enumerate(features.names):
        assert by_column[name].to_list() == [values[position] for values in by_row], name
