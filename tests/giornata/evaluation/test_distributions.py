"""Distributions of features, by hand."""

import numpy as np

from giornata.evaluation.distributions import distributions


def test_by_hand():
    matrix = np.array([[0, 1], [np.nan, 1], [10, 1], [2, 1]], np.float32)
    found = distributions(["x", "one"], matrix)
    x = found["x"]
    assert (x.rows, x.nulls, x.mean) == (4, 0.25, 4.0)
    assert x.quantiles["0"] == 0
    assert x.quantiles["0.5"] == 2
    assert x.quantiles["1"] == 10
    assert sum(x.counts) == 3
    assert (x.edges[0], x.edges[-1]) == (0, 10)
    assert len(x.edges) == len(x.counts) + 1
    assert found["one"].counts == [4]


def test_all_missing():
    found = distributions(["x"], np.full((3, 1), np.nan, np.float32))["x"]
    assert (found.nulls, found.mean, found.counts, found.quantiles) == (1.0, None, [], {})
