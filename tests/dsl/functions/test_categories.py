"""Categories: the hash by its specification, crosses that cannot meet, buckets."""

import itertools
from bisect import bisect_right
from collections import Counter

import polars as pl
import pytest

from dsl import Schema, compile_features

# The first 8 bytes of BLAKE2b with an 8-byte digest; `b2sum -l 64` prints the same.
DIGESTS = {"": "e4a6a0577479b2b4", "abc": "d8bb14d833d59559"}


@pytest.mark.parametrize("text", DIGESTS)
def test_hash_buckets_follow_the_specification(evaluate, text):
    number = sum(int(DIGESTS[text][2 * byte : 2 * byte + 2], 16) << 8 * byte for byte in range(8))
    for buckets in (1, 2, 100, 2**31 - 1):
        assert evaluate(f"hash_bucket(row.x, {buckets})", {"x": text}) == number % buckets


@pytest.mark.parametrize(("text", "bucket"), [("JFK", 468), ("né", 158), ("😀", 805)])
def test_hash_buckets_never_change(evaluate, text, bucket):
    # From `printf JFK | b2sum -l 64`: a model in use must find the buckets it learned with.
    assert evaluate("hash_bucket(row.x, 1000)", {"x": text}) == bucket


@pytest.mark.parametrize("buckets", [2, 10, 64, 100])
def test_similar_names_spread_evenly(buckets):
    features = compile_features({"h": f"hash_bucket(row.s, {buckets})"}, Schema({"s": "str"}))
    frame = pl.DataFrame({"s": [f"N{number}UA" for number in range(20_000)] + [None]})
    counts = Counter(features.columns(frame)["h"].drop_nulls())
    expected = 20_000 / buckets
    chi_square = sum((counts[bucket] - expected) ** 2 / expected for bucket in range(buckets))
    degrees = buckets - 1
    assert chi_square < degrees + 5 * (2 * degrees) ** 0.5


def test_different_combinations_give_different_crosses(evaluate):
    parts = ["", "a", "|", "\\", "\\|", "a|", "|a", "\\\\"]
    crosses = [
        evaluate("cross(row.a, row.b)", {"a": a, "b": b}) for a, b in itertools.product(parts, repeat=2)
    ]
    assert len(set(crosses)) == len(parts) ** 2
    three = [
        evaluate("cross(row.a, row.b, row.c)", dict(zip("abc", p, strict=True)))
        for p in itertools.product(parts[:5], repeat=3)
    ]
    assert len(set(three)) == 125


@pytest.mark.parametrize("x", [-1e308, -0.5, -0.0, 0.0, 0.5, 10.0, 10.000000000000002, 1e308])
def test_buckets_count_the_boundaries_at_or_below(evaluate, x):
    assert evaluate("bucketize(row.x, 10, 0, 0.5, 10)", {"x": x}) == bisect_right([0.0, 0.5, 10.0], x)


def test_one_hot_is_never_null(evaluate):
    assert evaluate("one_hot(row.x, row.y)", {"x": None, "y": 1}) == 0
    assert evaluate("one_hot(row.x, row.y)", {"x": 2**53 + 1, "y": 2**53}) == 0
