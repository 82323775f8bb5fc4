"""Evaluation of expressions on both back ends, which must agree."""

from datetime import UTC, datetime

import polars as pl
import pytest

from dsl import LanguageErrors, Schema, compile_features

POLARS = {
    "int": pl.Int64,
    "float": pl.Float64,
    "bool": pl.Boolean,
    "str": pl.String,
    "timestamp": pl.Datetime("us", "UTC"),
}
POLARS |= {f"list[{kind}]": pl.List(of) for kind, of in POLARS.items()}
KINDS = {bool: "bool", int: "int", float: "float", str: "str", datetime: "timestamp"}


def kind_of(values):
    """The language's type of some Python values."""
    items = [item for value in values if isinstance(value, tuple) for item in value]
    if items or () in values:
        return f"list[{kind_of(items)}]"
    return next((KINDS[type(value)] for value in values if value is not None), None)


def compiled(expression, kinds):
    """The features, and the types with one for every column that has none."""
    unknown = [name for name, kind in kinds.items() if kind is None]
    for guess in POLARS:
        guessed = kinds | dict.fromkeys(unknown, guess)
        try:
            return compile_features({"value": expression}, Schema(guessed)), guessed
        except LanguageErrors as error:
            problem = error
    raise problem


def evaluate(expression, row=None, training=(), kinds=None, targets=()):
    """The value on the row back end, after checking that the column back end gives the same."""
    row = row or {}
    names = dict.fromkeys([*row, *(name for other in training for name in other)])
    given = {name: [row.get(name), *(other.get(name) for other in training)] for name in names}
    features, kinds = compiled(
        expression, {name: kind_of(values) for name, values in given.items()} | (kinds or {})
    )

    def frame(rows):
        columns = {name: POLARS[kind] for name, kind in kinds.items()}
        return pl.DataFrame([{"#": 0, **values} for values in rows], schema={"#": pl.Int64, **columns})

    if training:
        labels = pl.Series(targets, dtype=pl.Float64) if targets else None
        features = features.fitted(features.aggregate(frame(training), labels))
    (value,) = features.row(row)
    (from_columns,) = features.columns(frame([row])).row(0)
    same_type = type(from_columns) is (list if type(value) is tuple else type(value))
    assert (same_type, plain(from_columns)) == (True, plain(value))
    return value


def plain(value):
    """A value in a form that tells minus zero from zero and forgets how a time zone is written."""
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    return value.astimezone(UTC) if isinstance(value, datetime) else repr(value)


@pytest.fixture(name="evaluate")
def evaluate_fixture():
    """(expression, row, training, kinds) to its value; columns that are null everywhere have the type that fits."""
    return evaluate
