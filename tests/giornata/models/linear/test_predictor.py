"""The sum of a linear model over many columns has the same bits for one row and for many."""

import numpy as np
import pytest

from giornata.models.linear.predictor import Amount, Codes, LinearScore


@pytest.fixture(scope="module")
def columns():
    random = np.random.default_rng(0)
    amounts = [
        Amount(**dict(zip(("mean", "weight", "missing"), random.normal(size=3).tolist(), strict=True)))
        for _ in range(60)
    ]
    codes = [Codes(weights=random.normal(size=count).tolist()) for count in (1, 5, 30)]
    return [*amounts[:7], codes[0], *amounts[7:50], codes[1], codes[2], *amounts[50:]]


@pytest.fixture(scope="module")
def matrix(columns):
    random = np.random.default_rng(1)
    rows = random.normal(size=(5000, len(columns))).astype(np.float32)
    for at, column in enumerate(columns):
        if isinstance(column, Codes):
            rows[:, at] = random.integers(-1, len(column.weights) + 2, len(rows))
            rows[:40, at] += 0.5
    rows[random.random(rows.shape) < 0.2] = np.nan
    return rows


def by_hand(columns, row):
    total = 0.25
    for column, value in zip(columns, row.astype(np.float64).tolist(), strict=True):
        if isinstance(column, Amount):
            total += column.missing if np.isnan(value) else (value - column.mean) * column.weight
        elif value in range(len(column.weights)):
            total += column.weights[int(value)]
    return total


def test_the_same_bits_however_many_rows(columns, matrix):
    score = LinearScore(0.25, columns)
    expected = [by_hand(columns, row) for row in matrix[:400]]
    assert [score(matrix[at : at + 1])[0] for at in range(400)] == expected
    for rows in (2, 7, 8, 9, 100, 400, 5000):
        assert score(matrix[:rows])[:400].tolist() == expected[:rows]
    assert score(np.asfortranarray(matrix))[:400].tolist() == expected
    assert score(matrix[:400][::-1]).tolist() == expected[::-1]
