"""Checks the file of boosted trees before XGBoost reads it, since XGBoost trusts the file and may read outside its
memory.

Everything must be as XGBoost writes it: the same entries, arrays of one length, every node one step from its parent.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giornata.errors import BundleError
from giornata.models.xgboost.ubjson import read_ubjson

__all__ = ["check_trees"]

_ROOT = 2**31 - 1  # the parent of a root
_ARRAYS = {
    "base_weights": ">f4",
    "default_left": "|u1",
    "left_children": ">i4",
    "loss_changes": ">f4",
    "parents": ">i4",
    "right_children": ">i4",
    "split_conditions": ">f4",
    "split_indices": ">i4",
    "split_type": "|u1",
    "sum_hessian": ">f4",
}
_CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_LEARNER = {
    "attributes",
    "feature_names",
    "feature_types",
    "gradient_booster",
    "learner_model_param",
    "objective",
}
_MODEL = {"gbtree_model_param", "iteration_indptr", "tree_info", "trees"}
_OLDEST = 2  # release of XGBoost whose files are read


def check_trees(content: bytes, objectives: Mapping[str, str]) -> None:
    """Raise BundleError unless the file, in UBJSON, holds trees for one of the objectives that every row can pass
    through."""
    try:
        document = read_ubjson(content)
        _check(document, objectives)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise BundleError(f"the file of the trees is not as XGBoost writes it: {error!s:.300}") from error


def _check(document: Any, objectives: Mapping[str, str]) -> None:
    _require(document.keys() == {"learner", "version"}, "its entries")
    version, learner = document["version"], document["learner"]
    _require(len(version) == 3 and all(type(part) is int for part in version), "its version")
    _require(version[0] >= _OLDEST, "its version")
    _require(learner.keys() == _LEARNER, "the entries of its learner")
    sizes, booster = learner["learner_model_param"], learner["gradient_booster"]
    features, classes, targets = (_whole(sizes[name]) for name in ("num_feature", "num_class", "num_target"))
    answers = max(classes, targets, 1)
    scores = json.loads(sizes["base_score"])
    scores = scores if isinstance(scores, list) else [scores]
    _require(len(scores) in (1, answers) and np.isfinite(np.array(scores, np.float64)).all(), "base_score")
    _require(learner["objective"]["name"] in objectives.values(), "its objective")
    _require(_texts(learner["attributes"]), "its attributes")
    for name in ("feature_names", "feature_types"):
        _require(
            len(learner[name]) in (0, features) and all(type(each) is str for each in learner[name]), name
        )
    _require(booster.keys() == {"model", "name"} and booster["name"] == "gbtree", "its booster")
    model = booster["model"]
    _require(model.keys() - {"cats"} == _MODEL, "the entries of its model")
    trees = model["trees"]
    parameters = model["gbtree_model_param"]
    _require(parameters.keys() == {"num_parallel_tree", "num_trees"}, "gbtree_model_param")
    _require(_whole(parameters["num_trees"]) == len(trees), "num_trees")
    _require(1 <= _whole(parameters["num_parallel_tree"]) <= max(len(trees), 1), "num_parallel_tree")
    ends, info = np.array(model["iteration_indptr"]), np.array(model["tree_info"])
    _require(ends.dtype == info.dtype == np.int64 or not len(info), "tree_info")
    _require(ends[0] == 0 and (np.diff(ends) >= 0).all() and ends[-1] == len(trees), "iteration_indptr")
    _require(
        len(info) == len(trees) and set(info.tolist()) == (set(range(answers)) if trees else set()),
        "tree_info",
    )
    for number, tree in enumerate(trees):
        _check_tree(tree, number, features)


def _check_tree(tree: Mapping[str, Any], number: int, features: int) -> None:
    where = f"of tree {number}"
    _require(tree.keys() == {*_ARRAYS, *_CATEGORIES, "id", "tree_param"}, f"the entries {where}")
    sizes = tree["tree_param"]
    _require(
        sizes.keys() == {"num_deleted", "num_feature", "num_nodes", "size_leaf_vector"}, f"tree_param {where}"
    )
    count = _whole(sizes["num_nodes"])
    _require(count > 0 and _whole(sizes["num_feature"]) == features, f"tree_param {where}")
    _require(
        _whole(sizes["size_leaf_vector"]) <= 1 and _whole(sizes["num_deleted"]) < count, f"tree_param {where}"
    )
    _require(type(tree["id"]) is int and tree["id"] == number, f"the number {where}")
    for name, type_ in _ARRAYS.items():
        found = tree[name]
        _require(isinstance(found, np.ndarray) and found.dtype == np.dtype(type_), f"{name} {where}")
        _require(len(found) == count and bool(np.isfinite(found).all()), f"{name} {where}")
    for name in _CATEGORIES:
        _require(isinstance(tree[name], np.ndarray) and not len(tree[name]), f"{name} {where}")
    _require(not tree["split_type"].any() and (tree["default_left"] <= 1).all(), f"split_type {where}")
    _check_ways(tree, count, features, where)


def _check_ways(tree: Mapping[str, NDArray[Any]], count: int, features: int, where: str) -> None:
    """Check that every path from the root ends in a leaf, and uses existing features."""
    left, right, parents, feature = (
        tree[name].astype(np.int64)
        for name in ("left_children", "right_children", "parents", "split_indices")
    )
    inner = left != -1
    # XGBoost takes the place after the left child for the right one.
    _require(
        (right[~inner] == -1).all() and (right[inner] == left[inner] + 1).all(), f"right_children {where}"
    )
    children, above = np.concatenate([left[inner], right[inner]]), np.tile(np.flatnonzero(inner), 2)
    _require(((children > 0) & (children < count)).all(), f"left_children {where}")
    _require(len(np.unique(children)) == len(children), f"left_children {where}")
    _require(parents[0] == _ROOT and (parents[children] == above).all(), f"parents {where}")
    _require(((parents == _ROOT) | ((parents >= 0) & (parents < count))).all(), f"parents {where}")
    _require(((feature[inner] >= 0) & (feature[inner] < features)).all(), f"split_indices {where}")


def _texts(value: Any) -> bool:
    return all(type(name) is type(each) is str for name, each in value.items())


def _whole(text: Any) -> int:
    number = int(text)
    if number < 0 or str(number) != text:
        raise ValueError(f"{text!r:.40} is no number of things")
    return number


def _require(holds: Any, what: str) -> None:
    if not holds:
        raise ValueError(what)
