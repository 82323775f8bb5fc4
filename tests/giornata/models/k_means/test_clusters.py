"""Clusters are scikit-learn's k-means over amounts as they are, and answers alike for one row and for many."""

import json
import math

import numpy as np
import pytest
from sklearn.cluster import KMeans as Estimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from giornata.dataset import Dataset
from giornata.errors import BundleError, DataError
from giornata.models.base import FitError, ParameterError
from giornata.models.k_means.clusters import KMeans
from giornata.models.k_means.model_type import KMeansType
from giornata.models.search_space import Dimension

TYPE = KMeansType()
ROWS = 500
NAN = np.nan


def rows_of(matrix, categories=None):
    matrix = np.array(matrix, np.float32)
    return Dataset(matrix, np.zeros(len(matrix)), categories or {})


def fit(matrix, **parameters):
    return TYPE.fit(rows_of(matrix), "clustering", parameters, seed=0)


@pytest.fixture(scope="module")
def examples():
    """Three clouds of two amounts, some of them missing, and codes 0 to 2."""
    random = np.random.default_rng(0)
    matrix = random.normal(0, 3, size=(ROWS, 3))
    matrix[:, 0] += np.repeat([0, 40, 80], [100, 150, 250])
    matrix[:, 1] += np.repeat([1000, 1040, 1000], [100, 150, 250])
    matrix[:, 2] = random.integers(0, 3, ROWS)
    matrix[random.random(ROWS) < 0.1, 0] = NAN
    matrix[random.random(ROWS) < 0.1, 2] = NAN
    return rows_of(matrix, {2: 3})


def pipeline(clusters, seed):
    design = ColumnTransformer(
        [
            ("amounts", SimpleImputer(), [0, 1]),
            ("codes", OneHotEncoder(categories=[np.arange(3.0)], handle_unknown="ignore"), [2]),
        ],
        sparse_threshold=0,
    )
    return make_pipeline(design, Estimator(clusters, n_init=10, random_state=seed))


@pytest.mark.parametrize("clusters", [1, 3, 8])
def test_equals_scikit_learn(examples, clusters):
    fitted = TYPE.fit(examples, "clustering", {"clusters": clusters}, seed=4)
    matrix = examples.matrix.astype(np.float64)
    expected = pipeline(clusters, 4).fit(matrix)
    asked = matrix.copy()
    asked[:20, 1] = NAN
    asked[20:40, 2] = 9
    answers = fitted.predict(asked.astype(np.float32))
    # The largest first, of equals by their place: theirs have no order.
    rows, centres = np.bincount(expected.predict(matrix)), expected[-1].cluster_centers_
    order = sorted(range(clusters), key=lambda number: (-rows[number], centres[number].tolist()))
    assert answers[:, 0].tolist() == [order.index(number) for number in expected.predict(asked)]
    assert answers[:, 1] == pytest.approx(expected.transform(asked).min(axis=1), abs=1e-9)
    assert fitted.size() == {"centres": clusters}


def test_silhouette_by_hand():
    fitted = fit([[0], [0], [0], [10], [10]], clusters=2)
    asked = np.array([[2], [5], [10], [NAN]], np.float32)  # 2 of 8, half-way, on a centre, at the mean of 4
    assert fitted.silhouette(asked) == pytest.approx((3 / 4 + 0 + 1 + 1 / 3) / 4)
    assert math.isnan(fitted.silhouette(asked[:0]))
    assert fit([[0], [10]], clusters=1).silhouette(asked) == 0
    with pytest.raises(DataError, match="takes 1 features, and rows have 2"):
        fitted.silhouette(np.zeros((1, 2), np.float32))


def test_silhouette_is_that_of_scikit_learns_distances(examples, monkeypatch):
    monkeypatch.setattr("giornata.models.k_means.clusters._CELLS", 1000)  # several blocks
    fitted = TYPE.fit(examples, "clustering", {"clusters": 5}, seed=4)
    matrix = examples.matrix.astype(np.float64)
    nearest, second = np.sort(pipeline(5, 4).fit(matrix).transform(matrix), axis=1)[:, :2].T
    assert fitted.silhouette(examples.matrix) == pytest.approx(np.mean((second - nearest) / second), rel=1e-9)


def test_parameters_reach_scikit_learn(examples):
    asked = {"clusters": 8, "starts": 1, "max_iterations": 2, "tolerance": 0.1}
    expected = pipeline(8, 1).set_params(kmeans__n_init=1, kmeans__max_iter=2, kmeans__tol=0.1)
    expected.fit(examples.matrix.astype(np.float64))
    answers = TYPE.fit(examples, "clustering", asked, seed=1).predict(examples.matrix)
    distances = expected.transform(examples.matrix.astype(np.float64)).min(axis=1)
    assert answers[:, 1] == pytest.approx(distances, abs=1e-9)


def test_clusters_are_numbered_by_their_rows_and_then_by_place():
    fitted = fit([[9]] * 3 + [[5]] * 2 + [[1]] * 2 + [[7]] * 4, clusters=4)
    assert fitted.predict(np.array([[7], [9], [1], [5]], np.float32))[:, 0].tolist() == [0, 1, 2, 3]


def test_of_equal_distances_the_first_centre_answers():
    fitted = fit([[0], [2]], clusters=2)
    number, distance = fitted.predict(np.array([[1]], np.float32))[0]
    assert (number, distance) == (0, pytest.approx(1))
    assert fitted.predict(np.array([[2]], np.float32))[0].tolist() == [1, 0]


def test_one_row_at_a_time_gives_the_same_bits(examples):
    fitted = TYPE.fit(examples, "clustering", {}, seed=0)
    matrix = np.tile(examples.matrix, (30, 1))
    alone = [fitted.predict(matrix[at : at + 1])[0].tolist() for at in range(ROWS)] * 30
    assert fitted.predict(matrix).tolist() == alone
    assert fitted.predict(np.asfortranarray(matrix)).tolist() == alone


def test_files_give_the_same_model(examples):
    fitted = TYPE.fit(examples, "clustering", {}, seed=2)
    files = fitted.to_files()
    assert list(files) == ["k_means.json"]
    assert files == TYPE.fit(examples, "clustering", {}, seed=2, threads=2).to_files()
    stored = KMeans.from_files(files)
    assert stored.predict(examples.matrix).tolist() == fitted.predict(examples.matrix).tolist()
    assert stored.to_files() == files
    assert stored.importance() == fitted.importance()
    assert stored.rounds == 1


def test_importance_is_the_variance_between_the_centres():
    # Of the first feature it is 1/4 + 1/4; the second has the mean 1/2, and 1/4 ahead of and behind it.
    content = {
        "features": 4,
        "columns": [{"feature": 3}, {"feature": 1}],
        "centres": [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]],
        "rows": [1, 1, 2],
    }
    fitted = KMeans.from_files({"k_means.json": json.dumps(content).encode()})
    assert fitted.importance() == pytest.approx({3: 2 / 3, 1: 1 / 3})


def test_importance_adds_up_the_codes_of_a_feature(examples):
    shares = TYPE.fit(examples, "clustering", {"clusters": 5}, seed=0).importance()
    assert set(shares) == {0, 1, 2}
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares[0], shares[1]) > shares[2]


def test_rows_that_scikit_learn_cannot_tell_apart(capfd, recwarn):
    """The first three: how many centres they get depends on how the processor adds."""
    matrix = [[0, 7], [3e-17, 7], [6e-17, 7], [1, 7], [1, 7]]
    fitted = fit(matrix)
    assert 2 <= fitted.size()["centres"] <= 4
    answers = fitted.predict(np.array(matrix, np.float32))
    assert answers[:, 1] == pytest.approx(0, abs=1e-9)
    assert answers[0, 0] != answers[3, 0] == answers[4, 0]
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("matrix", "centres"),
    [
        ([[1, 2]], 1),
        ([[NAN, NAN]], 1),
        ([[3, 2], [3, 2], [3, 2]], 1),
        ([[1, 7], [1, 7], [2, 7], [5, 7], [5, 7]], 3),
        ([[NAN, 7], [3, 7], [3, NAN]], 1),
        ([[0, 1], [NAN, 1], [4, 2]], 3),
        ([[-3e38, 1e-44], [3e38, 0], [3e38, 1e-45]], 3),
    ],
)
def test_rows_of_few_kinds_have_as_many_centres(matrix, centres, capfd, recwarn):
    fitted = fit(matrix)
    assert fitted.size() == {"centres": centres}
    learned = np.array(matrix, np.float32)
    assert fitted.predict(learned)[:, 1] == pytest.approx(np.zeros(len(matrix)), abs=1e-6)
    asked = np.vstack([learned, np.full((3, 2), [[NAN], [3e38], [-3e38]], np.float32)])
    answers = fitted.predict(asked)
    assert answers.shape == (len(asked), 2)
    assert np.isfinite(answers).all()
    assert math.fsum(fitted.importance().values()) == pytest.approx(1 if centres > 1 else 0)
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_a_row_that_lacks_an_amount_is_at_its_mean():
    fitted = fit([[0, 5], [2, 5], [10, 6], [NAN, 5]], clusters=4)
    at_the_mean, missing = fitted.predict(np.array([[4, 5], [NAN, 5]], np.float32)).tolist()
    assert at_the_mean == missing
    assert missing[1] == pytest.approx(0, abs=1e-9)


def test_no_columns():
    fitted = fit(np.empty((3, 0)))
    assert fitted.predict(np.empty((2, 0), np.float32)).tolist() == [[0, 0], [0, 0]]


def test_what_cannot_be_fitted_or_asked(examples):
    with pytest.raises(FitError, match="there are no rows"):
        fit(np.empty((0, 2)))
    with pytest.raises(FitError, match="type k_means cannot be used for task regression"):
        TYPE.fit(examples, "regression", {}, seed=0)
    with pytest.raises(DataError, match="takes 3 features, and rows have 2"):
        TYPE.fit(examples, "clustering", {}, seed=0).predict(examples.matrix[:, :2])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"k": 3}, "k_means has no parameter 'k'"),
        ({"clusters": 0}, "clusters is at least 1"),
        ({"clusters": 2.5}, "clusters is a whole number"),
        ({"starts": 0}, "starts is at least 1"),
        ({"tolerance": -1}, "tolerance is at least 0"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        TYPE.check(parameters, {})


def test_spaces_and_rounds():
    TYPE.check({}, TYPE.default_space)
    assert TYPE.default_space == {"clusters": Dimension(int=[2, 12])}
    assert TYPE.with_rounds({"clusters": 3}, 7) == {"clusters": 3}


WHOLE = {"features": 2, "columns": [{"feature": 0}], "centres": [[1.0], [2.0]], "rows": [2, 1]}


@pytest.mark.parametrize(
    "change",
    [
        {"centres": []},
        {"centres": [[1.0], [2.0, 3.0]]},
        {"centres": [[1.0], ["x"]]},
        {"columns": [{"feature": 2}]},
        {"columns": [{"feature": 0, "scale": 0}]},
        {"rows": [2]},
        {"features": None},
        {"more": 1},
    ],
)
def test_damaged_files(change):
    KMeans.from_files({"k_means.json": json.dumps(WHOLE).encode()})
    with pytest.raises(BundleError, match=r"k_means\.json holds no clusters"):
        KMeans.from_files({"k_means.json": json.dumps(WHOLE | change).encode()})


@pytest.mark.parametrize(
    "files", [{}, {"linear.json": b"{}"}, {"k_means.json": b"{}"}, {"k_means.json": b"{"}]
)
def test_files_that_hold_no_model(files):
    with pytest.raises(BundleError, match=r"k_means\.json"):
        KMeans.from_files(files)
