"""The design matrix of linear models, made from a matrix of features, and the way back to its columns.

A column of numbers is centred at the mean of its values and divided by its standard deviation; missing values become
the mean, and a column of 0 and 1 marks them. A column of codes becomes one column of 0 and 1 for each code. Columns
that are constant over the rows are left out.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from giornata.dataset import Dataset, Vector
from giornata.models.base import FitError
from giornata.models.linear.predictor import Amount, Codes, Column, LinearScore

__all__ = ["Design", "Made"]


@dataclass(frozen=True)
class Made:
    """A column of the design matrix: the feature it comes from, its meaning, its scaling, its standard deviation."""

    feature: int
    code: int | None = None
    missing: bool = False
    mean: float = 0.0
    scale: float = 1.0
    spread: float = 1.0

    def of(self, column: NDArray[np.float32]) -> Vector:
        """Its values, from the feature's."""
        if self.code is not None:
            has_code: NDArray[np.bool_] = column == self.code
            return has_code.astype(np.float64)
        if self.missing:
            return np.isnan(column).astype(np.float64)
        return np.where(np.isnan(column), 0.0, column.astype(np.float64) - self.mean) / self.scale


@dataclass(frozen=True)
class Design:
    """The columns of the design matrix side by side, one row per example, with the meaning of each."""

    values: NDArray[np.float64]
    made: tuple[Made, ...]
    codes: tuple[int | None, ...]

    @classmethod
    def of(cls, examples: Dataset) -> Self:
        """The design matrix of training rows. Raises FitError without rows and if memory does not suffice."""
        rows, features = examples.matrix.shape
        if not rows:
            raise FitError("there are no rows to learn from")
        codes = tuple(examples.categories.get(feature) for feature in range(features))
        made = [
            what
            for feature, count in enumerate(codes)
            for what in _made_of(feature, examples.matrix[:, feature], count)
        ]
        try:
            values = np.empty((rows, len(made)), np.float64, order="F")
        except MemoryError as error:
            raise FitError(
                f"{rows} rows of {len(made)} columns, one for each amount and code, do not fit into memory: "
                "use fewer codes or fewer rows"
            ) from error
        for at, what in enumerate(made):
            values[:, at] = what.of(examples.matrix[:, what.feature])
        return cls(values, tuple(made), codes)

    def score(self, intercept: float, coefficients: Vector) -> LinearScore:
        """The score that is intercept + values @ coefficients in every row of the design matrix.

        Raises FitError if a number is not finite.
        """
        (score,) = self.scores(np.array([intercept]), coefficients[None])
        return score

    def scores(self, intercepts: Vector, coefficients: NDArray[np.float64]) -> list[LinearScore]:
        """The score for each intercept and row of coefficients; importance is shared over all scores.

        Raises FitError if a number is not finite.
        """
        if not (np.isfinite(intercepts).all() and np.isfinite(coefficients).all()):
            raise FitError("the fit gave no finite coefficients: the label's values may be too large")
        standardised = np.abs(coefficients) * [what.spread for what in self.made]
        total = float(standardised.sum())
        shares = standardised / total if 0 < total < np.inf else np.zeros_like(standardised)
        return [
            LinearScore(
                float(intercept), [self._column(feature, own, share) for feature in range(len(self.codes))]
            )
            for intercept, own, share in zip(intercepts, coefficients, shares, strict=True)
        ]

    def _column(self, feature: int, coefficients: Vector, shares: Vector) -> Column:
        own = [
            (what, float(coefficient), float(share))
            for what, coefficient, share in zip(self.made, coefficients, shares, strict=True)
            if what.feature == feature
        ]
        share = min(sum(share for _, _, share in own), 1.0)
        count = self.codes[feature]
        if count is not None:
            weights = [0.0] * count
            for what, coefficient, _ in own:
                if what.code is not None:
                    weights[what.code] = coefficient
            return Codes(weights=weights, share=share)
        mean = weight = missing = 0.0
        for what, coefficient, _ in own:
            if what.missing:
                missing = coefficient
            else:
                mean, weight = what.mean, coefficient / what.scale
        return Amount(mean=mean, weight=weight, missing=missing, share=share)


def _made_of(feature: int, column: NDArray[np.float32], count: int | None) -> Iterator[Made]:
    """The columns made from a feature: of codes if there is a `count` of them, else of numbers."""
    if count is not None:
        codes, rows = np.unique(column[np.isin(column, np.arange(count))], return_counts=True)
        for code, share in zip(codes.tolist(), (rows / len(column)).tolist(), strict=True):
            if share < 1:
                yield Made(feature, code=int(code), spread=_indicator_spread(share))
        return
    present = column[~np.isnan(column)].astype(np.float64)
    if not present.size:
        return
    if present.min() < present.max():
        mean = float(present.mean())
        scale = math.sqrt(np.square(present - mean).sum() / len(column))
        yield Made(feature, mean=mean, scale=scale)
    if present.size < column.size:
        yield Made(feature, missing=True, spread=_indicator_spread(present.size / column.size))


def _indicator_spread(share: float) -> float:
    """The standard deviation of a column of 0 and 1 in which this share of the rows has 1."""
    return math.sqrt(share * (1 - share))
