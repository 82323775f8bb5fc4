"""The model type of random forests."""

from collections.abc import Mapping
from typing import ClassVar

from giornata.models.base import FitRequest, FittedModel, ModelType
from giornata.models.parameters import ParameterTable, Real, Whole
from giornata.models.search_space import Dimension

__all__ = ["RandomForestType"]


class RandomForestType(ModelType):
    """Trees fitted to bootstrap samples of the rows; parameters have the names of scikit-learn.

    The rounds are the trees. The callback is called after each of them; a fit with a callback grows `threads` trees at
    a time.
    """

    name = "random_forest"
    tasks = ("regression", "binary", "multiclass")
    parameters = ParameterTable(
        {
            "n_estimators": Whole(1, default=100),
            "max_depth": Whole(1, default=12),
            "max_leaf_nodes": Whole(2),
            "min_samples_leaf": Whole(1, default=5),
            "min_samples_split": Whole(2),
            "max_features": Real(0.001, 1, default=1 / 3),
            "min_impurity_decrease": Real(0),
            "ccp_alpha": Real(0),
            "max_samples": Real(0.001, 1),
        }
    )
    default_space: ClassVar[Mapping[str, Dimension]] = {
        "max_depth": Dimension(int=[4, 14]),
        "min_samples_leaf": Dimension(int=[2, 50], log=True),
        "max_features": Dimension(float=[0.1, 1]),
    }
    rounds_parameter = "n_estimators"

    @property
    def fitted(self) -> type[FittedModel]:
        from giornata.models.trees.decision_trees import DecisionTrees

        return DecisionTrees

    def learn(self, request: FitRequest) -> FittedModel:
        from giornata.models.trees.decision_trees import fit_forest

        return fit_forest(request)
