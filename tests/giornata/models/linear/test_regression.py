"""Linear regression is scikit-learn's over standardised columns, and answers alike for one row and for many."""

import json
import warnings

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from giornata.dataset import Dataset
from giornata.errors import BundleError, DataError
from giornata.models.base import FitError, ParameterError
from giornata.models.linear.model_type import LinearType
from giornata.models.linear.regression import Linear
from giornata.models.search_space import Dimension

TYPE = LinearType()
ROWS, CODES = 500, 4


@pytest.fixture(scope="module")
def examples():
    """Three amounts, of which the first two are sometimes missing, and codes 0 to 3 of which 3 does not occur."""
    random = np.random.default_rng(0)
    matrix = random.normal(5, 20, size=(ROWS, 4)).astype(np.float32)
    matrix[:, 3] = random.integers(0, CODES - 1, ROWS)
    target = 0.2 * matrix[:, 0] - matrix[:, 2] + 30 * (matrix[:, 3] == 1) + random.normal(0, 3, ROWS)
    matrix[:, :2][random.random((ROWS, 2)) < 0.2] = np.nan
    matrix[random.random(ROWS) < 0.1, 3] = np.nan
    target[np.isnan(matrix[:, 0])] += 12
    return Dataset(matrix, target, {3: CODES})


def design():
    """The columns that a linear model is fitted to, by scikit-learn's own transformers."""
    return ColumnTransformer(
        [
            ("amounts", make_pipeline(SimpleImputer(), StandardScaler()), [0, 1, 2]),
            ("missing", MissingIndicator(error_on_new=False), [0, 1, 2]),
            (
                "codes",
                OneHotEncoder(categories=[np.arange(CODES, dtype=np.float32)], handle_unknown="ignore"),
                [3],
            ),
        ],
        sparse_threshold=0,
    )


@pytest.mark.parametrize(
    ("parameters", "plain"),
    [
        ({"penalty": "none"}, LinearRegression()),
        ({}, Ridge(0.01 * ROWS)),
        ({"penalty": "l2", "alpha": 0.5}, Ridge(0.5 * ROWS)),
        ({"penalty": "l1", "tolerance": 1e-12}, Lasso(0.01, tol=1e-12)),
        (
            {"penalty": "elasticnet", "alpha": 0.05, "l1_ratio": 0.3, "tolerance": 1e-12},
            ElasticNet(0.05, l1_ratio=0.3, tol=1e-12),
        ),
        ({"penalty": "elasticnet", "alpha": 0.05, "l1_ratio": 0}, Ridge(0.05 * ROWS)),
    ],
)
def test_equals_scikit_learn(examples, parameters, plain):
    fitted = TYPE.fit(examples, "regression", parameters, seed=0)
    expected = TransformedTargetRegressor(make_pipeline(design(), plain), transformer=StandardScaler())
    expected.fit(examples.matrix.astype(np.float64), examples.target)
    matrix = strange(examples.matrix)
    assert fitted.predict(matrix) == pytest.approx(expected.predict(matrix.astype(np.float64)), abs=1e-8)
    coefficients = expected.regressor_[-1].coef_
    spread = design().fit_transform(examples.matrix.astype(np.float64)).std(axis=0)
    shares = np.abs(coefficients) * spread / np.sum(np.abs(coefficients) * spread)
    columns = [shares[0] + shares[3], shares[1] + shares[4], shares[2], shares[5:].sum()]
    found = fitted.importance()
    assert [found.get(feature, 0.0) for feature in range(4)] == pytest.approx(columns, abs=1e-8)
    assert sum(found.values()) == pytest.approx(1)
    if plain.__class__ is not LinearRegression:
        assert fitted.size() == {"coefficients": np.count_nonzero(coefficients)}


def strange(matrix):
    """Rows as those learned from, with missing values and codes where there were none."""
    rows = matrix.copy()
    rows[:20, 2] = np.nan
    rows[20:40, 3] = 3
    rows[40:60, 3] = CODES + 7
    rows[60:80] = np.nan
    # What training never lacked takes its mean, as the imputer does.
    return rows


def test_one_column_by_hand():
    # Standardised, the column is -1, -1, 1, 1 and the label has a correlation of 0.8 with it.
    matrix = np.array([[10], [10], [14], [14]], np.float32)
    target = np.array([-0.8 + 0.6, -0.8 - 0.6, 0.8 + 0.6, 0.8 - 0.6]) * 5 + 100
    learned = Dataset(matrix, target)
    asked = np.array([[16], [np.nan]], np.float32)
    for parameters, weight in (
        ({"penalty": "none"}, 0.8),
        ({"penalty": "l2", "alpha": 0.25}, 0.8 / 1.25),
        ({"penalty": "l1", "alpha": 0.25}, 0.8 - 0.25),
        ({"penalty": "elasticnet", "alpha": 0.5, "l1_ratio": 0.5}, (0.8 - 0.25) / 1.25),
        ({"penalty": "l1", "alpha": 0.8}, 0.0),
    ):
        fitted = TYPE.fit(learned, "regression", parameters, seed=0)
        assert fitted.predict(asked) == pytest.approx([100 + 5 * weight * 2, 100])


def test_one_row_at_a_time_gives_the_same_bits(examples):
    fitted = TYPE.fit(examples, "regression", {}, seed=0)
    matrix = np.tile(strange(examples.matrix), (20, 1))  # more than one block
    together = fitted.predict(matrix)
    alone = [fitted.predict(matrix[at : at + 1])[0] for at in range(ROWS)] * 20
    assert together.tolist() == alone
    assert fitted.predict(np.asfortranarray(matrix)).tolist() == alone
    for size in (2, 3, 128, 129, 500):
        assert fitted.predict(matrix[7 : 7 + size]).tolist() == alone[7 : 7 + size]
    assert fitted.predict(matrix[:0]).shape == (0,)


def test_files_give_the_same_model(examples):
    fitted = TYPE.fit(examples, "regression", {"penalty": "l1", "alpha": 0.001}, seed=3, threads=2)
    again = TYPE.fit(examples, "regression", {"penalty": "l1", "alpha": 0.001}, seed=3, threads=2)
    files = fitted.to_files()
    assert list(files) == ["linear.json"]
    assert files == again.to_files()
    stored = Linear.from_files(files)
    assert stored.predict(examples.matrix).tolist() == fitted.predict(examples.matrix).tolist()
    assert stored.to_files() == files
    assert stored.importance() == fitted.importance()
    assert stored.size() == fitted.size()
    assert stored.rounds == 1


NAN = np.nan


@pytest.mark.parametrize("penalty", ["none", "l2", "l1", "elasticnet"])
@pytest.mark.parametrize(
    ("matrix", "target", "categories"),
    [
        ([[1, 2]], [4], {}),
        ([[NAN, 2], [NAN, 2], [NAN, 2]], [1, 2, 6], {}),
        ([[NAN, 7], [3, 7], [3, NAN]], [1, 2, 6], {}),
        ([[1, 2, 3, 4, 5], [2, 9, 4, 1, 0]], [1, 2], {}),
        ([[1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4]], [1, 2, 3, 5], {}),
        ([[1, 2], [2, 3], [3, 9]], [5, 5, 5], {}),
        ([[0, 0], [0, 1], [0, NAN]], [1, 2, 3], {0: 3, 1: 2}),
        ([[0], [1], [2]], [1, 2, 3], {0: 0}),
        ([[-3e38, 1e-44], [3e38, 0], [3e38, 1e-45]], [1e100, -1e100, 0], {}),
        ([[1e9, 1], [1e9 + 64, 2], [1e9 + 128, 2]], [1e-9, 2e-9, 4e-9], {}),
    ],
)
def test_little_data(matrix, target, categories, penalty, capfd):
    learned = Dataset(np.array(matrix, np.float32), np.array(target, np.float64), categories)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = TYPE.fit(learned, "regression", {"penalty": penalty}, seed=0)
        asked = np.vstack([learned.matrix, np.full_like(learned.matrix[:1], NAN), learned.matrix[:1] * 0 + 1])
        asked = np.vstack([asked, np.full_like(asked[:1], 3e38), np.full_like(asked[:1], -3e38)])
        answers = fitted.predict(np.tile(asked, (300, 1)))
    assert np.isfinite(answers).all()
    assert capfd.readouterr() == ("", "")
    assert sum(fitted.importance().values()) == pytest.approx(1 if fitted.importance() else 0)
    if len(set(target)) == 1:
        assert answers.tolist() == [target[0]] * len(answers)
        assert fitted.importance() == {}


def test_what_cannot_be_fitted(examples):
    with pytest.raises(FitError, match="there are no rows"):
        TYPE.fit(Dataset(examples.matrix[:0], examples.target[:0]), "regression", {}, seed=0)
    with pytest.raises(FitError, match=r"type linear cannot be used for task binary: use .*logistic"):
        TYPE.fit(examples, "binary", {}, seed=0)
    huge = Dataset(examples.matrix, np.where(examples.target > 0, 1.7e308, -1.7e308))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FitError, match="500 rows"):
            TYPE.fit(huge, "regression", {}, seed=0)


def test_rows_of_another_width(examples):
    fitted = TYPE.fit(examples, "regression", {}, seed=0)
    with pytest.raises(DataError, match="takes 4 features, and rows have 3"):
        fitted.predict(examples.matrix[:, :3])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alhpa": 3}, "linear has no parameter 'alhpa'; did you mean alpha"),
        ({"alpha": -1}, "alpha is at least 0, not -1"),
        ({"alpha": "much"}, "alpha is a number"),
        ({"l1_ratio": 1.5}, "l1_ratio is at least 0 and at most 1"),
        ({"penalty": "ridge"}, "penalty is one of none, l2, l1, elasticnet, not 'ridge'"),
        ({"max_iterations": 1.5}, "max_iterations is a whole number"),
        ({"class_weight": "balanced"}, "no parameter 'class_weight'"),
    ],
)
def test_wrong_parameters(examples, parameters, message):
    with pytest.raises(ParameterError, match=message):
        TYPE.check(parameters, {})
    with pytest.raises(ParameterError, match=message):
        TYPE.fit(examples, "regression", parameters, seed=0)


def test_spaces_and_rounds():
    TYPE.check({}, TYPE.default_space)
    with pytest.raises(ParameterError, match="l1_ratio"):
        TYPE.check({}, {"l1_ratio": Dimension(float=[0.5, 2.0])})
    assert TYPE.with_rounds({"alpha": 2}, 7) == {"alpha": 2}


AMOUNT = {"mean": 1.0, "weight": 2.0, "missing": 0.0, "share": 1.0}


@pytest.mark.parametrize(
    "content",
    [
        b"nonsense",
        b"[]",
        b'{"intercept": 1}',
        b'{"intercept": NaN, "columns": []}',
        json.dumps({"intercept": "1", "columns": []}).encode(),
        json.dumps({"intercept": 1, "columns": [AMOUNT | {"weight": "2"}]}).encode(),
        json.dumps({"intercept": 1, "columns": [AMOUNT | {"more": 2}]}).encode(),
        json.dumps({"intercept": 1, "columns": [{"weights": [1, None], "share": 1}]}).encode(),
        json.dumps({"intercept": 1, "columns": [AMOUNT | {"share": 2}]}).encode(),
        json.dumps({"intercept": 1, "columns": [AMOUNT | {"weight": float("inf")}]}).encode(),
    ],
)
def test_files_that_hold_no_model(content):
    with pytest.raises(BundleError, match=r"linear\.json holds no linear model"):
        Linear.from_files({"linear.json": content})


@pytest.mark.parametrize("files", [{}, {"other.json": b"{}"}, {"linear.json": b"{}", "more.json": b""}])
def test_other_files(files):
    with pytest.raises(BundleError, match=r"kept in linear\.json"):
        Linear.from_files(files)
