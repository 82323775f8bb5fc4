"""A dimension of a search space: the values that trials draw from."""

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from giornata.schema import Bound, Document, Scalar

__all__ = ["Dimension"]


class Dimension(Document):
    """One parameter of a search space: `int: [2, 8]`, `float: [0.02, 0.3]` (with `log`) or `choice: […]`."""

    integers: Annotated[list[int], Field(min_length=2, max_length=2)] | None = Field(
        default=None, alias="int"
    )
    floats: Annotated[list[Bound], Field(min_length=2, max_length=2)] | None = Field(
        default=None, alias="float"
    )
    choice: Annotated[list[Scalar], Field(min_length=1)] | None = None
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        kinds = [kind for kind in (self.integers, self.floats, self.choice) if kind is not None]
        if len(kinds) != 1:
            raise ValueError("write exactly one of int: [low, high], float: [low, high] or choice: [values]")
        if len({(type(value), value) for value in self.choice or ()}) < len(self.choice or ()):
            raise ValueError(f"the choice {self.choice} has a value twice")
        bounds = self.integers or self.floats
        if bounds and not bounds[0] < bounds[1]:
            raise ValueError(f"the range {bounds} is empty: its first number must be the smaller")
        if self.log and not (bounds and bounds[0] > 0):
            raise ValueError("log: true needs a range of numbers above zero")
        return self

    @property
    def values(self) -> list[Scalar]:
        """Its choices, or the ends of its range."""
        return [*(self.choice or self.integers or self.floats or ())]

    def holds(self, value: Scalar) -> bool:
        """Whether a value of the parameter can be drawn."""
        if self.choice is not None:
            return value in self.choice
        low, high = self.integers or self.floats or (math.inf, -math.inf)
        number = int if self.integers else (int, float)
        return isinstance(value, number) and not isinstance(value, bool) and low <= value <= high
