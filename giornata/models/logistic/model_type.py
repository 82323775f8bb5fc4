"""The model type of logistic regression, for binary and multiclass."""

from collections.abc import Mapping

from giornata.models.base import DistributedFit, FitRequest, FittedModel, ModelType
from giornata.models.linear.model_type import bytes_of_design
from giornata.models.linear.penalty import DEFAULT_SPACE, PARAMETERS
from giornata.models.parameters import Choice, ParameterTable

__all__ = ["LogisticType"]


class LogisticType(ModelType):
    """Logistic regression; see `giornata.models.logistic.regression` for what a fit minimises."""

    name = "logistic"
    tasks = ("binary", "multiclass")
    parameters = ParameterTable({**PARAMETERS, "class_weight": Choice(("none", "balanced"), default="none")})
    default_space = DEFAULT_SPACE
    distributed = DistributedFit("jobs.training.distributed.linear:fit_logistic", "Spark ML")

    @property
    def fitted(self) -> type[FittedModel]:
        from giornata.models.logistic.regression import Logistic

        return Logistic

    def learn(self, request: FitRequest) -> FittedModel:
        from giornata.models.logistic.regression import fit

        return fit(request)

    def bytes_of_row(self, features: int, categories: Mapping[int, int]) -> int:
        """Bytes of a row of the design matrix."""
        return bytes_of_design(features, categories)
