"""The model type of clusters by k-means."""

from collections.abc import Mapping
from typing import ClassVar

from giornata.models.base import DistributedFit, FitRequest, FittedModel, ModelType
from giornata.models.linear.model_type import bytes_of_design
from giornata.models.parameters import ParameterTable, Real, Whole
from giornata.models.search_space import Dimension

__all__ = ["KMeansType"]


class KMeansType(ModelType):
    """Clusters by k-means. If there are fewer distinct rows than clusters, each has a centre."""

    name = "k_means"
    tasks = ("clustering",)
    parameters = ParameterTable(
        {
            "clusters": Whole(1, default=8),
            "starts": Whole(1, default=10),
            "max_iterations": Whole(1, default=300),
            "tolerance": Real(0, default=1e-4),
        }
    )
    default_space: ClassVar[Mapping[str, Dimension]] = {"clusters": Dimension(int=[2, 12])}
    distributed = DistributedFit("jobs.training.distributed.k_means:fit", "Spark ML")

    @property
    def fitted(self) -> type[FittedModel]:
        from giornata.models.k_means.clusters import KMeans

        return KMeans

    def learn(self, request: FitRequest) -> FittedModel:
        from giornata.models.k_means.clusters import fit

        return fit(request)

    def bytes_of_row(self, features: int, categories: Mapping[int, int]) -> int:
        """Bytes of a row of the design matrix, from which the points are made."""
        return bytes_of_design(features, categories)
