"""Model types behind one small interface, and the tree of parts that any of them may be divided into."""

from giornata.dataset import Dataset
from giornata.documents.custom_code import CustomCode
from giornata.documents.model import Bounds
from giornata.errors import NotFoundError
from giornata.models.base import FittedModel, ModelType
from giornata.models.custom.model_type import CustomType
from giornata.models.deep_net.model_type import DeepNetType
from giornata.models.forecast.model_type import ForecastType
from giornata.models.k_means import KMeansType
from giornata.models.linear.logistic import LogisticType
from giornata.models.linear.regression import LinearType
from giornata.models.trees.decision_trees import DecisionTreeType, RandomForestType
from giornata.models.trees.xgboost import BoostedTreesType

__all__ = ["Dataset", "FittedModel", "ModelType", "model_type"]

_TYPES: dict[str, ModelType] = {
    "xgboost": BoostedTreesType(),
    "linear": LinearType(),
    "logistic": LogisticType(),
    "decision_tree": DecisionTreeType(),
    "random_forest": RandomForestType(),
    "deep_net": DeepNetType(),
    "k_means": KMeansType(),
    "forecast": ForecastType(),
    "custom": CustomType(),
}


def model_type(name: str, code: CustomCode | None = None, bounds: Bounds | None = None) -> ModelType:
    """The model type that documents call `name`; `code` is the model's class, where the type is custom, and `bounds`
    what the answers are kept within, where it is forecast.

    Raises NotFoundError listing the types there are.
    """
    if name not in _TYPES:
        raise NotFoundError(f"there is no model type {name!r}; there are: {', '.join(_TYPES)}")
    if name == "custom":
        return CustomType(code)
    return ForecastType(bounds) if name == "forecast" else _TYPES[name]
