"""The parameters of model types: which values are valid, and their defaults."""

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from giornata.models.search_space import Dimension
from giornata.schema import Scalar

__all__ = ["Choice", "Parameter", "ParameterTable", "Parameters", "Real", "Whole"]

Parameters = Mapping[str, Scalar]


class Parameter(ABC):
    """One parameter. If `default` is None it has no default, or the library's own."""

    default: Scalar | None

    @abstractmethod
    def problem(self, value: Scalar) -> str:
        """The valid values in words ("at least 1") if a value is not valid; empty if it is."""


@dataclass(frozen=True)
class Whole(Parameter):
    """A whole number from `low` to `high`, both allowed; None is open."""

    low: int
    high: int | None = None
    default: int | None = None

    def problem(self, value: Scalar) -> str:
        if isinstance(value, bool) or not isinstance(value, int):
            return "a whole number"
        return _range_problem(value, self.low, self.high)


@dataclass(frozen=True)
class Real(Parameter):
    """A number from `low` to `high`, both allowed; None is open."""

    low: float
    high: float | None = None
    default: float | None = None

    def problem(self, value: Scalar) -> str:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return "a number"
        return _range_problem(value, self.low, self.high)


@dataclass(frozen=True)
class Choice(Parameter):
    """One of some words."""

    words: tuple[str, ...]
    default: str | None = None

    def problem(self, value: Scalar) -> str:
        return "" if value in self.words else f"one of {', '.join(self.words)}"


class ParameterTable(Mapping[str, Parameter]):
    """The parameters of a model type, by name."""

    def __init__(self, parameters: Mapping[str, Parameter]):
        self._parameters = dict(parameters)
        self._defaults = {name: each.default for name, each in parameters.items() if each.default is not None}

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def filled(self, parameters: Parameters) -> dict[str, Scalar]:
        """The parameters, with defaults for the missing ones."""
        return {**self._defaults, **parameters}

    def problem(self, type_: str, parameters: Parameters, space: Mapping[str, Dimension]) -> str:
        """The first mistake in parameters and dimensions of a search space; `type_` is the type's name in documents.
        Empty if there is none."""
        stated = [*parameters.items()]
        for name, dimension in space.items():
            stated += [(name, value) for value in dimension.values]
        return next(filter(None, (self._problem(type_, name, value) for name, value in stated)), "")

    def _problem(self, type_: str, name: str, value: Scalar) -> str:
        if name in self._parameters:
            expected = self._parameters[name].problem(value)
            return f"parameter {name} is {expected}, not {value!r}" if expected else ""
        near = difflib.get_close_matches(name, self._parameters, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self._parameters)}"
        return f"{type_} has no parameter {name!r}; {hint}"


def _range_problem(value: float, low: float, high: float | None) -> str:
    if low <= value and (high is None or value <= high):
        return ""
    return f"at least {low:g}" + (f" and at most {high:g}" if high is not None else "")
