"""Expressions that use each other by name: any order, cycles, places of mistakes, limits, computed once."""

import itertools
import time

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import CompiledFeatures, LanguageErrors, Schema, compile_features
from dsl.checker.parse import MAX_TREE_DEPTH
from dsl.row.compile import Writer

SCHEMA = Schema({"distance": "float", "minutes": "float", "origin": "str"})
CHAIN = {"speed": "row.distance / row.minutes", "fast": "speed > 5", "both": "int(fast) + speed"}


def mistakes(features, define=None):
    """The errors of some features, as (name, line, column, message)."""
    with pytest.raises(LanguageErrors) as caught:
        compile_features(features, SCHEMA, define)
    return [(error.feature, error.line, error.column, error.message) for error in caught.value.errors]


@pytest.mark.parametrize("order", list(itertools.permutations(CHAIN)))
def test_a_feature_uses_others_wherever_they_are_written(order):
    features = compile_features({name: CHAIN[name] for name in order}, SCHEMA)
    assert features.names == order
    assert features.types == {name: {"fast": "bool"}.get(name, "float") for name in order}
    row = {"distance": 60.0, "minutes": 10.0}
    values = {"speed": 6.0, "fast": True, "both": 7.0}
    assert features.row(row) == [values[name] for name in order]
    assert features.columns(pl.DataFrame([row])).row(0) == tuple(values[name] for name in order)
    assert features.row({"distance": 1.0, "minutes": 0.0}) == [None, None, None]


def test_what_is_defined_beside_the_features_is_no_feature():
    define = {"speed": CHAIN["speed"], "unused": "row.minutes + 1"}
    features = compile_features({"fast": CHAIN["fast"], "both": CHAIN["both"]}, SCHEMA, define)
    assert features.names == ("fast", "both")
    assert features.row({"distance": 60.0, "minutes": 10.0}) == [True, 7.0]
    only = compile_features({"far": "row.distance > 9"}, SCHEMA, define)
    assert only.inputs.row == {"distance": "float"}, "what no feature uses is not read"


def test_a_name_used_is_the_same_as_its_expression_written_out():
    named = compile_features(CHAIN, SCHEMA)
    written = {
        "speed": "row.distance / row.minutes",
        "fast": "row.distance / row.minutes > 5",
        "both": "int(row.distance / row.minutes > 5) + row.distance / row.minutes",
    }
    assert named == compile_features(written, SCHEMA)
    assert CompiledFeatures.from_json(named.to_json()) == named


def test_a_fitted_function_learns_from_a_named_expression():
    features = compile_features({"level": "normalize(speed)", **CHAIN}, SCHEMA)
    frame = pl.DataFrame({"distance": [1.0, 3.0], "minutes": [1.0, 1.0]})
    fitted = features.fitted(features.aggregate(frame))
    assert fitted.row({"distance": 3.0, "minutes": 1.0})[0] == 1.0, "mean 2, deviation 1"
    assert features.learning == ("level",)


def test_a_name_and_a_function_of_that_name_are_told_apart():
    features = compile_features({"length": "length(row.origin)", "twice": "length * 2"}, SCHEMA)
    assert features.row({"origin": "EWR"}) == [3, 6]


@pytest.mark.parametrize(
    ("features", "column", "message"),
    [
        ({"a": "a + 1"}, 1, "a uses itself"),
        ({"b": "1.0", "a": "b + c", "c": "int(a)"}, 5, "a uses itself: a uses c, c uses a"),
        ({"x": "1 + y", "y": "z", "z": "x * 2"}, 5, "x uses itself: x uses y, y uses z, z uses x"),
    ],
)
def test_a_cycle_is_named_where_it_begins(features, column, message):
    (error,) = mistakes(features)
    assert error == (next(name for name in features if message.startswith(name)), 1, column, message)


def test_two_cycles_and_other_mistakes_are_reported_together():
    found = mistakes({"a": "b", "b": "a", "c": "c", "d": "row.zzz", "e": "d + a", "f": "d +"})
    assert [(name, message) for name, _, _, message in found] == [
        ("a", "a uses itself: a uses b, b uses a"),
        ("c", "c uses itself"),
        ("d", "the row has no column 'zzz'"),
        ("f", "the expression stops too early"),
    ]


def test_mistakes_in_definitions_have_their_place():
    found = mistakes({"fast": "speed > 'a'"}, {"speed": "row.distance\n / row.minuts"})
    assert found == [("speed", 2, 4, "the row has no column 'minuts'")]
    assert mistakes({"fast": "spede > 5"}, {"speed": "1"}) == [
        ("fast", 1, 1, "the name 'spede' is not known"),
    ]
    with pytest.raises(LanguageErrors, match=r"did you mean speed\?"):
        compile_features({"fast": "spede > 5"}, SCHEMA, {"speed": "1"})


def test_a_definition_comes_before_a_feature_of_its_name():
    features = compile_features(
        {"speed": "speed * 2", "fast": "speed > 1"}, SCHEMA, {"speed": "row.distance"}
    )
    assert features.row({"distance": 1.0}) == [2.0, False]


def test_parts_of_definitions_stay_out_of_reach_with_names():
    assert mistakes({"a": "1", "h": "_hour(a)"})[0][3] == "there is no function '_hour'"


def test_a_shared_expression_is_computed_once():
    features = compile_features(
        {"slow": "log(row.distance + 1) / 2", "far": "base * 3", "near": "base + slow"},
        SCHEMA,
        {"base": "log(row.distance + 1)"},
    )
    assert Writer(list(features._lowered.values())).source().count("log(") == 1


def test_expressions_that_double_end_quickly_and_are_limited():
    doubling = {"f0": "row.distance + 1"} | {f"f{n}": f"f{n - 1} * f{n - 1}" for n in range(1, 40)}
    started = time.perf_counter()
    name, _, _, message = mistakes(doubling)[0]
    assert time.perf_counter() - started < 2
    assert (name, message) == (
        "f11",
        "with everything that it uses, the expression has 8191 parts, more than 5000",
    )
    fits = compile_features({name: doubling[name] for name in list(doubling)[:11]}, SCHEMA)
    assert fits.row({"distance": 0.0})[10] == 1.0


def test_long_chains_are_limited_and_the_longest_works_everywhere():
    chain = {"f0": "row.distance"} | {f"f{n}": f"1.0 - f{n - 1}" for n in range(1, MAX_TREE_DEPTH)}
    features = compile_features({"last": f"f{MAX_TREE_DEPTH - 1}"}, SCHEMA, chain)
    features = CompiledFeatures.from_json(features.to_json())
    assert features.row({"distance": 0.25}) == [0.75]
    assert features.columns(pl.DataFrame({"distance": [0.25]})).row(0) == (0.75,)
    over = chain | {"over": f"1.0 - f{MAX_TREE_DEPTH - 1}"}
    assert (
        mistakes(over)[0][3] == "with everything that it uses, the expression is 81 levels deep, more than 80"
    )


@pytest.mark.parametrize(
    "form", ["min({0}, 2.0)", "({0} if {0} > 1 else 0.5)", "clip({0}, 0, 1)", "abs(-{0})"]
)
def test_deep_chains_of_every_form_compile(form):
    chain = {"f0": "row.distance"} | {f"f{n}": form.format(f"f{n - 1}") for n in range(1, 9)}
    features = compile_features({"last": "f8"}, SCHEMA, chain)
    (value,) = features.row({"distance": 0.75})
    assert features.columns(pl.DataFrame({"distance": [0.75]})).row(0) == (value,)


@settings(max_examples=settings().max_examples // 6)
@given(data=st.data())
def test_any_expressions_named_mean_the_same_as_written_out(data, language):
    """Drawn expressions, one of whose operands is put in by name, and again as text in brackets."""
    inner = data.draw(language.expressions)
    kind = compile_features({"inner": inner}, language.schema).types["inner"]
    outer = {"same": "{0} if row.b else {0}", "gone": "is_null({0})", "listed": "coalesce({0}, {0})"}
    named = {name: text.format("x") for name, text in outer.items()}
    written = {name: text.format(f"({inner})") for name, text in outer.items()}
    features = compile_features(named, language.schema, {"x": inner})
    assert features == compile_features(written, language.schema)
    assert features.types == {"same": kind, "gone": "bool", "listed": kind}
