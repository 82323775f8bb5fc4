"""Polars expressions that several functions are made of."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def choose(*cases: tuple["pl.Expr", "pl.Expr"]) -> "pl.Expr":
    """The value of the first case whose condition is true; null when none is."""
    import polars as pl

    (condition, value), *others = cases
    chain: Any = pl.when(condition).then(value)
    for condition, value in others:
        chain = chain.when(condition).then(value)
    expression: pl.Expr = chain
    return expression


def to_int(x: "pl.Expr") -> "pl.Expr":
    """As Int64, without a fraction; null where it does not fit."""
    import polars as pl

    return x.cast(pl.Int64, strict=False)


def to_float(x: "pl.Expr") -> "pl.Expr":
    """As Float64."""
    import polars as pl

    return x.cast(pl.Float64)


def by_value(x: "pl.Expr", meaning: Callable[[Any], Any], kind: "pl.DataType") -> "pl.Expr":
    """A Python function of every value but null, called once for each different value."""
    import polars as pl

    def apply(values: pl.Series) -> pl.Series:
        known = values.drop_nulls().unique()
        results = pl.Series([meaning(value) for value in known], dtype=kind)
        return values.replace_strict(known, results, default=None, return_dtype=kind)

    return x.map_batches(apply, return_dtype=kind, is_elementwise=True)
