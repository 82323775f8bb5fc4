"""The model type of single decision trees."""

from collections.abc import Mapping
from typing import ClassVar

from giornata.models.base import FitRequest, FittedModel, ModelType
from giornata.models.parameters import ParameterTable, Real, Whole
from giornata.models.search_space import Dimension

__all__ = ["DecisionTreeType"]


class DecisionTreeType(ModelType):
    """One tree; parameters have the names of scikit-learn."""

    name = "decision_tree"
    tasks = ("regression", "binary", "multiclass")
    parameters = ParameterTable(
        {
            "max_depth": Whole(1, default=8),
            "max_leaf_nodes": Whole(2),
            "min_samples_leaf": Whole(1, default=20),
            "min_samples_split": Whole(2),
            "max_features": Real(0.001, 1),
            "min_impurity_decrease": Real(0),
            "ccp_alpha": Real(0),
        }
    )
    default_space: ClassVar[Mapping[str, Dimension]] = {
        "max_depth": Dimension(int=[2, 12]),
        "min_samples_leaf": Dimension(int=[5, 200], log=True),
    }

    @property
    def fitted(self) -> type[FittedModel]:
        from giornata.models.trees.decision_trees import DecisionTrees

        return DecisionTrees

    def learn(self, request: FitRequest) -> FittedModel:
        from giornata.models.trees.decision_trees import fit_tree

        return fit_tree(request)
