"""Importances of parts are weighted by the rows they answer."""

import pytest

from giornata.evaluation.importance import combined_importance


def test_weights_by_rows():
    found = combined_importance(["a", "b", "c"], [{0: 1.0}, {0: 0.5, 2: 0.5}, {}], [300, 100, 600])
    # (1.0 * 300 + 0.5 * 100) / 400; the constant third model says nothing
    assert found == pytest.approx({"a": 0.875, "c": 0.125, "b": 0.0})
    assert list(found) == ["a", "c", "b"]


def test_only_constant_models():
    assert combined_importance(["a"], [{}], [10]) == {"a": 0.0}
