"""The search finds a planted optimum, survives failures, and does not depend on which trial ends first."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from giornata.documents.model import Dimension
from giornata.errors import DataError
from giornata.models.base import FitError
from giornata.models.search import TrialResult, best_trial, search

SPACE = {
    "max_depth": Dimension(int=[1, 9]),
    "learning_rate": Dimension(float=[0.01, 1.0], log=True),
    "grow_policy": Dimension(choice=["depthwise", "lossguide"]),
}
OWN = {"n_estimators": 7, "max_depth": 1, "learning_rate": 1.0, "grow_policy": "depthwise"}


def loss(parameters):
    wrong_policy = parameters["grow_policy"] != "lossguide"
    return (parameters["max_depth"] - 6) ** 2 + abs(parameters["learning_rate"] - 0.1) + wrong_policy


def at_once(parameters):
    future = Future()
    future.set_result(TrialResult(loss(parameters), 7, 0.0))
    return future


def test_finds_the_planted_optimum():
    trials = list(search(at_once, OWN, SPACE, 60, "rmse", 0, 2))
    assert [trial.number for trial in trials] == list(range(60))
    assert trials[0].parameters == OWN
    assert all(trial.parameters["n_estimators"] == 7 for trial in trials)
    best = best_trial(trials, "rmse")
    assert best.value == min(trial.value for trial in trials)
    assert best.parameters["max_depth"] == 6
    assert best.parameters["grow_policy"] == "lossguide"


def test_maximises_what_is_better_when_higher():
    trials = list(search(at_once, OWN, SPACE, 40, "auc", 0, 2))
    assert best_trial(trials, "auc").value == max(trial.value for trial in trials)
    # It went looking for high values: the farthest depth from 6 is 1.
    assert best_trial(trials, "auc").parameters["max_depth"] == 1


def test_order_of_completion_does_not_matter():
    expected = list(search(at_once, OWN, SPACE, 25, "rmse", 5, 3))
    with ThreadPoolExecutor(3) as pool:
        # In a window of three, the trial asked for last is the one that ends first.
        waiting: list = []

        def submit(parameters):
            future: Future = Future()
            waiting.append((future, TrialResult(loss(parameters), 7, 0.0)))
            if len(waiting) == 3:
                for late, result in reversed(waiting):
                    pool.submit(late.set_result, result)
                waiting.clear()
            return future

        found = []
        for trial in search(submit, OWN, SPACE, 24, "rmse", 5, 3):
            found.append(trial)
            for late, result in waiting:
                late.set_result(result)
            waiting.clear()
    assert found == expected[:24]


def test_no_more_in_flight_than_allowed_and_later_trials_learn_from_earlier_ones():
    submitted = []

    def submit(parameters):
        submitted.append(parameters)
        return at_once(parameters)

    for trial in search(submit, OWN, SPACE, 40, "rmse", 0, 4):
        assert len(submitted) <= trial.number + 4
    # After Optuna's ten random trials, what is proposed gathers about the optimum.
    early, late = ([loss(parameters) for parameters in part] for part in (submitted[1:11], submitted[25:]))
    assert sum(late) / len(late) < 0.7 * sum(early) / len(early)


def test_a_failed_trial_is_recorded_and_the_others_go_on():
    def submit(parameters):
        future: Future = Future()
        if parameters["max_depth"] > 4:
            future.set_exception(FitError("too deep"))
        elif parameters["grow_policy"] == "lossguide":
            future.set_result(TrialResult(float("nan"), 7, 0.0))
        else:
            future.set_result(TrialResult(loss(parameters), 7, 0.0))
        return future

    trials = list(search(submit, OWN, SPACE, 30, "rmse", 1, 2))
    assert len(trials) == 30
    failed = [trial for trial in trials if trial.state == "failed"]
    assert {trial.reason for trial in failed} == {
        "too deep",
        "its metric is not defined on the validation rows",
    }
    assert all(trial.value is None for trial in failed)
    assert best_trial(trials, "rmse").parameters["max_depth"] <= 4


def test_all_failed():
    def submit(parameters):
        future: Future = Future()
        future.set_exception(FitError("no memory"))
        return future

    with pytest.raises(DataError, match="all 3 trials of the search failed: no memory"):
        best_trial(list(search(submit, OWN, SPACE, 3, "rmse", 0, 2)), "rmse")
