"""The model type of forecasts: one series by its step, a whole number such as the day."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from giornata.models.base import FitRequest, FittedModel, ModelType
from giornata.models.custom.code import CustomCode
from giornata.models.parameters import Choice, ParameterTable, Real, Whole
from giornata.models.search_space import Dimension
from giornata.schema import Bounds

__all__ = ["METHODS", "ForecastType"]

METHODS = ("auto_ets", "auto_arima", "theta", "seasonal_naive")


@dataclass(frozen=True)
class ForecastType(ModelType):
    """Forecasts by statsforecast, kept within `bounds`; see `giornata.models.forecast.series`."""

    bounds: Bounds | None = None

    name = "forecast"
    tasks = ("forecasting",)
    parameters = ParameterTable(
        {
            "season": Whole(1, 10_000, default=7),
            "horizon": Whole(1, 10_000, default=30),
            "level": Real(0.001, 0.999, default=0.9),
            "method": Choice(METHODS, default="auto_ets"),
        }
    )
    # Without auto_arima, which takes a hundred times as long.
    default_space: ClassVar[Mapping[str, Dimension]] = {
        "method": Dimension(choice=["auto_ets", "theta", "seasonal_naive"]),
        "season": Dimension(choice=[1, 7]),
    }

    @property
    def fitted(self) -> type[FittedModel]:
        from giornata.models.forecast.series import Forecast

        return Forecast

    def learn(self, request: FitRequest) -> FittedModel:
        from giornata.models.forecast.series import fit

        return fit(request, self.bounds)

    def of(self, code: CustomCode | None = None, bounds: Bounds | None = None) -> "ForecastType":
        """The type with these bounds."""
        return ForecastType(bounds)
