"""Trains a deep net with PyTorch, in one process or in several that train the same net together.

The only module of model types that imports PyTorch.
"""

import math
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from giornata.dataset import Dataset, Matrix, Vector
from giornata.models.base import DEVICE, Callback, FitError
from giornata.models.deep_net.initialization import NetParameters, diverged, finished, first_net
from giornata.models.deep_net.inputs import NetInputs
from giornata.models.deep_net.network import DeepNet, Layer

__all__ = ["Alone", "NetParameters", "NetTrainer", "Rows", "best", "device", "repeatable", "train"]

_AT_A_TIME = 16_384  # rows whose inputs are made, or which are judged, at a time

_one_at_a_time = threading.Lock()  # threads and algorithms of PyTorch are those of the whole process


def train(
    examples: Dataset,
    task: str,
    plan: NetParameters,
    seed: int,
    threads: int,
    validation: Dataset | None,
    watch: Callback | None,
) -> DeepNet:
    """The net after the last epoch or, with early stopping, after the one with the lowest loss on validation rows.

    Raises FitError if there are no rows or the fit diverges, and the errors of `watch`.
    """
    if validation is not None and not len(validation.target):
        validation = None
    if plan.early_stopping_rounds is not None and validation is None:
        raise FitError("early_stopping_rounds needs validation rows to stop by, and there are none")
    first = first_net(examples, task, plan, seed)
    if not first.layers:
        return first
    judged = validation if watch or plan.early_stopping_rounds is not None else None
    used = device()
    with _one_at_a_time, repeatable(threads, used):
        learner = NetTrainer(_rows_of(first, examples, used), first, plan, seed)
        net = best(learner, plan, _rows_of(first, judged, used) if judged else None, watch)
    return finished(net, plan, examples.matrix, seed)


@dataclass(frozen=True)
class Rows:
    """Rows as a net reads them, on its device: `numbers` of shape (rows, dense), `codes` of shape (rows, codes) and the
    label of each, as in `Dataset`."""

    numbers: torch.Tensor
    codes: torch.Tensor
    target: torch.Tensor

    @classmethod
    def of(cls, inputs: NetInputs, parts: Iterable[Matrix], target: Vector, used: torch.device) -> "Rows":
        """The rows of a matrix that comes in chunks, as many as there are labels."""
        numbers = np.empty((len(target), inputs.dense), np.float32)
        codes = np.empty((len(target), len(inputs.codes)), np.int64)
        start = 0
        for part in parts:
            end = start + len(part)
            numbers[start:end], codes[start:end] = inputs.numbers(part), inputs.rows_of_codes(part)
            start = end
        labels = np.array(target, np.float64)  # what comes from a file may not be written to
        return cls(*(torch.from_numpy(array).to(used) for array in (numbers, codes, labels)))

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, which: torch.Tensor | slice) -> "Rows":
        return Rows(self.numbers[which], self.codes[which], self.target[which])


class Alone:
    """The interface to other processes that train the same net, for a single process."""

    rank = 0
    """The number of this process."""

    def joined(self, net: torch.nn.Module) -> torch.nn.Module:
        """The net, such that each gradient is the mean of those of all processes."""
        return net

    def counts(self, count: int) -> list[int]:
        """This number of each process, by rank."""
        return [count]

    def total(self, numbers: torch.Tensor) -> torch.Tensor:
        """The sums over all processes of their numbers, the same on each."""
        return numbers


class NetTrainer:
    """The current weights, the training rows of this process, and the optimiser.

    A longer fit begins with the same epochs as a shorter one: nothing depends on the number of epochs. With several
    processes, each takes its part of every step's rows, and all make the same steps, with as many rows together as one
    process takes: the gradient is that of the mean loss over them all.
    """

    def __init__(
        self, rows: Rows, first: DeepNet, plan: NetParameters, seed: int, peers: Alone | None = None
    ):
        self._rows, self._first, self._plan = rows, first, plan
        self._peers = peers or Alone()
        self._counts = self._peers.counts(len(rows))
        rank = self._peers.rank
        self._order = np.random.default_rng([seed, 3, rank] if rank else seed)
        self._net = _Net(first, seed + rank, rows.numbers.device)
        self._joined = self._peers.joined(self._net)
        self._aim = _aim(first, rows.target)
        self._mean = torch.from_numpy(np.asarray(first.mean, np.float32)).to(rows.numbers.device)
        self._seen = self._code_shares()
        self._decayed = _AdamW(
            [*self._net.embeddings, *self._net.weights], plan.learning_rate, plan.weight_decay
        )
        self._free = _AdamW(list(self._net.biases), plan.learning_rate, 0.0)

    def epoch(self) -> None:
        """Train on every row once."""
        order = torch.from_numpy(self._order.permutation(len(self._rows))).to(self._aim.device)
        steps = math.ceil(sum(self._counts) / self._plan.batch_size)
        for step, which in enumerate(order.tensor_split(steps)):
            output = self._joined(self._rows.numbers[which], self._rows.codes[which], self._plan.dropout)
            if self._first.task == "regression":
                loss = functional.mse_loss(output, self._aim[which], reduction="sum")
            else:
                loss = _log_loss(output + self._mean, self._aim[which])
            # Of all processes together: as PyTorch splits, the first steps have a row more.
            rows = sum(count // steps + (step < count % steps) for count in self._counts)
            # The gradients of the processes are averaged, where what is wanted is their sum.
            (loss * (len(self._counts) / rows)).backward()  # type: ignore[no-untyped-call]  # PyTorch's has none
            self._decayed.step()
            self._free.step()
        self._settle()

    def loss(self, judged: Rows) -> float:
        """Root mean squared error, or log loss, on these rows and those of the other processes."""
        mean = torch.from_numpy(np.asarray(self._first.mean, np.float64)).to(judged.target.device)
        sums = torch.zeros(2, dtype=torch.float64, device=judged.target.device)
        with torch.no_grad():
            for start in range(0, len(judged), _AT_A_TIME):
                rows = judged[start : start + _AT_A_TIME]
                answers = mean + self._first.scale * self._net(rows.numbers, rows.codes).double()
                if self._first.task == "regression":
                    sums[0] += functional.mse_loss(answers, rows.target, reduction="sum")
                else:
                    sums[0] += _log_loss(answers, rows.target.long() if answers.ndim == 2 else rows.target)
                sums[1] += len(rows)
        found, count = self._peers.total(sums).tolist()
        return math.sqrt(found / count) if self._first.task == "regression" else found / count

    def net(self, epochs: int) -> DeepNet:
        """The current net."""

        def copied(tensor: torch.Tensor) -> NDArray[np.float32]:
            return tensor.detach().cpu().numpy().copy()

        layers = zip(self._net.weights, self._net.biases, strict=True)
        return replace(
            self._first,
            embeddings=tuple(copied(table) for table in self._net.embeddings),
            layers=tuple(Layer(copied(weights), copied(biases)) for weights, biases in layers),
            epochs=epochs,
        )

    def _code_shares(self) -> list[torch.Tensor]:
        """For each embedding the share of the training rows that use each of its rows."""
        shares = []
        for place, table in enumerate(self._net.embeddings):
            count = torch.bincount(self._rows.codes[:, place].cpu(), minlength=len(table)).double()
            count = self._peers.total(count.to(self._aim.device)).float()
            shares.append(count / count.sum())
        return shares

    def _settle(self) -> None:
        """Give every code without training rows the mean embedding of the codes that have some."""
        with torch.no_grad():
            for table, share in zip(self._net.embeddings, self._seen, strict=True):
                table[share == 0] = share @ table


def best(
    learner: NetTrainer, plan: NetParameters, judged: Rows | None, watch: Callback | None = None
) -> DeepNet:
    """The net after the last epoch or, with early stopping, after the one with the lowest loss on `judged` rows.

    Raises FitError if PyTorch fails or the fit diverges, and the errors of `watch`.
    """
    chosen, least = None, math.inf
    for epoch in range(1, plan.epochs + 1):
        try:
            learner.epoch()
            loss = learner.loss(judged) if judged is not None else None
        except RuntimeError as error:
            raise FitError(f"PyTorch cannot fit the rows: {str(error).splitlines()[0]}") from error
        if loss is None:
            continue
        if not math.isfinite(loss):
            raise diverged(plan, epoch)
        if watch:
            watch(epoch, loss)
        if plan.early_stopping_rounds is None:
            continue
        if loss < least:
            chosen, least = learner.net(epoch), loss
        elif chosen is not None and epoch - chosen.epochs >= plan.early_stopping_rounds:
            break
    return chosen or learner.net(plan.epochs)


def device() -> torch.device:
    """The device of this process, from the environment variable DEVICE."""
    wanted = os.environ.get(DEVICE) == "cuda" and torch.cuda.is_available()
    return torch.device("cuda" if wanted else "cpu")


@contextmanager
def repeatable(threads: int, used: torch.device) -> Iterator[None]:
    """PyTorch with so many threads and deterministic algorithms; restores the settings afterwards.

    On the processor everything used here is deterministic. Setting it explicitly would load PyTorch's compiler, which
    takes ten seconds.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        if used.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else products are not repeatable
            torch.use_deterministic_algorithms(True)
        yield
    finally:
        torch.set_num_threads(before)
        if used.type == "cuda":
            torch.use_deterministic_algorithms(False)


class _Net(torch.nn.Module):
    """The net's output for rows, and its weights as PyTorch trains them."""

    def __init__(self, first: DeepNet, seed: int, used: torch.device):
        super().__init__()

        def learned(arrays: Iterable[NDArray[np.float32]]) -> torch.nn.ParameterList:
            return torch.nn.ParameterList(torch.from_numpy(array.copy()).to(used) for array in arrays)

        self.embeddings = learned(first.embeddings)
        self.weights = learned(layer.weights for layer in first.layers)
        self.biases = learned(layer.biases for layer in first.layers)
        self._several = np.ndim(first.mean) > 0
        self._chance = torch.Generator(used).manual_seed(seed)

    def forward(self, numbers: torch.Tensor, codes: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
        found = [functional.embedding(codes[:, place], table) for place, table in enumerate(self.embeddings)]
        values = torch.cat([numbers, *found], dim=1)
        *inner, (weights, biases) = zip(self.weights, self.biases, strict=True)
        for inner_weights, inner_biases in inner:
            values = functional.relu(functional.linear(values, inner_weights, inner_biases))
            if dropout:
                kept = torch.rand(values.shape, generator=self._chance, device=values.device) >= dropout
                values = values * kept / (1 - dropout)
        output = functional.linear(values, weights, biases)
        return output if self._several else output[:, 0]


class _AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter), with the usual decay rates of its two moments.

    The same numbers as PyTorch's own, which loads the compiler first and so takes ten seconds in each process.
    """

    _first, _second, _least = 0.9, 0.999, 1e-8

    def __init__(self, weights: Sequence[torch.Tensor], rate: float, decay: float):
        self._rate, self._decay = rate, decay
        self._moments = [(each, torch.zeros_like(each), torch.zeros_like(each)) for each in weights]
        self._steps = 0

    def step(self) -> None:
        """Move the weights against their gradients, and reset the gradients."""
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


def _rows_of(first: DeepNet, examples: Dataset, used: torch.device) -> Rows:
    matrix = examples.matrix
    parts = (matrix[start : start + _AT_A_TIME] for start in range(0, len(matrix), _AT_A_TIME))
    return Rows.of(first.inputs, parts, examples.target, used)


def _aim(first: DeepNet, target: torch.Tensor) -> torch.Tensor:
    """The targets of the net's output: standardised numbers, 0 and 1, or the positions of classes."""
    if first.task == "multiclass":
        return target.long()
    if first.task == "binary":
        return target.float()
    return ((target - float(first.mean)) / first.scale).float()


def _log_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The sum over rows: for true and false or, if a row has several logits, for the positions of classes."""
    if logits.ndim == 2:
        return functional.cross_entropy(logits, target, reduction="sum")
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
