"""Statistics of one feature on one day."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class FeatureStatistics:
    """Statistics of one feature over the rows of a published day of its group.

    `rows` counts all of them; `null_share` is the share without a value, None for a day without rows. NaN and infinity
    count as no value, as in the feature language. The rest is about the rows with a value, and None if the type has no
    such statistic: minimum, mean, maximum and quantiles of numbers, `true_share` of bool, `distinct` (number of
    distinct values) of text.

    A quantile q of n values is the one at position ceil(q * n) when they are sorted, so it is a value of the day; for
    more than some 5,000 values it is at most n / 10,000 positions away from there.
    """

    feature: str
    type: str
    day: date
    rows: int
    null_share: float | None
    minimum: float | None = None
    mean: float | None = None
    maximum: float | None = None
    q05: float | None = None
    q25: float | None = None
    q50: float | None = None
    q75: float | None = None
    q95: float | None = None
    true_share: float | None = None
    distinct: int | None = None
