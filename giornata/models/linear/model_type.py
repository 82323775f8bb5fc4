"""The model type of linear regression with a ridge, lasso or elastic-net penalty."""

from collections.abc import Mapping

from giornata.models.base import DistributedFit, FitRequest, FittedModel, ModelType
from giornata.models.linear.penalty import DEFAULT_SPACE, PARAMETERS
from giornata.models.parameters import ParameterTable

__all__ = ["LinearType", "bytes_of_design"]


class LinearType(ModelType):
    """Linear regression; see `giornata.models.linear.regression` for what a fit minimises."""

    name = "linear"
    tasks = ("regression",)
    parameters = ParameterTable(PARAMETERS)
    default_space = DEFAULT_SPACE
    distributed = DistributedFit("jobs.training.distributed.linear:fit_linear", "Spark ML")

    @property
    def fitted(self) -> type[FittedModel]:
        from giornata.models.linear.regression import Linear

        return Linear

    def learn(self, request: FitRequest) -> FittedModel:
        from giornata.models.linear.regression import fit

        return fit(request)

    def bytes_of_row(self, features: int, categories: Mapping[int, int]) -> int:
        """Bytes of a row of the design matrix."""
        return bytes_of_design(features, categories)


def bytes_of_design(features: int, categories: Mapping[int, int]) -> int:
    """Bytes of a row of the design matrix: eight for each number and each code."""
    return 8 * (features - len(categories) + sum(categories.values()))
