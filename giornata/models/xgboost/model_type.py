"""The model type of gradient-boosted trees by XGBoost for regression, quantiles, binary and multiclass."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from giornata.models.base import DistributedFit, FitRequest, FittedModel, ModelType
from giornata.models.parameters import Choice, ParameterTable, Real, Whole
from giornata.models.search_space import Dimension

__all__ = ["OBJECTIVES", "BoostedTreesType", "Objective"]


class Objective(NamedTuple):
    """An objective of XGBoost, and the metric by which a fit stops early."""

    name: str
    stop_metric: str


OBJECTIVES = {
    "regression": Objective("reg:squarederror", "rmse"),
    "binary": Objective("binary:logistic", "logloss"),
    "multiclass": Objective("multi:softprob", "mlogloss"),
    "quantile": Objective("reg:quantileerror", "quantile"),
}
"""Objectives by task."""


class BoostedTreesType(ModelType):
    """XGBoost's histogram method; parameters have the names of its scikit-learn interface."""

    name = "xgboost"
    tasks = tuple(OBJECTIVES)
    # XGBoost itself only warns of a misspelt parameter.
    parameters = ParameterTable(
        {
            "n_estimators": Whole(1, default=100),
            "max_depth": Whole(0),
            "max_leaves": Whole(0),
            "max_bin": Whole(2),
            "num_parallel_tree": Whole(1),
            "early_stopping_rounds": Whole(1),
            "learning_rate": Real(0, 1),
            "min_child_weight": Real(0),
            "min_split_loss": Real(0),
            "max_delta_step": Real(0),
            "subsample": Real(0, 1),
            "colsample_bytree": Real(0, 1),
            "colsample_bylevel": Real(0, 1),
            "colsample_bynode": Real(0, 1),
            "reg_alpha": Real(0),
            "reg_lambda": Real(0),
            "scale_pos_weight": Real(0),
            "grow_policy": Choice(("depthwise", "lossguide")),
        }
    )
    default_space: ClassVar[Mapping[str, Dimension]] = {
        "max_depth": Dimension(int=[2, 8]),
        "learning_rate": Dimension(float=[0.02, 0.3], log=True),
        "min_child_weight": Dimension(float=[1, 50], log=True),
        "subsample": Dimension(float=[0.5, 1]),
        "colsample_bytree": Dimension(float=[0.5, 1]),
        "reg_lambda": Dimension(float=[0.1, 10], log=True),
    }
    rounds_parameter = "n_estimators"
    distributed = DistributedFit("jobs.training.distributed.boosted_trees:fit", "XGBoost")

    @property
    def fitted(self) -> type[FittedModel]:
        from giornata.models.xgboost.boosted_trees import BoostedTrees

        return BoostedTrees

    def learn(self, request: FitRequest) -> FittedModel:
        from giornata.models.xgboost.boosted_trees import fit

        return fit(request)
