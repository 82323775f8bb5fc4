"""Forecasting methods of statsforecast, and simpler ones for series that are too short.

A method is fitted to values at equal steps, oldest first. It gives three numbers a step, a forecast and the bounds
below and above it: for the steps of the series its one-step-ahead forecasts, with bounds from the standard deviation of
its errors (taken as normal); for the steps after it its own forecast and bounds.

A series shorter than two seasons and six steps is continued by seasonal_naive; one no longer than a season, or with a
single value, by its mean.
"""

import warnings
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from giornata.dataset import Predictions, Vector

__all__ = ["MEAN", "Course", "carry_on"]

MEAN = "mean"
_NAIVE = "seasonal_naive"
_MORE = 6  # steps beside two seasons: fewer than that leave AutoETS no model to choose


@dataclass(frozen=True)
class Course:
    """The fitted values of a series and its forecast, of shape (steps, 3), with the method used; `mean` has shape
    (3,)."""

    method: str
    past: Predictions
    future: Predictions
    mean: Vector


def carry_on(
    series: Vector, method: str, season: int, steps: int, level: float = 0.9, threads: int = 1
) -> Course:
    """The series of one value or more, continued by `steps`; the share `level` of the values lies between the bounds.

    By `method`, or by a simpler one if the series is too short for it or it cannot be fitted.
    """
    width = NormalDist().inv_cdf(0.5 + level / 2)
    # The mean of equal numbers may differ from them in its last bit.
    centre = np.clip(series.mean(), series.min(), series.max())
    mean = _around(np.array([centre]), width * _spread(series - centre))
    for tried in dict.fromkeys((method, _NAIVE)):
        if len(series) < _fewest(tried, season) or not np.ptp(series):
            continue
        found = _forecast(series, tried, season, steps, level, threads)
        if found is None:
            continue
        fitted, future = found
        # No season was known before the first: it is taken to have been like it.
        past = _around(np.where(np.isnan(fitted), series, fitted), width * _spread(series - fitted))
        if np.isfinite(past).all() and np.isfinite(future).all():
            return Course(tried, past, future, mean[0])
    return Course(MEAN, mean.repeat(len(series), axis=0), mean.repeat(steps, axis=0), mean[0])


def _fewest(method: str, season: int) -> int:
    return season + 1 if method == _NAIVE else 2 * season + _MORE


def _forecast(
    series: Vector, method: str, season: int, steps: int, level: float, threads: int
) -> tuple[Vector, Predictions] | None:
    """The fitted values of the series, NaN where there are none, and the steps after it; None if the fit failed."""
    from statsforecast.models import AutoARIMA, AutoETS, SeasonalNaive, Theta
    from threadpoolctl import threadpool_limits

    kinds = {"auto_ets": AutoETS, "auto_arima": AutoARIMA, "theta": Theta, _NAIVE: SeasonalNaive}
    percent = 100 * level
    with threadpool_limits(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = kinds[method](season_length=season).forecast(
                y=series, h=steps, level=[percent], fitted=True
            )
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  # what statsforecast raises where no model fits is no more than that
            return None
    forecast = found["mean"]
    low, high = found[f"lo-{percent}"], found[f"hi-{percent}"]
    # The bounds of theta are drawn at random, and may miss the forecast where errors are small.
    future = np.stack(
        [forecast, np.minimum.reduce([forecast, low, high]), np.maximum.reduce([forecast, low, high])], axis=1
    )
    return found["fitted"], future


def _around(values: Vector, distance: float) -> Predictions:
    return np.stack([values, values - distance, values + distance], axis=1)


def _spread(errors: Vector) -> float:
    """Root of the mean square of the errors that are not NaN."""
    return float(np.sqrt(np.nanmean(np.square(errors))))
