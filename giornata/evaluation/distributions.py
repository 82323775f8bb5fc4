"""Distributions of the final features over the training rows."""

from collections.abc import Sequence

import numpy as np

from giornata.dataset import Matrix
from giornata.records.model_version import Distribution

__all__ = ["BINS", "QUANTILES", "distributions"]

BINS = 20
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


def distributions(features: Sequence[str], matrix: Matrix) -> dict[str, Distribution]:
    """Share of missing values, mean, quantiles and a histogram of equal bins for each column of the matrix."""
    return {name: _distribution(matrix[:, column].astype(np.float64)) for column, name in enumerate(features)}


def _distribution(values: np.ndarray) -> Distribution:
    present = values[~np.isnan(values)]
    nulls = 1 - present.size / values.size if values.size else 0.0
    if not present.size:
        return Distribution(rows=values.size, nulls=nulls, mean=None, quantiles={}, edges=[], counts=[])
    # Few distinct values, such as a flag or an hour, have a bin each.
    bins = min(BINS, np.unique(present).size)
    counts, edges = np.histogram(present, bins=bins)
    return Distribution(
        rows=values.size,
        nulls=nulls,
        mean=float(present.mean()),
        quantiles={
            f"{share:g}": float(value)
            for share, value in zip(QUANTILES, np.quantile(present, QUANTILES), strict=True)
        },
        edges=[float(edge) for edge in edges],
        counts=[int(count) for count in counts],
    )
