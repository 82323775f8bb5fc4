"""Aggregates of sliding windows over the events of many entities, in NumPy, without Spark.

A row at moment m is about the events with m - over < time <= m, and depends on nothing else that is computed with them:
sums are exact and rounded once, so that another range of days gives the same bytes.

Events of several entities are placed on one axis, each entity in a range of its own that no window leaves; so a window
is a range of positions in the sorted events, and all windows are looked up together.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from giornata.documents.feature_group import Window

__all__ = ["slide"]

Array = npt.NDArray[Any]

_MILLISECOND = timedelta(milliseconds=1)

# A float holds whole numbers up to 2 ** 53; within these powers of two, dividing one and scaling it rounds only once.
_EXACT_BITS = 52
_SCALES = range(-900, 900)


def slide(
    events: pa.Table, time: str, entity: Sequence[str], windows: Mapping[str, Window], start: int, end: int
) -> pa.Table:
    """The rows with start <= event_time < end: columns `entity`, `time` and, by name, every feature of `windows`.

    `events` has all events of its entities, at least one; those of an entity stand together, no entity and no time is
    null. Times are whole milliseconds from 1970. There is a row at the time of each event and at each time a window
    later.
    """
    times = events[time].to_numpy()
    entities = events.select(list(entity))
    begins = np.concatenate([[True], _changes(entities)])
    lengths = {name: window.over // _MILLISECOND for name, window in windows.items()}
    longest, origin = max(lengths.values()), int(times.min())
    # A million entities in a span of a hundred years fit in 64 bits.
    span = int(times.max()) - origin + 2 * longest + 1
    places = (np.cumsum(begins) - 1) * span + (times - origin) + longest
    moments = np.unique(np.concatenate([places, *(places + length for length in set(lengths.values()))]))
    at = moments % span - longest + origin
    inside = (at >= start) & (at < end)
    moments, at = moments[inside], at[inside]
    found = entities.take(pa.array(np.flatnonzero(begins)[moments // span]))
    used = dict.fromkeys(window.column for window in windows.values())
    columns = {column: _Column(places, span, events[column]) for column in used}
    values = {
        name: columns[window.column].feature(window, lengths[name], moments)
        for name, window in windows.items()
    }
    return pa.table({**dict(zip(entity, found.columns, strict=True)), time: pa.array(at), **values})


def _changes(table: pa.Table) -> Array:
    """Whether each row but the first differs from the row before it."""
    differs = np.zeros(table.num_rows - 1, bool)
    for column in table.columns:
        differs |= pc.not_equal(column.slice(1), column.slice(0, table.num_rows - 1)).to_numpy()
    return differs


class _Column:
    """The values of one column that are neither null, NaN nor infinite, in order of position and, in one, size."""

    def __init__(self, places: Array, span: int, column: pa.ChunkedArray):
        values = column.combine_chunks()
        if pa.types.is_floating(values.type):
            # Adding zero makes the negative zero a common one.
            values = pc.if_else(pc.is_finite(values), pc.add(values, 0.0), None)
        present = pc.is_valid(values).to_numpy(zero_copy_only=False)
        encoded = values.filter(pa.array(present)).dictionary_encode()
        order = pc.sort_indices(encoded.dictionary)
        rank = np.empty(len(order), np.int64)
        rank[order.to_numpy()] = np.arange(len(order))
        ranks, places = rank[encoded.indices.to_numpy()], places[present]
        sorted_ = np.lexsort((ranks, places))
        self._sizes = encoded.dictionary.take(order)
        self._ranks: Array = ranks[sorted_]
        self._places: Array = places[sorted_]
        self._span = span

    def feature(self, window: Window, over: int, moments: Array) -> pa.Array:
        """The aggregate of the values in positions (moment - over, moment], for each moment; null if it has none."""
        low = np.searchsorted(self._places, moments - over, "right")
        high = np.searchsorted(self._places, moments, "right")
        counts = high - low
        empty = counts == 0
        match window.function:
            case "count":
                return pa.array(counts)
            case "distinct":
                return pa.array(self._distinct(over, moments))
            case "sum" if pa.types.is_floating(self._sizes.type):
                return _floats(self._quotients(low, high, np.ones_like(counts)), empty)
            case "sum":
                return _whole_numbers(self._totals(low, high), empty)
            case "mean":
                return _floats(self._quotients(low, high, np.maximum(counts, 1)), empty)
            case "quantile":
                assert window.share is not None
                return _floats(self._quantile(low, high, window.share), empty)
            case "min":
                chosen = self._smallest(low, high, np.zeros_like(counts))
            case "max":
                chosen = self._smallest(low, high, counts - 1)
            case "last":
                chosen = self._ranks[np.maximum(high, 1) - 1] if len(self._ranks) else counts
            case function:
                raise NotImplementedError(function)
        return self._sizes.take(pa.array(chosen, mask=empty))

    @cached_property
    def _numbers(self) -> Array:
        """The values as numbers."""
        numbers: Array = self._sizes.to_numpy(zero_copy_only=False)
        return (numbers.astype(np.int64) if numbers.dtype == bool else numbers)[self._ranks]

    @cached_property
    def _sums(self) -> tuple[Array, int]:
        whole, power = _whole(self._numbers)
        return np.concatenate([[0], np.cumsum(whole)]), power

    def _totals(self, low: Array, high: Array) -> Array:
        """The sums of ranges of values, in units of two to the power of `_sums`; exact."""
        sums, _ = self._sums
        return sums[high] - sums[low]

    def _quotients(self, low: Array, high: Array, divisors: Array) -> Array:
        """The sums of ranges, divided by whole numbers and rounded once; NaN where a float cannot hold it."""
        totals, (_, power) = self._totals(low, high), self._sums
        if totals.dtype != object:
            return np.ldexp(totals / divisors, power)
        up, down = max(power, 0), max(-power, 0)
        return np.array(
            [_quotient(total << up, int(by) << down) for total, by in zip(totals, divisors, strict=True)]
        )

    def _distinct(self, over: int, moments: Array) -> Array:
        """Number of distinct values in each window.

        A value is present from an event until the window has passed it or its next event takes over: for one value,
        these ranges do not overlap, so that beginnings less ends count the values.
        """
        order = np.lexsort((self._places, self._ranks, self._places // self._span))
        places, ranks = self._places[order], self._ranks[order]
        ends = places + over
        again = (ranks[1:] == ranks[:-1]) & (places[1:] // self._span == places[:-1] // self._span)
        ends[:-1][again] = np.minimum(ends[:-1], places[1:])[again]
        begun = np.searchsorted(self._places, moments, "right")
        ended: Array = np.searchsorted(np.sort(ends), moments, "right")
        return begun - ended

    def _quantile(self, low: Array, high: Array, share: float) -> Array:
        """Interpolate linearly between the two values around the position that is `share` of the way to the
        greatest."""
        place: Array = np.maximum(high - low - 1, 0) * share
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(high - low - 1, 0))
        numbers = self._sizes.to_numpy().astype(np.float64)
        if not len(numbers):
            return place
        smaller = numbers[self._smallest(low, high, below)]
        greater = numbers[self._smallest(low, high, above)]
        part = place - below
        with np.errstate(over="ignore", invalid="ignore"):
            step = greater - smaller
            between: Array = np.where(part < 0.5, smaller + step * part, greater - step * (1 - part))
        return between

    @cached_property
    def _levels(self) -> list[tuple[int, Array, int]]:
        """A wavelet matrix of the ranks: for each bit, the highest first, how many zeros there are before each
        position.

        On the next level those with a zero stand first, then those with a one, each in their order before.
        """
        levels = []
        ranks = self._ranks
        for bit in reversed(range(max(len(self._sizes) - 1, 0).bit_length())):
            ones = (ranks >> bit & 1).astype(bool)
            zeros = np.concatenate([[0], np.cumsum(~ones)])
            levels.append((bit, zeros, int(zeros[-1])))
            ranks = np.concatenate([ranks[~ones], ranks[ones]])
        return levels

    def _smallest(self, low: Array, high: Array, smaller: Array) -> Array:
        """The rank in each range that `smaller` others of it do not exceed; anything where the range has no such."""
        rank = np.zeros_like(low)
        for bit, zeros, total in self._levels:
            low_zeros, high_zeros = zeros[low], zeros[high]
            among_ones = smaller >= high_zeros - low_zeros
            smaller = np.where(among_ones, smaller - (high_zeros - low_zeros), smaller)
            low = np.where(among_ones, total + low - low_zeros, low_zeros)
            high = np.where(among_ones, total + high - high_zeros, high_zeros)
            rank |= among_ones.astype(np.int64) << bit
        return np.minimum(rank, max(len(self._sizes) - 1, 0))


def _whole(numbers: Array) -> tuple[Array, int]:
    """Finite numbers as whole multiples of a power of two, and that power: as int64 where all sums fit in a float."""
    if numbers.dtype.kind == "i":
        fit = len(numbers) * _largest(numbers.astype(np.float64)) <= 2**_EXACT_BITS
        return (numbers if fit else numbers.astype(object)), 0
    fractions, powers = np.frexp(numbers)
    mantissas = np.ldexp(fractions, 53).astype(np.int64)
    used = mantissas != 0
    if not used.any():
        return mantissas, 0
    # How often a mantissa can be halved: its lowest bit, as a power of two.
    halvings = np.where(used, np.frexp((mantissas & -mantissas).astype(np.float64))[1] - 1, 0)
    powers = np.where(used, powers - 53 + halvings, np.iinfo(np.int32).max)
    power = int(powers.min())
    if power in _SCALES and len(numbers) * _largest(numbers) <= np.ldexp(1.0, _EXACT_BITS + power):
        return np.ldexp(numbers, -power).astype(np.int64), power
    shifts = np.where(used, powers - power, 0)
    return (mantissas >> halvings).astype(object) << shifts.astype(object), power


def _largest(numbers: Array) -> float:
    return float(np.abs(numbers).max(initial=0))


def _quotient(total: int, divisor: int) -> float:
    """Rounded once, as Python divides whole numbers; NaN beyond the greatest float."""
    try:
        return total / divisor
    except OverflowError:
        return float("nan")


def _floats(values: Array, empty: Array) -> pa.Array:
    """`values` as floats, null where the window is empty or the value is not finite."""
    values = values.astype(np.float64)
    return pa.array(values, mask=empty | ~np.isfinite(values))


def _whole_numbers(totals: Array, empty: Array) -> pa.Array:
    """`totals` as 64-bit integers, null where the window is empty or the total does not fit."""
    limits = np.iinfo(np.int64)
    outside = np.array((totals < limits.min) | (totals > limits.max), bool)
    return pa.array(np.where(outside, 0, totals).astype(np.int64), mask=empty | outside)
