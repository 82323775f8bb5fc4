"""This project's functions for expressions: udfs.rush(…)."""

import polars as pl

EVENING = 1050  # 17:30, the middle of the evening rush, in minutes of the day
SLOPE = 1 / 240


def rush(minute: int) -> float:
    """How near a minute of the day is to the evening rush: 1 at 17:30, falling to 0 four hours before and after."""
    return max(0.0, 1.0 - abs(float(minute) - EVENING) * SLOPE)


def rush_columns(minute: pl.Expr) -> pl.Expr:
    """The same for whole columns."""
    nearness = 1.0 - (minute.cast(pl.Float64) - EVENING).abs() * SLOPE
    return pl.when(nearness > 0.0).then(nearness).otherwise(0.0)
