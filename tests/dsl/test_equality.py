"""The row and the column back end give the same bits for any expression and any data."""

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl import compile_features


def bits(value):
    """A value in a form that is equal only for the same type and bits."""
    if isinstance(value, float):
        return "float", struct.pack("<d", value)
    if isinstance(value, datetime):
        return "timestamp", value.astimezone(UTC).isoformat()
    if isinstance(value, list | tuple):
        return "list", tuple(map(bits, value))
    return type(value).__name__, value


def assert_equal(written, data, language):
    """Both back ends agree on every row, on the whole frame and on frames of one row; results have their type."""
    features = compile_features({f"f{number}": text for number, text in enumerate(written)}, language.schema)
    whole = language.frame(data)
    if not features.is_fitted:
        features = features.fitted(language.aggregate(features, data))
    by_row = [[bits(value) for value in features.row(row)] for row in data]
    by_column = [[bits(value) for value in values] for values in features.columns(whole).rows()]
    one_by_one = [[bits(value) for value in features.columns(language.frame([row])).row(0)] for row in data]
    assert by_row == by_column
    assert by_row == one_by_one
    for row in by_row:
        for (kind, _), wanted in zip(row, features.types.values(), strict=True):
            assert kind in (wanted.partition("[")[0], "NoneType")


@given(data=st.data())
def test_any_expression_means_the_same_by_row_and_by_column(data, language):
    written = data.draw(st.lists(language.expressions, min_size=1, max_size=3))
    assert_equal(written, data.draw(language.rows), language)


COUNTER_EXAMPLES = {
    "division by a literal is no product with its reciprocal": ("row.x / 3.0", {"x": 0.7}),
    "zero minus zero is no sign change": ("0.0 - row.x", {"x": 0.0}),
    "zero added to minus zero is zero": ("row.x + 0.0", {"x": -0.0}),
    "zero in all rows minus zero is zero": ("coalesce(row.x, 0.0) - 0.0", {"x": None}),
    "zero chosen in all rows minus zero is zero": ("(None if row.b else 0.0) - row.y", {"b": None, "y": 0.0}),
    "zero in all rows added to minus zero is zero": ("coalesce(row.x, 0.0) + row.y", {"x": None, "y": -0.0}),
    "rounding gives no minus zero": ("round(row.x, 1)", {"x": -0.01}),
    "a definition keeps what its arguments learned": (
        "coalesce(row.i, vocabulary(min(row.s, row.r, 'b'), 1))",
        {"s": "a"},
    ),
    "a literal compared with text that is null everywhere": ("null_if('', lower(min(row.s, row.s)))", {}),
    "two literals chosen by a condition that is null everywhere": (
        "'x' if '' == lower(min(row.s, row.s)) else ''",
        {},
    ),
    "power with a literal exponent is no repeated product": ("row.x ** 4.0", {"x": 84.4421851525048}),
    "power of one row is no power with a scalar": ("row.x ** row.y", {"x": 84.4421851525048, "y": 4.0}),
}


@pytest.mark.parametrize("name", COUNTER_EXAMPLES)
def test_counter_examples_found(name, language):
    written, values = COUNTER_EXAMPLES[name]
    assert_equal([written], [language.row(**values), language.row()], language)
