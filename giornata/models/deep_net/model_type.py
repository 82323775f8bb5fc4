"""The model type of deep nets (multi-layer perceptrons), for regression and classes, two or more: PyTorch fits them."""

from collections.abc import Mapping

from giornata.dataset import Dataset
from giornata.documents.model import TYPES, Dimension, Scalar
from giornata.models.base import Callback, FitError, Parameters
from giornata.models.deep_net.network import DeepNet
from giornata.models.label_checks import check_labels, check_task
from giornata.models.parameters import ParameterTable

__all__ = ["DeepNetType"]

_PARAMETERS = ParameterTable(
    "deep_net",
    whole={
        "hidden_layers": (0, 16),
        "hidden_units": (1, 4096),
        "embedding_size": (1, 256),
        "batch_size": (1, None),
        "epochs": (1, None),
        "early_stopping_rounds": (1, None),
    },
    real={"dropout": (0, 0.9), "learning_rate": (1e-7, 1), "weight_decay": (0, 10)},
)


class DeepNetType:
    """Multi-layer perceptrons trained by AdamW on standardised values; see `giornata.models.deep_net.training`.

    A column of n codes has an embedding of size √n, rounded up, of at most 32, unless `embedding_size` says another
    for all of them.
    """

    tasks = TYPES["deep_net"]
    fitted = DeepNet

    def check(self, parameters: Parameters, space: Mapping[str, Dimension]) -> None:
        _PARAMETERS.check(parameters, space)

    def default_space(self) -> dict[str, Dimension]:
        return {
            "hidden_layers": Dimension(int=[1, 3]),
            "hidden_units": Dimension(int=[16, 128], log=True),
            "dropout": Dimension(float=[0, 0.4]),
            "learning_rate": Dimension(float=[0.0003, 0.01], log=True),
            "weight_decay": Dimension(float=[0.0001, 0.1], log=True),
        }

    def with_rounds(self, parameters: Parameters, rounds: int) -> dict[str, Scalar]:
        return {k: v for k, v in parameters.items() if k != "early_stopping_rounds"} | {"epochs": rounds}

    def fit(
        self,
        examples: Dataset,
        task: str,
        parameters: Parameters,
        seed: int,
        threads: int = 1,
        validation: Dataset | None = None,
        watch: Callback | None = None,
    ) -> DeepNet:
        check_task("deep_net", task)
        self.check(parameters, {})
        check_labels(examples, task)
        try:
            from giornata.models.deep_net.initialization import Plan
            from giornata.models.deep_net.training import train
        except ImportError as error:
            raise FitError(
                f"a deep_net is trained by PyTorch, which is not installed here: {error}"
            ) from error
        return train(examples, task, Plan.of(parameters), seed, threads, validation, watch)
