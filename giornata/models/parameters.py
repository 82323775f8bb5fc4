"""The parameters that a model type takes, with the values each may have."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from giornata.documents.model import Dimension, Scalar
from giornata.models.base import ParameterError, Parameters

__all__ = ["ParameterTable"]

Range = tuple[float, float | None]
"""Lowest and highest value, both allowed; None is open."""


@dataclass(frozen=True)
class ParameterTable:
    """Every parameter of a model type: whole numbers and real numbers by range, words by choice, and truth values."""

    type: str
    whole: Mapping[str, Range] = field(default_factory=dict)
    real: Mapping[str, Range] = field(default_factory=dict)
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()

    @property
    def names(self) -> list[str]:
        """All parameters there are."""
        return [*self.whole, *self.real, *self.choices, *sorted(self.flags)]

    def check(self, parameters: Parameters, space: Mapping[str, Dimension]) -> None:
        """Raise ParameterError when a parameter, or a dimension of a search space, is not in the table."""
        for name, value in parameters.items():
            self._check_value(name, value)
        for name, dimension in space.items():
            for value in dimension.choice or dimension.integers or dimension.floats or ():
                self._check_value(name, value)

    def _check_value(self, name: str, value: Scalar) -> None:
        if name in self.choices:
            if value not in self.choices[name]:
                raise ParameterError(
                    f"parameter {name} is one of {', '.join(self.choices[name])}, not {value!r}"
                )
        elif name in self.flags:
            if not isinstance(value, bool):
                raise ParameterError(f"parameter {name} is true or false, not {value!r}")
        elif name in self.whole:
            if isinstance(value, bool) or not isinstance(value, int):
                raise ParameterError(f"parameter {name} is a whole number, not {value!r}")
            _check_range(name, value, self.whole[name])
        elif name in self.real:
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ParameterError(f"parameter {name} is a number, not {value!r}")
            _check_range(name, value, self.real[name])
        else:
            near = difflib.get_close_matches(name, self.names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.names)}"
            raise ParameterError(f"{self.type} has no parameter {name!r}; {hint}")


def _check_range(name: str, value: float, bounds: Range) -> None:
    low, high = bounds
    if not (low <= value and (high is None or value <= high)):
        limits = f"at least {low:g}" + (f" and at most {high:g}" if high is not None else "")
        raise ParameterError(f"parameter {name} is {limits}, not {value!r}")
