"""Windows, inputs and matrices that training is made of."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from dsl import GroupSchema, Inputs, Schema, compile_features
from giornata.documents.model import ModelSpec, Split
from giornata.errors import DataError
from giornata.evaluation.leakage import Ahead
from giornata.evaluation.precision import Distinct
from jobs.training.dataset import (
    FOLDS,
    LABEL,
    ORDER,
    WINDOW,
    distinct_values,
    examples,
    fit_features,
    matrix_frame,
    merged_inputs,
    row_counts,
    sample,
    windows,
)

AS_OF = datetime(2013, 11, 1, tzinfo=UTC)


def test_windows_are_counted_back():
    found = windows(Split(train="270d", validation=0.2, test="30d"), AS_OF)
    assert found.bounds == {
        "train": (datetime(2013, 1, 5, tzinfo=UTC), datetime(2013, 8, 9, tzinfo=UTC)),
        "validation": (datetime(2013, 8, 9, tzinfo=UTC), datetime(2013, 10, 2, tzinfo=UTC)),
        "test": (datetime(2013, 10, 2, tzinfo=UTC), AS_OF),
    }
    assert found.test - found.validation == timedelta(days=54)


def test_inputs_of_features_and_partition():
    schema = Schema(
        row={"origin": "str", "city": "str", "distance": "float", "unused": "int"},
        store={
            "weather": GroupSchema({"origin": "str"}, {"wind": "float", "storm": "bool", "rain": "float"})
        },
    )
    features = compile_features({"distance": "row.distance", "wind": "store.weather.wind"}, schema)
    partition = compile_features({"city": "row.city", "storm": "store.weather.storm"}, schema)
    found = merged_inputs(features, partition)
    assert dict(found.row) == {"origin": "str", "city": "str", "distance": "float"}
    assert dict(found.store["weather"].features) == {"wind": "float", "storm": "bool"}
    assert found.store["weather"].group == "weather"
    elsewhere = compile_features({"storm": "store.weather(origin=row.city).storm"}, schema)
    found = merged_inputs(features, elsewhere)
    assert {use: (dict(read.keys), dict(read.features)) for use, read in found.store.items()} == {
        "weather": ({"origin": "origin"}, {"wind": "float"}),
        "weather__city": ({"origin": "city"}, {"storm": "bool"}),
    }
    assert merged_inputs(features, None).row.keys() == {"origin", "distance"}


def test_a_column_may_be_null_where_training_lacked_it_or_no_expression_needs_it():
    schema = Schema(row={"x": "float", "y": "float", "z": "float", "city": "str"})
    features = compile_features({"a": "row.x", "b": "coalesce(row.y, 0)", "c": "coalesce(row.z, 0)"}, schema)
    partition = compile_features({"high": "row.z > 1", "city": "coalesce(row.city, '')"}, schema)
    inputs = merged_inputs(features, partition)
    assert inputs.nullable == {"y", "city"}
    assert merged_inputs(features, None).nullable == {"y", "z"}


def test_matrix_does_not_depend_on_the_order_of_rows():
    table = pa.table(
        {"x0": pa.array([1, 2, None], pa.float32()), "x1": pa.array([4, 5, 6], pa.float32()),
         LABEL: [0.1, 0.2, 0.3], ORDER: [30, -10, 20]}
    )  # fmt: skip
    found = examples(table, 2, {1: 7})
    np.testing.assert_array_equal(found.matrix, np.array([[2, 5], [np.nan, 6], [1, 4]], np.float32))
    assert found.target.tolist() == [0.2, 0.3, 0.1]
    assert found.categories == {1: 7}
    again = examples(table.take([2, 0, 1]), 2, {})
    np.testing.assert_array_equal(again.matrix, found.matrix)
    assert found.matrix.dtype == np.float32


@pytest.mark.parametrize(("bound", "low", "high"), [(10_000, 10_000, 10_000), (1000, 900, 1100)])
def test_sample(spark, bound, low, high):
    frame = spark.range(10_000).selectExpr(f"xxhash64(id) AS {ORDER}")
    kept = sample(frame, 10_000, bound)
    rows = {row[0] for row in kept.collect()}
    assert low <= len(rows) <= high
    assert {row[0] for row in sample(frame.repartition(7), 10_000, bound).collect()} == rows


def test_a_label_has_no_part_in_its_own_row(spark):
    """A feature learned from labels: in training from the other four folds, elsewhere from all training rows."""
    random = np.random.default_rng(3)
    rows = pl.DataFrame(
        {
            "word": random.choice(["a", "b", "c", None], 400, p=[0.5, 0.3, 0.1, 0.1]),
            LABEL: random.normal(10, 5, 400),
            WINDOW: ["train"] * 300 + ["validation"] * 100,
            ORDER: random.integers(-(2**62), 2**62, 400),
        }
    )
    frame = spark.createDataFrame(rows.to_pandas().replace({np.nan: None})).repartition(3)
    features = compile_features({"mean": "target_mean(row.word, weight=2)"}, Schema(row={"word": "str"}))
    columns = {"word": "str"}
    fitted = fit_features(frame.where(f"{WINDOW} = 'train'"), features, columns)
    found = pl.from_arrow(matrix_frame(frame, fitted, None, columns).toArrow()).sort(ORDER)

    def by_hand(row, others):
        if row["word"] is None:
            return None
        prior = others[LABEL].mean()
        labels = others.filter(pl.col("word") == row["word"])[LABEL]
        return (labels.sum() + 2 * prior) / (len(labels) + 2)

    train = rows.filter(pl.col(WINDOW) == "train")
    wanted = [
        by_hand(
            row,
            train.filter(pl.col(ORDER) % FOLDS != row[ORDER] % FOLDS) if row[WINDOW] == "train" else train,
        )
        for row in rows.sort(ORDER).iter_rows(named=True)
    ]
    np.testing.assert_allclose(found["x0"].to_numpy(), np.array(wanted, float), rtol=1e-6)
    assert found[WINDOW].to_list() == rows.sort(ORDER)[WINDOW].to_list()


def test_moments_after_that_of_asking_are_counted(spark):
    """Of training and validation, not of the test; a null is neither before nor after."""
    asked = datetime(2013, 3, 1, tzinfo=UTC)
    before, later = asked - timedelta(hours=1), asked + timedelta(microseconds=1)
    rows = [
        ("a", asked, before, later, "train"),
        ("b", asked, asked, later, "train"),
        ("c", asked, None, later, "validation"),
        ("d", asked, later, None, "validation"),
        ("e", asked, later, later, "test"),
    ]
    frame = spark.createDataFrame(
        [(*row, 1.0) for row in rows],
        f"id string, asked timestamp, sent timestamp, paid timestamp, {WINDOW} string, {LABEL} double",
    )
    spec = ModelSpec.model_validate(
        {
            "description": "Counts",
            "owner": "tests",
            "type": "linear",
            "task": "regression",
            "data": {"table": "orders", "key": ["id"], "event_time": "asked"},
            "label": {"table": "sales", "value": "amount", "event_time": "sold"},
            "split": {"train": "30d", "validation": 0.2, "test": "10d"},
            "features": {"height": "1"},
        }
    )
    inputs = Inputs(
        {"asked": "timestamp", "sent": "timestamp", "paid": "timestamp", "id": "str"}, {}, frozenset()
    )
    found = row_counts(frame, spec, inputs, windows(spec.split, AS_OF))
    assert found.ahead == {"asked": Ahead(0, 4), "sent": Ahead(1, 3), "paid": Ahead(3, 3)}
    assert (found.rows, found.nullable) == ({"train": 2, "validation": 2, "test": 1}, {"sent", "paid"})
    assert found.unlabelled == {"train": 0, "validation": 0, "test": 0}
    late = frame.withColumn(LABEL, F.when(F.col(WINDOW) != "test", F.col(LABEL)))
    with pytest.raises(
        DataError, match=r"no labelled test rows in orders from .*: none of the 1 rows there had a"
    ):
        row_counts(late, spec, inputs, windows(spec.split, AS_OF))


def test_different_values_are_counted_before_and_after_they_become_single_precision(spark):
    numbers = [2**24 + number for number in range(9)] + [2**62, 2**62 + 1, None, 2**24]
    frame = spark.createDataFrame(
        [(number, 1e8 + place / 4) for place, number in enumerate(numbers)], "number bigint, amount double"
    ).repartition(3)
    schema = Schema(row={"number": "int", "amount": "float"})
    features = compile_features({"number": "row.number", "amount": "row.amount", "small": "1"}, schema)
    found = distinct_values(frame, features, {"number": "int", "amount": "float"}, ["amount", "number"])
    assert found == {
        # Even numbers from 2^24 to 2^24 + 8, and 2^62.
        "number": Distinct(values=11, left=6, whole=True),
        "amount": Distinct(values=13, left=1, whole=False),
    }
    assert distinct_values(frame, features, {}, []) == {}


def test_too_few_rows_to_learn_from_labels(spark):
    frame = spark.createDataFrame(
        [("a", 1.0, "train", 5)], f"word string, {LABEL} double, {WINDOW} string, {ORDER} long"
    )
    features = compile_features({"mean": "target_mean(row.word)"}, Schema(row={"word": "str"}))
    with pytest.raises(DataError, match="only 1 of 5 folds"):
        fit_features(frame, features, {"word": "str"})
