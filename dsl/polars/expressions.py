"""Polars expressions that several functions share."""

import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dsl.errors import GiornataError, UdfError
from dsl.types import Type

if TYPE_CHECKING:
    import polars as pl


_failures: dict[str, UdfError] = {}


class RowFailedError(GiornataError):
    """Carries the key of an error through Polars, which only passes on an error's text."""

    @property
    def error(self) -> UdfError:
        """The error itself; it can be fetched once."""
        return _failures.pop(str(self).split("\n", 1)[0])


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
    """As Int64, without the fraction; null if it does not fit."""
    import polars as pl

    return x.cast(pl.Int64, strict=False)


def to_float(x: "pl.Expr") -> "pl.Expr":
    """As Float64."""
    import polars as pl

    return x.cast(pl.Float64)


def over_rows(function: Callable[..., Any], arguments: "Sequence[pl.Expr]", returns: Type) -> "pl.Expr":
    """The values of a Python function called on each row; its errors name the row."""
    import polars as pl

    from dsl.polars.types import ONES, POLARS

    def call(series: "Sequence[pl.Series]") -> "pl.Series":
        height = len(series[0])
        # A literal comes as one value.
        columns = [one.to_list() if len(one) == height else one.to_list() * height for one in series[1:]]
        answers = []
        for number, row in enumerate(zip(*columns, strict=True)):
            try:
                answers.append(function(*row))
            except UdfError as error:
                key = uuid.uuid4().hex
                _failures[key] = UdfError(error.name, error.message, error.arguments, number)
                raise RowFailedError(key) from error
        return pl.Series(answers, dtype=POLARS[returns])

    return pl.map_batches([pl.col(ONES), *arguments], call, return_dtype=POLARS[returns])


def by_value(x: "pl.Expr", meaning: Callable[[Any], Any], kind: "pl.DataType") -> "pl.Expr":
    """A Python function of all values but null, called once for each distinct value."""
    import polars as pl

    def apply(values: pl.Series) -> pl.Series:
        known = values.drop_nulls().unique()
        results = pl.Series([meaning(value) for value in known], dtype=kind)
        return values.replace_strict(known, results, default=None, return_dtype=kind)

    return x.map_batches(apply, return_dtype=kind, is_elementwise=True)
