"""The inputs of a deep net: standardised numbers, indicators of missing ones, and codes with an embedding.

Every number is computed by itself, so that a row's inputs do not depend on other rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from giornata.dataset import Dataset, Matrix

__all__ = ["LIMIT", "NetInputs"]

LIMIT = 10.0
"""Standard deviations from the mean at which numbers are clipped: so no prediction is ever infinite."""


@dataclass(frozen=True, eq=False)
class NetInputs:
    """The columns of the matrix that are read, and how.

    `amounts` are columns with their `means` and `factors` (1 / standard deviation), `gaps` the columns with an
    indicator of missing values, `codes` maps a column of codes to the number of codes. Columns that are constant on the
    training rows, or empty there, are not read.
    """

    amounts: NDArray[np.int64]
    means: NDArray[np.float64]
    factors: NDArray[np.float64]
    gaps: NDArray[np.int64]
    codes: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def learned(cls, examples: Dataset) -> "NetInputs":
        """The inputs for these training rows."""
        amounts, means, deviations, gaps, codes = [], [], [], [], {}
        for column, values in enumerate(examples.matrix.T):
            known = values[~np.isnan(values)].astype(np.float64)
            has_gaps = 0 < len(known) < len(values)
            varies = len(known) > 0 and known.min() < known.max()
            if column in examples.categories:
                if varies or has_gaps:
                    codes[column] = examples.categories[column]
                continue
            if varies:
                amounts.append(column)
                means.append(known.mean())
                deviations.append(known.std())
            if has_gaps:
                gaps.append(column)
        return cls(
            np.array(amounts, np.int64),
            np.array(means, np.float64),
            1 / np.array(deviations, np.float64),
            np.array(gaps, np.int64),
            codes,
        )

    @classmethod
    def none(cls) -> "NetInputs":
        """The inputs of a constant net: no column."""
        return cls(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, np.int64))

    @property
    def columns(self) -> list[int]:
        """The columns that are read."""
        return sorted({*self.amounts.tolist(), *self.gaps.tolist(), *self.codes})

    @property
    def dense(self) -> int:
        """Number of inputs that are not codes."""
        return len(self.amounts) + len(self.gaps)

    def numbers(self, matrix: Matrix) -> NDArray[np.float32]:
        """Shape (rows, dense): numbers in standard deviations from their mean, missing ones 0, then 1 for each gap."""
        found = np.empty((len(matrix), self.dense), np.float32)
        amounts = (matrix[:, self.amounts].astype(np.float64) - self.means) * self.factors
        np.clip(amounts, -LIMIT, LIMIT, out=amounts)
        found[:, : len(self.amounts)] = np.where(np.isnan(amounts), 0.0, amounts)
        found[:, len(self.amounts) :] = np.isnan(matrix[:, self.gaps])
        return found

    def rows_of_codes(self, matrix: Matrix) -> NDArray[np.int64]:
        """Shape (rows, codes): the embedding row of each code; unknown codes have the row after the last."""
        found = np.empty((len(matrix), len(self.codes)), np.int64)
        for place, (column, count) in enumerate(self.codes.items()):
            values = matrix[:, column]
            valid = (values >= 0) & (values < count) & (values == np.floor(values))
            found[:, place] = np.where(valid, values, np.float32(count)).astype(np.int64)
        return found
