"""A feature that knows the label is named; honest ones, however good, are not."""

import numpy as np
import pytest

from giornata.evaluation.leakage import leakage
from giornata.models.base import Examples


def rows(task, **columns):
    random = np.random.default_rng(0)
    target = (
        random.normal(100, 30, 2000) if task == "regression" else (random.random(2000) < 0.2).astype(float)
    )
    matrix = np.column_stack([make(target, random) for make in columns.values()]).astype(np.float32)
    return leakage(list(columns), Examples(matrix, target), task)


HONEST = {
    "strong": lambda target, random: target + random.normal(0, target.std() * 0.2, len(target)),
    "noise": lambda target, random: random.normal(size=len(target)),
    "constant": lambda target, random: np.full(len(target), 3.0),
    "absent": lambda target, random: np.full(len(target), np.nan),
}


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_honest_features_are_not_accused(task):
    strong = (
        {**HONEST}
        if task == "regression"
        else {**HONEST, "strong": lambda t, r: t + r.normal(0, 0.5, len(t))}
    )
    assert rows(task, **strong) == []


@pytest.mark.parametrize(
    ("task", "make", "reason"),
    [
        ("regression", lambda t, r: t, "equals the label in 100.0% of the rows"),
        ("regression", lambda t, r: np.where(r.random(len(t)) < 0.3, np.nan, t), "equals the label"),
        ("regression", lambda t, r: -2 * t + r.normal(0, 1, len(t)), "squared correlation 0.999"),
        ("binary", lambda t, r: t, "equals the label"),
        ("binary", lambda t, r: -50.0 * t + r.normal(0, 1, len(t)), "separates the labels alone (AUC 1.0000)"),
        ("binary", lambda t, r: np.where(t == 1, np.nan, r.normal(size=len(t))), "whether it is missing"),
    ],
)  # fmt: skip
def test_a_feature_that_knows_the_label_is_named(task, make, reason):
    (sentence,) = rows(task, **HONEST | {"strong": HONEST["noise"]}, leak=make)
    assert sentence.startswith("feature leak: ")
    assert reason in sentence


def test_few_rows_say_nothing():
    target = np.arange(20.0)
    assert leakage(["same"], Examples(target[:, None].astype(np.float32), target), "regression") == []
