"""Fitted state is exact, and the same for every partitioning and order of the training rows."""

import json
import math
import random
import statistics
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl import CompiledFeatures, NotFittedError, Schema, StoredFormError, compile_features
from dsl.fitting.aggregates import Moments
from dsl.functions import TABLE

SCHEMA = Schema({"x": "float", "s": "str", "i": "int"})
FEATURES = {"n": "normalize(log1p(row.x))", "m": "1 + normalize(row.x)", "v": "vocabulary(row.s, size=3)"}
EVERY_FITTED = {
    "min_max": "min_max(row.x)",
    "robust_scale": "robust_scale(row.x)",
    "winsorize": "winsorize(row.x, 0.05)",
    "quantile_bucket": "quantile_bucket(row.x, 7)",
    "impute_mean": "impute_mean(row.x)",
    "impute_median": "impute_median(row.x)",
    "impute_text": "impute_mode(row.s)",
    "impute_int": "impute_mode(row.i)",
    "frequency": "frequency(row.s, size=3)",
    "target_mean": "target_mean(row.s, size=3, weight=2)",
    **FEATURES,
}


def training(count, seed=3):
    """Rows of every size of float, with missing ones."""
    chance = random.Random(seed)
    special = [None, math.nan, math.inf, 0.0, -0.0, 5e-324, 1.7976931348623157e308, -1e300]
    xs = [
        chance.choice(special)
        if chance.random() < 0.1
        else math.ldexp(chance.uniform(-1, 1), chance.randint(-80, 80))
        for _ in range(count)
    ]
    words = [chance.choice([None, "a", "b", "c", "d", "é"]) for _ in range(count)]
    numbers = [chance.choice([None, 3, -3, 2**63 - 1, -(2**63), chance.randint(-5, 5)]) for _ in range(count)]
    schema = {"x": pl.Float64, "s": pl.String, "i": pl.Int64}
    return pl.DataFrame({"x": xs, "s": words, "i": numbers}, schema=schema)


def aggregate(features, frame):
    """The state of features fitted to a frame whose x is the label."""
    return features.aggregate(frame, frame["x"])


def partitioned(features, frame, count, seed):
    """The merged aggregate of count parts, rows shuffled, parts (some empty) merged in a random order as JSON."""
    chance = random.Random(seed)
    owner = pl.Series([chance.randrange(count) for _ in range(frame.height)])
    parts = [aggregate(features, frame.filter(owner == part)) for part in range(count)]
    while len(parts) > 1:
        left, right = (parts.pop(chance.randrange(len(parts))) for _ in range(2))
        parts.append(json.loads(json.dumps(features.merge(left, right))))
    return parts[0]


def test_every_fitted_function_is_tried():
    fitted = {function.name for function in TABLE if function.fit}
    assert {name for name in fitted if not any(f"{name}(" in text for text in EVERY_FITTED.values())} == set()


@pytest.mark.parametrize(("seed", "count"), [(0, 500), (1, 2000), (2, 10_000)])
def test_one_partition_and_seventeen_give_the_same_state(seed, count):
    features = compile_features(EVERY_FITTED, SCHEMA)
    frame = training(count, seed)
    whole = aggregate(features, frame)
    assert partitioned(features, frame, 17, seed) == whole
    assert (
        features.fitted(whole).to_json() == features.fitted(partitioned(features, frame, 17, seed)).to_json()
    )


def test_sums_are_exact():
    frame = training(500)
    exact = [Fraction(x) for x in frame["x"] if x is not None and math.isfinite(x)]
    aggregate = Moments().aggregate(pl.Series([float(x) for x in exact]))

    def read(written):
        digits, _, power = written.partition("p")
        return int(digits, 16) * Fraction(2) ** int(power)

    assert aggregate["count"] == len(exact)
    assert read(aggregate["sum"]) == sum(exact)
    assert read(aggregate["squares"]) == sum(x * x for x in exact)


@given(xs=st.lists(st.floats(-1e150, 1e150), min_size=1, max_size=20))
def test_mean_and_deviation_are_those_of_exact_arithmetic(xs):
    moments = Moments()
    state = moments.state(moments.aggregate(pl.Series(xs, dtype=pl.Float64)), ())
    exact = [Fraction(x) for x in xs]
    mean = sum(exact) / len(exact)
    assert state["mean"] == float(mean)
    deviation = math.sqrt(v) if (v := sum((x - mean) ** 2 for x in exact) / len(exact)) > 1e-290 else None
    if deviation:
        assert state["deviation"] == pytest.approx(deviation, rel=1e-15)


def test_state_of_numbers_worked_out_by_hand():
    features = compile_features({"n": "normalize(row.x)"}, SCHEMA)
    frame = pl.DataFrame({"x": [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0, None, math.nan]})
    fitted = features.fitted(features.aggregate(frame))
    assert fitted.to_json()["states"] == {"normalize(row.x)": {"mean": 5.0, "deviation": 2.0}}
    assert statistics.pstdev([2, 4, 4, 4, 5, 5, 7, 9]) == 2.0
    assert fitted.row({"x": 9.0}) == [2.0]


def test_a_large_offset_loses_nothing():
    features = compile_features({"n": "normalize(row.x)"}, SCHEMA)
    frame = pl.DataFrame({"x": [1e16, 1e16 + 2, 1e16 + 4, 1e16 + 2]})
    state = features.fitted(features.aggregate(frame)).to_json()["states"]["normalize(row.x)"]
    assert state == {"mean": 1e16 + 2, "deviation": math.sqrt(2)}


def test_features_that_have_not_learned_say_so():
    features = compile_features(FEATURES, SCHEMA)
    assert not features.is_fitted
    with pytest.raises(NotFittedError, match=r"normalize\(log1p\(row.x\)\) has not been fitted"):
        features.row({})
    with pytest.raises(NotFittedError):
        features.columns(training(3))
    assert features.fitted(features.aggregate(training(3))).is_fitted


def test_aggregates_of_other_features_are_refused():
    features = compile_features(FEATURES, SCHEMA)
    other = compile_features({"n": "normalize(row.x)"}, SCHEMA)
    with pytest.raises(StoredFormError, match="are not those of"):
        features.merge(features.aggregate(training(3)), other.aggregate(training(3)))


def test_equal_calls_learn_once():
    features = compile_features({"a": "normalize(row.x)", "b": "normalize( row.x ) * 2"}, SCHEMA)
    assert list(features.aggregate(training(3))) == ["normalize(row.x)"]


def test_states_worked_out_by_hand():
    features = compile_features(EVERY_FITTED, SCHEMA)
    rows = [(1.0, "b", 7), (2.0, "a", -1), (3.0, "a", 7), (4.0, None, -1), (10.0, "c", 0), (None, "b", None)]
    frame = pl.DataFrame(rows, schema={"x": pl.Float64, "s": pl.String, "i": pl.Int64}, orient="row")
    states = features.fitted(aggregate(features, frame)).to_json()["states"]
    assert states["min_max(row.x)"] == {"low": 1.0, "range": 9.0}
    assert states["robust_scale(row.x)"] == {"median": 3.0, "spread": 2.0}
    assert states["impute_mean(row.x)"] == {"mean": 4.0}
    assert states["impute_median(row.x)"] == {"median": 3.0}
    assert states["impute_mode(row.s)"] == {"mode": "a"}
    assert states["impute_mode(row.i)"] == {"mode": -1}
    assert states["frequency(row.s, 3)"] == {"words": ("a", "b", "c"), "shares": (0.4, 0.4, 0.2)}
    assert states["winsorize(row.x, 0.05)"] == {"low": 1.2, "high": pytest.approx(8.8, rel=1e-15)}
    bounds = [1 + Fraction(4 * part, 7) for part in (1, 2, 3, 4, 5)]
    assert states["quantile_bucket(row.x, 7)"]["bounds"][:5] == tuple(map(float, bounds))


def test_what_is_learned_comes_back_from_json():
    features = compile_features(EVERY_FITTED, SCHEMA)
    fitted = features.fitted(aggregate(features, training(500)))
    again = CompiledFeatures.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again == fitted
    assert again.row({"x": 0.5, "s": "a"}) == fitted.row({"x": 0.5, "s": "a"})


@pytest.mark.parametrize("written", [{"bounds": "x"}, {"bounds": ["1"]}, {"bounds": [True]}, {"bounds": 1.0}])
def test_a_stored_state_of_another_type_is_refused(written):
    features = compile_features({"q": "quantile_bucket(row.x)"}, SCHEMA).to_json()
    features["states"] = {"quantile_bucket(row.x, 10)": written}
    with pytest.raises(StoredFormError, match="bounds of quantile_bucket"):
        CompiledFeatures.from_json(features)


def test_nothing_learned_leaves_null_in_null_out():
    features = compile_features(EVERY_FITTED, SCHEMA)
    fitted = features.fitted(aggregate(features, training(0)))
    by_name = dict(zip(fitted.names, fitted.row({"x": 2.0, "s": "a", "i": 1}), strict=True))
    assert (
        by_name["min_max"]
        is by_name["robust_scale"]
        is by_name["winsorize"]
        is by_name["target_mean"]
        is None
    )
    assert (by_name["quantile_bucket"], by_name["frequency"], by_name["impute_mean"]) == (0, 0.0, 2.0)
    assert dict(zip(fitted.names, fitted.row({}), strict=True))["impute_median"] is None


def test_target_means_of_numbers_worked_out_by_hand():
    features = compile_features({"t": "target_mean(row.s, size=2, weight=1)"}, SCHEMA)
    frame = pl.DataFrame({"s": ["a", "a", "b", "c", "b", None, "a"]})
    labels = pl.Series([1.0, 3.0, 8.0, 100.0, 0.0, 18.0, math.nan])
    # The mean of all is 130 / 6; a: (4 + prior) / 3, b: (8 + prior) / 3; c is the third most frequent.
    prior = Fraction(130, 6)
    fitted = features.fitted(features.aggregate(frame, labels))
    means = [float((4 + prior) / 3), float((8 + prior) / 3)]
    (state,) = fitted.to_json()["states"].values()
    assert state == {"words": ("a", "b"), "means": tuple(means), "prior": float(prior)}
    assert [fitted.row({"s": word})[0] for word in ("a", "b", "c", None)] == [*means, float(prior), None]


def test_what_is_learned_from_labels_needs_them():
    features = compile_features({"t": "target_mean(row.s)"}, SCHEMA)
    assert features.learns_target
    assert not compile_features(FEATURES, SCHEMA).learns_target
    with pytest.raises(NotFittedError, match=r"target_mean\(row.s, 1000, 20.0\) is fitted to labels"):
        features.aggregate(pl.DataFrame({"s": ["a"]}))


def test_labels_of_other_rows_alone():
    """Out of fold: means come from the others, all else from every row."""
    features = compile_features({"t": "target_mean(row.s, weight=0)", "n": "normalize(row.x)"}, SCHEMA)
    frame = pl.DataFrame({"s": ["a", "a", "a", "b"], "x": [1.0, 2.0, 3.0, 6.0]})
    labels = pl.Series([10.0, 20.0, 90.0, 7.0])
    mine, others = (features.aggregate(frame[rows], labels[rows]) for rows in ([0, 3], [1, 2]))
    fitted = features.fitted(features.merge(mine, others), of_others=others)
    mean, deviation = 3.0, statistics.pstdev([1, 2, 3, 6])
    assert fitted.row({"s": "a", "x": 6.0}) == [55.0, (6 - mean) / deviation]
    assert fitted.row({"s": "b", "x": 3.0}) == [55.0, 0.0]


def test_categories_are_the_codes_of_vocabularies():
    features = compile_features(
        {**FEATURES, "w": "vocabulary(row.s, size=1)", "c": "1 + vocabulary(row.s)"}, SCHEMA
    )
    with pytest.raises(NotFittedError, match="v, w must be fitted"):
        _ = features.categories
    rows = pl.DataFrame({"x": [1.0, 2.0, 3.0], "s": ["a", "b", None], "i": [1, 2, 3]})
    fitted = features.fitted(features.aggregate(rows))
    assert fitted.categories == {"v": 4, "w": 3}
    assert CompiledFeatures.from_json(fitted.to_json()).categories == fitted.categories
