"""A feature that knows the label or reads the future is named; honest ones, however good, are not."""

import numpy as np
import pytest

from giornata.dataset import Dataset
from giornata.documents.model import ModelSpec
from giornata.documents.table import Table
from giornata.evaluation.leakage import Ahead, future_timestamps, leakage


def rows(task, **columns):
    random = np.random.default_rng(0)
    target = (
        random.normal(100, 30, 2000) if task == "regression" else (random.random(2000) < 0.2).astype(float)
    )
    matrix = np.column_stack([make(target, random) for make in columns.values()]).astype(np.float32)
    return leakage(list(columns), Dataset(matrix, target), task)


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
        ("regression", lambda t, r: np.exp(-t / 20), "orders the rows like their labels (squared rank"),
        ("binary", lambda t, r: t, "equals the label"),
        ("binary", lambda t, r: -50.0 * t + r.normal(0, 1, len(t)), "alone separates the labels (AUC 1.0000)"),
        ("binary", lambda t, r: np.where(t == 1, np.nan, r.normal(size=len(t))), "whether it is missing"),
    ],
)  # fmt: skip
def test_a_feature_that_knows_the_label_is_named(task, make, reason):
    (sentence,) = rows(task, **HONEST | {"strong": HONEST["noise"]}, leak=make)
    assert sentence.startswith("feature leak: ")
    assert reason in sentence


def test_few_rows_say_nothing():
    target = np.arange(20.0)
    assert leakage(["same"], Dataset(target[:, None].astype(np.float32), target), "regression") == []


def of_two(target, feature, task):
    """The sentences about one feature, of two vectors."""
    return leakage(["one"], Dataset(np.array(feature, np.float32)[:, None], np.array(target, float)), task)


def test_what_is_nearly_always_0_equals_no_rare_event():
    """6 events and 3 flags in 1,000 rows, never in one row: they are equal in 991 rows."""
    label = np.zeros(1000)
    label[:6] = 1
    flag = np.zeros(1000)
    flag[500:503] = 1
    assert of_two(label, flag, "binary") == []
    # The same of counts: 6 rows have some, 3 others have something else.
    assert of_two(label * np.arange(1000, 0, -1), flag * 7, "regression") == []


def test_a_copy_of_a_rare_event_is_named():
    """200 events in 20,000 rows; the copy lacks one of them and has one more: 19,998 rows and 199 events are equal."""
    label = np.zeros(20_000)
    label[:200] = 1
    copy = np.roll(label, 1)
    (sentence,) = of_two(label, copy, "binary")
    assert "equals the label in 100.0% of the rows, and in 99.5% of those whose label is not" in sentence
    # Without 4 of them, 98 % are equal: it is no copy any more, and its AUC is 0.99.
    assert of_two(label, np.where(np.arange(20_000) < 4, 0, label), "binary") == []


def exchanged(length):
    """1 to 100 with each `length` of them turned round: length (length² - 1) / 3 · 100 / length squared differences."""
    return np.arange(1, 101).reshape(-1, length)[:, ::-1].ravel()


def test_rank_correlation_by_hand():
    """Spearman's is 1 - 6 · sum d² / (n (n² - 1)): of pairs 1 - 600 / 999,900, squared 0.9988; of fours 0.9940."""
    label = np.exp(np.arange(100) / 10)
    (sentence,) = of_two(label, exchanged(2), "regression")
    assert "squared rank correlation 0.9988" in sentence
    (sentence,) = of_two(label, -exchanged(2), "quantile")
    assert "squared rank correlation 0.9988" in sentence
    assert of_two(label, exchanged(4), "regression") == []
    # Tens have 0.98, squared 0.9608. Of flights, distance and the minutes from gate to gate have 0.97.
    assert of_two(label, exchanged(10), "regression") == []


def test_equal_values_share_their_rank():
    """Of t equal values of n, the squared correlation is 1 - t (t² - 1) / (n (n² - 1)): 1 - 3,360 / 999,900."""
    label = np.exp(np.arange(100) / 10)
    (sentence,) = of_two(label, np.maximum(np.arange(100), 14), "regression")
    assert "squared rank correlation 0.9966" in sentence


def test_ranks_of_a_label_that_is_mostly_0():
    """60 of 6,000 labels are more than 0. Their logarithm knows them; that there is one is no order of them."""
    random = np.random.default_rng(1)
    label = np.zeros(6000)
    label[:60] = random.permutation(np.arange(1, 61)) ** 3
    (sentence,) = of_two(label, np.log1p(label), "regression")
    assert "squared rank correlation 1.0000" in sentence
    assert of_two(label, label > 0, "regression") == []
    # Fewer than 50: not judged by their order.
    label[40:60] = 0
    assert of_two(label, np.log1p(label), "regression") == []


SPEC = ModelSpec.model_validate(
    {
        "description": "Late orders",
        "owner": "tests",
        "type": "xgboost",
        "task": "binary",
        "data": {"table": "orders", "key": ["order_id"], "event_time": "ordered_at"},
        "label": {"table": "deliveries", "value": "late", "event_time": "delivered_at"},
        "split": {"train": "30d", "validation": 0.2, "test": "10d"},
        "features": {"hours": "row.hours"},
    }
)
ORDERS = {
    "description": "Orders",
    "key": ["order_id"],
    "event_time": "ordered_at",
    "columns": {"order_id": "str"},
}


@pytest.mark.parametrize(
    ("later", "of", "is_said"),
    [(0, 500, False), (10, 500, False), (11, 500, True), (11, 11_000, False), (12, 11_999, True), (500, 500, True)],
)  # fmt: skip
def test_a_moment_after_that_of_asking_is_named(later, of, is_said):
    """More than 10 rows and more than one in 1,000 of those that have it."""
    found = future_timestamps({"promised_at": Ahead(later, of)}, SPEC, Table.model_validate(ORDERS))
    sentence = (
        f"column promised_at lies after ordered_at, the event time, in {later:,} of the {of:,} rows that have "
        "it. Is it known then? If it is a plan that is made before, list it under `planned` in tables/orders.yaml; if "
        "not, say there under `known_at` when it is known"
    )
    assert found == [sentence] * is_said


@pytest.mark.parametrize(
    "declared", [{"planned": ["promised_at"]}, {"known_at": {"promised_at": "ordered_at"}}]
)
def test_a_moment_that_is_declared_is_not_named(declared):
    table = Table.model_validate(ORDERS | declared)
    found = future_timestamps({"promised_at": Ahead(400, 500), "paid_at": Ahead(400, 500)}, SPEC, table)
    assert [sentence.split()[:2] for sentence in found] == [["column", "paid_at"]]
