"""One of the processes that train a deep net together: reads its rows, and steps with the others.

It runs on an executor, started by TorchDistributor, and imports nothing of Spark.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import torch.distributed as together
from torch.nn.parallel import DistributedDataParallel

from giornata.dataset import Matrix
from giornata.models.base import FitError
from giornata.models.deep_net.initialization import NetParameters
from giornata.models.deep_net.network import DeepNet
from giornata.models.deep_net.training import Alone, NetTrainer, Rows, best, device, repeatable
from giornata.schema import Scalar

__all__ = ["learn"]

WAIT = timedelta(minutes=10)
"""How long a process waits for another, at the start and at each step, before it gives up."""

_HELD_OUT = 10  # every so manieth row is judged, not learned from, where a fit stops early
_LOOK_SECONDS = 1.0


class Peers(Alone):
    """The processes of PyTorch's process group, this one among them."""

    def __init__(self, used: torch.device):
        self.rank = together.get_rank()
        self._used = used

    def joined(self, net: torch.nn.Module) -> torch.nn.Module:
        return DistributedDataParallel(net)

    def counts(self, count: int) -> list[int]:
        own = torch.tensor(count, device=self._used)
        found = [torch.zeros_like(own) for _ in range(together.get_world_size())]
        together.all_gather(found, own)
        return [int(each) for each in found]

    def total(self, numbers: torch.Tensor) -> torch.Tensor:
        found = numbers.clone()
        together.all_reduce(found)
        return found


def learn(
    rows: Path,
    columns: list[str],
    label: str,
    first: Mapping[str, bytes],
    parameters: Mapping[str, Scalar],
    seed: int,
) -> tuple[dict[str, bytes], str]:
    """The files of the net that all processes trained, or the reason why there is none; the same on each.

    `rows` is a file of Arrow's stream format with the rows of this process, `first` the initial net.
    """
    _end_with_the_parent()
    net, plan = DeepNet.from_files(first), NetParameters.of(parameters)
    used = device()
    try:
        with _group(used), repeatable(1, used):
            learned, held = _read(rows, columns, label, net, plan, seed, used)
            peers = Peers(used)
            if not all(peers.counts(len(learned))):
                raise FitError("a worker has no row to learn from: ask for fewer executors or cores")
            learner = NetTrainer(learned, net, plan, seed, peers)
            return best(learner, plan, held).to_files(), ""
    except (FitError, MemoryError) as error:
        problem = str(error) or "a worker has too little memory for its rows"
        # Also among the lines of the worker that found it, which the driver prints.
        print(f"deep_net: {problem}", flush=True)
        return {}, problem


@contextmanager
def _group(used: torch.device) -> Iterator[None]:
    """A process group of the processes that TorchDistributor started, from the environment."""
    together.init_process_group("nccl" if used.type == "cuda" else "gloo", timeout=WAIT)
    try:
        yield
    finally:
        together.destroy_process_group()


def _read(
    file: Path,
    columns: list[str],
    label: str,
    net: DeepNet,
    plan: NetParameters,
    seed: int,
    used: torch.device,
) -> tuple[Rows, Rows | None]:
    """The training rows, and validation rows if the fit stops early. The file itself is never in memory."""
    with pa.memory_map(str(file)) as mapped:
        table = pa.ipc.open_stream(mapped).read_all()
        target = table.column(label).to_numpy()
        rows = Rows.of(net.inputs, _matrices(table, columns), target, used)
    if plan.early_stopping_rounds is None:
        return rows, None
    place = np.random.default_rng([seed, 4, together.get_rank()]).permutation(len(rows))
    held = torch.from_numpy(place % _HELD_OUT == 0).to(used)
    return rows[~held], rows[held]


def _matrices(table: pa.Table, columns: list[str]) -> Iterator[Matrix]:
    for batch in table.select(columns).to_batches():
        found = np.empty((batch.num_rows, len(columns)), np.float32)
        for place, column in enumerate(batch.columns):
            found[:, place] = column.to_numpy(zero_copy_only=False)
        yield found


def _end_with_the_parent() -> None:
    """End this process when its parent is gone: nobody waits for the net any more."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
