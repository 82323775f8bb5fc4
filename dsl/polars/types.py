"""Polars types for the types of the language."""

import polars as pl

from dsl.types import LISTS, Type

POLARS: dict[Type, pl.DataType] = {
    Type.INT: pl.Int64(),
    Type.FLOAT: pl.Float64(),
    Type.BOOL: pl.Boolean(),
    Type.STR: pl.String(),
    Type.TIMESTAMP: pl.Datetime("us", "UTC"),
}
POLARS |= {listed: pl.List(POLARS[item]) for item, listed in LISTS.items()}
"""The Polars type of each type of the language."""


ONES = "#ones"
"""A column of 1.0. With scalars, Polars takes short cuts that change the result: it divides by multiplying with the
reciprocal, has powers of its own, and skips zero in sums, with the sign of zero. Such scalars are multiplied by this
column."""
