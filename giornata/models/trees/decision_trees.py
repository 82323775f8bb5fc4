"""Decision trees and random forests for regression, binary and multiclass; scikit-learn grows them.

Codes are split like numbers. A missing value follows the branch that lowered the error most when the tree was grown; if
none was seen, the larger child. A forest's prediction is the mean of its trees' predictions, a tree's prediction the
mean of the labels in the leaf. Labels far from 0 are fitted without their offset (see
`giornata.models.trees.label_offset`), which is added to the leaves.

For the task multiclass it is the share of each class in the leaf, as if one more row lay there, divided among the
classes as in all training rows (see `class_shares`): a class that a small leaf happens to lack is not impossible.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, ValidationError

from giornata.dataset import Dataset, Matrix, Predictions, Vector
from giornata.errors import BundleError
from giornata.models.base import Callback, FitError, FitRequest, FittedModel, Parameters
from giornata.models.classes import class_shares, places_of, scaled_to_one
from giornata.models.files import check_names, write_json
from giornata.models.scikit_learn import fitting, random_state
from giornata.models.trees.arrays import NODE_FILES, Nodes, Walk, read_nodes
from giornata.models.trees.label_offset import offset_of
from giornata.schema import Document
from giornata.tasks import TASKS

__all__ = ["DecisionTrees", "fit_forest", "fit_tree"]

_FILE = "trees.json"
_MOST_NODES = 20_000_000  # of 21 bytes, 8 of which are an answer of one number: what a bundle has room for
_FLOAT32_MAX = np.finfo(np.float32).max


class _File(Document):
    importance: Annotated[list[Annotated[FiniteFloat, Field(ge=0, le=1)]], Field(min_length=1)]


class DecisionTrees(FittedModel):
    """One fitted tree or more."""

    def __init__(self, nodes: Nodes, importance: Sequence[float]):
        """Trees over as many features as `importance` has shares."""
        self._nodes = nodes
        self._importance = tuple(importance)
        self._walk = Walk(nodes, len(importance))

    @property
    def rounds(self) -> int:
        return len(self._nodes.roots)

    def predict(self, matrix: Matrix) -> Predictions:
        return self._walk(matrix)

    def to_files(self) -> dict[str, bytes]:
        return {_FILE: write_json({"importance": self._importance}), **self._nodes.to_files()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        check_names(files, sorted([_FILE, *NODE_FILES]), "trees are")
        try:
            importance = _File.model_validate_json(files[_FILE]).importance
        except ValidationError as error:
            raise BundleError(f"{_FILE} does not hold the importance of features: {error}") from error
        return cls(read_nodes(files, len(importance)), importance)

    def importance(self) -> dict[int, float]:
        return {feature: share for feature, share in enumerate(self._importance) if share > 0}

    def size(self) -> dict[str, int]:
        return {"trees": len(self._nodes.roots), "nodes": len(self._nodes.left)}


def fit_tree(request: FitRequest) -> DecisionTrees:
    """One tree fitted to checked rows."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    examples, task = request.examples, request.task
    kind = DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier
    tree = kind(**_options(request.parameters, request.seed))
    target, offset = _shifted(examples, task)
    with fitting(len(target), request.threads):
        tree.fit(examples.matrix, target)
    return _fitted([_nodes(tree.tree_, _leaf_answers(examples, task, tree, offset))], tree)


def fit_forest(request: FitRequest) -> DecisionTrees:
    """A forest fitted to checked rows; the callback is called after each tree."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    examples, task, threads = request.examples, request.task, request.threads
    options = _options(request.parameters, request.seed)
    trees = int(options.pop("n_estimators"))
    kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
    forest = kind(**options, n_estimators=0, n_jobs=threads, warm_start=True)
    validation, watch = request.validation, request.watch
    progress = _Progress(task, validation, watch) if validation and watch else None
    target, offset = _shifted(examples, task)
    grown: list[Nodes] = []
    while len(grown) < trees:
        forest.n_estimators = min(len(grown) + threads, trees) if progress else trees
        with fitting(len(target), threads):
            forest.fit(examples.matrix, target)
        answers = _leaf_answers(examples, task, forest, offset)
        for tree in forest.estimators_[len(grown) :]:
            grown.append(_nodes(tree.tree_, answers))
            if progress:
                progress.tell(Walk(grown[-1], examples.matrix.shape[1]))
    return _fitted(grown, forest)


class _Progress:
    """Calls a callback, tree by tree, with the loss of the trees so far on the validation rows."""

    def __init__(self, task: str, validation: Dataset, watch: Callback):
        self._task, self._validation, self._watch = task, validation, watch
        self._sum: Predictions | float = 0.0
        self._trees = 0

    def tell(self, tree: Walk) -> None:
        self._sum = self._sum + tree(self._validation.matrix)
        self._trees += 1
        task = TASKS[self._task]
        loss = task.measure(self._validation.target, self._sum / self._trees)[task.loss]
        self._watch(self._trees, loss)


def _options(parameters: Parameters, seed: int) -> dict[str, Any]:
    """Parameters as scikit-learn takes them: a share must be a float, since 1 would mean one feature or row."""
    shares: dict[str, Any] = {
        name: float(parameters[name]) for name in ("max_features", "max_samples") if name in parameters
    }
    return {**parameters, **shares, "random_state": random_state(seed)}


def _shifted(examples: Dataset, task: str) -> tuple[Vector, float]:
    """The labels to fit, and the offset that was subtracted from them."""
    offset = offset_of(examples.target) if task == "regression" else 0.0
    return (examples.target - offset if offset else examples.target), offset


def _leaf_answers(
    examples: Dataset, task: str, estimator: Any, offset: float
) -> Callable[[Any], NDArray[np.float64]]:
    """The function that gives the predictions in the nodes of a tree of the fitted `estimator`: a number, or a row of
    them, per node."""
    if task == "regression":
        return lambda tree: tree.value[:, 0, 0] + offset
    found = estimator.classes_.astype(np.intp)
    classes = len(examples.outputs) if task == "multiclass" else 2

    def shares(tree: Any) -> NDArray[np.float64]:
        all_ = np.zeros((tree.node_count, classes))
        all_[:, found] = tree.value[:, 0]
        return all_

    if task == "binary":
        return lambda tree: shares(tree)[:, 1]
    one_more = class_shares(places_of(examples), classes)
    return lambda tree: scaled_to_one(shares(tree) * tree.weighted_n_node_samples[:, None] + one_more)


def _nodes(tree: Any, answers: Callable[[Any], NDArray[np.float64]]) -> Nodes:
    """The nodes of scikit-learn's `tree`, level by level, so that siblings lie side by side."""
    order = _by_level(tree.children_left, tree.children_right)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    left = tree.children_left[order]
    leaf = left < 0
    value = answers(tree)[order]
    value[~leaf] = 0.0
    return Nodes(
        roots=np.zeros(1, np.int32),
        left=np.where(leaf, -1, place[left]).astype(np.int32),
        feature=np.where(leaf, 0, tree.feature[order]).astype(np.int32),
        missing_left=~leaf & (tree.missing_go_to_left[order] != 0),
        threshold=np.where(leaf, np.float32(0), _as_float32(tree.threshold[order])),
        value=value,
    )


def _by_level(left: NDArray[np.intp], right: NDArray[np.intp]) -> NDArray[np.intp]:
    levels = [np.zeros(1, np.intp)]
    while levels[-1].size:
        inner = levels[-1][left[levels[-1]] >= 0]
        levels.append(np.column_stack([left[inner], right[inner]]).ravel())
    return np.concatenate(levels)


def _as_float32(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 at or below each threshold: the same float32 values are at most as large.

    A threshold is infinite if only missing values go right.
    """
    near = np.minimum(threshold, _FLOAT32_MAX).astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def _fitted(trees: Sequence[Nodes], estimator: Any) -> DecisionTrees:
    nodes = Nodes.joined(trees)
    most = _MOST_NODES * 21 // (13 + 8 * nodes.value[0].size)
    if len(nodes.left) > most:
        raise FitError(
            f"{len(trees)} trees have {len(nodes.left)} nodes, more than {most}: lower max_depth or raise "
            "min_samples_leaf"
        )
    with np.errstate(over="ignore"):
        if not np.isfinite(np.abs(nodes.value).max() * len(trees)):
            raise FitError("the trees gave no finite answers: the label's values are too large")
    with np.errstate(all="ignore"):
        importance = np.nan_to_num(estimator.feature_importances_, posinf=0.0)
    return DecisionTrees(nodes, np.clip(importance, 0, 1).tolist())
