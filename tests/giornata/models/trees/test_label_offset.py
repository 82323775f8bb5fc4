"""Labels far from 0: what is learned of them does not depend on how far."""

import json

import numpy as np
import pytest
import xgboost
from sklearn.tree import DecisionTreeRegressor

from giornata.dataset import Dataset
from giornata.errors import BundleError
from giornata.models import model_type, types_for
from giornata.models.trees.label_offset import offset_of
from giornata.models.xgboost.boosted_trees import BoostedTrees, shift_of

ROWS = 2000
SHARES = ("0.1", "0.5", "0.9")
TASKS = [
    *((name, "regression") for name in types_for("regression") if name != "custom"),
    ("xgboost", "quantile"),
]
FEW = {
    "xgboost": {"n_estimators": 40},
    "random_forest": {"n_estimators": 20},
    "deep_net": {"epochs": 20},
}


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    matrix = random.normal(size=(ROWS, 3)).astype(np.float32)
    return matrix, 10 * matrix[:, 0].astype(np.float64) + random.normal(size=ROWS)


def fitted(name, task, matrix, target, parameters=None, **others):
    outputs = SHARES if task == "quantile" else ()
    learned = Dataset(matrix, target, outputs=outputs)
    return model_type(name).fit(learned, task, {**FEW.get(name, {}), **(parameters or {})}, seed=0, **others)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1.6e9, 1e12, -1e12])
@pytest.mark.parametrize(("name", "task"), TASKS)
def test_answers_to_shifted_labels_are_shifted_answers(rows, name, task, offset):
    matrix, target = rows
    near = fitted(name, task, matrix, target).predict(matrix)
    model = fitted(name, task, matrix, target + offset)
    stored = type(model).from_files(model.to_files())
    far = stored.predict(matrix)
    assert far.tolist() == model.predict(matrix).tolist()
    assert [stored.predict(row[None]).tolist()[0] for row in matrix[:50]] == far[:50].tolist()
    moved = np.abs(far - offset - near)
    # The labels themselves are rounded, so that a tree may put some rows on the other side of a tie.
    assert np.sqrt(np.mean(moved**2)) < 0.15
    assert np.median(moved) < 1e-3
    answers = far if far.ndim == 1 else far[:, 1]
    assert np.sqrt(np.mean((answers - offset - 10 * matrix[:, 0]) ** 2)) < 2.5


@pytest.mark.parametrize("offset", [1.6e9, 1e12])
@pytest.mark.parametrize("name", ["xgboost", "random_forest", "deep_net"])
def test_a_watch_hears_the_same_losses(rows, name, offset):
    matrix, target = rows

    def heard(target):
        losses = []
        judged = Dataset(matrix[:500], target[:500])
        fitted(
            name,
            "regression",
            matrix[500:],
            target[500:],
            {"n_estimators" if name != "deep_net" else "epochs": 5},
            validation=judged,
            watch=lambda _, loss: losses.append(loss),
        )
        return losses

    assert heard(target + offset) == pytest.approx(heard(target), rel=0.02)


@pytest.mark.parametrize("task", ["regression", "quantile"])
def test_early_stopping_and_rounds_of_shifted_labels(rows, task):
    matrix, target = rows
    stop = {"n_estimators": 300, "early_stopping_rounds": 5, "learning_rate": 0.1}

    def model(target):
        judged = Dataset(matrix[:500], target[:500], outputs=SHARES if task == "quantile" else ())
        return fitted("xgboost", task, matrix[500:], target[500:], stop, validation=judged)

    near, far = model(target), model(target + 1.6e9)
    assert 10 < near.rounds < 290
    assert far.rounds == pytest.approx(near.rounds, rel=0.25)
    again = fitted(
        "xgboost",
        task,
        matrix[500:],
        target[500:] + 1.6e9,
        model_type("xgboost").with_rounds(stop, far.rounds),
    )
    assert again.predict(matrix).tolist() == far.predict(matrix).tolist()


def test_a_tree_equals_scikit_learn_on_labels_without_offset(rows):
    matrix, _ = rows
    target = np.round(10 * matrix[:, 0].astype(np.float64))  # whole, so that no label is rounded
    model = fitted("decision_tree", "regression", matrix, target + 1e12, {"max_depth": 6})
    plain = DecisionTreeRegressor(max_depth=6, min_samples_leaf=20, random_state=0).fit(matrix, target)
    assert model.predict(matrix) - 1e12 == pytest.approx(plain.predict(matrix), abs=2e-4)


def test_the_same_rows_judge_fits_of_other_offsets(rows):
    """As in a search of one part after another: the labels of rows that are kept ready follow the fit."""
    matrix, target = rows
    judged = Dataset(matrix[:500], target[:500] + 1e6)

    def heard(learned):
        losses = []
        model_type("xgboost").fit(
            learned,
            "regression",
            {"n_estimators": 3},
            0,
            validation=judged,
            watch=lambda _, loss: losses.append(loss),
        )
        return losses

    near = Dataset(matrix[500:], target[500:] + 1e6)
    first = heard(near)
    assert heard(Dataset(matrix[500:], target[500:] + 2e6))[0] == pytest.approx(1e6, rel=0.01)
    assert heard(near) == first


def test_near_labels_keep_their_files(rows):
    matrix, target = rows
    for labels in (target, target + 500):  # the second are some 60 mean distances from 0
        assert offset_of(labels) == 0
        booster = xgboost.train({"tree_method": "hist", "nthread": 1}, xgboost.DMatrix(matrix, labels), 40)
        mine = fitted("xgboost", "regression", matrix, labels)
        assert mine.predict(matrix).tolist() == booster.predict(xgboost.DMatrix(matrix)).tolist()
        assert b"offset" not in mine.to_files()["model.ubj"]


def test_the_offset():
    assert offset_of(np.array([])) == 0
    assert offset_of(np.zeros(5)) == 0
    assert offset_of(np.full(5, 0.1)) == 0.1
    assert offset_of(np.array([1e9 + 3, 1e9 + 1, 1e9 + 2])) == 1e9 + 2
    assert offset_of(np.array([1.0, 1.0, 1.0, 3.0])) == 0
    assert offset_of(np.array([1.7e308, -1.7e308])) == 0
    moments = np.full(100_000, 1.6e9) + np.arange(100_000)
    moments[7] = 0
    assert offset_of(moments) == moments[50_000]


def test_classes_and_chances_are_not_shifted():
    true = np.ones(100)
    rows = Dataset(np.zeros((100, 1), np.float32), true)
    assert shift_of(rows, "binary") == 0
    assert shift_of(rows, "multiclass") == 0
    assert shift_of(rows, "quantile") == 1


@pytest.mark.parametrize("written", ["nan", "inf", "seconds"])
def test_an_offset_that_is_no_number(rows, written):
    matrix, target = rows
    booster = xgboost.train({"tree_method": "hist"}, xgboost.DMatrix(matrix, target), 2)
    booster.set_attr(offset=written)
    with pytest.raises(BundleError, match=f"offset that is no number: '{written}'"):
        BoostedTrees.from_files({"model.ubj": bytes(booster.save_raw("ubj"))})


def test_the_offset_is_in_the_file_in_full(rows):
    matrix, target = rows
    model = fitted("xgboost", "regression", matrix, target + 1e12)
    booster = xgboost.Booster()
    booster.load_model(bytearray(model.to_files()["model.ubj"]))
    assert float(json.loads(booster.attr("offset"))) in set((target + 1e12).tolist())
