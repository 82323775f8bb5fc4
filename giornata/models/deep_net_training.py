"""How a deep net learns, by PyTorch. The only module here that imports it."""

import math
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from giornata.models.base import DEVICE, Examples, FitError, Matrix, Vector, Watch
from giornata.models.classes import class_shares, places_of
from giornata.models.deep_net import DeepNet, Layer
from giornata.models.deep_net_inputs import LIMIT, NetInputs

__all__ = ["Plan", "train"]

_MAX_EMBEDDING = 32
_EMBEDDING_SPREAD = 0.05  # small: a code of few rows answers much as the average of codes does
_JUDGED = 16_384  # rows that are judged at a time
_IMPORTANCE_ROWS = 1000
_LARGEST = 1e30  # what a layer may say at most, far from where float32 ends

_one_at_a_time = threading.Lock()  # threads and algorithms of PyTorch are those of the whole process


@dataclass(frozen=True)
class Plan:
    """The parameters of a fit, with what they are unless stated."""

    hidden_layers: int = 2
    hidden_units: int = 64
    dropout: float = 0.0
    embedding_size: int | None = None
    batch_size: int = 256
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    epochs: int = 20
    early_stopping_rounds: int | None = None

    def size_of(self, codes: int) -> int:
        """Numbers in the embedding of a column with so many codes."""
        return self.embedding_size or min(_MAX_EMBEDDING, math.ceil(math.sqrt(codes)))


def train(
    examples: Examples,
    task: str,
    plan: Plan,
    seed: int,
    threads: int,
    validation: Examples | None,
    watch: Watch | None,
) -> DeepNet:
    """The net after the last epoch, or, with early stopping, after the one with the least loss on validation rows.

    Raises FitError where there is nothing to learn or the fit diverges, and what `watch` raises.
    """
    if validation is not None and not len(validation.target):
        validation = None
    if plan.early_stopping_rounds is not None and validation is None:
        raise FitError("early_stopping_rounds needs validation rows to stop by, and there are none")
    mean, scale = _target_scale(examples, task)
    inputs = NetInputs.learned(examples)
    if not inputs.columns or not scale:
        return DeepNet(task, NetInputs.none(), (), (), mean, scale or 1.0, 1)
    constant = DeepNet(task, inputs, (), (), mean, scale, 1)
    device = _device()
    with _one_at_a_time, _repeatable(threads, device):
        learner = _Learner(examples, constant, plan, seed, device)
        net = _best(learner, plan, validation, watch)
    _check_bounded(net, plan)
    return replace(net, shares=_shares(net, examples.matrix, seed))


def _target_scale(examples: Examples, task: str) -> tuple[float | Vector, float]:
    """Mean and standard deviation of amounts; the log odds of true, or the logarithm of each class's share, and 1.

    The second is 0 where all rows are of one value or class.
    """
    target = examples.target
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


@contextmanager
def _repeatable(threads: int, device: torch.device) -> Iterator[None]:
    """PyTorch on so many threads, by algorithms that give the same each time; afterwards as it was.

    On the processor all that is used here gives the same. To ask for it loads PyTorch's compiler, ten seconds' work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        if device.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else products are not repeatable
            torch.use_deterministic_algorithms(True)
        yield
    finally:
        torch.set_num_threads(before)
        if device.type == "cuda":
            torch.use_deterministic_algorithms(False)


def _device() -> torch.device:
    wanted = os.environ.get(DEVICE) == "cuda" and torch.cuda.is_available()
    return torch.device("cuda" if wanted else "cpu")


class _AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter), with the usual decay rates of its two moments.

    The same numbers as PyTorch's own, which loads the compiler first: ten seconds' work in each process.
    """

    _first, _second, _least = 0.9, 0.999, 1e-8

    def __init__(self, weights: Sequence[torch.Tensor], rate: float, decay: float):
        self._rate, self._decay = rate, decay
        self._moments = [(each, torch.zeros_like(each), torch.zeros_like(each)) for each in weights]
        self._steps = 0

    def step(self) -> None:
        """Move the weights against their gradients, and forget these."""
        self._steps += 1
        size = self._rate / (1 - self._first**self._steps)
        spread = math.sqrt(1 - self._second**self._steps)
        with torch.no_grad():
            for weights, mean, square in self._moments:
                slope = weights.grad
                assert slope is not None
                mean.lerp_(slope, 1 - self._first)
                square.mul_(self._second).addcmul_(slope, slope, value=1 - self._second)
                weights.mul_(1 - self._rate * self._decay)
                weights.addcdiv_(mean, square.sqrt().div_(spread).add_(self._least), value=-size)
                weights.grad = None


class _Learner:
    """The weights on their way, the training rows on the device, and the optimiser.

    A fit of more epochs begins with the very epochs of a shorter one: nothing depends on how many follow.
    """

    def __init__(self, examples: Examples, constant: DeepNet, plan: Plan, seed: int, device: torch.device):
        self._plan = plan
        self._constant = constant
        self._device = device
        self._order = np.random.default_rng(seed)
        self._chance = torch.Generator(self._device).manual_seed(seed)
        self._numbers, self._codes = self._rows(examples.matrix)
        self._target = self._moved(_aim(constant, examples.target))
        self._mean = self._moved(np.asarray(constant.mean, np.float32))
        self._seen = self._code_shares()
        draw = np.random.default_rng([seed, 1])
        self.embeddings, self.weights, self.biases = self._drawn(draw)
        self._decayed = _AdamW([*self.embeddings, *self.weights], plan.learning_rate, plan.weight_decay)
        self._free = _AdamW(self.biases, plan.learning_rate, 0.0)

    def epoch(self) -> None:
        """Look at every row once."""
        order = torch.from_numpy(self._order.permutation(len(self._target))).to(self._device)
        for rows in order.split(self._plan.batch_size):
            output = self._output(self._numbers[rows], self._codes[rows], self._plan.dropout)
            if self._constant.task == "regression":
                loss = functional.mse_loss(output, self._target[rows])
            else:
                loss = _log_loss(output + self._mean, self._target[rows])
            loss.backward()
            self._decayed.step()
            self._free.step()
        self._settle()

    def loss(self, examples: Examples) -> float:
        """Root mean squared error, or log loss, on these rows."""
        with torch.no_grad():
            outputs = [
                self._output(*self._rows(examples.matrix[start : start + _JUDGED])).double().cpu()
                for start in range(0, len(examples.matrix), _JUDGED)
            ]
        mean = torch.from_numpy(np.asarray(self._constant.mean, np.float64))
        answers = mean + self._constant.scale * torch.cat(outputs)
        target = torch.from_numpy(np.asarray(examples.target, np.float64))
        if self._constant.task == "regression":
            return math.sqrt(functional.mse_loss(answers, target).item())
        return _log_loss(answers, target.long() if answers.ndim == 2 else target).item()

    def net(self, epochs: int) -> DeepNet:
        """The net as it is now."""

        def copied(tensor: torch.Tensor) -> NDArray[np.float32]:
            return tensor.detach().cpu().numpy().copy()

        layers = zip(self.weights, self.biases, strict=True)
        return replace(
            self._constant,
            embeddings=tuple(copied(table) for table in self.embeddings),
            layers=tuple(Layer(copied(weights), copied(biases)) for weights, biases in layers),
            epochs=epochs,
        )

    def _output(self, numbers: torch.Tensor, codes: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
        found = [functional.embedding(codes[:, place], table) for place, table in enumerate(self.embeddings)]
        values = torch.cat([numbers, *found], dim=1)
        for weights, biases in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = functional.relu(functional.linear(values, weights, biases))
            if dropout:
                kept = torch.rand(values.shape, generator=self._chance, device=self._device) >= dropout
                values = values * kept / (1 - dropout)
        output = functional.linear(values, self.weights[-1], self.biases[-1])
        return output if self._mean.ndim else output[:, 0]

    def _rows(self, matrix: Matrix) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = self._constant.inputs
        return self._moved(inputs.numbers(matrix)), self._moved(inputs.rows_of_codes(matrix))

    def _moved(self, array: NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)

    def _code_shares(self) -> list[torch.Tensor]:
        """For each embedding the share of the training rows that use each of its rows."""
        counts = [
            torch.bincount(self._codes[:, place].cpu(), minlength=count + 1).float()
            for place, count in enumerate(self._constant.inputs.codes.values())
        ]
        return [(count / count.sum()).to(self._device) for count in counts]

    def _drawn(
        self, draw: np.random.Generator
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
        """First embeddings, weights and biases; a weight's spread keeps the size of what passes through (He et al.)."""
        counts = self._constant.inputs.codes.values()
        sizes = [self._plan.size_of(count) for count in counts]
        embeddings = [
            draw.normal(0, _EMBEDDING_SPREAD, (count + 1, size))
            for count, size in zip(counts, sizes, strict=True)
        ]
        width = self._constant.inputs.dense + sum(sizes)
        weights = []
        for _ in range(self._plan.hidden_layers):
            weights.append(draw.normal(0, math.sqrt(2 / width), (self._plan.hidden_units, width)))
            width = self._plan.hidden_units
        weights.append(draw.normal(0, math.sqrt(1 / width), (np.size(self._constant.mean), width)))
        biases = [np.zeros(len(each)) for each in weights]

        def tensors(arrays: Sequence[NDArray[np.float64]]) -> list[torch.Tensor]:
            return [self._moved(array.astype(np.float32)).requires_grad_() for array in arrays]

        return tensors(embeddings), tensors(weights), tensors(biases)

    def _settle(self) -> None:
        """Give every code that no training row has the mean embedding of those that they have."""
        with torch.no_grad():
            for table, share in zip(self.embeddings, self._seen, strict=True):
                table[share == 0] = share @ table


def _aim(constant: DeepNet, target: Vector) -> NDArray[np.generic]:
    """What the net's output is held against: standardised amounts, 0 and 1, or the places of classes."""
    if constant.task == "multiclass":
        return target.astype(np.int64)
    if constant.task == "binary":
        return target.astype(np.float32)
    return ((target - constant.mean) / constant.scale).astype(np.float32)


def _log_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean over rows: of true and false, or, where a row has several logits, of the places of classes."""
    if logits.ndim == 2:
        return functional.cross_entropy(logits, target)
    return functional.binary_cross_entropy_with_logits(logits, target)


def _best(learner: _Learner, plan: Plan, validation: Examples | None, watch: Watch | None) -> DeepNet:
    judged = validation if watch or plan.early_stopping_rounds is not None else None
    best, least = None, math.inf
    for epoch in range(1, plan.epochs + 1):
        try:
            learner.epoch()
            loss = learner.loss(judged) if judged else None
        except RuntimeError as error:
            raise FitError(f"PyTorch cannot fit the rows: {str(error).splitlines()[0]}") from error
        if loss is None:
            continue
        if not math.isfinite(loss):
            raise _diverged(plan, epoch)
        if watch:
            watch(epoch, loss)
        if plan.early_stopping_rounds is None:
            continue
        if loss < least:
            best, least = learner.net(epoch), loss
        elif best is not None and epoch - best.epochs >= plan.early_stopping_rounds:
            break
    return best or learner.net(plan.epochs)


def _check_bounded(net: DeepNet, plan: Plan) -> None:
    """Raise FitError unless every row there can be gets a finite answer: inputs are limited, so layers must be."""
    largest = max([LIMIT, *(float(np.abs(table).max()) for table in net.embeddings)])
    for layer in net.layers:
        weights, biases = np.abs(layer.weights.astype(np.float64)), np.abs(layer.biases.astype(np.float64))
        largest = float((weights.sum(axis=1) * largest + biases).max())
        if not largest < _LARGEST:
            raise _diverged(plan, net.epochs)


def _diverged(plan: Plan, epoch: int) -> FitError:
    return FitError(
        f"the weights grew without bound by epoch {epoch}: a lower learning_rate than {plan.learning_rate:g} may help"
    )


def _shares(net: DeepNet, matrix: Matrix, seed: int) -> dict[int, float]:
    """Of each column, how much the output changes, squared, when its values change places among training rows.

    Of independent columns this is, but for its factor, what of the output's variance is due to the column (Jansen's
    estimator of the total effect). Of classes it is the answer that changes: outputs may move together for nothing.
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
