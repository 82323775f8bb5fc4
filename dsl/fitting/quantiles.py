"""Quantiles of floats from counts of groups: bounded in size, and the same however the values are partitioned.

The bits of a float, read as a whole number, are in the order of the floats (with the sign turned for negative ones).
Such keys are counted after dropping their last `depth` bits, and the depth is the least that leaves at most MAX_GROUPS
different groups. Dropping bits never makes more groups and a part never has more groups than the whole, so the depth,
and with it every count, depends on the values alone. At depth 0 every value is known exactly. Deeper, a group holds the
floats of one interval: the values are known to one part in 2**(52 - depth) of themselves.
"""

import math
import struct
from bisect import bisect_right
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

MAX_GROUPS = 8192
_MAX_DEPTH = 62


def count_groups(values: "pl.Series") -> dict[str, Any]:
    """Counts of the groups of finite floats and nulls, with the least and the greatest float, as JSON."""
    import polars as pl

    bits = pl.col("bits")
    frame = values.drop_nulls().rename("bits").reinterpret(dtype=pl.Int64).to_frame()
    key = pl.when(bits >= 0).then(bits).otherwise(-(bits & (2**63 - 1)))
    counts = frame.group_by(key=key).agg(count=pl.len())
    if counts.is_empty():
        return {"depth": 0, "groups": [], "low": None, "high": None}
    low, high = counts["key"].min(), counts["key"].max()
    assert isinstance(low, int)
    assert isinstance(high, int)
    least, most = 0, _MAX_DEPTH
    while least < most:
        middle = (least + most) // 2
        if (counts["key"] // 2**middle).n_unique() <= MAX_GROUPS:
            most = middle
        else:
            least = middle + 1
    groups = counts.group_by(key=pl.col("key") // 2**least).agg(pl.col("count").sum()).sort("key")
    return {
        "depth": least,
        "groups": [list(row) for row in groups.iter_rows()],
        "low": _float(low),
        "high": _float(high),
    }


def merge_groups(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """The counts of both."""
    depth = max(left["depth"], right["depth"])
    counts: dict[int, int] = {}
    for part in (left, right):
        for key, count in part["groups"]:
            group = key >> depth - part["depth"]
            counts[group] = counts.get(group, 0) + count
    while len(counts) > MAX_GROUPS:
        depth += 1
        halved: dict[int, int] = {}
        for key, count in counts.items():
            halved[key >> 1] = halved.get(key >> 1, 0) + count
        counts = halved
    lows = [part["low"] for part in (left, right) if part["low"] is not None]
    highs = [part["high"] for part in (left, right) if part["high"] is not None]
    return {
        "depth": depth,
        "groups": [list(item) for item in sorted(counts.items())],
        "low": min(lows, default=None),
        "high": max(highs, default=None),
    }


class Quantiles:
    """Quantiles of counted groups; a value of a group stands for the middle of its interval."""

    def __init__(self, counted: dict[str, Any]) -> None:
        self._depth = counted["depth"]
        self._keys = [key for key, _ in counted["groups"]]
        self._ends = list(accumulate(count for _, count in counted["groups"]))
        self._low, self._high = counted["low"], counted["high"]

    def __call__(self, share: Fraction) -> float | None:
        """The value below which a share of the values lies, interpolated linearly; None without values."""
        if not self._ends:
            return None
        rank = share * (self._ends[-1] - 1)
        below = self._value(math.floor(rank))
        above = self._value(math.ceil(rank))
        return float(below + (above - below) * (rank - math.floor(rank))) + 0.0

    def _value(self, rank: int) -> Fraction:
        first = self._keys[bisect_right(self._ends, rank)] << self._depth
        last = first + 2**self._depth - 1
        ends = _float(max(first, _key(self._low))), _float(min(last, _key(self._high)))
        return (Fraction(ends[0]) + Fraction(ends[1])) / 2


def _key(x: float) -> int:
    (bits,) = struct.unpack("<q", struct.pack("<d", x))
    return int(bits) if bits >= 0 else -(bits & (2**63 - 1))


def _float(key: int) -> float:
    (x,) = struct.unpack("<d", struct.pack("<q", abs(key)))
    return float(x) if key >= 0 else -float(x)
