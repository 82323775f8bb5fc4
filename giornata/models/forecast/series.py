"""Forecasts of one series by its step, a whole number such as the day: statsforecast fits, NumPy predicts.

The label is the value of the series at the row's step. Several rows of a step count as their mean, so that the root of
a partitioned model continues the typical series of its parts; steps without rows between the first and the last are
interpolated linearly. Rows without a step are left out.

All predictions are computed when the model is fitted, for each step of the series and of the horizon after it (see
`giornata.models.forecast.methods`), and looked up later:

- before the first step, as at the first; - after the horizon, as a season before, with bounds as wide as at the
horizon's end: a trend does not continue, and the bounds are too narrow the later it gets; - between two steps, as at
the earlier one; - without a step, the mean of the series.

If predictions have bounds, values beyond are set to them.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from giornata.dataset import Dataset, Matrix, Predictions, Vector
from giornata.errors import DataError
from giornata.models.base import FitError, FitRequest, FittedModel
from giornata.models.files import read_document, write_json
from giornata.models.forecast.methods import carry_on
from giornata.schema import Bounds, Document

__all__ = ["Forecast", "fit"]

_FILE = "forecast.json"
_MOST_STEPS = 100_000  # of a series: more take minutes to fit
_LARGEST = 1e100  # value, whose square is a number too
_EXACT = 2**24  # the largest step that float32 tells from the next

Bounded = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]
"""A forecast, and the bounds below and above it."""


class _File(Document):
    """The forecasts from the step `first` on, for the steps of the series and those after it, with the method used."""

    asked: Literal["auto_ets", "auto_arima", "theta", "seasonal_naive"]
    method: Literal["auto_ets", "auto_arima", "theta", "seasonal_naive", "mean"]
    season: Annotated[int, Field(ge=1, le=10_000)]
    first: Annotated[int, Field(ge=-_EXACT, le=_EXACT)]
    past: Annotated[list[Bounded], Field(min_length=1)]
    future: Annotated[list[Bounded], Field(min_length=1)]
    mean: Bounded
    least: FiniteFloat | None = None
    greatest: FiniteFloat | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.future) < self.season:
            raise ValueError(f"the future has {len(self.future)} steps, fewer than a season")
        if any(not low <= value <= high for value, low, high in [*self.past, *self.future, self.mean]):
            raise ValueError("a forecast does not lie between its bounds")
        return self


class Forecast(FittedModel):
    """A fitted series. A prediction has three numbers: the forecast, and the bounds below and above it."""

    def __init__(self, file: _File):
        self._file = file
        future = np.array(file.future, np.float64)
        repeated = future[-file.season :, :1] + (future[-1] - future[-1, 0])
        self._known = len(file.past) + len(file.future)
        table = np.concatenate([np.array(file.past, np.float64), future, repeated, [file.mean]])
        self._table = np.maximum(np.minimum(table, _or(file.greatest, np.inf)), _or(file.least, -np.inf))

    def predict(self, matrix: Matrix) -> Predictions:
        """Shape (rows, 3). Raises DataError unless the step is the only column."""
        if matrix.shape[1] != 1:
            raise DataError(f"the model takes 1 feature, the step, and rows have {matrix.shape[1]}")
        steps = np.maximum(np.floor(matrix[:, 0].astype(np.float64)) - self._file.first, 0)
        after = steps - self._known
        places = np.where(after < 0, steps, self._known + after % self._file.season)
        answers: Predictions = self._table[
            np.where(np.isnan(places), len(self._table) - 1, places).astype(np.intp)
        ]
        return answers

    def to_files(self) -> dict[str, bytes]:
        return {_FILE: write_json(self._file.model_dump(exclude_none=True))}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        return cls(read_document(_File, files, _FILE, "forecast"))

    def importance(self) -> dict[int, float]:
        return {0: 1.0} if np.ptp(self._table[:, 0]) else {}

    @property
    def method(self) -> str:
        """The method used: the requested one, or its replacement for a short or constant series."""
        return self._file.method

    def size(self) -> dict[str, int]:
        """Number of steps of the series and after it; and whether another method than the requested one was used."""
        sizes = {"steps": len(self._file.past), "forecasts": len(self._file.future)}
        return sizes if self._file.method == self._file.asked else sizes | {"fallbacks": 1}


def fit(request: FitRequest, bounds: Bounds | None) -> Forecast:
    """Fit one series. Raises FitError for features other than a single step."""
    parameters = request.parameters
    first, series = _series(request.examples)
    asked = str(parameters["method"])
    season = int(parameters["season"])
    # A season at least, which is repeated after the horizon.
    steps = max(int(parameters["horizon"]), season)
    course = carry_on(series, asked, season, steps, float(parameters["level"]), request.threads)
    tables = {"past": course.past, "future": course.future, "mean": course.mean}
    about = {"asked": asked, "method": course.method, "season": season, "first": first}
    if bounds:
        about |= {"least": bounds.min, "greatest": bounds.max}
    return Forecast(_File.model_validate(about | {name: table.tolist() for name, table in tables.items()}))


def _or(bound: float | None, otherwise: float) -> float:
    return otherwise if bound is None else bound


def _series(examples: Dataset) -> tuple[int, Vector]:
    """The first step and the value at each step from it to the last; if no row has a step, only the mean."""
    columns = examples.matrix.shape[1]
    if columns != 1 or examples.categories:
        named = f" ({', '.join(examples.names)})" if examples.names else ""
        raise FitError(
            f"a forecast model has one feature, the step, such as the number of the day; it has {columns} features"
            f"{named}{', codes among them' if examples.categories else ''}: leave out the others, or use another type"
        )
    if np.abs(examples.target).max() > _LARGEST:
        raise FitError(f"the label has a value beyond {_LARGEST:g}, which is too large to be forecast")
    steps = examples.matrix[:, 0].astype(np.float64)
    there = ~np.isnan(steps)
    if not there.any():
        return 0, examples.target.mean(keepdims=True)
    steps, values = steps[there], examples.target[there]
    broken = steps[steps != np.floor(steps)]
    if broken.size:
        raise FitError(
            f"the step of a forecast model is a whole number, such as a day: {broken[0]:g} is none"
        )
    numbers, places, count = np.unique(steps, return_inverse=True, return_counts=True)
    if max(-numbers[0], numbers[-1]) > _EXACT:
        raise FitError(
            f"steps reach from {numbers[0]:.0f} to {numbers[-1]:.0f}, and features tell whole numbers apart up to "
            f"{_EXACT:,}: count steps from a later start, or in longer steps"
        )
    reach = int(numbers[-1] - numbers[0]) + 1
    if reach > _MOST_STEPS:
        raise FitError(
            f"steps reach from {numbers[0]:.0f} to {numbers[-1]:.0f}: a series has at most {_MOST_STEPS:,} steps; "
            "use longer steps, or train on less time"
        )
    # The differences from one of them, so that the mean of equal values is that value to the last bit.
    means = values[0] + np.bincount(places, weights=values - values[0]) / count
    return int(numbers[0]), np.interp(np.arange(reach), numbers - numbers[0], means)
