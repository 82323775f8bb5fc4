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

from dsl import NotFittedError, Schema, StoredFormError, compile_features
from dsl.fit import Moments

SCHEMA = Schema({"x": "float", "s": "str"})
FEATURES = {"n": "normalize(log1p(row.x))", "m": "1 + normalize(row.x)", "v": "vocabulary(row.s, size=3)"}


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
    return pl.DataFrame({"x": xs, "s": words}, schema={"x": pl.Float64, "s": pl.String})


def partitioned(features, frame, count, seed):
    """The merged aggregate of count parts, rows shuffled, parts (some empty) merged in a random order as JSON."""
    chance = random.Random(seed)
    owner = pl.Series([chance.randrange(count) for _ in range(frame.height)])
    parts = [features.aggregate(frame.filter(owner == part)) for part in range(count)]
    while len(parts) > 1:
        left, right = (parts.pop(chance.randrange(len(parts))) for _ in range(2))
        parts.append(json.loads(json.dumps(features.merge(left, right))))
    return parts[0]


@pytest.mark.parametrize("seed", range(3))
def test_one_partition_and_seventeen_give_the_same_state(seed):
    features = compile_features(FEATURES, SCHEMA)
    frame = training(2000, seed)
    whole = features.aggregate(frame)
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
    with pytest.raises(NotFittedError, match=r"normalize\(log1p\(row.x\)\) has not learned"):
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
