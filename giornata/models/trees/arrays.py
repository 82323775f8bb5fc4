"""Decision trees as arrays with one entry per node, evaluated by NumPy, with the same bits for one row and for many.

The nodes of a tree lie together, its root first, and the right child of a node lies just after its left one. A row goes
left where its value is at most the node's threshold, compared as float32; a missing value goes where the node says. The
prediction is the mean of the leaves that the row reaches, added up in the order of the trees; a leaf has a number, or
several, such as the share of each class.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from giornata.dataset import Matrix, Predictions
from giornata.errors import BundleError, DataError
from giornata.models.trees.array_files import read_array, write_array

__all__ = ["NODE_FILES", "Nodes", "Walk", "read_nodes"]

_TYPES = {
    "roots": "<i4",
    "left": "<i4",
    "feature": "<i4",
    "missing_left": "|b1",
    "threshold": "<f4",
    "value": "<f8",
}
NODE_FILES = tuple(f"{name}.npy" for name in _TYPES)

_LANES = 2**16  # rows times trees that NumPy walks at a time
_FEW = 40  # rows times trees that a loop walks faster than NumPy
_FEW_NODES = 2**14  # nodes that the loop has as Python's numbers, at some 200 bytes a node


@dataclass(frozen=True)
class Nodes:
    """The nodes of all trees, those of the first tree first.

    `roots` is the position of each tree's first node. For an inner node, `left` is the position of its left child,
    `feature` its column, `threshold` the largest value that goes left, `missing_left` whether missing values do. For a
    leaf, `left` is -1 and `value` its prediction, one number or a row of them. Unused fields are 0.
    """

    roots: NDArray[np.int32]
    left: NDArray[np.int32]
    feature: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    threshold: NDArray[np.float32]
    value: NDArray[np.float64]

    @classmethod
    def joined(cls, trees: Sequence[Self]) -> Self:
        """The nodes of trees one after the other."""
        starts = np.cumsum([0, *(len(tree.left) for tree in trees)])[:-1]
        moved = [
            np.where(tree.left < 0, -1, tree.left + start) for tree, start in zip(trees, starts, strict=True)
        ]
        return cls(
            roots=starts.astype(np.int32),
            left=np.concatenate(moved).astype(np.int32),
            feature=np.concatenate([tree.feature for tree in trees]),
            missing_left=np.concatenate([tree.missing_left for tree in trees]),
            threshold=np.concatenate([tree.threshold for tree in trees]),
            value=np.concatenate([tree.value for tree in trees]),
        )

    def to_files(self) -> dict[str, bytes]:
        """One .npy file an array."""
        return {
            f"{name}.npy": write_array(getattr(self, name).astype(type_)) for name, type_ in _TYPES.items()
        }


def read_nodes(files: Mapping[str, bytes], features: int) -> Nodes:
    """The nodes that `to_files` wrote, of trees over so many features.

    Raises BundleError, which names the file, if they are not valid trees: every path through the result ends.
    """
    arrays = {
        name: read_array(files, f"{name}.npy", type_, (1, 2) if name == "value" else (1,))
        for name, type_ in _TYPES.items()
    }
    nodes = Nodes(**arrays)
    count = len(nodes.left)
    for name in ("feature", "missing_left", "threshold", "value"):
        if len(arrays[name]) != count:
            raise BundleError(f"{name}.npy has {len(arrays[name])} nodes, and left.npy {count}")
    # As wide numbers: the child after the last that an int32 can name would be a negative one.
    roots, left = nodes.roots.astype(np.int64), nodes.left.astype(np.int64)
    if not len(roots) or roots[0] != 0 or (np.diff(roots) <= 0).any() or roots[-1] >= count:
        raise BundleError("roots.npy does not hold the places of trees")
    places = np.arange(count)
    ends = np.append(roots, count)[np.searchsorted(roots, places, side="right")]
    forward = (left > places) & (left + 1 < ends)
    if (left < -1).any() or not forward[left >= 0].all():
        raise BundleError("left.npy holds a node whose children do not come after it in its tree")
    if (np.bincount(left[left >= 0], minlength=1) > 1).any() or np.isin(left + 1, left[left > 0]).any():
        raise BundleError("left.npy holds a node that is the child of two")
    if (nodes.missing_left.view(np.uint8) > 1).any():
        raise BundleError("missing_left.npy holds what is neither true nor false")
    if (nodes.feature < 0).any() or (nodes.feature >= features).any():
        raise BundleError(f"feature.npy holds a feature that is none of the {features}")
    if not nodes.value[0].size:
        raise BundleError("value.npy holds no numbers to answer with")
    for name in ("threshold", "value"):
        if not np.isfinite(arrays[name]).all():
            raise BundleError(f"{name}.npy holds a number that is not finite")
    return nodes


class Walk:
    """Predicts with the trees of `nodes`, over so many features. Immutable.

    A missing value becomes minus infinity where it goes left, infinity where it goes right: each row is laid out twice,
    once for either, and a node looks at one of them. A leaf is its own left child, and nothing passes it by.
    """

    def __init__(self, nodes: Nodes, features: int):
        leaf = nodes.left < 0
        self._features = features
        self._depth = _depth(nodes)
        self._roots = nodes.roots.astype(np.intp)
        self._left = np.where(leaf, np.arange(len(leaf)), nodes.left)
        self._seen = np.where(leaf | nodes.missing_left, nodes.feature, nodes.feature + features).astype(
            np.intp
        )
        self._threshold = np.where(leaf, np.inf, nodes.threshold).astype(np.float32)
        self._value = nodes.value
        # For the loop, what a node sees, its threshold and children; a leaf sees -1.
        self._loop = None
        if len(leaf) <= _FEW_NODES and len(nodes.roots) <= _FEW:
            first = np.where(leaf, -1, self._seen).tolist()
            left = self._left.tolist()
            self._loop = list(
                zip(first, nodes.threshold.tolist(), left, (self._left + 1).tolist(), strict=True)
            )

    def __call__(self, matrix: Matrix) -> Predictions:
        """The mean over the trees for each row. Raises DataError if the matrix has another number of columns."""
        rows, columns = matrix.shape
        trees = len(self._roots)
        if columns != self._features:
            raise DataError(f"the model takes {self._features} features, and rows have {columns}")
        if self._loop and 0 < rows * trees <= _FEW:
            leaves = np.array([self._leaves_of(row, self._loop) for row in matrix.tolist()], np.intp)
            return self._means(leaves)
        step = max(1, _LANES // (trees * self._value[0].size))
        blocks = [self._means(self._leaves(matrix[at : at + step])) for at in range(0, max(rows, 1), step)]
        return np.concatenate(blocks)

    def _means(self, leaves: NDArray[np.intp]) -> Predictions:
        """The mean value of the leaves in each row, of shape (rows, trees), added up from the first tree on."""
        sums = np.add.accumulate(self._value.take(leaves, axis=0), axis=1)[:, -1]
        # From 0: a sum of nothing but -0 is 0.
        means: Predictions = (sums + 0.0) / leaves.shape[1]
        return means

    def _leaves_of(self, row: list[float], nodes: list[tuple[int, float, int, int]]) -> list[int]:
        values = [each if each == each else -math.inf for each in row]
        values += [each if each == each else math.inf for each in row]
        leaves = []
        for place in self._roots.tolist():
            seen, threshold, left, right = nodes[place]
            while seen >= 0:
                place = left if values[seen] <= threshold else right
                seen, threshold, left, right = nodes[place]
            leaves.append(place)
        return leaves

    def _leaves(self, matrix: Matrix) -> NDArray[np.intp]:
        """The positions of the leaves that each row reaches, of shape (rows, trees)."""
        rows = len(matrix)
        values = np.empty((rows, 2, self._features), np.float32)
        values[:] = matrix[:, None]
        lacking = np.isnan(matrix)
        np.copyto(values[:, 0], -np.inf, where=lacking)
        np.copyto(values[:, 1], np.inf, where=lacking)
        flat = values.ravel()
        node = np.tile(self._roots, rows)
        start = np.repeat(np.arange(rows) * (2 * self._features), len(self._roots))
        seen, left = np.empty_like(node), np.empty_like(node)
        value, threshold = np.empty(len(node), np.float32), np.empty(len(node), np.float32)
        right = np.empty(len(node), np.bool_)
        # No place is out of bounds: clipping is how NumPy takes without looking first.
        for _ in range(self._depth):
            self._seen.take(node, out=seen, mode="clip")
            if rows > 1:
                np.add(seen, start, out=seen)
            flat.take(seen, out=value, mode="clip")
            self._threshold.take(node, out=threshold, mode="clip")
            np.greater(value, threshold, out=right)
            self._left.take(node, out=left, mode="clip")
            np.add(left, right, out=node)
        return node.reshape(rows, len(self._roots))


def _depth(nodes: Nodes) -> int:
    """Number of steps on the longest path from a root to a leaf."""
    level, depth = nodes.roots, -1
    while level.size:
        depth += 1
        left = nodes.left[level]
        left = left[left >= 0]
        level = np.concatenate([left, left + 1])
    return depth
