"""Shares and probabilities of classes, computed by hand, and to the same bits beside any rows."""

import math

import numpy as np
import pytest

from giornata.models import MODEL_TYPES
from giornata.models.base import FitError
from giornata.models.classes import class_shares, scaled_to_one, softmax
from giornata.models.label_checks import check_task


@pytest.mark.parametrize(
    ("places", "classes", "shares"),
    [
        ([0, 0, 1, 2], 3, [1 / 2, 1 / 4, 1 / 4]),
        ([0, 0, 0, 2], 4, [9 / 16, 1 / 8, 3 / 16, 1 / 8]),  # what 1 / 8 and 1 / 8 leave, three to one
        ([1, 1], 3, [1 / 5, 3 / 5, 1 / 5]),  # as rows + 1 of rows + 3
        ([0], 1, [1]),
    ],
)
def test_shares_of_classes(places, classes, shares):
    assert class_shares(np.array(places), classes).tolist() == pytest.approx(shares, abs=1e-15)


def test_softmax_by_hand():
    scores = np.array([[0.0, math.log(2), math.log(5)], [1000.0, -1000.0, 1000.0], [-1e308, 1e308, 0.0]])
    expected = [1 / 8, 2 / 8, 5 / 8], [0.5, 0, 0.5], [0, 1, 0]
    assert softmax(scores) == pytest.approx(np.array(expected), abs=1e-15)
    assert softmax(scores[:0]).shape == (0, 3)


@pytest.mark.parametrize("classes", [1, 3, 9, 200])
def test_the_same_bits_beside_any_rows(classes):
    scores = np.random.default_rng(0).normal(0, 5, (500, classes))
    for function, values in ((softmax, scores), (scaled_to_one, np.exp(scores))):
        together = function(values).tolist()
        assert function(np.asfortranarray(values)).tolist() == together
        assert [function(row[None])[0].tolist() for row in values] == together
        assert np.sum(together, axis=1) == pytest.approx(np.ones(500), abs=1e-14)


def test_tasks_that_a_type_does_not_have():
    check_task(MODEL_TYPES["logistic"], "multiclass")
    with pytest.raises(FitError, match=r"type linear cannot be used for task quantile: use xgboost$"):
        check_task(MODEL_TYPES["linear"], "quantile")
    with pytest.raises(FitError, match=r"type linear cannot be used for task ranking$"):
        check_task(MODEL_TYPES["linear"], "ranking")
