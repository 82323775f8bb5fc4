"""Logistic regression is scikit-learn's over standardised columns, and answers alike for one row and for many."""

import warnings

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from giornata.errors import BundleError
from giornata.models.base import Examples, FitError, ParameterError
from giornata.models.logistic import Logistic, LogisticType

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
    return Examples(matrix, target, {2: 3})


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
    learned = Examples(np.array(matrix, np.float32), np.array(target, np.float64))
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
        TYPE.fit(Examples(examples.matrix[:0], examples.target[:0]), "binary", {}, seed=0)
    with pytest.raises(FitError, match="type logistic cannot be used for task regression: use linear"):
        TYPE.fit(examples, "regression", {}, seed=0)
    with pytest.raises(FitError, match="must be 0 or 1"):
        TYPE.fit(Examples(examples.matrix, examples.target + 1), "binary", {}, seed=0)


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
    TYPE.check({}, TYPE.default_space())
    assert TYPE.with_rounds({"alpha": 2}, 7) == {"alpha": 2}


@pytest.mark.parametrize("files", [{}, {"linear.json": b"{}"}, {"logistic.json": b"{}"}])
def test_files_that_hold_no_model(files):
    with pytest.raises(BundleError, match=r"logistic\.json"):
        Logistic.from_files(files)
