"""Functions that are fitted to the training rows."""

from typing import TYPE_CHECKING

from dsl.fitting.aggregates import (
    Boundaries,
    Extremes,
    Frequencies,
    IntMode,
    Mean,
    Median,
    Moments,
    Quartiles,
    Shares,
    Tails,
    TargetMeans,
    TextMode,
)
from dsl.functions.categories import bucket_index
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


def _share(
    text: "pl.Expr", size: int, words: tuple[str, ...], shares: tuple[float, ...], share_of: object
) -> "pl.Expr":
    import polars as pl

    old, new = pl.Series([None, *words], dtype=pl.String), pl.Series([None, *shares], dtype=pl.Float64)
    return text.replace_strict(old, new, default=0.0, return_dtype=pl.Float64)


def _mean(
    text: "pl.Expr",
    size: int,
    weight: float,
    words: tuple[str, ...],
    means: tuple[float, ...],
    prior: float | None,
    mean_of: object,
) -> "pl.Expr":
    import polars as pl

    old, new = pl.Series([None, *words], dtype=pl.String), pl.Series([None, *means], dtype=pl.Float64)
    return text.replace_strict(old, new, default=prior, return_dtype=pl.Float64)


THREE_FLIGHTS = ({"x": "EWR"}, {"x": "EWR"}, {"x": "JFK"})
"""Training rows for examples."""

ONE_TO_FIVE = tuple({"x": float(x)} for x in (1, 2, 3, 4, 5))
"""Training rows for examples."""

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
    Function(
        signature="min_max(x: float) -> float",
        section="fitted",
        doc=(
            "(x - least) / (greatest - least) over the training rows where x is not null: from 0 to 1 "
            "there, beyond for "
            "smaller and larger values. x - least where all are equal; null when there was nothing to learn from."
        ),
        examples=(
            Example("min_max(row.x)", 0.25, {"x": 2.0}, ONE_TO_FIVE),
            Example("min_max(row.x)", 1.25, {"x": 6.0}, ONE_TO_FIVE),
            Example("min_max(row.x)", 0.0, {"x": 7.0}, ({"x": 7.0}, {"x": None})),
        ),
        definition="(x - low) / range",
        fit=Extremes(),
    ),
    Function(
        signature="robust_scale(x: float) -> float",
        section="fitted",
        doc=(
            "(x - median) / (third quartile - first quartile) over the training rows where x is not "
            "null, which few wild "
            "values hardly change; x - median where the quartiles are equal. Null when there was nothing to learn from."
        ),
        examples=(
            Example("robust_scale(row.x)", 1.0, {"x": 5.0}, ONE_TO_FIVE),
            Example("robust_scale(row.x)", 2.0, {"x": 9.0}, ({"x": 7.0}, {"x": 7.0})),
        ),
        definition="(x - median) / spread",
        fit=Quartiles(),
    ),
    Function(
        signature="winsorize(x: float, share: constant[float] = 0.01) -> float",
        section="fitted",
        doc=(
            "x held between the quantiles share and 1 - share (0 to 0.49) of the training rows where x "
            "is not null. Null "
            "when there was nothing to learn from."
        ),
        examples=(
            Example("winsorize(row.x, 0.25)", 4.0, {"x": 100.0}, ONE_TO_FIVE),
            Example("winsorize(row.x, 0.25)", 3.0, {"x": 3.0}, ONE_TO_FIVE),
            Example("winsorize(row.x, share=0.25)", None, {"x": None}, ONE_TO_FIVE),
        ),
        definition="clip(x, low, high)",
        ranges={"share": (0, 0.49)},
        fit=Tails(),
    ),
    Function(
        signature="quantile_bucket(x: float, buckets: constant[int] = 10) -> int",
        section="fitted",
        doc=(
            "Which of buckets (2 to 1000) parts x falls into, 0 the lowest, when the training rows "
            "where x is not null are "
            "parted into equally many; a value on a border belongs to the upper part, and borders that are equal count "
            "once. 0 when there was nothing to learn from."
        ),
        examples=(
            Example("quantile_bucket(row.x, 4)", 0, {"x": 1.5}, ONE_TO_FIVE),
            Example("quantile_bucket(row.x, 4)", 2, {"x": 3.0}, ONE_TO_FIVE),
            Example("quantile_bucket(row.x, 4)", 3, {"x": 1e9}, ONE_TO_FIVE),
            Example("quantile_bucket(row.x)", None, {"x": None}, ONE_TO_FIVE),
        ),
        row="bisect_right({bounds}, {x})",
        columns=lambda x, buckets, bounds: bucket_index(x, bounds),
        bind=lambda buckets, bounds: {"bounds": bounds},
        ranges={"buckets": (2, 1000)},
        bounds=lambda *_: (0, 1000),
        repeats=True,
        fit=Boundaries(),
    ),
    Function(
        signature="impute_mean(x: float) -> float",
        section="fitted",
        doc="x, or where it is null the mean of the training rows where it is not.",
        examples=(
            Example("impute_mean(row.x)", 3.0, {"x": None}, ONE_TO_FIVE),
            Example("impute_mean(row.x)", 9.0, {"x": 9.0}, ONE_TO_FIVE),
        ),
        definition="coalesce(x, mean)",
        handles_null=True,
        fit=Mean(),
    ),
    Function(
        signature="impute_median(x: float) -> float",
        section="fitted",
        doc="x, or where it is null the median of the training rows where it is not.",
        examples=(
            Example("impute_median(row.x)", 2.5, {"x": None}, ({"x": 1.0}, {"x": 4.0})),
            Example("impute_median(row.x)", 9.0, {"x": 9.0}, ONE_TO_FIVE),
        ),
        definition="coalesce(x, median)",
        handles_null=True,
        fit=Median(),
    ),
    Function(
        signature="impute_mode(x: str) -> str",
        section="fitted",
        doc="x, or where it is null the most frequent text of the training rows; of equally frequent ones the smaller.",
        examples=(
            Example("impute_mode(row.x)", "EWR", {"x": None}, ({"x": "JFK"}, {"x": "EWR"}, {"x": "EWR"})),
            Example("impute_mode(row.x)", "a", {"x": None}, ({"x": "b"}, {"x": "a"})),
            Example("impute_mode(row.x)", "LGA", {"x": "LGA"}, ({"x": "JFK"},)),
        ),
        definition="coalesce(x, mode)",
        handles_null=True,
        fit=TextMode(),
    ),
    Function(
        signature="impute_mode(x: int) -> int",
        section="fitted",
        doc=(
            "x, or where it is null the most frequent number of the training rows; of equally frequent "
            "ones the smaller."
        ),
        examples=(
            Example("impute_mode(row.x)", 7, {"x": None}, ({"x": 7}, {"x": 7}, {"x": -1})),
            Example("impute_mode(row.x)", -1, {"x": None}, ({"x": 7}, {"x": -1})),
        ),
        definition="coalesce(x, mode)",
        handles_null=True,
        fit=IntMode(),
    ),
    Function(
        signature="frequency(text: str, size: constant[int] = 1000) -> float",
        section="fitted",
        doc=(
            "The share, 0 to 1, that the text has in the training rows where it is not null, for the "
            "size (1 to 1000000) "
            "most frequent texts; 0 for all others."
        ),
        examples=(
            Example(
                "frequency(row.x)",
                0.75,
                {"x": "EWR"},
                ({"x": "EWR"}, {"x": "EWR"}, {"x": "EWR"}, {"x": "JFK"}),
            ),
            Example("frequency(row.x)", 0.0, {"x": "LGA"}, ({"x": "EWR"}, {"x": None})),
            Example("frequency(row.x)", None, {"x": None}, ({"x": "EWR"},)),
        ),
        row="{share_of}.get({text}, 0.0)",
        columns=_share,
        bind=lambda size, words, shares: {"share_of": dict(zip(words, shares, strict=True))},
        ranges={"size": (1, 1_000_000)},
        fit=Shares(),
    ),
    Function(
        signature="target_mean(text: str, size: constant[int] = 1000, weight: constant[float] = 20.0) -> float",
        section="fitted",
        doc=(
            "The mean of the label over the training rows with this text, drawn towards the mean of all "
            "as if weight (0 to 1000000000) rows more had that: (sum + weight * mean of all) / (count + weight). "
            "The mean of all for a text not among the size (1 to 1000000) most frequent ones. "
            "In training a row's own label has no part in its value: the rows are dealt into five folds, "
            "and each row has what the other four give."
        ),
        examples=(
            Example("target_mean(row.x, weight=0)", 15.0, {"x": "EWR"}, THREE_FLIGHTS, (10.0, 20.0, 60.0)),
            Example("target_mean(row.x, weight=2)", 22.5, {"x": "EWR"}, THREE_FLIGHTS, (10.0, 20.0, 60.0)),
            Example("target_mean(row.x)", 30.0, {"x": "LGA"}, THREE_FLIGHTS, (10.0, 20.0, 60.0)),
            Example("target_mean(row.x)", None, {"x": None}, THREE_FLIGHTS, (10.0, 20.0, 60.0)),
        ),
        row="{mean_of}.get({text}, {prior})",
        columns=_mean,
        bind=lambda size, weight, words, means, prior: {
            "mean_of": dict(zip(words, means, strict=True)),
            "prior": prior,
        },
        ranges={"size": (1, 1_000_000), "weight": (0, 1e9)},
        partial=lambda *_: True,
        fit=TargetMeans(),
        learns_target=True,
    ),
)
