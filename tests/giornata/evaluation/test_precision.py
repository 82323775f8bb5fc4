"""Features that lose values in single precision are warned of; those that lose none, or few amounts, are not."""

import numpy as np
import pytest

from dsl import Schema, compile_features
from giornata.dataset import Dataset
from giornata.evaluation.precision import Distinct, large_features, lost_values
from giornata.scorer import matrix_of_rows


def distinct(values: np.ndarray) -> Distinct:
    left = np.unique(values.astype(np.float32)).size
    return Distinct(np.unique(values).size, left, bool((values == np.floor(values)).all()))


def test_days_that_are_written_as_one_number():
    """By the features' own rows, as a bundle makes them: of 30 days 16 numbers are left."""
    days = np.arange(20240101, 20240131)
    features = compile_features({"day": "row.day"}, Schema(row={"day": "int"}))
    matrix = matrix_of_rows(features.row_many([{"day": int(day)} for day in days]))
    assert len(set(matrix[:, 0].tolist())) == 16
    assert large_features(["day"], Dataset(matrix, np.zeros(30))) == ["day"]
    (sentence,) = lost_values({"day": distinct(days)})
    assert sentence.startswith("feature day: its 30 different values become 16, 14 are lost: ")
    assert "vocabulary(…) for codes" in sentence


@pytest.mark.parametrize(
    "values",
    [
        np.arange(2**24 - 50, 2**24),
        np.arange(0, 2**30, 2**20),
        np.random.default_rng(3).lognormal(18, 1, 2000),
    ],
    ids=["up to the last that is told apart", "large and far apart", "amounts"],
)
def test_values_that_stay_apart(values):
    assert lost_values({"x": distinct(values)}) == []


def test_moments_to_the_microsecond():
    moments = 1.7e9 + np.arange(1000) * 0.25
    (sentence,) = lost_values({"at": distinct(moments)})
    assert sentence.startswith("feature at: its 1,000 different values become 3, 997 are lost")


def test_features_that_are_small_or_empty_are_not_looked_at():
    matrix = np.array([[1, np.nan, -(2.0**24), 2**24 - 1], [2, np.nan, np.nan, 5]], np.float32)
    names = ["one", "none", "far", "near"]
    assert large_features(names, Dataset(matrix, np.zeros(2))) == ["far"]
    assert large_features(names, Dataset(matrix[:0], np.zeros(0))) == []
