"""A fitted deep net: how it predicts by NumPy, and how it is stored.

A row passes through layers of rectified linear units; columns that hold codes enter by an embedding each. No server
needs PyTorch. Products are summed one after the other, in the order of the inputs, because a matrix product of BLAS
rounds a row differently depending on the number of rows and on the processor.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from giornata.dataset import Matrix, Predictions, Vector
from giornata.errors import BundleError
from giornata.models.base import FittedModel
from giornata.models.classes import softmax
from giornata.models.deep_net.inputs import NetInputs
from giornata.models.deep_net.model_type import DeepNetType
from giornata.models.files import MALFORMED, check_names

__all__ = ["DeepNet", "Layer"]

_TENSORS, _FACTS = "model.safetensors", "net.json"
_TENSOR_TYPES = {
    "amounts.columns": np.int64,
    "amounts.means": np.float64,
    "amounts.factors": np.float64,
    "gaps.columns": np.int64,
}  # all others hold float32


_FEW_ROWS = 4  # up to so many are answered without a loop over the inputs


_CHUNK = 512  # rows whose sums stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer: `weights` of shape (outputs, inputs), `biases` of shape (outputs,)."""

    weights: NDArray[np.float32]
    biases: NDArray[np.float32]

    def __call__(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shape (rows, outputs), each the bias and the products in the order of the inputs, added one by one."""
        if len(inputs) <= _FEW_ROWS:
            sums = np.empty((len(inputs), len(self.biases), self.weights.shape[1] + 1), np.float32)
            sums[:, :, 0] = self.biases
            np.multiply(self.weights, inputs[:, None, :], out=sums[:, :, 1:])
            return np.add.accumulate(sums, axis=2)[:, :, -1]
        sums = np.tile(self.biases, (len(inputs), 1))
        product = np.empty_like(sums)
        for values, weights in zip(inputs.T, self._by_input, strict=True):
            np.multiply(values[:, None], weights, out=product)
            sums += product
        return sums

    @cached_property
    def _by_input(self) -> NDArray[np.float32]:
        return np.ascontiguousarray(self.weights.T)


@dataclass(frozen=True, eq=False)
class DeepNet(FittedModel):
    """A fitted net. Its prediction is `mean` + `scale` * output, through the logistic function for the task `binary`.

    For the task `multiclass` the output is a number for each class, `mean` a vector, and the prediction the softmax.
    `embeddings` has, for each column of codes, a table of shape (codes + 1, size), whose last row is for unknown codes.
    Without layers the output is 0, and the prediction a constant. `shares` is the importance.
    """

    task: str
    inputs: NetInputs
    embeddings: tuple[NDArray[np.float32], ...]
    layers: tuple[Layer, ...]
    mean: float | Vector
    scale: float
    epochs: int
    shares: Mapping[int, float] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        return self.epochs

    def output(self, matrix: Matrix) -> NDArray[np.float32]:
        """The output of the last layer for each row: of shape (rows,), or (rows, classes)."""
        found = np.zeros((len(matrix), *np.shape(self.mean)), np.float32)
        if not self.layers:
            return found
        for start in range(0, len(matrix), _CHUNK):
            rows = matrix[start : start + _CHUNK]
            found[start : start + _CHUNK] = self._output(rows)
        return found

    def predict(self, matrix: Matrix) -> Predictions:
        answers = self.mean + self.scale * self.output(matrix).astype(np.float64)
        if self.task == "multiclass":
            return softmax(answers)
        if self.task == "regression":
            return answers
        return np.fromiter(map(_logistic, answers.tolist()), np.float64, len(answers))

    def to_files(self) -> dict[str, bytes]:
        from safetensors.numpy import save

        tensors: dict[str, NDArray[Any]] = {
            "amounts.columns": self.inputs.amounts,
            "amounts.means": self.inputs.means,
            "amounts.factors": self.inputs.factors,
            "gaps.columns": self.inputs.gaps,
        }
        for column, table in zip(self.inputs.codes, self.embeddings, strict=True):
            tensors[f"embeddings.{column}"] = table
        for place, layer in enumerate(self.layers):
            tensors |= {f"layers.{place}.weight": layer.weights, f"layers.{place}.bias": layer.biases}
        facts = {
            "task": self.task,
            "epochs": self.epochs,
            "mean": np.asarray(self.mean).tolist(),
            "scale": self.scale,
            "layers": len(self.layers),
            "codes": {str(column): count for column, count in self.inputs.codes.items()},
            "importance": {str(column): share for column, share in self.shares.items()},
        }
        return {_TENSORS: save(tensors), _FACTS: json.dumps(facts, separators=(",", ":")).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        check_names(files, [_TENSORS, _FACTS], "a deep net is")
        try:
            return cls._read(load(files[_TENSORS]), json.loads(files[_FACTS]))
        except (SafetensorError, *MALFORMED) as error:
            raise BundleError(f"{_TENSORS} and {_FACTS} hold no deep net: {error}") from error

    def importance(self) -> dict[int, float]:
        return dict(self.shares)

    def size(self) -> dict[str, int]:
        weights = sum(table.size for table in self.embeddings)
        weights += sum(layer.weights.size + layer.biases.size for layer in self.layers)
        return {"layers": len(self.layers), "weights": weights}

    def _output(self, rows: Matrix) -> NDArray[np.float32]:
        values = self.inputs.numbers(rows)
        if self.embeddings:
            codes = self.inputs.rows_of_codes(rows).T
            found = [table[at] for table, at in zip(self.embeddings, codes, strict=True)]
            values = np.concatenate([values, *found], axis=1)
        for layer in self.layers[:-1]:
            values = np.maximum(layer(values), np.float32(0))
        last = self.layers[-1](values)
        return last if np.ndim(self.mean) else last[:, 0]

    @classmethod
    def _read(cls, tensors: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Self:
        codes = {int(column): int(count) for column, count in facts["codes"].items()}
        inputs = NetInputs(
            tensors["amounts.columns"],
            tensors["amounts.means"],
            tensors["amounts.factors"],
            tensors["gaps.columns"],
            codes,
        )
        embeddings = tuple(tensors[f"embeddings.{column}"] for column in codes)
        mean = np.array(facts["mean"], np.float64)
        _check_numbers(tensors, facts, mean)
        layers = tuple(
            Layer(tensors[f"layers.{place}.weight"], tensors[f"layers.{place}.bias"])
            for place in range(facts["layers"])
        )
        if facts["task"] not in DeepNetType.tasks:
            raise ValueError(f"there is no task {facts['task']!r}")
        if mean.ndim != (facts["task"] == "multiclass") or not mean.size:
            raise ValueError(f"its mean is of shape {mean.shape}")
        _check_shapes(inputs, embeddings, layers, mean.size)
        shares = {int(column): float(share) for column, share in facts["importance"].items()}
        return cls(
            facts["task"],
            inputs,
            embeddings,
            layers,
            mean if mean.ndim else float(mean),
            float(facts["scale"]),
            int(facts["epochs"]),
            shares,
        )


def _logistic(logit: float) -> float:
    # By the C library for each number: NumPy's own exponential rounds as the processor's vectors do.
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    power = math.exp(max(logit, -700.0))
    return power / (1 + power)


def _check_numbers(tensors: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], mean: Vector) -> None:
    """Raise ValueError for a tensor of another type or size, a number that is not finite, or a column that does not
    exist."""
    if not 0 <= facts["layers"] <= len(tensors):
        raise ValueError(f"it has not {facts['layers']} layers")
    known = set(_TENSOR_TYPES)
    known |= {f"embeddings.{column}" for column in facts["codes"]}
    known |= {f"layers.{place}.{part}" for place in range(facts["layers"]) for part in ("weight", "bias")}
    if tensors.keys() != known:
        raise ValueError(f"its tensors are not those of {facts['layers']} layers: {sorted(tensors)}"[:200])
    for name, tensor in tensors.items():
        wanted = np.dtype(_TENSOR_TYPES.get(name, np.float32))
        if tensor.dtype != wanted:
            raise ValueError(f"{name} is of type {tensor.dtype}, not {wanted}")
        if not np.isfinite(tensor).all():
            raise ValueError(f"{name} holds a number that is not finite")
        if name.endswith(".columns") and (tensor < 0).any():
            raise ValueError(f"{name} holds a column below 0")
    if not np.isfinite(mean).all() or not math.isfinite(facts["scale"]):
        raise ValueError("its mean or its scale is not finite")
    if any(int(column) < 0 or count < 0 for column, count in facts["codes"].items()):
        raise ValueError("its codes are below 0")


def _check_shapes(
    inputs: NetInputs, embeddings: Sequence[NDArray[np.float32]], layers: Sequence[Layer], answers: int
) -> None:
    """Raise ValueError if the tensors do not fit together, or do not give the right number of outputs."""
    if {each.ndim for each in (inputs.amounts, inputs.means, inputs.factors, inputs.gaps)} != {1}:
        raise ValueError("its columns are no lists")
    if not len(inputs.amounts) == len(inputs.means) == len(inputs.factors):
        raise ValueError("its amounts, means and factors are not as many")
    for count, table in zip(inputs.codes.values(), embeddings, strict=True):
        if table.ndim != 2 or len(table) != count + 1:
            raise ValueError(f"an embedding of {count} codes is of shape {table.shape}")
    width = inputs.dense + sum(table.shape[1] for table in embeddings)
    for place, layer in enumerate(layers):
        outputs = answers if place == len(layers) - 1 else len(layer.biases)
        if layer.weights.shape != (outputs, width) or layer.biases.shape != (outputs,):
            raise ValueError(f"its layer {place} is of shape {layer.weights.shape}, not ({outputs}, {width})")
        width = outputs
