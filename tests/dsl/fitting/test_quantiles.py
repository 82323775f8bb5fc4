"""Quantiles of counted groups: exact for few values, of a bounded error for many, bounded in size."""

import json
import math
import random
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.fitting.quantiles import MAX_GROUPS, Quantiles, count_groups, merge_groups

SHARES = [Fraction(0), Fraction(1, 100), Fraction(1, 4), Fraction(1, 2), Fraction(9, 10), Fraction(1)]


def quantile(values, share):
    """By definition: between the neighbours of rank share * (n - 1), in exact arithmetic."""
    ordered = sorted(values)
    rank = share * (len(ordered) - 1)
    below, above = Fraction(ordered[math.floor(rank)]), Fraction(ordered[math.ceil(rank)])
    return float(below + (above - below) * (rank - math.floor(rank)))


def counted(values):
    return count_groups(pl.Series(values, dtype=pl.Float64))


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_few_values_give_exact_quantiles(values):
    found = Quantiles(counted([*values, None]))
    for share in SHARES:
        assert found(share) == quantile(values, share)


def test_quantiles_are_numpys():
    values = [2.0, 4.0, 4.0, 5.0, 7.0, 9.0]
    found = Quantiles(counted(values))
    assert [found(share) for share in SHARES] == [np.quantile(values, float(share)) for share in SHARES]


def test_no_values_have_no_quantile():
    assert Quantiles(counted([None]))(Fraction(1, 2)) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_many_values_are_off_by_less_than_one_in_256(sign):
    chance = random.Random(1)
    values = sorted(sign * 2.0 ** chance.uniform(0, 16) for _ in range(60_000))
    groups = counted(values)
    assert 0 < len(groups["groups"]) <= MAX_GROUPS
    found = Quantiles(groups)
    for share in [Fraction(n, 50) for n in range(51)]:
        exact = quantile(values, share)
        assert abs(found(share) - exact) < abs(exact) / 256
    assert found(Fraction(0)) >= min(values)
    assert found(Fraction(1)) <= max(values)


def test_floats_of_every_size_and_sign_stay_within_the_bound():
    chance = random.Random(2)
    values = [math.ldexp(chance.uniform(-1, 1), chance.randint(-1074, 1024)) for _ in range(50_000)] + [
        0.0,
        -0.0,
        5e-324,
        -5e-324,
        1.7976931348623157e308,
        -1.7976931348623157e308,
    ]
    groups = counted(values)
    assert len(groups["groups"]) <= MAX_GROUPS
    assert sum(count for _, count in groups["groups"]) == len(values)
    found = [Quantiles(groups)(Fraction(n, 20)) for n in range(21)]
    assert found == sorted(found)
    assert (min(values), max(values)) == (groups["low"], groups["high"])


@pytest.mark.parametrize("count", [50, MAX_GROUPS, MAX_GROUPS + 1, 30_000])
@pytest.mark.parametrize("seed", range(2))
def test_any_partitioning_gives_the_same_groups(count, seed):
    chance = random.Random(seed)
    values = [chance.gauss(0, 1) * 10 ** chance.randint(-3, 3) for _ in range(count)]
    whole = counted(values)
    chance.shuffle(values)
    parts = [counted(values[start::17]) for start in range(17)]
    while len(parts) > 1:
        left, right = (parts.pop(chance.randrange(len(parts))) for _ in range(2))
        parts.append(json.loads(json.dumps(merge_groups(left, right))))
    assert parts[0] == whole
    assert (whole["depth"] == 0) is (count <= MAX_GROUPS)
