"""Documents, checks, fits and metrics know a task and a model type that are registered: nothing lists them again."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import mean_poisson_deviance

ROOT = Path(__file__).parents[3]
LABELS = [0.0, 1.0, 1.0, 6.0]
PROJECT = {
    "project.yaml": "description: Parcels\nowner: shop\nstart_date: 2024-01-01\n",
    "tables/orders.yaml": """\
description: Orders
key: [order_id]
event_time: ordered_at
columns: {order_id: str, weight: float, ordered_at: timestamp}
""",
    "tables/returns.yaml": """\
description: Parcels that came back
key: [order_id]
event_time: counted_at
columns: {order_id: str, counted_at: timestamp, parcels: int}
""",
    "models/hours.yaml": """\
description: Parcels of an order that come back
owner: shop
type: constant
task: count
data: {table: orders, key: [order_id], event_time: ordered_at}
label: {table: returns, value: parcels, event_time: counted_at}
split: {train: 270d, validation: 0.2, test: 30d}
features: {weight: row.weight}
search: {trials: 2, metric: deviance, space: {statistic: {choice: [mean, median]}}}
deploy: {tag: production, modes: [batch], gate: {deviance: {max: 3}}}
""",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("projects") / "shop"
    for name, text in PROJECT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "giornata" / "models" / "added_type.py", folder],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_model_of_it_is_fitted_kept_and_measured(found):
    assert found["metrics"] == {"deviance": pytest.approx(mean_poisson_deviance(LABELS, [2.0] * 4))}
    assert found["median"] == [np.median(LABELS)] * 4


def test_parameters_and_tasks_that_do_not_fit_are_refused(found):
    assert found["refused"] == [
        "parameter statistic is one of mean, median, not 'mode'",
        "constant has no parameter 'statistics'; did you mean statistic?",
        "type logistic cannot be used for task count: use constant",
    ]


def test_documents_know_their_names_and_the_metrics_of_the_task(found):
    type_, task, metric = found["problems"]
    assert type_ == ["type logistic cannot be used for task count (use constant)"]
    assert "'counts' is not one of" in task[0]
    assert "did you mean 'count'?" in task[0]
    assert len(metric) == 1
    assert "deviance" in metric[0]
