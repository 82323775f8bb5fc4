"""Processes that learn a net together, without Spark: shares that are not equal, and others that are gone."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from giornata.dataset import Dataset
from giornata.models.deep_net.initialization import NetParameters, first_net
from giornata.models.deep_net.model_type import DeepNetType
from giornata.models.deep_net.network import DeepNet
from jobs.runtime.session import ROOT

pytestmark = [pytest.mark.timeout(300), pytest.mark.processes]

ROWS = 1500
COLUMNS = ["x0", "x1", "x2"]
PARAMETERS = {"epochs": 8, "learning_rate": 0.01, "dropout": 0.1, "batch_size": 64}

WORKER = """
import json, sys
from pathlib import Path
from jobs.training.distributed.deep_net_worker import learn

folder, rank = Path(sys.argv[1]), sys.argv[2]
first = {file.name: file.read_bytes() for file in (folder / "first").iterdir()}
parameters = json.loads((folder / "parameters.json").read_text())
files, problem = learn(folder / f"{rank}.arrow", ["x0", "x1", "x2"], "y", first, parameters, 0)
for name, content in files.items():
    (folder / f"{rank}.{name}").write_bytes(content)
print(problem)
"""

# Tells when the first epoch is over, once.
TELLING = """
from giornata.models.deep_net.training import NetTrainer

epoch = NetTrainer.epoch

def first_epoch(self):
    epoch(self)
    print("learning", flush=True)
    NetTrainer.epoch = epoch

NetTrainer.epoch = first_epoch
"""


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    matrix = random.normal(size=(ROWS, 3)).astype(np.float32)
    matrix[:, 2] = random.integers(0, 3, ROWS)
    target = matrix[:, 0] * 2 + 3 * (matrix[:, 2] == 1) + random.normal(0, 0.3, ROWS)
    return Dataset(matrix, target, {2: 3})


def start(
    folder: Path, rows: Dataset, shares: list[np.ndarray], parameters: dict, before: str = ""
) -> list[subprocess.Popen]:
    """A process for each share of the rows, that runs the code `before` first."""
    (folder / "first").mkdir()
    for name, content in first_net(rows, "regression", NetParameters.of(parameters), 0).to_files().items():
        (folder / "first" / name).write_bytes(content)
    (folder / "parameters.json").write_text(json.dumps(parameters))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    started = []
    for rank, share in enumerate(shares):
        columns = {name: rows.matrix[share, place] for place, name in enumerate(COLUMNS)}
        table = pa.table({**columns, "y": rows.target[share]})
        with pa.ipc.new_stream(str(folder / f"{rank}.arrow"), table.schema) as file:
            file.write_table(table, max_chunksize=400)
        group = {
            "RANK": str(rank),
            "WORLD_SIZE": str(len(shares)),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", before + WORKER, str(folder), str(rank)],
                env={**os.environ, **group, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    return started


def files_of(folder: Path, rank: int) -> dict[str, bytes]:
    return {name: (folder / f"{rank}.{name}").read_bytes() for name in ("model.safetensors", "net.json")}


def error_of(net: DeepNet, rows: Dataset) -> float:
    return float(np.sqrt(np.mean((net.predict(rows.matrix) - rows.target) ** 2)))


def test_one_process_learns_what_it_learns_without_a_group(rows, tmp_path):
    (worker,) = start(tmp_path, rows, [np.arange(ROWS)], PARAMETERS)
    assert worker.communicate()[0] == "\n"
    alone = DeepNetType().fit(rows, "regression", PARAMETERS, 0).to_files()
    assert files_of(tmp_path, 0)["model.safetensors"] == alone["model.safetensors"]


def test_unequal_shares_give_all_one_net(rows, tmp_path):
    parameters = {**PARAMETERS, "epochs": 200, "early_stopping_rounds": 3}
    workers = start(tmp_path, rows, [np.arange(ROWS - 40), np.arange(ROWS - 40, ROWS)], parameters)
    assert [worker.communicate()[0] for worker in workers] == ["\n", "\n"]
    assert files_of(tmp_path, 0) == files_of(tmp_path, 1)
    net = DeepNet.from_files(files_of(tmp_path, 0))
    assert 3 <= net.epochs < 197
    # What the noise leaves, and a little.
    assert error_of(net, rows) < 0.33


def test_a_process_that_dies_ends_the_others(rows, tmp_path):
    halves = [np.arange(0, ROWS, 2), np.arange(1, ROWS, 2)]
    staying, dying = start(tmp_path, rows, halves, {**PARAMETERS, "epochs": 1_000_000}, TELLING)
    assert dying.stdout.readline() == "learning\n"
    dying.kill()
    said, _ = staying.communicate(timeout=30)
    dying.communicate()
    assert "deep_net: PyTorch cannot fit the rows" in said


def test_a_process_ends_with_the_one_that_started_it(tmp_path):
    code = "import os; from jobs.training.distributed.deep_net_worker import _end_with_the_parent as end; end(); "
    code += "print(os.getpid(), flush=True); import time; time.sleep(60)"
    parent = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=1); "
    )
    parent += "import time; time.sleep(60)"
    started = subprocess.Popen(
        [sys.executable, "-c", parent, code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(started.stdout.readline())
    os.kill(child, 0)
    started.kill()
    started.wait()
    ends = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and time.monotonic() < ends:
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()
