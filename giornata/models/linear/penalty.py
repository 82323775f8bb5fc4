"""The penalty on coefficients that linear and logistic models share: none, l2, l1 or elasticnet."""

from dataclasses import dataclass
from typing import Self

from giornata.models.parameters import Choice, Parameter, Parameters, Real, Whole
from giornata.models.search_space import Dimension

__all__ = ["DEFAULT_SPACE", "PARAMETERS", "Penalty"]

PARAMETERS: dict[str, Parameter] = {
    "max_iterations": Whole(1, default=1000),
    "alpha": Real(0, default=0.01),
    "l1_ratio": Real(0, 1, default=0.5),
    "tolerance": Real(0, default=1e-4),
    "penalty": Choice(("none", "l2", "l1", "elasticnet"), default="l2"),
}

DEFAULT_SPACE = {
    "penalty": Dimension(choice=["l2", "l1"]),
    "alpha": Dimension(float=[1e-4, 1], log=True),
}

_RATIOS = {"none": 0.0, "l2": 0.0, "l1": 1.0}


@dataclass(frozen=True)
class Penalty:
    """The strength of the penalty (0 is none), its share on |w| instead of w², and when the fit ends."""

    alpha: float
    l1_ratio: float
    max_iterations: int
    tolerance: float

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """The penalty for parameters with their defaults; those that the chosen penalty does not use are ignored."""
        kind = str(parameters["penalty"])
        return cls(
            alpha=0.0 if kind == "none" else float(parameters["alpha"]),
            l1_ratio=_RATIOS.get(kind, float(parameters["l1_ratio"])),
            max_iterations=int(parameters["max_iterations"]),
            tolerance=float(parameters["tolerance"]),
        )
