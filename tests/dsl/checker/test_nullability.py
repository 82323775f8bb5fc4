"""Which inputs may be null: worked out by hand, and never a column whose null turns a value into null."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import GroupSchema, Schema, compile_features

SCHEMA = Schema(
    {"x": "float", "y": "float", "i": "int", "s": "str", "b": "bool", "k": "str"},
    {"g": GroupSchema({"k": "str"}, {"x": "float", "n": "int"})},
)


@pytest.mark.parametrize(
    ("expression", "nullable"),
    [
        ("row.x", set()),
        ("row.x + row.y", set()),
        ("coalesce(row.x, 0)", {"x"}),
        ("coalesce(row.x, row.y)", {"x"}),
        ("coalesce(row.x, row.y, 0)", {"x", "y"}),
        ("coalesce(row.x / row.y, 0) + row.i", {"x", "y"}),
        ("is_null(row.x)", {"x"}),
        ("1 if row.b else 0", {"b"}),
        ("row.x if row.b else 0", {"b"}),
        ("row.x if not is_null(row.x) else 0", {"x"}),
        ("0 if is_null(row.x) else row.x", {"x"}),
        ("0 if is_null(row.x) or is_null(row.y) else row.x + row.y", {"x", "y"}),
        ("0 if is_null(row.x) and is_null(row.y) else row.x", {"y"}),
        ("row.x if row.x > 0 else 0", {"x"}),
        ("0 if row.x > 0 else row.x", set()),
        ("row.x if row.x > 0 and row.b else 0", {"x", "b"}),
        ("row.x if row.x > 0 or row.b else 0", {"b"}),
        ("null_if(row.x, row.y)", {"y"}),
        ("vocabulary(row.s)", {"s"}),
        ("normalize(row.x)", set()),
        ("normalize(coalesce(row.x, 0))", {"x"}),
        ("row.s in ['a']", set()),
        ("store.g.x", set()),
        ("coalesce(store.g.x, 0)", {"k"}),
    ],
)
def test_which_inputs_may_be_null(expression, nullable):
    assert compile_features({"f": expression}, SCHEMA).inputs.nullable == nullable


@pytest.mark.parametrize(
    ("expression", "nulls"),
    [
        ("store.g.x", ["x"]),
        ("store.g.x + store.g.n + row.x", ["x", "n"]),
        ("coalesce(store.g.n, 0)", []),
        ("coalesce(store.g.n, store.g.x)", ["x"]),
        ("coalesce(store.g.n, 0) + store.g(k=row.s).n", ["s__n"]),
        ("0 if is_null(store.g.n) else store.g.n", []),
        ("log1p(store.g.n)", ["n"]),
        ("is_null(store.g.n)", []),
        ("row.x", []),
    ],
)
def test_which_features_of_the_store_make_a_value_null(expression, nulls):
    (found,) = compile_features({"f": expression}, SCHEMA).store_nulls.values()
    assert [node.column.removeprefix("g__") for node in found] == nulls


def test_an_input_is_needed_when_one_feature_needs_it():
    features = compile_features({"a": "coalesce(row.x, 0)", "b": "row.x + coalesce(row.y, 1)"}, SCHEMA)
    assert features.inputs.nullable == {"y"}


@settings(max_examples=settings().max_examples // 3)
@given(data=st.data())
def test_a_value_never_becomes_null_with_an_input_that_may_be_null(data, language):
    """The store's features stay as they are: only the row's own column goes."""
    written = data.draw(language.expressions)
    rows = data.draw(language.rows)
    features = compile_features({"f": written}, language.schema)
    features = features.fitted(language.aggregate(features, rows))
    by_key = {column for use in features.inputs.store.values() for column in use.keys.values()}
    for name in features.inputs.nullable - by_key:
        for row in rows:
            (before,), (after,) = features.row(row), features.row({**row, name: None})
            assert before is None or after is not None or _partial(written)


def _partial(written):
    """Whether another branch may be null for reasons of its own, so that nothing follows."""
    return " if " in written or "coalesce" in written or "null_if" in written
