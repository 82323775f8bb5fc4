"""The penalty on coefficients that linear and logistic models share: none, l2, l1 or elasticnet."""

from dataclasses import dataclass
from typing import Self

from giornata.documents.model import Dimension
from giornata.models.base import Parameters

__all__ = ["DEFAULT_SPACE", "PENALTIES", "Penalty"]

PENALTIES = ("none", "l2", "l1", "elasticnet")

DEFAULT_SPACE = {
    "penalty": Dimension(choice=["l2", "l1"]),
    "alpha": Dimension(float=[1e-4, 1], log=True),
}

_RATIOS = {"none": 0.0, "l2": 0.0, "l1": 1.0}


@dataclass(frozen=True)
class Penalty:
    """How strong the penalty is (0 is none), how much of it is on |w|, not w², and when the fit ends."""

    alpha: float
    l1_ratio: float
    max_iterations: int
    tolerance: float

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """The penalty that checked parameters ask for; those that the chosen penalty has no use for are ignored."""
        kind = str(parameters.get("penalty", "l2"))
        return cls(
            alpha=0.0 if kind == "none" else float(parameters.get("alpha", 0.01)),
            l1_ratio=_RATIOS.get(kind, float(parameters.get("l1_ratio", 0.5))),
            max_iterations=int(parameters.get("max_iterations", 1000)),
            tolerance=float(parameters.get("tolerance", 1e-4)),
        )
