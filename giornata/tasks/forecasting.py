"""The task forecasting: a prediction is a forecast with the bounds of an interval."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from giornata.tasks.base import Task

if TYPE_CHECKING:
    from giornata.tasks.measures import Floats


class Forecasting(Task):
    """The next values of time series."""

    name = "forecasting"
    label = "number"
    metrics = ("mae", "rmse", "smape", "coverage")
    loss = "mae"
    answer = "the forecast"
    baseline = "seasonal naive forecasts of the same parts, the value a season before"
    baseline_parameters = {"method": "seasonal_naive"}  # noqa: RUF012 - a ClassVar of the base
    has_outputs = True
    own_key = "bounds"
    parts_search = True  # the rows of all parts together make another series than those of any part
    is_refitted = True  # it would else know nothing of the last weeks
    asked_ahead = timedelta(days=366)
    shows_leaks = False

    def outputs(self, classes: Sequence[str] = (), quantiles: Sequence[float] = ()) -> tuple[str, ...]:
        """The forecast, and the bounds of its interval."""
        return ("forecast", "low", "high")

    def measure(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> dict[str, float]:
        """mae and rmse of the forecasts; smape = mean 2 |p - a| / (|p| + |a|), 0 where both are 0; coverage is the
        share of rows from low to high. Without rows none is defined."""
        from giornata.tasks import measures

        actual, answers = measures.checked_rows(actual, answers)
        if not len(actual):
            return dict.fromkeys(self.metrics, math.nan)
        error = abs(measures.differences(answers[:, 0], actual))
        return {
            "mae": measures.mean(error),
            "rmse": measures.root_mean_square(error),
            "smape": measures.smape(actual, answers[:, 0]),
            "coverage": measures.coverage(actual, answers[:, 1], answers[:, 2]),
        }

    def losses(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> "Floats":
        """Absolute errors."""
        from giornata.tasks import measures

        actual, answers = measures.checked_rows(actual, answers)
        return abs(measures.differences(answers[:, 0], actual))
