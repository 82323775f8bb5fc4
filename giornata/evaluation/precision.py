"""Finds features that lose values in single precision, in which models are trained, and describes them in warnings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from giornata.dataset import Dataset

__all__ = ["EXACT", "FEW_LOST", "Distinct", "large_features", "lost_values"]

EXACT = 2**24
"""Up to here, single precision is exact for whole numbers."""

FEW_LOST = 0.01
"""Share of its distinct values that a feature of fractional numbers may lose: some of many numbers lie close
together."""


@dataclass(frozen=True)
class Distinct:
    """Number of distinct values of a feature, how many are `left` in single precision, and whether all are whole
    numbers."""

    values: int
    left: int
    whole: bool

    @property
    def lost(self) -> int:
        """Number of distinct values that are lost."""
        return self.values - self.left


def large_features(names: Sequence[str], examples: Dataset) -> list[str]:
    """The features with a value beyond EXACT, for which `Distinct` must be computed."""
    if not len(examples.matrix):
        return []
    reach = np.nanmax(np.abs(examples.matrix), axis=0, initial=0.0)
    return [name for name, most in zip(names, reach.tolist(), strict=True) if most >= EXACT]


def lost_values(found: Mapping[str, Distinct]) -> list[str]:
    """A warning for every feature that loses values."""
    return [
        f"feature {name}: its {distinct.values:,} different values become {distinct.left:,}, {distinct.lost:,} are "
        f"lost: models are trained in single precision, which is exact for whole numbers up to {EXACT:,} "
        "only. Use smaller numbers, such as the time since another moment, days instead of seconds, or the parts of "
        "a date; or vocabulary(…) for codes"
        for name, distinct in found.items()
        if distinct.lost > (0 if distinct.whole else FEW_LOST * distinct.values)
    ]
