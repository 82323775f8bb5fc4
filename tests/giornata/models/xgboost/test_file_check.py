"""Files of boosted trees are looked at before XGBoost reads them: its own pass, what would lead it astray does not."""

import json

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from giornata.errors import BundleError
from giornata.models.xgboost.boosted_trees import BoostedTrees
from giornata.models.xgboost.ubjson import read_ubjson

NOISE = np.random.default_rng(3)
MATRIX = NOISE.normal(size=(300, 4)).astype(np.float32)
LABELS = {
    "reg:squarederror": NOISE.normal(size=300),
    "binary:logistic": NOISE.integers(0, 2, 300),
    "multi:softprob": NOISE.integers(0, 3, 300),
    "reg:quantileerror": NOISE.normal(size=300),
}
MORE = {"multi:softprob": {"num_class": 3}, "reg:quantileerror": {"quantile_alpha": [0.1, 0.5, 0.9]}}


def fitted(objective, **parameters):
    options = {"objective": objective, **MORE.get(objective, {}), **parameters}
    names = ["a", "b", "c", "d"] if parameters else None
    return xgboost.train(options, xgboost.DMatrix(MATRIX, LABELS[objective], feature_names=names), 5)


def file_of(booster):
    return bytes(booster.save_raw("ubj"))


GOOD = file_of(fitted("reg:squarederror", max_depth=3))


def plain(value):
    """The document with lists for arrays, and numbers as JSON of XGBoost has them."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return float(np.float32(value)) if isinstance(value, float) else value


@pytest.mark.parametrize("objective", LABELS)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"max_depth": 4, "min_split_loss": 5, "num_parallel_tree": 2, "subsample": 0.5},
        {"grow_policy": "lossguide", "max_leaves": 7, "max_depth": 0},
        {"min_child_weight": 1000},
    ],
)
def test_what_xgboost_writes_is_read_and_passes(objective, parameters):
    booster = fitted(objective, **parameters)
    booster.set_attr(offset="3.5")
    content = file_of(booster)
    BoostedTrees.check_files({"model.ubj": content})
    written = json.loads(bytes(booster.save_raw("json")), parse_float=lambda text: float(np.float32(text)))
    assert plain(read_ubjson(content)) == written


def with_value(array, index, value):
    """The good file with another value in the first tree's array."""
    start = GOOD.index(array.encode() + b"[$") + len(array) + 13
    type_ = {"l": ">i4", "U": "|u1", "d": ">f4"}[chr(GOOD[start - 11])]
    place = start + index * np.dtype(type_).itemsize
    new = np.array(value, type_).tobytes()
    return GOOD[:place] + new + GOOD[place + len(new) :]


@pytest.mark.parametrize(
    ("array", "index", "value"),
    [
        ("left_children", 0, 2**31 - 1),
        ("left_children", 0, 1000),
        ("left_children", 1, 0),
        ("left_children", 0, -2),
        ("right_children", 0, 1000),
        ("right_children", 0, 1),
        ("parents", 0, 0),
        ("parents", 1, 37 << 24),
        ("parents", 2, -1),
        ("split_indices", 0, 4),
        ("split_indices", 0, -1),
        ("split_conditions", 0, np.nan),
        ("base_weights", 1, np.inf),
        ("split_type", 0, 1),
        ("default_left", 0, 2),
    ],
)
def test_a_tree_through_which_rows_would_get_lost_is_refused(array, index, value):
    with pytest.raises(BundleError, match=r"not as XGBoost writes it: \w+ of tree 0"):
        BoostedTrees.check_files({"model.ubj": with_value(array, index, value)})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"num_nodes", b"num_nodez"),
        (b"gbtree", b"dartee"),
        (b"reg:squarederror", b"reg:squarederros"),
        (b"left_children[$l#L\0", b"left_children[$l#L\x7f"),
        (b"left_children[$l", b"left_children[$L"),
        (b"trees[#L\0\0\0\0\0\0\0\5", b"trees[#L\0\0\0\0\0\0\0\6"),
        (b"num_featureSL\0\0\0\0\0\0\0\0014", b"num_featureSL\0\0\0\0\0\0\0\0019"),
        (b"num_classSL\0\0\0\0\0\0\0\0010", b"num_classSL\0\0\0\0\0\0\0\0017"),
    ],
)
def test_a_document_that_is_another_is_refused(old, new):
    assert old in GOOD
    with pytest.raises(BundleError, match="not as XGBoost writes it"):
        BoostedTrees.check_files({"model.ubj": GOOD.replace(old, new)})


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[#L\x7f" + b"\xff" * 7, b"[#L" * 10_000, b"nonsense", GOOD + b"x"]
)
def test_what_is_no_document_is_refused(content):
    with pytest.raises(BundleError, match="not as XGBoost writes it"):
        BoostedTrees.check_files({"model.ubj": content})


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, 40))
def test_changed_bytes_are_refused_or_harmless(at, byte, cut):
    """A file that passes is read and asked in this process, which lives on."""
    content = GOOD[:at] + bytes([byte]) + GOOD[at + 1 : len(GOOD) - (cut if cut > 30 else 0)]
    try:
        BoostedTrees.check_files({"model.ubj": content})
        model = BoostedTrees.from_files({"model.ubj": content})
    except BundleError:
        return
    model.predict(MATRIX)
