"""What is measured of one feature on one day."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class FeatureStatistics:
    """One feature over the rows that a day of its group has been published with.

    `rows` counts all of them; `null_share` is the share without a value, None of a day without rows. NaN and
    infinity count as no value, as they do in the feature language. All else is of the rows that have a value,
    and None where the type has no such thing: least, mean and greatest value and quantiles of numbers,
    `true_share` of bool, `distinct` (how many different values) of text.

    A quantile q of n values is the one at place ceil(q * n) when they are sorted, so it is a value of the day;
    of more than some 5,000 values it is at most n / 10,000 places away from there.
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
