"""Objectives of searches; for clusters, the best value is at the true number of groups."""

from concurrent.futures import Future

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from giornata.dataset import Dataset
from giornata.documents.model import Search
from giornata.models import model_type
from giornata.models.search_space import Dimension
from giornata.search.objective import searched_metric, usual_metric
from giornata.search.optuna_search import TrialResult, best_trial, search
from giornata.tasks import TASKS
from giornata.tasks.metrics import HIGHER_IS_BETTER


@pytest.fixture(scope="module")
def groups():
    """Four groups of two amounts, to learn from and to be judged by."""
    random = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
    matrix = (centres[np.arange(600) % 4] + random.normal(0, 1, (600, 2))).astype(np.float32)
    return Dataset(matrix[:400], np.zeros(400)), Dataset(matrix[400:], np.zeros(200))


def found(groups, metric):
    """The number of clusters that a search from 1 to 10 finds."""
    learned, judged = groups

    def submit(parameters, limits):
        fitted = model_type("k_means").fit(learned, "clustering", parameters, seed=0)
        answer = Future()
        answer.set_result(TrialResult(searched_metric(metric, fitted, "clustering", judged), 1, 0.0))
        return answer

    space = {"clusters": Dimension(choice=list(range(1, 11)))}
    plan = Search(trials=10, metric=metric, space=space, sampler="grid")
    best = best_trial(list(search(submit, {"clusters": 1}, plan, 1)), metric)
    return best.parameters["clusters"]


def test_a_search_finds_the_number_of_groups(groups):
    learned, _ = groups
    scores = {
        count: silhouette_score(
            learned.matrix, KMeans(count, n_init=10, random_state=0).fit_predict(learned.matrix)
        )
        for count in range(2, 11)
    }
    assert max(scores, key=scores.__getitem__) == 4
    assert found(groups, "silhouette") == 4
    assert found(groups, "distance") == 10


def test_what_a_search_improves_unless_it_is_stated():
    losses = {name: task.loss for name, task in TASKS.items()}
    assert {task: usual_metric(task) for task in TASKS} == {**losses, "clustering": "silhouette"}
    assert TASKS["clustering"].searched[0] in HIGHER_IS_BETTER
    assert not {name for task in TASKS.values() for name in task.searched} & {
        name for task in TASKS.values() for name in task.metrics
    }


def test_other_metrics_are_those_of_the_answers(groups):
    learned, judged = groups
    rows = Dataset(learned.matrix, learned.matrix[:, 0].astype(np.float64))
    fitted = model_type("linear").fit(rows, "regression", {}, seed=0)
    expected = TASKS["regression"].measure(rows.target, fitted.predict(rows.matrix))
    assert {name: searched_metric(name, fitted, "regression", rows) for name in expected} == expected
    clusters = model_type("k_means").fit(learned, "clustering", {"clusters": 4}, seed=0)
    answers = clusters.predict(judged.matrix)
    assert searched_metric("distance", clusters, "clustering", judged) == answers[:, 1].mean()
