"""Logistic regression is scikit-learn's over standardised columns, and answers alike for one row and for many."""

import warnings

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from giornata.dataset import Dataset
from giornata.errors import BundleError
from giornata.models.base import FitError, ParameterError
from giornata.models.logistic.model_type import LogisticType
from giornata.models.logistic.regression import Logistic

TYPE = LogisticType()
ROWS = 400


@pytest.fixture(scope="module")
def examples():
    """Two amounts, the first of which is sometimes missing, and codes 0 to 2."""
    random = np.random.default_rng(0)
    matrix = random.normal(5, 20, size=(ROWS, 3)).astype(np.float32)
    matrix[:, 2] = random.integers(0, 3, ROWS)
    score = 0.1 * matrix[:, 0] + 0.02 * matrix[:, 1] + 2 * (matrix[:, 2] == 1) - 3
    target = (random.random(ROWS) < 1 / (1 + np.exp(-score))).astype(np.float64)
    matrix[random.random(ROWS) < 0.2, 0] = np.nan
    matrix[random.random(ROWS) < 0.1, 2] = np.nan
    return Dataset(matrix, target, {2: 3})


def design():
    codes = OneHotEncoder(categories=[np.arange(3, dtype=np.float64)], handle_unknown="ignore")
    return ColumnTransformer(
        [
            ("amounts", make_pipeline(SimpleImputer(), StandardScaler()), [0, 1]),
            ("missing", MissingIndicator(error_on_new=False), [0, 1]),
            ("codes", codes, [2]),
        ],
        sparse_threshold=0,
    )


STRICT = {"tolerance": 1e-10, "max_iterations": 20_000}


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        ({"penalty": "none"}, {"C": np.inf}),
        ({}, {"C": 1 / (0.01 * ROWS)}),
        ({"alpha": 0.3, "class_weight": "balanced"}, {"C": 1 / (0.3 * ROWS), "class_weight": "balanced"}),
        ({"penalty": "l1", "alpha": 0.02}, {"C": 1 / (0.02 * ROWS), "l1_ratio": 1, "solver": "saga"}),
        (
            {"penalty": "elasticnet", "alpha": 0.02, "l1_ratio": 0.3},
            {"C": 1 / (0.02 * ROWS), "l1_ratio": 0.3, "solver": "saga"},
        ),
    ],
)
def test_equals_scikit_learn(examples, parameters, options):
    fitted = TYPE.fit(examples, "binary", parameters | STRICT, seed=1)
    plain = LogisticRegression(**options, tol=1e-10, max_iter=20_000, random_state=1)
    expected = make_pipeline(design(), plain).fit(examples.matrix.astype(np.float64), examples.target)
    matrix = examples.matrix.copy()
    matrix[:20, 1] = np.nan
    matrix[20:40, 2] = 9
    chances = expected.predict_proba(matrix.astype(np.float64))[:, 1]
    # Both stop where the loss no longer falls, from numbers that differ in their last bits.
    assert fitted.predict(matrix) == pytest.approx(chances, abs=1e-7)
    assert sum(fitted.importance().values()) == pytest.approx(1)


def test_answers_equal_the_logistic_function_of_the_coefficients(examples):
    fitted = TYPE.fit(examples, "binary", {}, seed=0)
    plain = LogisticRegression(C=1 / (0.01 * ROWS), max_iter=1000)
    expected = make_pipeline(design(), plain).fit(examples.matrix.astype(np.float64), examples.target)
    chances = expected.predict_proba(examples.matrix.astype(np.float64))[:, 1]
    assert fitted.predict(examples.matrix) == pytest.approx(chances, abs=1e-9)
    assert fitted.size() == {"coefficients": 6}


def test_one_row_at_a_time_gives_the_same_bits(examples):
    fitted = TYPE.fit(examples, "binary", {}, seed=0)
    matrix = np.tile(examples.matrix, (15, 1))
    alone = [fitted.predict(matrix[at : at + 1])[0] for at in range(ROWS)] * 15
    assert fitted.predict(matrix).tolist() == alone
    assert fitted.predict(np.asfortranarray(matrix)).tolist() == alone


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_files_give_the_same_model(examples, penalty):
    parameters = {"penalty": penalty, "class_weight": "balanced"}
    fitted = TYPE.fit(examples, "binary", parameters, seed=2)
    files = fitted.to_files()
    assert list(files) == ["logistic.json"]
    assert files == TYPE.fit(examples, "binary", parameters, seed=2).to_files()
    stored = Logistic.from_files(files)
    assert stored.predict(examples.matrix).tolist() == fitted.predict(examples.matrix).tolist()
    assert stored.to_files() == files
    assert stored.rounds == 1


CLASSES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def several(examples):
    """The same columns; three classes, of which two have an effect each, and a fourth that no row has."""
    random = np.random.default_rng(1)
    matrix = np.nan_to_num(examples.matrix, nan=5)
    scores = np.column_stack([np.zeros(ROWS), 0.1 * matrix[:, 0], 0.05 * matrix[:, 1] - (matrix[:, 2] == 1)])
    target = np.argmax(scores + random.gumbel(size=scores.shape), axis=1)
    places = np.array([0.0, 1.0, 3.0])[target]
    return Dataset(examples.matrix, places, examples.categories, outputs=CLASSES)


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        ({"penalty": "none"}, {"C": np.inf}),
        ({"alpha": 0.3, "class_weight": "balanced"}, {"C": 1 / (0.3 * ROWS), "class_weight": "balanced"}),
        ({"penalty": "l1", "alpha": 0.02}, {"C": 1 / (0.02 * ROWS), "l1_ratio": 1, "solver": "saga"}),
    ],
)
def test_classes_equal_scikit_learn(several, parameters, options):
    fitted = TYPE.fit(several, "multiclass", parameters | STRICT, seed=1)
    plain = LogisticRegression(**options, tol=1e-10, max_iter=20_000, random_state=1)
    expected = make_pipeline(design(), plain).fit(several.matrix.astype(np.float64), several.target)
    matrix = several.matrix.copy()
    matrix[:20, 1] = np.nan
    matrix[20:40, 2] = 9
    chances = expected.predict_proba(matrix.astype(np.float64))
    answers = fitted.predict(matrix)
    # The class that no row has is answered as if one more row of each class had been seen.
    least = 1 / (ROWS + 4)
    assert answers[:, 2].tolist() == [least] * ROWS
    assert answers[:, [0, 1, 3]] == pytest.approx(chances * (1 - least), abs=1e-6)
    assert answers.sum(axis=1) == pytest.approx(np.ones(ROWS), abs=1e-15)
    weights = np.abs(expected[1].coef_) * design().fit_transform(several.matrix.astype(np.float64)).std(
        axis=0
    )
    of_columns = weights.sum(axis=0) / weights.sum()
    shares = [of_columns[[0, 2]].sum(), of_columns[1], of_columns[3:].sum()]
    assert fitted.importance() == pytest.approx(dict(enumerate(shares)), abs=1e-5)
    assert fitted.size()["coefficients"] <= 3 * 6


def test_two_classes_equal_binary(examples):
    binary = TYPE.fit(examples, "binary", {}, seed=0)
    named = Dataset(examples.matrix, examples.target, examples.categories, outputs=("no", "yes"))
    fitted = TYPE.fit(named, "multiclass", {}, seed=0)
    answers = fitted.predict(examples.matrix)
    assert answers[:, 1].tolist() == binary.predict(examples.matrix).tolist()
    assert fitted.importance() == binary.importance()
    assert fitted.size() == binary.size()


def test_classes_of_one_row_at_a_time_have_the_same_bits(several):
    fitted = TYPE.fit(several, "multiclass", {}, seed=0)
    matrix = np.tile(several.matrix, (5, 1))
    alone = [fitted.predict(matrix[at : at + 1])[0].tolist() for at in range(ROWS)] * 5
    assert fitted.predict(matrix).tolist() == alone
    assert fitted.predict(np.asfortranarray(matrix)).tolist() == alone
    assert fitted.predict(matrix[:0]).shape == (0, 4)


def test_files_give_the_same_classes(several):
    fitted = TYPE.fit(several, "multiclass", {}, seed=2)
    files = fitted.to_files()
    assert list(files) == ["classes.json"]
    assert files == TYPE.fit(several, "multiclass", {}, seed=2).to_files()
    stored = Logistic.from_files(files)
    assert stored.predict(several.matrix).tolist() == fitted.predict(several.matrix).tolist()
    assert stored.to_files() == files
    assert (stored.importance(), stored.size()) == (fitted.importance(), fitted.size())


@pytest.mark.parametrize("weight", ["none", "balanced"])
@pytest.mark.parametrize("penalty", ["none", "l2", "l1"])
@pytest.mark.parametrize(
    ("matrix", "target", "expected"),
    [
        ([[1, 2]], [1], [1 / 4, 1 / 2, 1 / 4]),
        ([[1, 2], [2, 3], [7, 1]], [0, 0, 0], [4 / 6, 1 / 6, 1 / 6]),
        ([[np.nan, 2]] * 4, [2, 0, 0, 0], None),
        ([[np.nan, 7], [3, 7], [3, np.nan]], [2, 0, 2], None),
        ([[1, 2, 3, 4, 5], [2, 9, 4, 1, 0], [0, 0, 0, 0, 0]], [1, 0, 2], None),
        ([[-3e38, 1e-44], [3e38, 0], [3e38, 1e-45]], [1, 0, 2], None),
    ],
)
def test_little_data_of_classes(matrix, target, expected, penalty, weight):
    learned = Dataset(np.array(matrix, np.float32), np.array(target, np.float64), outputs=("a", "b", "c"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parameters = {"penalty": penalty, "class_weight": weight, "max_iterations": 30}
        fitted = TYPE.fit(learned, "multiclass", parameters, seed=0)
        asked = np.vstack([learned.matrix, np.full_like(learned.matrix[:1], np.nan)])
        asked = np.vstack([asked, np.full_like(asked[:1], 3e38), np.full_like(asked[:1], -3e38)])
        answers = fitted.predict(np.tile(asked, (300, 1)))
    assert np.isfinite(answers).all()
    assert (answers >= 0).all()
    assert answers.sum(axis=1) == pytest.approx(np.ones(len(answers)))
    if expected:
        assert answers == pytest.approx(np.tile(expected, (len(answers), 1)))
        assert fitted.importance() == {}
    only = TYPE.fit(Dataset(learned.matrix, learned.target * 0, outputs=("a",)), "multiclass", {}, seed=0)
    assert only.predict(asked).tolist() == [[1.0]] * len(asked)


def test_constant_columns_answer_the_shares_of_classes():
    learned = Dataset(np.ones((4, 2), np.float32), np.array([2.0, 0, 0, 0]), outputs=("a", "b", "c"))
    chances = TYPE.fit(learned, "multiclass", {}, seed=0).predict(learned.matrix[:1])
    assert chances[0] == pytest.approx([6 / 7 * 3 / 4, 1 / 7, 6 / 7 * 1 / 4])
    balanced = TYPE.fit(learned, "multiclass", {"class_weight": "balanced"}, seed=0)
    assert balanced.predict(learned.matrix[:1])[0] == pytest.approx([3 / 7, 1 / 7, 3 / 7])


SCORE = '{"intercept": 0, "columns": [{"mean": 0, "weight": %s, "missing": 0.0, "share": 1}]}'


def test_scores_of_classes_far_apart_are_chances():
    scores = f'{SCORE % "1e10"}, {{"chance": 0.25}}, {SCORE % "-1e10"}'
    content = f'{{"classes": [{scores}]}}'
    fitted = Logistic.from_files({"classes.json": content.encode()})
    asked = np.array([[-3e38], [0], [3e38], [np.nan]], np.float32)
    assert fitted.predict(asked).tolist() == [
        [0, 0.25, 0.75],
        [0.375, 0.25, 0.375],
        [0.75, 0.25, 0],
        [0.375, 0.25, 0.375],
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"classes": []}',
        b'{"classes": [{"chance": 0.5}, {"chance": 0.5}]}',
        b'{"classes": [{"chance": 1.0}, {"intercept": 0, "columns": []}]}',
        b'{"classes": [{"chance": -0.5}, {"intercept": 0, "columns": []}]}',
        b'{"classes": [{"intercept": NaN, "columns": []}]}',
        b'{"classes": [{"intercept": 0, "columns": []}, {"intercept": 0, "columns": [{}]}]}',
    ],
)
def test_files_that_hold_no_classes(several, content):
    with pytest.raises(BundleError, match=r"classes\.json"):
        Logistic.from_files({"classes.json": content})
    both = {"classes.json": TYPE.fit(several, "multiclass", {}, seed=0).to_files()["classes.json"]}
    with pytest.raises(BundleError, match=r"kept in classes\.json"):
        Logistic.from_files(both | {"logistic.json": b"{}"})


def test_scores_far_from_zero_are_chances():
    content = b'{"intercept": 0, "columns": [{"mean": 0, "weight": 1e10, "missing": 0.0, "share": 1}]}'
    fitted = Logistic.from_files({"logistic.json": content})
    asked = np.array([[-3e38], [-7e-8], [0], [7e-8], [3e38], [np.nan]], np.float32)
    chances = fitted.predict(asked)
    assert chances[[0, 2, 4, 5]].tolist() == [0, 0.5, 1, 0.5]
    assert chances[1] + chances[3] == pytest.approx(1)


NAN = np.nan


@pytest.mark.parametrize("weight", ["none", "balanced"])
@pytest.mark.parametrize("penalty", ["none", "l2", "l1", "elasticnet"])
@pytest.mark.parametrize(
    ("matrix", "target", "share"),
    [
        ([[1, 2]], [1], 2 / 3),
        ([[1, 2], [2, 3], [7, 1]], [0, 0, 0], 1 / 5),
        ([[NAN, 2], [NAN, 2], [NAN, 2], [NAN, 2]], [1, 0, 0, 0], 1 / 4),
        ([[NAN, 7], [3, 7], [3, NAN]], [1, 0, 1], None),
        ([[1, 2, 3, 4, 5], [2, 9, 4, 1, 0]], [1, 0], None),
        ([[1], [2], [3], [4]], [0, 0, 1, 1], None),
        ([[-3e38, 1e-44], [3e38, 0], [3e38, 1e-45]], [1, 0, 0], None),
    ],
)
def test_little_data(matrix, target, share, penalty, weight, capfd):
    learned = Dataset(np.array(matrix, np.float32), np.array(target, np.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parameters = {"penalty": penalty, "class_weight": weight, "max_iterations": 30}
        fitted = TYPE.fit(learned, "binary", parameters, seed=0)
        asked = np.vstack([learned.matrix, np.full_like(learned.matrix[:1], NAN)])
        asked = np.vstack([asked, np.full_like(asked[:1], 3e38), np.full_like(asked[:1], -3e38)])
        chances = fitted.predict(np.tile(asked, (300, 1)))
    assert np.isfinite(chances).all()
    assert ((chances >= 0) & (chances <= 1)).all()
    assert capfd.readouterr() == ("", "")
    if share is not None:
        both = weight == "balanced" and len(set(target)) == 2
        assert chances == pytest.approx(np.full(len(chances), 0.5 if both else share))
        assert fitted.importance() == {}


def test_what_cannot_be_fitted(examples):
    with pytest.raises(FitError, match="there are no rows"):
        TYPE.fit(Dataset(examples.matrix[:0], examples.target[:0]), "binary", {}, seed=0)
    with pytest.raises(FitError, match=r"type logistic cannot be used for task regression: use .*linear"):
        TYPE.fit(examples, "regression", {}, seed=0)
    with pytest.raises(FitError, match="must be 0 or 1"):
        TYPE.fit(Dataset(examples.matrix, examples.target + 1), "binary", {}, seed=0)
    for wrong in (examples.target + 1, examples.target - 1, examples.target / 2):
        with pytest.raises(FitError, match="2 classes must be their places, 0 to 1"):
            TYPE.fit(Dataset(examples.matrix, wrong, outputs=("a", "b")), "multiclass", {}, seed=0)
    none = Dataset(examples.matrix[:0], examples.target[:0], outputs=("a", "b"))
    with pytest.raises(FitError, match="there are no rows"):
        TYPE.fit(none, "multiclass", {}, seed=0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"C": 3}, "logistic has no parameter 'C'"),
        ({"class_weight": "equal"}, "class_weight is one of none, balanced"),
        ({"tolerance": -1}, "tolerance is at least 0"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        TYPE.check(parameters, {})


def test_spaces_and_rounds():
    TYPE.check({}, TYPE.default_space)
    assert TYPE.with_rounds({"alpha": 2}, 7) == {"alpha": 2}


@pytest.mark.parametrize("files", [{}, {"linear.json": b"{}"}, {"logistic.json": b"{}"}])
def test_files_that_hold_no_model(files):
    with pytest.raises(BundleError, match=r"logistic\.json"):
        Logistic.from_files(files)
