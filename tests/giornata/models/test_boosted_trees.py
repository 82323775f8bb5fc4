"""Boosted trees answer as plain XGBoost does, before and after they were stored."""

import numpy as np
import pytest
import xgboost

from giornata.documents.model import Dimension
from giornata.errors import BundleError
from giornata.models.base import Examples, FitError, ParameterError, PrunedError
from giornata.models.boosted_trees import BoostedTrees, BoostedTreesType

TYPE = BoostedTreesType()


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    matrix = random.normal(size=(600, 4)).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    target = np.nan_to_num(matrix[:, 0]) * 3 + np.nan_to_num(matrix[:, 1]) ** 2 + random.normal(0, 0.1, 600)
    return matrix, target


def test_regression_equals_xgboost(data):
    matrix, target = data
    fitted = TYPE.fit(
        Examples(matrix, target), "regression", {"n_estimators": 20, "max_depth": 4, "subsample": 0.8}, seed=3
    )
    options = {"max_depth": 4, "subsample": 0.8, "tree_method": "hist", "seed": 3, "nthread": 1}
    plain = xgboost.train(options, xgboost.DMatrix(matrix, target), 20)
    expected = plain.predict(xgboost.DMatrix(matrix))
    assert fitted.predict(matrix).tolist() == expected.astype(np.float64).tolist()
    assert fitted.rounds == 20
    assert fitted.size()["trees"] == 20
    gains = plain.get_score(importance_type="total_gain")
    assert fitted.importance() == pytest.approx(
        {int(name[1:]): gain / sum(gains.values()) for name, gain in gains.items()}
    )


def test_binary_answers_are_probabilities(data):
    matrix, target = data
    labels = (target > 0).astype(np.float64)
    fitted = TYPE.fit(Examples(matrix, labels), "binary", {"n_estimators": 30}, seed=0)
    chance = fitted.predict(matrix)
    assert ((chance > 0) & (chance < 1)).all()
    assert np.mean((chance > 0.5) == labels) > 0.9


def test_files_give_the_same_model(data):
    matrix, target = data
    fitted = TYPE.fit(Examples(matrix, target), "regression", {"n_estimators": 5}, seed=0)
    again = TYPE.fit(Examples(matrix, target), "regression", {"n_estimators": 5}, seed=0)
    files = fitted.to_files()
    assert list(files) == ["model.ubj"]
    assert files == again.to_files()
    stored = BoostedTrees.from_files(files)
    assert stored.predict(matrix).tolist() == fitted.predict(matrix).tolist()
    assert stored.to_files() == files


def test_one_row_at_a_time_gives_the_same_bits(data):
    matrix, target = data
    fitted = TYPE.fit(Examples(matrix, target), "regression", {"n_estimators": 40, "max_depth": 6}, seed=0)
    assert [fitted.predict(matrix[at : at + 1])[0] for at in range(50)] == fitted.predict(matrix)[
        :50
    ].tolist()


def test_early_stopping_trims_the_model(data):
    matrix, target = data
    validation = Examples(matrix[:100], target[:100] + np.random.default_rng(1).normal(0, 3, 100))
    parameters = {"n_estimators": 300, "early_stopping_rounds": 5, "learning_rate": 0.3}
    fitted = TYPE.fit(
        Examples(matrix[100:], target[100:]), "regression", parameters, seed=0, validation=validation
    )
    options = {"learning_rate": 0.3, "tree_method": "hist", "nthread": 1, "eval_metric": "rmse"}
    plain = xgboost.train(
        options,
        xgboost.DMatrix(matrix[100:], target[100:]),
        300,
        evals=[(xgboost.DMatrix(validation.matrix, validation.target), "v")],
        early_stopping_rounds=5,
        verbose_eval=False,
    )
    assert fitted.rounds == plain.best_iteration + 1 < plain.num_boosted_rounds()
    # The trees after the best one are gone: fitting exactly that many gives the same model.
    exact = TYPE.fit(
        Examples(matrix[100:], target[100:]),
        "regression",
        TYPE.with_rounds(parameters, fitted.rounds),
        seed=0,
    )
    assert fitted.predict(matrix).tolist() == exact.predict(matrix).tolist()
    with pytest.raises(FitError, match="validation rows"):
        TYPE.fit(Examples(matrix, target), "regression", parameters, seed=0)


def test_a_watch_hears_every_round_and_can_end_the_fit(data):
    matrix, target = data
    learned, validation = Examples(matrix[100:], target[100:]), Examples(matrix[:100], target[:100])
    heard = []

    def watch(round_, loss):
        heard.append((round_, loss))
        if round_ == 7:
            raise PrunedError("enough")

    with pytest.raises(PrunedError, match="enough"):
        TYPE.fit(learned, "regression", {"n_estimators": 50}, seed=0, validation=validation, watch=watch)
    assert [round_ for round_, _ in heard] == [1, 2, 3, 4, 5, 6, 7]
    for rounds, loss in heard[::3]:
        fitted = TYPE.fit(learned, "regression", {"n_estimators": rounds}, seed=0)
        error = fitted.predict(validation.matrix) - validation.target
        assert loss == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)


def test_what_xgboost_refuses_is_a_fit_error(data):
    matrix, target = data
    with pytest.raises(FitError, match="cannot fit"):
        TYPE.fit(Examples(matrix, np.full_like(target, 7.0)), "binary", {"n_estimators": 2}, seed=0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_deph": 3}, "did you mean max_depth"),
        ({"max_depth": 2.5}, "max_depth is a whole number, not 2.5"),
        ({"max_depth": True}, "whole number"),
        ({"n_estimators": 0}, "n_estimators is at least 1, not 0"),
        ({"subsample": 1.5}, "subsample is at least 0 and at most 1"),
        ({"grow_policy": "deep"}, "one of depthwise, lossguide"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        TYPE.check(parameters, {})


def test_wrong_space():
    TYPE.check({}, TYPE.default_space())
    with pytest.raises(ParameterError, match="subsample"):
        TYPE.check({}, {"subsample": Dimension(float=[0.5, 2.0])})
    with pytest.raises(ParameterError, match="whole number"):
        TYPE.check({}, {"max_depth": Dimension(choice=[3, 4.5])})


@pytest.mark.parametrize("files", [{}, {"model.ubj": b"nonsense"}, {"other.ubj": b""}])
def test_files_that_hold_no_model(files):
    with pytest.raises(BundleError, match=r"model\.ubj"):
        BoostedTrees.from_files(files)
