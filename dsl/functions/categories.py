"""Functions from numbers to categories and from categories to features."""

from typing import TYPE_CHECKING

from dsl.functions.limits import always
from dsl.polars.expressions import by_value, choose, to_int
from dsl.row.scalar.text import MAX_TEXT
from dsl.row.scalar.text import hash_bucket as bucket_of
from dsl.signature import Example, Function

if TYPE_CHECKING:
    import polars as pl


def bucket_index(x: "pl.Expr", bounds: tuple[float, ...]) -> "pl.Expr":
    """Number of the ascending bounds that are not above x."""
    import polars as pl

    index = pl.lit(pl.Series(bounds, dtype=pl.Float64)).search_sorted(x, side="right")
    return choose((x.is_not_null(), to_int(index)))


def _hashed(text: "pl.Expr", buckets: int, count: int) -> "pl.Expr":
    import polars as pl

    return by_value(text, lambda value: bucket_of(value, buckets), pl.Int64())


def _crossed(first: "pl.Expr", others: "pl.Expr") -> "pl.Expr":
    escaped = first.str.replace_all("\\", "\\\\", literal=True).str.replace_all("|", "\\|", literal=True)
    length = to_int(escaped.str.len_chars()) + to_int(others.str.len_chars())
    return choose((length < MAX_TEXT, escaped + "|" + others))


CATEGORIES = (
    Function(
        signature="one_hot(x: value, value: value) -> int",
        section="categories",
        doc="1 where x is the value, else 0, also where x is null; one such feature per value is the usual encoding.",
        examples=(
            Example("one_hot('JFK', 'JFK')", 1),
            Example("one_hot('jfk', 'JFK')", 0),
            Example("one_hot(row.x, 'JFK')", 0, {"x": None}),
        ),
        definition="1 if x == value else 0",
        handles_null=True,
    ),
    Function(
        signature="hash_bucket(text: str, buckets: constant[int]) -> int",
        section="categories",
        doc=(
            "A number from 0 to buckets - 1 (at most 2147483647) for each text, the same everywhere and for ever: the "
            "8-byte BLAKE2b digest (RFC 7693) of its UTF-8 bytes, read as a little-endian number, modulo buckets."
        ),
        examples=(
            Example("hash_bucket('JFK', 100)", 68),
            Example("hash_bucket('', 1)", 0),
            Example("hash_bucket(row.x, 100)", None, {"x": None}),
        ),
        row="hash_bucket({text}, {count})",
        columns=_hashed,
        bind=lambda buckets: {"count": buckets},
        ranges={"buckets": (1, 2**31 - 1)},
        bounds=lambda *_: (0, 2**31),
    ),
    Function(
        signature="hash_bucket(number: int, buckets: constant[int]) -> int",
        section="categories",
        doc="The bucket of the number's decimal digits, hash_bucket(str(number), buckets).",
        examples=(
            Example("hash_bucket(42, 100) == hash_bucket('42', 100)", True),
            Example("hash_bucket(-7, 1)", 0),
        ),
        definition="hash_bucket(str(number), buckets)",
        ranges={"buckets": (1, 2**31 - 1)},
    ),
    Function(
        signature="cross(first: str, *others: str) -> str",
        section="categories",
        doc=(
            "The combination of several categories as one, a bar between them; different combinations of as many give "
            "different texts (a bar in any but the last is written \\| and a backslash twice). Null "
            "where any is null or "
            "the whole has over 65,536 characters."
        ),
        examples=(
            Example("cross('EWR', 'LAX')", "EWR|LAX"),
            Example("cross('UA', 'EWR', 'LAX')", "UA|EWR|LAX"),
            Example("cross('a|b', 'c')", "a\\|b|c"),
            Example("cross('EWR', row.x)", None, {"x": None}),
        ),
        row="crossed({first}, {others})",
        columns=_crossed,
        partial=always,
        repeats=True,
    ),
    Function(
        signature="bucketize(x: float, boundary: constant[float], *others: constant[float]) -> int",
        section="categories",
        doc="How many of the boundaries are not above x, so 0 below all; their order does not matter.",
        examples=(
            Example("bucketize(row.x, 0, 10, 100)", 0, {"x": -1.0}),
            Example("bucketize(row.x, 0, 10, 100)", 2, {"x": 10.0}),
            Example("bucketize(row.x, 0, 10, 100)", 3, {"x": 1e9}),
            Example("bucketize(row.x, 0)", None, {"x": None}),
        ),
        row="bisect_right({bounds}, {x})",
        columns=lambda x, bounds, **_: bucket_index(x, bounds),
        bind=lambda boundary, others=(): {"bounds": tuple(sorted({boundary, *others}))},
        bounds=lambda *_: (0, 1000),
        repeats=True,
    ),
)
