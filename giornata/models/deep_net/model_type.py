"""The model type of deep nets (multi-layer perceptrons) for regression, binary and multiclass; PyTorch fits them."""

from collections.abc import Mapping
from typing import ClassVar

from giornata.models.base import DistributedFit, FitError, FitRequest, FittedModel, ModelType
from giornata.models.parameters import ParameterTable, Real, Whole
from giornata.models.search_space import Dimension

__all__ = ["DeepNetType"]


class DeepNetType(ModelType):
    """Multi-layer perceptrons trained by AdamW on standardised values; see `giornata.models.deep_net.training`.

    A column of n codes has an embedding of size √n, rounded up, at most 32, unless `embedding_size` sets another for
    all.
    """

    name = "deep_net"
    tasks = ("regression", "binary", "multiclass")
    parameters = ParameterTable(
        {
            "hidden_layers": Whole(0, 16, default=2),
            "hidden_units": Whole(1, 4096, default=64),
            "embedding_size": Whole(1, 256),
            "batch_size": Whole(1, default=256),
            "epochs": Whole(1, default=20),
            "early_stopping_rounds": Whole(1),
            "dropout": Real(0, 0.9, default=0.0),
            "learning_rate": Real(1e-7, 1, default=0.001),
            "weight_decay": Real(0, 10, default=0.01),
        }
    )
    default_space: ClassVar[Mapping[str, Dimension]] = {
        "hidden_layers": Dimension(int=[1, 3]),
        "hidden_units": Dimension(int=[16, 128], log=True),
        "dropout": Dimension(float=[0, 0.4]),
        "learning_rate": Dimension(float=[0.0003, 0.01], log=True),
        "weight_decay": Dimension(float=[0.0001, 0.1], log=True),
    }
    rounds_parameter = "epochs"
    learns_on_gpus = True
    distributed = DistributedFit("jobs.training.distributed.deep_net:fit", "PyTorch")

    @property
    def fitted(self) -> type[FittedModel]:
        from giornata.models.deep_net.network import DeepNet

        return DeepNet

    def learn(self, request: FitRequest) -> FittedModel:
        try:
            from giornata.models.deep_net.initialization import NetParameters
            from giornata.models.deep_net.training import train
        except ImportError as error:
            raise FitError(
                f"a deep_net is trained by PyTorch, which is not installed here: {error}"
            ) from error
        return train(
            request.examples,
            request.task,
            NetParameters.of(request.parameters),
            request.seed,
            request.threads,
            request.validation,
            request.watch,
        )
