"""The JSON form: what is written comes back the same, and what could not have been written is refused."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import CompiledFeatures, StoredFormError, compile_features

EVERY_KIND = {
    "a": "coalesce(store.g.x, row.x / 3, 0) ** 2",
    "b": "row.s in ['a', 'b'] and not row.b or 0 < row.i < 10",
    "c": "hour(row.t, 'America/New_York') if row.b else None",
    "d": "normalize(row.x) + vocabulary(row.s, size=7)",
    "l": "dot([1, None, 2.5], float(coalesce(row.li, [3]))) + length(split(row.s, ','))",
    "e": "store.g(s=row.r).x - store.g(s=row.r).event_age",
}


def fitted(language):
    features = compile_features(EVERY_KIND, language.schema)
    frame = language.frame([language.row(x=1.0, s="é"), language.row(x=2.5, s="b"), language.row()])
    return features.fitted(features.aggregate(frame))


@settings(max_examples=settings().max_examples // 6)
@given(data=st.data())
def test_any_features_come_back_the_same(data, language):
    written = data.draw(st.lists(language.expressions, min_size=1, max_size=3))
    features = compile_features({f"f{number}": text for number, text in enumerate(written)}, language.schema)
    rows = data.draw(language.rows)
    features = features.fitted(language.aggregate(features, rows))
    again = CompiledFeatures.from_json(json.loads(json.dumps(features.to_json())))
    assert again == features
    assert again.inputs == features.inputs
    assert [repr(values) for values in again.row_many(rows)] == [
        repr(values) for values in features.row_many(rows)
    ]


def test_the_form_is_readable(language):
    features = compile_features({"a": "coalesce(store.g.x, 0) / 60"}, language.schema)
    assert features.to_json() == {
        "format": "giornata-features",
        "version": 2,
        "features": {
            "a": {
                "call": "/",
                "arguments": [
                    {
                        "call": "coalesce",
                        "arguments": [
                            {
                                "store": "g",
                                "feature": "x",
                                "keys": {"s": {"row": "s", "type": "str"}},
                                "type": "float",
                            },
                            {"constant": 0.0, "type": "float"},
                        ],
                        "type": "float",
                    },
                    {"constant": 60.0, "type": "float"},
                ],
                "type": "float",
            }
        },
        "states": {},
    }


def test_version_1_still_opens(language):
    """As the first version wrote `coalesce(store.g.x, 0.0)`."""
    stored = {"store": "g", "feature": "x", "keys": {"s": {"row": "s", "type": "str"}}, "type": "float"}
    constant = {"constant": 0.0, "type": "float"}
    written = {
        "format": "giornata-features",
        "version": 1,
        "features": {"a": {"call": "coalesce", "arguments": [stored, constant], "type": "float"}},
        "states": {},
    }
    features = CompiledFeatures.from_json(written)
    assert features == compile_features({"a": "coalesce(store.g.x, 0.0)"}, language.schema)
    assert features.row({"g__x": 2.0}) == [2.0]
    assert features.to_json()["version"] == 2


def broken():
    """Stored forms that the checker cannot have made."""
    number = {"constant": 1, "type": "int"}
    call = {"call": "abs", "arguments": [number], "type": "int"}
    hour = {
        "call": "hour",
        "arguments": [{"row": "t", "type": "timestamp"}, {"constant": "../../etc/passwd", "type": "str"}],
        "type": "int",
    }
    deep = number
    for _ in range(200):
        deep = {"not": deep}
    return [
        None,
        [],
        {},
        {"python": "1"},
        {"constant": True, "type": "int"},
        {"constant": 2**63, "type": "int"},
        {"constant": float("inf"), "type": "float"},
        {"constant": "\ud800", "type": "str"},
        {"constant": "x", "type": "timestamp"},
        {"constant": 1},
        {"constant": 1, "type": "integer"},
        {"row": "x; import os", "type": "float"},
        {"row": 7, "type": "float"},
        {"store": "g", "feature": "x", "keys": {"s": number}, "type": "float"},
        {"store": "g", "feature": "event_age", "keys": {"s": {"row": "s", "type": "str"}}, "type": "int"},
        {**call, "call": "exec"},
        {**call, "call": "_hour", "arguments": [{"row": "t", "type": "timestamp"}]},
        {**call, "type": "float"},
        {**call, "arguments": []},
        {**call, "arguments": [number, number]},
        {**call, "arguments": 3},
        hour,
        {"if": number, "then": number, "else": number},
        {
            "if": {"constant": True, "type": "bool"},
            "then": number,
            "else": {"constant": 1.0, "type": "float"},
        },
        {"constant": [], "type": "list[int]"},
        {"constant": [1, "a"], "type": "list[int]"},
        {"constant": 1, "type": "list[int]"},
        {"constant": [1], "type": "int"},
        {"and": []},
        {"or": [number]},
        {"in": number, "items": []},
        {"in": number, "items": [None]},
        {"in": number, "items": ["a"]},
        deep,
    ]


@pytest.mark.parametrize("tree", broken(), ids=lambda tree: f"{tree!r:.60}")
def test_forms_that_cannot_have_been_written_are_refused(tree):
    written = {"format": "giornata-features", "version": 1, "features": {"f": tree}, "states": {}}
    with pytest.raises(StoredFormError):
        CompiledFeatures.from_json(written)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "other", "expected giornata-features"),
        ("version", 3, "stored in version 3; this Giornata reads 1 and 2"),
        ("states", None, "lack their features or states"),
        ("states", {"normalize(row.y)": {}}, "which no feature calls"),
        ("states", {"normalize(row.x)": {"mean": 1.0}}, "does not hold mean, deviation"),
        ("states", {"normalize(row.x)": {"mean": "1", "deviation": 1.0}}, "mean of normalize"),
        ("states", {"vocabulary(row.s, 7)": {"words": [1]}}, "words of vocabulary"),
    ],
)
def test_wrong_envelopes_and_states_are_refused(key, value, message, language):
    written = copy.deepcopy(fitted(language).to_json())
    written[key] = value
    with pytest.raises(StoredFormError, match=message):
        CompiledFeatures.from_json(written)
