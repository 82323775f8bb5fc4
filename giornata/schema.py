"""The strict base of everything that is read from YAML and JSON, and the values that documents and model types
share."""

import math
import re
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    model_validator,
)

__all__ = ["Bound", "Bounds", "Document", "Percentage", "Scalar", "Share", "parse_share", "percentages"]


class Document(BaseModel):
    """A part of a document: unknown keys and values of another type are errors, and it is immutable."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_by_name=True, serialize_by_alias=True
    )


def parse_share(text: str) -> float:
    """The share, from 0 to 1, that a percentage such as `12.5%` stands for."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,15})?)%", text, re.ASCII)
    if not match or float(match[1]) > 100:
        raise ValueError(f"{text!r} is not a percentage from 0% to 100%, such as 5%")
    # The number that has the same digits: 0.07, where 7 / 100 might be its neighbour.
    return float(f"{match[1]}e-2")


def percentages(value: object) -> object:
    """The value, converted to a number if it is a percentage written as text."""
    return parse_share(value) if isinstance(value, str) and re.fullmatch(r"[\d.]+%", value) else value


def _read_share(value: object) -> object:
    return parse_share(value) if isinstance(value, str) and value.endswith("%") else value


def _finite(value: bool | int | float | str) -> bool | int | float | str:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected a finite number, found {value!r}")
    return value


Percentage = BeforeValidator(_read_share)
"""Lets a number also be written as a percentage: `0.2` or `20%`."""
Share = Annotated[float, Percentage, Field(ge=0, le=1)]
Scalar = Annotated[bool | int | float | str, BeforeValidator(percentages), AfterValidator(_finite)]
"""A value of a parameter; a percentage is converted to a number, `80%` to 0.8."""
Bound = Annotated[FiniteFloat, Percentage]
"""A bound of a metric."""


class Bounds(Document):
    """The values that a metric must have for a deployment, or limits of predictions: at least `min`, at most `max`."""

    min: Bound | None = None
    max: Bound | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is greater than max: no value could be between them")
        return self
