"""Boosted trees answer as plain XGBoost does, before and after they were stored."""

import gc
import weakref

import numpy as np
import pytest
import xgboost

from giornata.dataset import Dataset
from giornata.errors import BundleError
from giornata.models.base import FitError, ParameterError, PrunedError
from giornata.models.search_space import Dimension
from giornata.models.xgboost import boosted_trees
from giornata.models.xgboost.boosted_trees import BoostedTrees
from giornata.models.xgboost.model_type import BoostedTreesType

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
        Dataset(matrix, target), "regression", {"n_estimators": 20, "max_depth": 4, "subsample": 0.8}, seed=3
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
    fitted = TYPE.fit(Dataset(matrix, labels), "binary", {"n_estimators": 30}, seed=0)
    chance = fitted.predict(matrix)
    assert ((chance > 0) & (chance < 1)).all()
    assert np.mean((chance > 0.5) == labels) > 0.9


def several(data, classes=("a", "b", "c")):
    """Three classes by the target's thirds."""
    matrix, target = data
    return Dataset(matrix, np.digitize(target, np.quantile(target, [1 / 3, 2 / 3])) * 1.0, outputs=classes)


SHARES = ("0.1", "0.5", "0.9")


def test_multiclass_equals_xgboost(data):
    learned = several(data)
    fitted = TYPE.fit(learned, "multiclass", {"n_estimators": 20, "max_depth": 4}, seed=3)
    plain = xgboost.XGBClassifier(
        n_estimators=20, max_depth=4, tree_method="hist", random_state=3, n_jobs=1
    ).fit(learned.matrix, learned.target)
    answers = fitted.predict(learned.matrix)
    assert answers.dtype == np.float64
    assert answers == pytest.approx(plain.predict_proba(learned.matrix), abs=1e-6)
    assert answers.sum(axis=1) == pytest.approx(np.ones(600), abs=1e-15)
    assert np.mean(np.argmax(answers, axis=1) == learned.target) > 0.9
    assert fitted.rounds == 20
    assert fitted.size()["trees"] == 60
    gains = plain.get_booster().get_score(importance_type="total_gain")
    assert fitted.importance() == pytest.approx(
        {int(name[1:]): gain / sum(gains.values()) for name, gain in gains.items()}
    )


def test_quantiles_equal_xgboost_but_in_order(data):
    matrix, target = data
    learned = Dataset(matrix, target, outputs=SHARES)
    fitted = TYPE.fit(learned, "quantile", {"n_estimators": 20, "max_depth": 4}, seed=3)
    plain = xgboost.XGBRegressor(
        objective="reg:quantileerror",
        quantile_alpha=[0.1, 0.5, 0.9],
        n_estimators=20,
        max_depth=4,
        tree_method="hist",
        random_state=3,
        n_jobs=1,
    ).fit(matrix, target)
    expected = plain.predict(matrix).astype(np.float64)
    assert (np.diff(expected, axis=1) < 0).any()
    assert fitted.predict(matrix).tolist() == np.sort(expected, axis=1).tolist()
    covered = (target >= fitted.predict(matrix)[:, 0]) & (target <= fitted.predict(matrix)[:, 2])
    assert 0.6 < covered.mean() < 0.95
    assert sum(fitted.importance().values()) == pytest.approx(1)


def test_one_quantile_is_one_column(data):
    matrix, target = data
    learned = Dataset(matrix, target, outputs=("0.25",))
    fitted = TYPE.fit(learned, "quantile", {"n_estimators": 20}, seed=0)
    for model in (fitted, BoostedTrees.from_files(fitted.to_files())):
        answers = model.predict(matrix)
        assert answers.shape == (600, 1)
        assert 0.15 < np.mean(target < answers[:, 0]) < 0.35
        assert model.predict(matrix[:0]).shape == (0, 1)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([0, 2], 4), ([3], 4), ([0], 2), ([1], 2), ([0], 1)],
)
def test_classes_that_no_row_has(data, labels, classes):
    matrix, _ = data
    target = np.resize(labels, 600) * 1.0
    learned = Dataset(matrix, target, outputs=[f"class {place}" for place in range(classes)])
    fitted = TYPE.fit(learned, "multiclass", {"n_estimators": 5}, seed=0)
    for rows in (matrix, matrix[:1], np.full((1, 4), np.nan, np.float32)):
        answers = fitted.predict(rows)
        assert answers.shape == (len(rows), classes)
        assert np.isfinite(np.log(answers)).all()
        assert answers.sum(axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-15)
        assert (np.delete(answers, labels, axis=1) < 1e-5).all()
    assert (
        BoostedTrees.from_files(fitted.to_files()).predict(matrix).tolist() == fitted.predict(matrix).tolist()
    )
    assert fitted.size()["trees"] == 5 * classes
    alone = TYPE.fit(
        Dataset(matrix[:1], target[:1], outputs=learned.outputs), "multiclass", {"n_estimators": 5}, seed=0
    )
    assert np.argmax(alone.predict(matrix), axis=1).tolist() == [labels[0]] * 600


def test_labels_that_are_no_class(data):
    learned = several(data, ("a", "b"))
    with pytest.raises(FitError, match="2 classes must be their places, 0 to 1"):
        TYPE.fit(learned, "multiclass", {}, seed=0)
    with pytest.raises(FitError, match="type xgboost cannot be used for task clustering: use k_means"):
        TYPE.fit(learned, "clustering", {}, seed=0)


@pytest.mark.parametrize("task", ["multiclass", "quantile"])
def test_several_numbers_are_stored_and_have_the_same_bits_alone(data, task):
    matrix, target = data
    learned = several(data) if task == "multiclass" else Dataset(matrix, target, outputs=SHARES)
    fitted = TYPE.fit(learned, task, {"n_estimators": 40, "max_depth": 6}, seed=0)
    files = fitted.to_files()
    assert files == TYPE.fit(learned, task, {"n_estimators": 40, "max_depth": 6}, seed=0).to_files()
    stored = BoostedTrees.from_files(files)
    together = fitted.predict(matrix).tolist()
    assert stored.predict(matrix).tolist() == together
    assert stored.to_files() == files
    assert (stored.rounds, stored.size()) == (40, fitted.size())
    assert [stored.predict(matrix[at : at + 1])[0].tolist() for at in range(100)] == together[:100]
    for count in (2, 63, 65, 599):
        assert stored.predict(matrix[:count]).tolist() == together[:count]
    assert stored.predict(np.asfortranarray(matrix)).tolist() == together
    assert stored.predict(matrix[:0]).shape == (0, 3)


def log_loss(target, answers):
    return -np.mean(np.log(answers[np.arange(len(target)), target.astype(int)]))


def pinball(target, answers):
    above, shares = target[:, None] - answers, np.array([0.1, 0.5, 0.9])
    return np.mean(np.where(above > 0, shares * above, (shares - 1) * above))


@pytest.mark.parametrize(("task", "loss"), [("multiclass", log_loss), ("quantile", pinball)])
def test_several_numbers_stop_early_by_their_loss(data, task, loss):
    matrix, target = data
    if task == "multiclass":
        target, outputs = several(data).target, ("a", "b", "c")
    else:
        outputs = SHARES
    shuffled = np.random.default_rng(1).permutation(50)
    validation = Dataset(matrix[:100], np.append(target[:50][shuffled], target[50:100]), outputs=outputs)
    learned = Dataset(matrix[100:], target[100:], outputs=outputs)
    parameters = {"n_estimators": 300, "early_stopping_rounds": 5, "learning_rate": 0.3}
    heard = []
    fitted = TYPE.fit(
        learned, task, parameters, 0, validation=validation, watch=lambda *told: heard.append(told)
    )
    losses = [loss for _, loss in heard]
    assert [round_ for round_, _ in heard] == list(range(1, len(heard) + 1))
    assert fitted.rounds == 1 + int(np.argmin(losses)) == len(heard) - 5
    # Values in order lose at most as much as those that XGBoost measured.
    measured = loss(validation.target, fitted.predict(validation.matrix))
    assert measured == pytest.approx(min(losses), rel=0.01 if task == "quantile" else 1e-5)
    assert measured <= min(losses) * (1 + 1e-5)
    exact = TYPE.fit(learned, task, TYPE.with_rounds(parameters, fitted.rounds), seed=0)
    assert fitted.predict(matrix).tolist() == exact.predict(matrix).tolist()


def test_files_give_the_same_model(data):
    matrix, target = data
    fitted = TYPE.fit(Dataset(matrix, target), "regression", {"n_estimators": 5}, seed=0)
    again = TYPE.fit(Dataset(matrix, target), "regression", {"n_estimators": 5}, seed=0)
    files = fitted.to_files()
    assert list(files) == ["model.ubj"]
    assert files == again.to_files()
    stored = BoostedTrees.from_files(files)
    assert stored.predict(matrix).tolist() == fitted.predict(matrix).tolist()
    assert stored.to_files() == files


def test_one_row_at_a_time_gives_the_same_bits(data):
    matrix, target = data
    fitted = TYPE.fit(Dataset(matrix, target), "regression", {"n_estimators": 40, "max_depth": 6}, seed=0)
    assert [fitted.predict(matrix[at : at + 1])[0] for at in range(50)] == fitted.predict(matrix)[
        :50
    ].tolist()


def test_early_stopping_trims_the_model(data):
    matrix, target = data
    validation = Dataset(matrix[:100], target[:100] + np.random.default_rng(1).normal(0, 3, 100))
    parameters = {"n_estimators": 300, "early_stopping_rounds": 5, "learning_rate": 0.3}
    fitted = TYPE.fit(
        Dataset(matrix[100:], target[100:]), "regression", parameters, seed=0, validation=validation
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
        Dataset(matrix[100:], target[100:]),
        "regression",
        TYPE.with_rounds(parameters, fitted.rounds),
        seed=0,
    )
    assert fitted.predict(matrix).tolist() == exact.predict(matrix).tolist()
    with pytest.raises(FitError, match="validation rows"):
        TYPE.fit(Dataset(matrix, target), "regression", parameters, seed=0)


def test_a_watch_hears_every_round_and_can_end_the_fit(data):
    matrix, target = data
    learned, validation = Dataset(matrix[100:], target[100:]), Dataset(matrix[:100], target[:100])
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


@pytest.mark.parametrize("with_validation", [False, True])
def test_fits_of_the_same_rows_do_not_disturb_each_other(data, with_validation):
    """As in a search, with bins of other numbers between them; XGBoost alone, on rows made anew, is the truth."""
    matrix, target = data
    rows = Dataset(matrix, target)
    validation = Dataset(matrix[:90], target[:90]) if with_validation else None
    few_bins = {"max_bin": 8, "subsample": 0.5}
    for parameters in ({"max_bin": 256}, few_bins, {"max_bin": 256, "max_depth": 2}, {"max_bin": 256}):
        fitted = TYPE.fit(rows, "regression", {**parameters, "n_estimators": 5}, 3, validation=validation)
        options = {**parameters, "seed": 3, "nthread": 1, "tree_method": "hist"}
        plain = xgboost.train(options, xgboost.DMatrix(matrix.copy(), target.copy()), 5)
        assert fitted.predict(matrix).tolist() == plain.predict(xgboost.DMatrix(matrix)).tolist()


def test_the_rows_of_a_fit_are_not_held(data):
    rows = Dataset(*data)
    TYPE.fit(rows, "regression", {"n_estimators": 2}, 0)
    seen = weakref.ref(rows)
    del rows
    gc.collect()
    assert seen() is None
    assert not boosted_trees._PREPARED.forms


def test_what_xgboost_refuses_is_a_fit_error(data):
    matrix, target = data
    with pytest.raises(FitError, match="cannot fit"):
        TYPE.fit(Dataset(np.full_like(matrix, np.inf), target), "regression", {"n_estimators": 2}, seed=0)


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
    TYPE.check({}, TYPE.default_space)
    with pytest.raises(ParameterError, match="subsample"):
        TYPE.check({}, {"subsample": Dimension(float=[0.5, 2.0])})
    with pytest.raises(ParameterError, match="whole number"):
        TYPE.check({}, {"max_depth": Dimension(choice=[3, 4.5])})


@pytest.mark.parametrize("files", [{}, {"model.ubj": b"nonsense"}, {"other.ubj": b""}])
def test_files_that_hold_no_model(files):
    with pytest.raises(BundleError, match=r"model\.ubj"):
        BoostedTrees.from_files(files)
