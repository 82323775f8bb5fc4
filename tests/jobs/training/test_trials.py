"""Trials run on executors; one that fails says why and leaves the others alone."""

import numpy as np
import pytest
import xgboost

from giornata.dataset import Dataset
from giornata.models.base import FitError
from giornata.models.xgboost.model_type import BoostedTreesType
from jobs.training.trials import TrialData, run_trial, trial_runner


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    matrix = random.normal(size=(400, 3)).astype(np.float32)
    target = matrix @ np.array([1.0, 2.0, 0.0])
    return TrialData(Dataset(matrix[:300], target[:300]), Dataset(matrix[300:], target[300:]))


def test_trials_equal_plain_xgboost(spark, data):
    with trial_runner(spark, 2, data, BoostedTreesType(), "regression", "rmse", seed=0) as runner:
        futures = {
            depth: runner.submit({"n_estimators": 8, "max_depth": depth}, {}) for depth in (1, 2, 3, 4)
        }
        found = {depth: future.result(60) for depth, future in futures.items()}
    for depth, result in found.items():
        options = {"max_depth": depth, "tree_method": "hist", "nthread": 1}
        booster = xgboost.train(options, xgboost.DMatrix(data.train.matrix, data.train.target), 8)
        error = booster.predict(xgboost.DMatrix(data.validation.matrix)) - data.validation.target
        assert result.value == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-6)
        assert result.rounds == 8


def test_a_trial_that_fails_says_why(spark, data):
    with trial_runner(spark, 2, data, BoostedTreesType(), "regression", "rmse", seed=0) as runner:
        wrong = runner.submit({"max_deph": 2}, {})
        right = runner.submit({"n_estimators": 2}, {})
        with pytest.raises(FitError, match="did you mean max_depth"):
            wrong.result(60)
        assert right.result(60).rounds == 2
    with trial_runner(spark, 1, data, BoostedTreesType(), "regression", "guess", seed=0) as runner:
        crashed = runner.submit({}, {})
        with pytest.raises(FitError, match=r"^its Spark task failed: KeyError: 'guess'$"):
            crashed.result(60)


def test_early_stopping_reports_its_rounds(data):
    parameters = {"n_estimators": 500, "learning_rate": 0.5, "early_stopping_rounds": 3}
    result = run_trial(data, BoostedTreesType(), "regression", "rmse", 0, parameters, {})
    assert 1 <= result.rounds < 500
