"""The first and the last step of fitting a deep net, alone or by several processes: initial weights, and checks at the
end. Uses only NumPy."""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from giornata.dataset import Dataset, Matrix, Vector
from giornata.models.base import FitError, Parameters
from giornata.models.classes import class_shares, places_of
from giornata.models.deep_net.inputs import LIMIT, NetInputs
from giornata.models.deep_net.model_type import DeepNetType
from giornata.models.deep_net.network import DeepNet, Layer

__all__ = ["NetParameters", "diverged", "finished", "first_net"]

_MAX_EMBEDDING = 32
_EMBEDDING_SPREAD = 0.05  # small: a code of few rows answers much as the average of codes does
_IMPORTANCE_ROWS = 1000
_LARGEST = 1e30  # what a layer may say at most, far from where float32 ends


@dataclass(frozen=True)
class NetParameters:
    """The parameters of a fit."""

    hidden_layers: int
    hidden_units: int
    dropout: float
    batch_size: int
    learning_rate: float
    weight_decay: float
    epochs: int
    embedding_size: int | None = None
    early_stopping_rounds: int | None = None

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        """The plan for checked parameters, with defaults for the others."""
        return cls(**DeepNetType.parameters.filled(parameters))  # type: ignore[arg-type]  # each has the type that its check asks for

    def size_of(self, codes: int) -> int:
        """Size of the embedding of a column with so many codes."""
        return self.embedding_size or min(_MAX_EMBEDDING, math.ceil(math.sqrt(codes)))


def first_net(examples: Dataset, task: str, plan: NetParameters, seed: int) -> DeepNet:
    """The initial net: inputs and outputs scaled by these rows, random weights.

    If all rows have one value or class, or no column has two values, it has no layers and is the final model. Raises
    FitError without rows.
    """
    mean, scale = _target_scale(examples, task)
    inputs = NetInputs.learned(examples)
    if not inputs.columns or not scale:
        return DeepNet(task, NetInputs.none(), (), (), mean, scale or 1.0, 1)
    embeddings, layers = _drawn(inputs, np.size(mean), plan, np.random.default_rng([seed, 1]))
    return DeepNet(task, inputs, embeddings, layers, mean, scale, 1)


def finished(net: DeepNet, plan: NetParameters, matrix: Matrix, seed: int) -> DeepNet:
    """The net with its importance, measured on training rows.

    Raises FitError unless every possible row gets a finite prediction.
    """
    _check_bounded(net, plan)
    return replace(net, shares=_shares(net, matrix, seed))


def diverged(plan: NetParameters, epoch: int) -> FitError:
    """The error for diverged weights."""
    return FitError(
        f"the weights grew without bound by epoch {epoch}: a lower learning_rate than {plan.learning_rate:g} may help"
    )


def _target_scale(examples: Dataset, task: str) -> tuple[float | Vector, float]:
    """Mean and standard deviation of numbers; for classes the log odds of true, or the logarithm of each class's share,
    and 1.

    The second is 0 if all rows have one value or class.
    """
    target = examples.target
    if not len(target):
        raise FitError("there are no rows to learn from")
    if task == "regression":
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale = float(target.mean()), float(target.std())
        if not math.isfinite(scale):
            raise FitError(
                f"labels from {target.min():g} to {target.max():g} are too far apart for a deep net"
            )
        return (mean, scale) if target.min() < target.max() else (float(target[0]), 0.0)
    if task == "multiclass":
        places = places_of(examples)
        shares = class_shares(places, len(examples.outputs))
        return np.log(shares), float((places != places[0]).any())
    share = float(target.mean())
    if not 0 < share < 1:
        raise FitError(
            f"all {len(target)} rows are {'true' if share else 'false'}: a deep net needs rows of both kinds"
        )
    return math.log(share / (1 - share)), 1.0


def _drawn(
    inputs: NetInputs, answers: int, plan: NetParameters, draw: np.random.Generator
) -> tuple[tuple[NDArray[np.float32], ...], tuple[Layer, ...]]:
    """Initial embeddings and layers; the spread of weights preserves the scale of the signal (He et al.)."""
    counts = inputs.codes.values()
    sizes = [plan.size_of(count) for count in counts]
    embeddings = tuple(
        draw.normal(0, _EMBEDDING_SPREAD, (count + 1, size)).astype(np.float32)
        for count, size in zip(counts, sizes, strict=True)
    )
    width = inputs.dense + sum(sizes)
    weights = []
    for _ in range(plan.hidden_layers):
        weights.append(draw.normal(0, math.sqrt(2 / width), (plan.hidden_units, width)))
        width = plan.hidden_units
    weights.append(draw.normal(0, math.sqrt(1 / width), (answers, width)))
    return embeddings, tuple(
        Layer(each.astype(np.float32), np.zeros(len(each), np.float32)) for each in weights
    )


def _check_bounded(net: DeepNet, plan: NetParameters) -> None:
    """Raise FitError unless every possible row gets a finite prediction: inputs are limited, so layers must be."""
    largest = max([LIMIT, *(float(np.abs(table).max()) for table in net.embeddings)])
    for layer in net.layers:
        weights, biases = np.abs(layer.weights.astype(np.float64)), np.abs(layer.biases.astype(np.float64))
        largest = float((weights.sum(axis=1) * largest + biases).max())
        if not largest < _LARGEST:
            raise diverged(plan, net.epochs)


def _shares(net: DeepNet, matrix: Matrix, seed: int) -> dict[int, float]:
    """For each column, the squared change of the output when its values are shuffled among training rows.

    For independent columns this is, up to a factor, the share of the output's variance that is due to the column
    (Jansen's estimator of the total effect). For classes, the change of the prediction is used: outputs may shift
    together without effect.
    """
    said = net.predict if net.task == "multiclass" else net.output
    draw = np.random.default_rng([seed, 2])
    count = min(len(matrix), _IMPORTANCE_ROWS)
    rows = matrix[np.sort(draw.choice(len(matrix), count, replace=False))]
    output = said(rows).astype(np.float64)
    changes = {}
    for column in net.inputs.columns:
        mixed = rows.copy()
        mixed[:, column] = rows[draw.permutation(count), column]
        changes[column] = float(np.mean((said(mixed) - output) ** 2))
    total = sum(changes.values())
    return {column: change / total for column, change in changes.items()} if total > 0 else {}
