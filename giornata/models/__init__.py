"""Model types behind one interface, a class each: tasks, parameters, how they are fitted and where."""

from giornata.errors import NotFoundError
from giornata.models.base import FittedModel, ModelType
from giornata.models.custom.code import CustomCode
from giornata.models.custom.model_type import CustomType
from giornata.models.decision_tree.model_type import DecisionTreeType
from giornata.models.deep_net.model_type import DeepNetType
from giornata.models.forecast.model_type import ForecastType
from giornata.models.k_means.model_type import KMeansType
from giornata.models.linear.model_type import LinearType
from giornata.models.logistic.model_type import LogisticType
from giornata.models.random_forest.model_type import RandomForestType
from giornata.models.xgboost.model_type import BoostedTreesType
from giornata.schema import Bounds

__all__ = ["MODEL_TYPES", "FittedModel", "ModelType", "model_type", "types_for"]

MODEL_TYPES: dict[str, ModelType] = {
    type_.name: type_
    for type_ in (
        BoostedTreesType(),
        LinearType(),
        LogisticType(),
        DecisionTreeType(),
        RandomForestType(),
        DeepNetType(),
        KMeansType(),
        ForecastType(),
        CustomType(),
    )
}
"""The model types there are, by name."""


def model_type(name: str, code: CustomCode | None = None, bounds: Bounds | None = None) -> ModelType:
    """The model type that documents call `name`, as one of them has it: `code` is the model's class, where the type
    has one, and `bounds` what the answers are kept within.

    Raises NotFoundError listing the types there are.
    """
    if name not in MODEL_TYPES:
        raise NotFoundError(f"there is no model type {name!r}; there are: {', '.join(MODEL_TYPES)}")
    return MODEL_TYPES[name].of(code, bounds)


def types_for(task: str) -> list[str]:
    """The names of the types that can be given a task."""
    return [name for name, type_ in MODEL_TYPES.items() if task in type_.tasks]
