"""Finds features of very different scales, for models that measure distances between rows."""

from collections.abc import Sequence

import numpy as np

from giornata.dataset import Dataset
from giornata.tasks import TASKS

__all__ = ["UNEVEN", "uneven_scales"]

UNEVEN = 30
"""Ratio of standard deviations from which on a warning is given: squared distances then differ 900-fold."""

_OF_CODES = 0.5  # the standard deviation of what is 0 in half of the rows and 1 in the others


def uneven_scales(names: Sequence[str], examples: Dataset, task: str) -> list[str]:
    """A warning if one feature alone decides which rows are alike, because its numbers are so much larger."""
    if TASKS[task].label:
        return []
    spreads = {name: _spread(examples, column) for column, name in enumerate(names)}
    told = {name: spread for name, spread in spreads.items() if spread > 0}  # the others move no row
    if not told:
        return []
    widest, narrowest = max(told, key=told.__getitem__), min(told, key=told.__getitem__)
    if told[widest] <= UNEVEN * told[narrowest]:
        return []
    return [
        f"feature {widest} spreads {told[widest] / told[narrowest]:,.0f} times as wide as feature {narrowest} "
        f"(standard deviations of {told[widest]:.3g} and {told[narrowest]:.3g}), and outweighs it in every distance. "
        "Wrap amounts in normalize(…)"
    ]


def _spread(examples: Dataset, column: int) -> float:
    """The standard deviation of a number, with missing ones at the mean; for codes and values of only 0 and 1, the
    largest that they can have, so that a rare one does not cause a warning."""
    values = examples.matrix[:, column].astype(np.float64)
    present = values[~np.isnan(values)]
    if not present.size or present.min() == present.max():
        return 0.0
    if column in examples.categories or np.isin(present, (0, 1)).all():
        return _OF_CODES
    return float(np.sqrt(np.square(present - present.mean()).sum() / len(values)))
