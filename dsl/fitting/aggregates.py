"""Partial aggregates of training rows that merge to the same state however the rows are partitioned.

Aggregates hold whole numbers only, which add up the same in any order. A float is a whole number times a power of two,
so sums of floats and of their squares are kept exactly, as one (large) whole number over a fixed power of two, and are
rounded once, when the state is computed. Aggregates are JSON; an exact sum is written `0x1fp-4`, which is 31 * 2**-4.
"""

from collections.abc import Mapping
from fractions import Fraction
from math import isinf, isqrt
from typing import TYPE_CHECKING, Any

from dsl.fitting.quantiles import Quantiles, count_groups, merge_groups

if TYPE_CHECKING:
    import polars as pl

_FRACTION_BITS = 52
_SMALLEST = -1074
"""Every float is a whole multiple of 2**-1074."""
_HALF = 26


class Moments:
    """Mean and population standard deviation of the values that are not null."""

    state_types: Mapping[str, str] = {"mean": "float", "deviation": "float"}

    def aggregate(self, values: "pl.Series") -> dict[str, Any]:
        """Count, exact sum and exact sum of squares of finite floats and nulls."""
        count, total, squares = _exact_sums(values)
        return {"count": count, "sum": _write(total, _SMALLEST), "squares": _write(squares, 2 * _SMALLEST)}

    def merge(self, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """Sums of both."""
        return {
            "count": left["count"] + right["count"],
            "sum": _add(left["sum"], right["sum"], _SMALLEST),
            "squares": _add(left["squares"], right["squares"], 2 * _SMALLEST),
        }

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """mean and deviation; 1.0 for a deviation of zero, null when there were no values."""
        count = aggregate["count"]
        if count == 0:
            return {"mean": None, "deviation": None}
        mean = _fraction(_read(aggregate["sum"], _SMALLEST), _SMALLEST) / count
        squares = _fraction(_read(aggregate["squares"], 2 * _SMALLEST), 2 * _SMALLEST) / count
        return {"mean": float(mean) + 0.0, "deviation": _square_root(squares - mean * mean) or 1.0}


class Frequencies:
    """The most frequent texts."""

    state_types: Mapping[str, str] = {"words": "words"}

    def aggregate(self, values: "pl.Series") -> dict[str, Any]:
        """Number of occurrences of each text."""
        counts = values.drop_nulls().value_counts(sort=False)
        return {"counts": dict(sorted(zip(counts.to_series(0), counts.to_series(1), strict=True)))}

    def merge(self, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """Counts of both."""
        counts = dict(left["counts"])
        for word, count in right["counts"].items():
            counts[word] = counts.get(word, 0) + count
        return {"counts": dict(sorted(counts.items()))}

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """The words, most frequent first, equally frequent ones by text; constants holds the greatest number."""
        (size,) = constants
        ranked = sorted(aggregate["counts"].items(), key=lambda item: (-item[1], item[0]))
        return {"words": tuple(word for word, _ in ranked[:size])}


class Mean(Moments):
    """Mean of the values that are not null."""

    state_types: Mapping[str, str] = {"mean": "float"}

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """mean, null when there were no values."""
        return {"mean": super().state(aggregate, constants)["mean"]}


class Shares(Frequencies):
    """The most frequent texts with their shares of all values that are not null."""

    state_types: Mapping[str, str] = {"words": "words", "shares": "floats"}

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """The words, most frequent first, and the share of each; constants holds the greatest number."""
        words = super().state(aggregate, constants)["words"]
        counts = aggregate["counts"]
        total = sum(counts.values())
        return {"words": words, "shares": tuple(counts[word] / total for word in words)}


class TextMode(Frequencies):
    """The most frequent text."""

    state_types: Mapping[str, str] = {"mode": "str"}

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """mode, the smallest of equally frequent ones, null when there were no values."""
        counts = aggregate["counts"]
        return {"mode": min(counts, key=lambda word: (-counts[word], word), default=None)}


class IntMode(Frequencies):
    """The most frequent int."""

    state_types: Mapping[str, str] = {"mode": "int"}

    def aggregate(self, values: "pl.Series") -> dict[str, Any]:
        """Number of occurrences of each int, by its decimal digits."""
        import polars as pl

        return super().aggregate(values.cast(pl.String))

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """mode, the smallest of equally frequent ones, null when there were no values."""
        counts = {int(digits): count for digits, count in aggregate["counts"].items()}
        return {"mode": min(counts, key=lambda number: (-counts[number], number), default=None)}


class TargetMeans:
    """Mean label by text, shrunk to the overall mean: (sum + weight * overall mean) / (count + weight).

    After D. Micci-Barreca, A preprocessing scheme for high-cardinality categorical attributes (2001), with the
    m-estimate for the weights.
    """

    state_types: Mapping[str, str] = {"words": "words", "means": "floats", "prior": "float"}

    def aggregate(self, values: "pl.DataFrame") -> dict[str, Any]:
        """Count and exact sum of the labels of all rows and of each text; columns value (text) and target (float)."""
        import polars as pl

        known = values.filter(pl.col("target").is_finite())
        parts = pl.concat([known.select("value"), _parts_of(known["target"])], how="horizontal")
        sums = parts.group_by("value", "exponent").agg(pl.len(), pl.col("signed").sum())
        words: dict[str | None, list[int]] = {}
        for word, exponent, count, total in sums.iter_rows():
            of_word = words.setdefault(word, [0, 0])
            of_word[0] += count
            of_word[1] += total << exponent
        everything = [sum(of_word[place] for of_word in words.values()) for place in (0, 1)]
        return {
            "all": [everything[0], _write(everything[1], _SMALLEST)],
            "words": {
                word: [count, _write(total, _SMALLEST)]
                for word, (count, total) in sorted(item for item in words.items() if item[0] is not None)
            },
        }

    def merge(self, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """Counts and sums of both."""
        words = dict(left["words"])
        for word, sums in right["words"].items():
            words[word] = _add_sums(words[word], sums) if word in words else sums
        return {"all": _add_sums(left["all"], right["all"]), "words": dict(sorted(words.items()))}

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """The words, most frequent first, the mean of each and the overall mean, null if there were no labels.

        `constants` holds the greatest number of words and the weight.
        """
        size, weight = constants[0], Fraction(constants[1])
        count, total = aggregate["all"]
        if count == 0:
            return {"words": (), "means": (), "prior": None}
        prior = _fraction(_read(total, _SMALLEST), _SMALLEST) / count
        ranked = sorted(aggregate["words"].items(), key=lambda item: (-item[1][0], item[0]))[:size]
        means = (
            (_fraction(_read(of_word, _SMALLEST), _SMALLEST) + weight * prior) / (number + weight)
            for _, (number, of_word) in ranked
        )
        return {
            "words": tuple(word for word, _ in ranked),
            "means": tuple(float(mean) + 0.0 for mean in means),
            "prior": float(prior) + 0.0,
        }


class Extremes:
    """The least and the greatest value."""

    state_types: Mapping[str, str] = {"low": "float", "range": "float"}

    def aggregate(self, values: "pl.Series") -> dict[str, Any]:
        """low and high of finite floats and nulls; null when all are."""
        present = values.drop_nulls()
        if present.is_empty():
            return {"low": None, "high": None}
        # Adding zero makes zero of minus zero, which is neither less nor greater. Least and greatest are floats.
        return {"low": float(present.min()) + 0.0, "high": float(present.max()) + 0.0}  # type: ignore[arg-type]

    def merge(self, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """low and high of both."""
        lows = [part["low"] for part in (left, right) if part["low"] is not None]
        highs = [part["high"] for part in (left, right) if part["high"] is not None]
        return {"low": min(lows, default=None), "high": max(highs, default=None)}

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """low, and range from it to the greatest: 1.0 where all are equal, null beyond a float or without values."""
        low, high = aggregate["low"], aggregate["high"]
        if low is None or isinf(high - low):
            return {"low": low, "range": None}
        return {"low": low, "range": high - low or 1.0}


class _OfQuantiles:
    """Base of the functions whose state is quantiles."""

    def aggregate(self, values: "pl.Series") -> dict[str, Any]:
        """Counts of groups of neighbouring floats."""
        return count_groups(values)

    def merge(self, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """Counts of both."""
        return merge_groups(left, right)


class Median(_OfQuantiles):
    """The middle value."""

    state_types: Mapping[str, str] = {"median": "float"}

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """median, null when there were no values."""
        return {"median": Quantiles(aggregate)(Fraction(1, 2))}


class Quartiles(_OfQuantiles):
    """The middle value and the distance of the quarters around it."""

    state_types: Mapping[str, str] = {"median": "float", "spread": "float"}

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """median and spread, the third quartile less the first: 1.0 for zero, null beyond a float or without values."""
        quantile = Quantiles(aggregate)
        lower, median, upper = (quantile(Fraction(quarter, 4)) for quarter in (1, 2, 3))
        if lower is None or upper is None or isinf(upper - lower):
            return {"median": median, "spread": None}
        return {"median": median, "spread": upper - lower or 1.0}


class Tails(_OfQuantiles):
    """The values that cut off a share of the values at each end."""

    state_types: Mapping[str, str] = {"low": "float", "high": "float"}

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """low and high, null when there were no values; constants holds the share."""
        share, quantile = Fraction(constants[0]), Quantiles(aggregate)
        return {"low": quantile(share), "high": quantile(1 - share)}


class Boundaries(_OfQuantiles):
    """The values that split the values into bins of equal size."""

    state_types: Mapping[str, str] = {"bounds": "floats"}

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """The distinct bounds, ascending, none if there were no values; `constants` holds the number of bins."""
        (parts,), quantile = constants, Quantiles(aggregate)
        found = {quantile(Fraction(part, parts)) for part in range(1, parts)}
        return {"bounds": tuple(sorted(bound for bound in found if bound is not None))}


def _parts_of(values: "pl.Series") -> "pl.DataFrame":
    """The floats as whole numbers signed * 2**exponent in units of 2**-1074, and mantissa, the number without sign.

    A float's bits are a sign, an exponent and a whole mantissa below 2**53. Mantissas of one exponent can be added as
    128-bit integers.
    """
    import polars as pl

    bits_of = pl.col("bits")
    power = (bits_of // 2**_FRACTION_BITS) % 2048
    fraction = (bits_of % 2**_FRACTION_BITS).cast(pl.Int64)
    mantissa = pl.when(power > 0).then(fraction + 2**_FRACTION_BITS).otherwise(fraction)
    return (
        values.rename("bits")
        .reinterpret(dtype=pl.UInt64)
        .to_frame()
        .select(
            exponent=pl.max_horizontal(power.cast(pl.Int64), 1) - 1,
            signed=pl.when(bits_of >= 2**63).then(-mantissa).otherwise(mantissa).cast(pl.Int128),
            mantissa=mantissa,
        )
    )


def _exact_sums(values: "pl.Series") -> tuple[int, int, int]:
    """Count, sum in units of 2**-1074 and sum of squares in units of 2**-2148.

    For the squares mantissas are split in halves, so that products stay below 2**54.
    """
    import polars as pl

    parts = _parts_of(values.drop_nulls())
    high, low = pl.col("mantissa") // 2**_HALF, pl.col("mantissa") % 2**_HALF
    sums = parts.group_by("exponent").agg(
        pl.col("signed").sum().alias("sum"),
        (high * high).cast(pl.Int128).sum().alias("high"),
        (high * low).cast(pl.Int128).sum().alias("mixed"),
        (low * low).cast(pl.Int128).sum().alias("low"),
    )
    total = squares = 0
    for shift, part, high_sum, mixed_sum, low_sum in sums.iter_rows():
        total += part << shift
        squares += ((high_sum << 2 * _HALF) + (mixed_sum << _HALF + 1) + low_sum) << 2 * shift
    return len(parts), total, squares


def _write(number: int, unit: int) -> str:
    """number * 2**unit as hexadecimal text without trailing zeros."""
    if number == 0:
        return "0x0p0"
    zeros = (number & -number).bit_length() - 1
    return f"{number >> zeros:#x}p{unit + zeros}"


def _read(written: str, unit: int) -> int:
    """The number that `_write` wrote, as a multiple of 2**unit."""
    number, _, power = written.partition("p")
    return int(number, 16) << (int(power) - unit) if number != "0x0" else 0


def _add(left: str, right: str, unit: int) -> str:
    return _write(_read(left, unit) + _read(right, unit), unit)


def _add_sums(left: list[Any], right: list[Any]) -> list[Any]:
    """Count and written sum of both."""
    return [left[0] + right[0], _add(left[1], right[1], _SMALLEST)]


def _fraction(number: int, unit: int) -> Fraction:
    return Fraction(number, 2**-unit)


def _square_root(x: Fraction) -> float:
    """The square root, from an integer root with at least 64 bits."""
    if x == 0:
        return 0.0
    shift = max(0, 64 - (x.numerator.bit_length() - x.denominator.bit_length()) // 2)
    return float(Fraction(isqrt((x.numerator << 2 * shift) // x.denominator), 2**shift))
