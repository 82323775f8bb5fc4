"""Model types behind one interface, one class each: tasks, parameters, and how and where they are fitted."""

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
"""All model types by name."""


def model_type(name: str, code: CustomCode | None = None, bounds: Bounds | None = None) -> ModelType:
    """The model type with this name in documents: with `code`, the model's class if the type has one, and `bounds`, the
    limits of its predictions.

    Raises NotFoundError that lists the existing types.
    """
    if name not in MODEL_TYPES:
        raise NotFoundError(f"there is no model type {name!r}; there are: {', '.join(MODEL_TYPES)}")
    return MODEL_TYPES[name].of(code, bounds)


def types_for(task: str) -> list[str]:
    """The names of the types that have a task."""
    return [name for name, type_ in MODEL_TYPES.items() if task in type_.tasks]
