"""Metrics equal scikit-learn's, and are undefined where they must be."""

import math
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from giornata.errors import DataError
from giornata.tasks import TASKS
from giornata.tasks.metrics import NO_GOAL, defined

NUMBERS = st.floats(-0.99, 1e6)
ROWS = st.integers(2, 40)
LARGEST = Fraction(sys.float_info.max)


@given(st.data())
def test_regression_metrics_equal_sklearn(data):
    rows = data.draw(ROWS)
    actual = data.draw(arrays(np.float64, rows, elements=NUMBERS))
    predicted = data.draw(arrays(np.float64, rows, elements=NUMBERS))
    found = TASKS["regression"].measure(actual, predicted)
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
    found = TASKS["binary"].measure(actual, predicted)
    assert found["auc"] == pytest.approx(sk.roc_auc_score(actual, predicted), abs=1e-12)
    assert found["log_loss"] == pytest.approx(sk.log_loss(actual, predicted), rel=1e-9)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(actual, predicted > 0.5))


def test_by_hand():
    found = TASKS["regression"].measure(np.array([1.0, 2.0, 4.0]), np.array([1.0, 4.0, 3.0]))
    assert found["rmse"] == pytest.approx(math.sqrt(5 / 3))
    assert found["mae"] == pytest.approx(1.0)
    # mean 7/3: the spread is 16/9 + 1/9 + 25/9 = 42/9
    assert found["r2"] == pytest.approx(1 - 5 / (42 / 9))
    assert TASKS["regression"].losses(np.array([1.0, 2.0]), np.array([0.0, 5.0])).tolist() == [1.0, 9.0]
    assert TASKS["binary"].losses(np.array([1.0, 0.0]), np.array([0.25, 0.5])) == pytest.approx(
        [math.log(4), math.log(2)]
    )


def test_undefined_metrics_are_nan_and_then_none():
    assert all(
        math.isnan(value) for value in TASKS["regression"].measure(np.array([]), np.array([])).values()
    )
    assert all(math.isnan(value) for value in TASKS["binary"].measure(np.array([]), np.array([])).values())
    same = TASKS["regression"].measure(np.array([3.0, 3.0]), np.array([3.0, 4.0]))
    assert math.isnan(same["r2"])
    assert same["mae"] == 0.5
    assert math.isnan(TASKS["regression"].measure(np.array([-1.0, 2.0]), np.array([1.0, 2.0]))["rmsle"])
    one_class = TASKS["binary"].measure(np.array([1.0, 1.0]), np.array([0.9, 0.4]))
    assert math.isnan(one_class["auc"])
    assert defined(one_class)["auc"] is None
    assert defined(one_class)["accuracy"] == 0.5


@pytest.mark.parametrize(("value", "rows"), [(5.0, 51), (0.1, 51), (3.3, 7), (1 / 3, 1000), (-1e17 / 3, 99)])
def test_labels_that_are_all_the_same_have_no_r2_whatever_bit_their_mean_is_off_by(value, rows):
    labels = np.full(rows, value)
    for off in (0.0, 0.5):
        assert math.isnan(TASKS["regression"].measure(labels, labels + off)["r2"])


def test_r2_of_labels_far_from_zero_that_differ_in_their_last_bit():
    """By fractions, which round nothing: the mean of doubles would be off by more than these labels differ."""
    labels = np.array([0.1, np.nextafter(0.1, 1), 0.1] * 17)
    answers = np.full(51, 0.1)
    exact = [Fraction(label) for label in labels.tolist()]
    mean = sum(exact) / len(exact)
    spread = sum((label - mean) ** 2 for label in exact)
    missed = sum((label - Fraction(0.1)) ** 2 for label in exact)
    assert TASKS["regression"].measure(labels, answers)["r2"] == pytest.approx(
        float(1 - missed / spread), rel=1e-12
    )


ANY = st.floats(allow_nan=False, allow_infinity=False)


@given(st.data())
@pytest.mark.filterwarnings("error")
def test_every_metric_is_finite_or_undefined(data):
    """Whatever doubles labels and answers are, of however few rows; what has a truth as Fraction is that."""
    rows = data.draw(st.integers(0, 6))
    actual = data.draw(arrays(np.float64, rows, elements=ANY))
    answers = data.draw(arrays(np.float64, (rows, 3), elements=ANY))
    found = {
        "regression": TASKS["regression"].measure(actual, answers[:, 0]),
        "quantile": TASKS["quantile"].measure(actual, answers, SHARES),
        "forecasting": TASKS["forecasting"].measure(actual, answers, ("forecast", "low", "high")),
        "clustering": TASKS["clustering"].measure(actual, np.abs(answers), ("cluster", "distance")),
    }
    for values in found.values():
        assert all(math.isfinite(value) or math.isnan(value) for value in values.values())
    if not rows:
        return
    exact = [Fraction(label) for label in actual.tolist()]
    missed = [Fraction(a) - label for a, label in zip(answers[:, 0].tolist(), exact, strict=True)]
    if max(map(abs, missed)) < LARGEST:
        mae = float(sum(map(abs, missed)) / rows)
        assert found["regression"]["mae"] == pytest.approx(mae, rel=1e-9, abs=1e-320)
        assert found["regression"]["rmse"] <= max(map(abs, missed)) * (1 + 1e-9)
        assert found["regression"]["rmse"] >= mae * (1 - 1e-9)
    mean = sum(exact) / rows
    spread = sum((label - mean) ** 2 for label in exact)
    if spread > Fraction(1e-300) ** 2 and max(map(abs, missed)) < LARGEST:
        r2 = 1 - sum(error**2 for error in missed) / spread
        if abs(r2) < LARGEST:
            assert found["regression"]["r2"] == pytest.approx(float(r2), rel=1e-9, abs=1e-9)
        else:
            assert math.isnan(found["regression"]["r2"])


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@given(st.data())
def test_metrics_of_chances_are_finite_or_undefined(task, data):
    rows = data.draw(st.integers(0, 6))
    actual = data.draw(arrays(np.float64, rows, elements=st.sampled_from([0.0, 1.0])))
    chances = data.draw(arrays(np.float64, rows, elements=st.floats(0, 1)))
    answers = chances if task == "binary" else np.column_stack([1 - chances, chances])
    found = TASKS[task].measure(actual, answers, ["no", "yes"] if task == "multiclass" else ())
    assert not any(math.isinf(value) for value in found.values())
    assert {name for name, value in found.items() if math.isnan(value)} == (
        set(TASKS[task].metrics) if not rows else {"auc"} & set(found) if np.ptp(actual) == 0 else set()
    )


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="as many labels"):
        TASKS["regression"].measure(np.array([1.0]), np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="number in every row"):
        TASKS["regression"].measure(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="0 or 1"):
        TASKS["binary"].measure(np.array([0.0, 2.0]), np.array([0.1, 0.2]))


SHARES = ("0.1", "0.5", "0.9")


@given(st.data())
def test_multiclass_metrics_equal_sklearn(data):
    rows, classes = data.draw(ROWS), data.draw(st.integers(2, 5))
    actual = data.draw(arrays(np.float64, rows, elements=st.integers(0, classes - 1)))
    weights = data.draw(arrays(np.float64, (rows, classes), elements=st.sampled_from([0.0, 0.25, 1.0, 3.0])))
    weights[:, 0] += 0.125
    answers = weights / weights.sum(axis=1, keepdims=True)
    found = TASKS["multiclass"].measure(actual, answers, [str(place) for place in range(classes)])
    likeliest = answers.argmax(axis=1)
    assert found["log_loss"] == pytest.approx(sk.log_loss(actual, answers, labels=range(classes)), rel=1e-9)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(actual, likeliest))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(actual, likeliest, average="macro"))


def test_a_class_that_the_model_does_not_know_is_a_wrong_answer():
    answers = np.array([[0.75, 0.25], [0.5, 0.5]])
    found = TASKS["multiclass"].measure(np.array([0.0, -1.0]), answers)
    assert found["accuracy"] == 0.5
    assert TASKS["multiclass"].losses(np.array([0.0, 2.0]), answers) == pytest.approx(
        [math.log(4 / 3), -math.log(np.finfo(float).eps)]
    )


@given(st.data())
def test_quantile_metrics_equal_sklearn(data):
    rows = data.draw(ROWS)
    actual = data.draw(arrays(np.float64, rows, elements=NUMBERS))
    answers = np.sort(data.draw(arrays(np.float64, (rows, 3), elements=NUMBERS)), axis=1)
    found = TASKS["quantile"].measure(actual, answers, SHARES)
    of_each = [
        sk.mean_pinball_loss(actual, answers[:, place], alpha=float(share))
        for place, share in enumerate(SHARES)
    ]
    assert found["pinball"] == pytest.approx(np.mean(of_each), rel=1e-9)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(actual, answers[:, 1]), rel=1e-9)
    inside = [low <= value <= high for value, (low, _, high) in zip(actual, answers, strict=True)]
    assert found["coverage"] == pytest.approx(sum(inside) / rows)


def test_forecasting_metrics_by_hand():
    actual = np.array([2.0, 0.0, -1.0, 3.0])
    answers = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [1.0, 0.5, 2.0], [3.0, 1.0, 2.5]])
    found = TASKS["forecasting"].measure(actual, answers, ("forecast", "low", "high"))
    assert found["mae"] == pytest.approx((1 + 0 + 2 + 0) / 4)
    assert found["rmse"] == pytest.approx(math.sqrt(5 / 4))
    assert found["smape"] == pytest.approx((2 / 3 + 0 + 2 + 0) / 4)
    assert found["coverage"] == 0.5
    assert TASKS["forecasting"].losses(actual, answers).tolist() == [1.0, 0.0, 2.0, 0.0]


def test_clustering_metrics_by_hand():
    answers = np.array([[0.0, 1.0], [2.0, 3.0], [0.0, 2.0]])
    nothing = np.zeros(3)
    found = TASKS["clustering"].measure(nothing, answers, ("cluster", "distance"))
    assert found == {"distance": 2.0, "largest_share": pytest.approx(2 / 3)}
    assert TASKS["clustering"].losses(nothing, answers).tolist() == [1.0, 3.0, 2.0]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_its_metrics_and_the_loss_of_parts_is_one_of_them(task):
    outputs = {"multiclass": ["a", "b"], "quantile": ["0.5"], "clustering": [0, 1], "forecasting": [0, 1, 2]}
    width = len(outputs.get(task, ()))
    none = np.zeros((0, width)) if width else np.zeros(0)
    assert tuple(TASKS[task].measure(np.zeros(0), none, outputs.get(task, ()))) == TASKS[task].metrics
    assert TASKS[task].loss in set(TASKS[task].metrics) - NO_GOAL


@pytest.mark.parametrize("task", ["multiclass", "quantile", "forecasting"])
def test_answers_of_several_numbers_are_checked(task):
    with pytest.raises(DataError, match="as many labels as answers"):
        TASKS[task].measure(np.zeros(2), np.zeros((3, 3)), SHARES)
    with pytest.raises(DataError, match="a number in every row"):
        TASKS[task].measure(np.zeros(2), np.array([[0.0, 0.0, 0.0], [0.0, np.nan, 0.0]]), SHARES)
