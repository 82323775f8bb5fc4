"""Functions that learn from the training rows."""

from typing import TYPE_CHECKING

from dsl.fit import Frequencies, Moments
from dsl.signature import Example, Function

if TYPE_CHECKING:
    import polars as pl


def _codes(size: int, words: tuple[str, ...]) -> dict[str, object]:
    return {"codes": {None: 0} | {word: position for position, word in enumerate(words, start=2)}}


def _lookup(text: "pl.Expr", size: int, words: tuple[str, ...], codes: dict[str | None, int]) -> "pl.Expr":
    import polars as pl

    old, new = [None, *words], list(codes.values())
    return text.replace_strict(
        pl.Series(old, dtype=pl.String), pl.Series(new), default=1, return_dtype=pl.Int64
    )


FITTED = (
    Function(
        signature="normalize(x: float) -> float",
        section="fitted",
        doc=(
            "(x - mean) / deviation, both over the training rows where x is not null; the deviation is the "
            "population's, and 1 where all values are equal. Null when there was nothing to learn from."
        ),
        examples=(
            Example("normalize(row.x)", 1.0, {"x": 3.0}, ({"x": 1.0}, {"x": 3.0}, {"x": None})),
            Example("normalize(row.x)", 0.0, {"x": 5.0}, ({"x": 5.0}, {"x": 5.0})),
        ),
        definition="(x - mean) / deviation",
        fit=Moments(),
    ),
    Function(
        signature="vocabulary(text: str, size: constant[int] = 1000) -> int",
        section="fitted",
        doc=(
            "Code of the text among the size (1 to 1000000) most frequent ones of the training rows: 0 is null, 1 is a "
            "text not among them, 2 the most frequent, 3 the next; of equally frequent ones the smaller text is first. "
            "Never null."
        ),
        examples=(
            Example("vocabulary(row.x)", 2, {"x": "EWR"}, ({"x": "JFK"}, {"x": "EWR"}, {"x": "EWR"})),
            Example("vocabulary(row.x, size=1)", 1, {"x": "JFK"}, ({"x": "JFK"}, {"x": "EWR"}, {"x": "EWR"})),
            Example("vocabulary(row.x)", 0, {"x": None}, ({"x": "JFK"},)),
        ),
        row="{codes}.get({text}, 1)",
        columns=_lookup,
        bind=_codes,
        ranges={"size": (1, 1_000_000)},
        handles_null=True,
        fit=Frequencies(),
    ),
)
