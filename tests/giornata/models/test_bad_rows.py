"""Rows that have little or nothing to learn from, for every model type: a sensible model, or a sentence for people."""

import warnings

import numpy as np
import pytest

from giornata.dataset import Dataset
from giornata.models import MODEL_TYPES, model_type
from giornata.models.base import FitError
from giornata.models.custom.code import CustomCode
from giornata.tasks import TASKS

NAN = np.nan
CASES = [(type_, task) for type_, known in MODEL_TYPES.items() for task in known.tasks]
LABELLED = [case for case in CASES if case[1] != "clustering"]
CODES = 3

# As little as a class needs; it trusts its rows, as classes of projects do.
MEAN = """
import json
import numpy as np

class Mean:
    def fit(self, examples, setting):
        self.mean = float(examples.target.mean())

    def predict(self, matrix):
        return np.full(len(matrix), self.mean)

    def save(self):
        return {"mean.json": json.dumps(self.mean).encode()}

    def load(self, files):
        self.mean = json.loads(files["mean.json"])
"""

# Features of a part: two amounts and a code.
MATRICES = {
    "one row": [[1, 2, 0]],
    "constant": [[1, 2, 0]] * 30,
    "null": [[NAN, NAN, NAN]] * 30,
    "some null": [[1, NAN, 0], [NAN, 2, 1], [3, 4, NAN]] * 10,
    "far apart": [[-3e38, 1e-44, 2], [3e38, 0, 1]] * 15,
    "two rows": [[1, 2, 0], [3, 4, 1]],
}
PARAMETERS = {"deep_net": {"epochs": 2}, "random_forest": {"n_estimators": 3}, "xgboost": {"n_estimators": 3}}


def type_of(name):
    return model_type(name, CustomCode("Mean", "models/mean.py", MEAN) if name == "custom" else None)


def labels(task, rows, one_kind=False):
    if one_kind:
        return np.full(rows, 7.0 if task in ("regression", "quantile", "forecasting") else 1.0)
    several = {"binary": 2, "multiclass": 3, "clustering": 1}
    return np.arange(rows) % several.get(task, 5) * 1.0


def examples(task, matrix, target):
    outputs = TASKS[task].outputs(("a", "b", "c"), (0.1, 0.5, 0.9))
    found = np.array(matrix, np.float32)
    if task == "forecasting":
        # A step is a whole number.
        return Dataset(np.clip(found[:, :1], -1000, 1000), target, {}, ("step",), outputs)
    return Dataset(found, target, {2: CODES}, ("first", "second", "code"), outputs)


def fit(name, task, rows):
    """The model, fitted without a warning that would reach the log."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return type_of(name).fit(rows, task, PARAMETERS.get(name, {}), seed=0)


def asked(rows):
    """The rows learned from, and such as were never seen: nothing, an unknown code, amounts at the end."""
    width = rows.matrix.shape[1]
    far = np.array([[NAN] * width, [9.0] * width, [3e38] * width, [-3e38] * width, [0.5] * width], np.float32)
    return np.concatenate([rows.matrix[:5], far])


def assert_answers(fitted, task, rows):
    """Finite answers, of the kind that the task has, which the files give too."""
    matrix = asked(rows)
    answers = fitted.predict(matrix)
    assert len(answers) == len(matrix)
    assert np.isfinite(answers).all()
    assert type(fitted).from_files(fitted.to_files()).predict(matrix).tolist() == answers.tolist()
    if task in ("binary", "multiclass"):
        assert ((answers >= 0) & (answers <= 1)).all()
    if task == "multiclass":
        assert answers.sum(axis=1) == pytest.approx(np.ones(len(answers)))
    assert sum(fitted.importance().values()) == pytest.approx(1 if fitted.importance() else 0)


def assert_for_people(error):
    text = str(error)
    assert len(text) > 20
    assert "\n" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_labels_of_several_kinds(case, name):
    """Every type has a model of them, be it a constant."""
    matrix, task = MATRICES[name], case[1]
    rows = examples(task, matrix, labels(task, len(matrix)))
    if case == ("deep_net", "binary") and len(matrix) == 1:
        with pytest.raises(FitError, match="all 1 rows are false: a deep net needs rows of both kinds"):
            fit(*case, rows)
        return
    assert_answers(fit(*case, rows), task, rows)


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_labels_of_one_kind(case, name):
    matrix, task = MATRICES[name], case[1]
    rows = examples(task, matrix, labels(task, len(matrix), one_kind=True))
    if case == ("deep_net", "binary"):
        with pytest.raises(FitError, match="rows are true: a deep net needs rows of both kinds"):
            fit(*case, rows)
        return
    fitted = fit(*case, rows)
    assert_answers(fitted, task, rows)
    answers = fitted.predict(asked(rows))
    if task in ("regression", "quantile", "forecasting"):
        assert answers == pytest.approx(np.full(answers.shape, 7.0))
    elif task == "binary":
        assert (answers > 0.5).all()
    elif task == "multiclass":
        assert (answers.argmax(axis=1) == 1).all()


@pytest.mark.parametrize("wrong", [NAN, np.inf, -np.inf])
@pytest.mark.parametrize("rows", [1, 30])
@pytest.mark.parametrize("case", LABELLED, ids="-".join)
def test_labels_that_are_no_number(case, rows, wrong):
    """Training leaves such rows out; a type that is given one says so."""
    task = case[1]
    target = labels(task, rows)
    target[-1] = wrong
    with pytest.raises(FitError) as caught:
        fit(*case, examples(task, [[row, 2, row % 3] for row in range(rows)], target))
    assert_for_people(caught.value)
    assert "label" in str(caught.value).lower()


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_no_rows(case):
    with pytest.raises(FitError, match="there are no rows to learn from"):
        fit(*case, examples(case[1], np.empty((0, 3)), np.empty(0)))


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_the_same_rows_and_seed_give_the_same_files(case):
    random = np.random.default_rng(3)
    matrix = np.column_stack([random.normal(size=(200, 2)), random.integers(0, CODES, 200)])
    if case[1] == "forecasting":
        matrix = np.arange(200)[:, None]
    rows = examples(case[1], matrix, labels(case[1], 200))
    assert fit(*case, rows).to_files() == fit(*case, rows).to_files()
