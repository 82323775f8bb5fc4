"""Metrics equal scikit-learn's, and are undefined where they must be."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from giornata.errors import DataError
from giornata.evaluation.metrics import binary_metrics, defined, part_losses, regression_metrics

NUMBERS = st.floats(-0.99, 1e6)
ROWS = st.integers(2, 40)


@given(st.data())
def test_regression_metrics_equal_sklearn(data):
    rows = data.draw(ROWS)
    actual = data.draw(arrays(np.float64, rows, elements=NUMBERS))
    predicted = data.draw(arrays(np.float64, rows, elements=NUMBERS))
    found = regression_metrics(actual, predicted)
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(actual, predicted), rel=1e-9)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(actual, predicted), rel=1e-9)
    assert found["rmsle"] == pytest.approx(
        sk.root_mean_squared_log_error(actual, predicted), rel=1e-9, abs=1e-12
    )
    if np.ptp(actual) > 1e-6 * (1 + np.abs(actual).max()):
        assert found["r2"] == pytest.approx(sk.r2_score(actual, predicted), rel=1e-9, abs=1e-9)


@given(st.data())
def test_binary_metrics_equal_sklearn(data):
    rows = data.draw(ROWS)
    actual = np.array(
        [0, 1, *data.draw(st.lists(st.integers(0, 1), min_size=rows, max_size=rows))], np.float64
    )
    # Few distinct values, so that ties are frequent; 0 and 1 are certain and must not give infinity.
    chances = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.500001, 0.9, 1.0])
    predicted = np.array(data.draw(st.lists(chances, min_size=len(actual), max_size=len(actual))))
    found = binary_metrics(actual, predicted)
    assert found["auc"] == pytest.approx(sk.roc_auc_score(actual, predicted), abs=1e-12)
    assert found["log_loss"] == pytest.approx(sk.log_loss(actual, predicted), rel=1e-9)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(actual, predicted > 0.5))


def test_by_hand():
    found = regression_metrics(np.array([1.0, 2.0, 4.0]), np.array([1.0, 4.0, 3.0]))
    assert found["rmse"] == pytest.approx(math.sqrt(5 / 3))
    assert found["mae"] == pytest.approx(1.0)
    # mean 7/3: the spread is 16/9 + 1/9 + 25/9 = 42/9
    assert found["r2"] == pytest.approx(1 - 5 / (42 / 9))
    assert part_losses("regression", np.array([1.0, 2.0]), np.array([0.0, 5.0])).tolist() == [1.0, 9.0]
    assert part_losses("binary", np.array([1.0, 0.0]), np.array([0.25, 0.5])) == pytest.approx(
        [math.log(4), math.log(2)]
    )


def test_undefined_metrics_are_nan_and_then_none():
    assert all(math.isnan(value) for value in regression_metrics(np.array([]), np.array([])).values())
    assert all(math.isnan(value) for value in binary_metrics(np.array([]), np.array([])).values())
    same = regression_metrics(np.array([3.0, 3.0]), np.array([3.0, 4.0]))
    assert math.isnan(same["r2"])
    assert same["mae"] == 0.5
    assert math.isnan(regression_metrics(np.array([-1.0, 2.0]), np.array([1.0, 2.0]))["rmsle"])
    one_class = binary_metrics(np.array([1.0, 1.0]), np.array([0.9, 0.4]))
    assert math.isnan(one_class["auc"])
    assert defined(one_class)["auc"] is None
    assert defined(one_class)["accuracy"] == 0.5


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="as many labels"):
        regression_metrics(np.array([1.0]), np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="number in every row"):
        regression_metrics(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="0 or 1"):
        binary_metrics(np.array([0.0, 2.0]), np.array([0.1, 0.2]))
