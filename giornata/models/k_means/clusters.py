"""Clusters of similar rows by k-means: scikit-learn finds the centres, NumPy predicts.

Rows are points in the space of their features: numbers as they are, with their mean in place of missing ones, and a
column of 0 and 1 for each code. Numbers are scaled by the features (`normalize(row.x)`), not here: so distances mean
the same in every part of a partitioned model, and parts can be compared with the whole. There is no indicator of
missing numbers: rows would be grouped by what is unknown about them.

Clusters are numbered by their training rows, the largest first, so that the numbers of two fits can be compared.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, model_validator

from giornata.dataset import Dataset, Matrix, Predictions
from giornata.errors import DataError
from giornata.models.base import FitRequest, FittedModel, Parameters
from giornata.models.files import read_document, write_json
from giornata.models.linear.design_matrix import Design
from giornata.models.scikit_learn import fitting, random_state
from giornata.schema import Document

__all__ = ["KMeans", "clusters_of", "columns_of", "fit", "points_of"]

_FILE = "k_means.json"
_CELLS = 2**18  # differences at a time: they stay in the processor's cache


class _Column(Document):
    """A dimension of the space: a feature with its mean for missing values; or 1 for one code of a feature, else 0."""

    feature: Annotated[int, Field(ge=0)]
    mean: FiniteFloat = 0.0
    code: Annotated[int, Field(ge=0)] | None = None


class _File(Document):
    """The stored model: number of `features` of a row, the columns of the space, the centres, and the rows of each."""

    features: Annotated[int, Field(ge=0)]
    columns: list[_Column]
    centres: Annotated[list[list[FiniteFloat]], Field(min_length=1)]
    rows: list[Annotated[int, Field(ge=0)]]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(column.feature >= self.features for column in self.columns):
            raise ValueError(f"a column is of a feature that is none of the {self.features}")
        if {len(centre) for centre in self.centres} != {len(self.columns)}:
            raise ValueError(f"a centre has not {len(self.columns)} numbers")
        if len(self.rows) != len(self.centres):
            raise ValueError(f"there are {len(self.centres)} centres, and rows of {len(self.rows)}")
        return self


class KMeans(FittedModel):
    """Fitted clusters. A prediction has two numbers: that of the nearest centre, 0, 1 …, and the distance to it."""

    def __init__(self, file: _File):
        self._file = file
        columns = file.columns
        self._features = np.array([column.feature for column in columns], np.intp)
        self._centres = np.array(file.centres, np.float64).reshape(len(file.centres), len(columns))

    def predict(self, matrix: Matrix) -> Predictions:
        """Shape (rows, 2); of centres that are equally near, the first. Raises DataError for other columns."""
        return _nearest(self._points(matrix), self._centres)

    def searched(self, metric: str, matrix: Matrix) -> float:
        """The silhouette."""
        return self.silhouette(matrix) if metric == "silhouette" else super().searched(metric, matrix)

    def silhouette(self, matrix: Matrix) -> float:
        """The simplified silhouette (Hruschka 2004), from 0 to 1: the mean over the rows of 1 - a / b, of the distances
        a to the nearest centre and b to the next one.

        A row half-way between two centres counts 0, as does every row if there is one centre. NaN without rows. Raises
        DataError for other columns.
        """
        points = self._points(matrix)
        if not len(points):
            return math.nan
        if len(self._centres) < 2:
            return 0.0
        apart = 0.0
        for _, squares in _squares(points, self._centres):
            nearest, second = np.sqrt(np.partition(squares, 1, axis=1)[:, :2]).T
            apart += float(np.sum(1 - np.divide(nearest, second, out=np.ones_like(second), where=second > 0)))
        return apart / len(points)

    def to_files(self) -> dict[str, bytes]:
        return {_FILE: write_json(self._file.model_dump(exclude_defaults=True))}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        return cls(read_document(_File, files, _FILE, "clusters"))

    def importance(self) -> dict[int, float]:
        """The share of each feature in the variance between the centres, each weighted by its rows."""
        rows = np.array(self._file.rows, np.float64)
        if not rows.any():
            return {}
        mean = np.average(self._centres, axis=0, weights=rows)
        variance = np.average(np.square(self._centres - mean), axis=0, weights=rows)
        total = float(variance.sum())
        shares = dict.fromkeys(self._features.tolist(), 0.0)
        for feature, own in zip(self._features.tolist(), variance.tolist(), strict=True):
            shares[feature] += own / total if total else 0.0
        return {feature: share for feature, share in shares.items() if share > 0}

    def size(self) -> dict[str, int]:
        return {"centres": len(self._file.centres)}

    def _points(self, matrix: Matrix) -> NDArray[np.float64]:
        if matrix.shape[1] != self._file.features:
            raise DataError(
                f"the model takes {self._file.features} features, and rows have {matrix.shape[1]}"
            )
        return points_of(matrix, self._file.columns)


def fit(request: FitRequest) -> KMeans:
    """The clusters of rows; labels are ignored."""
    columns = columns_of(request.examples)
    points = points_of(request.examples.matrix, columns)
    centres = _centres(points, request.parameters, request.seed)
    rows = np.bincount(_nearest(points, centres)[:, 0].astype(np.intp), minlength=len(centres))
    return clusters_of(request.examples, columns, centres, rows)


def columns_of(examples: Dataset) -> list[_Column]:
    """The dimensions of the space for rows like these. Raises FitError without rows."""
    return [
        _Column(feature=made.feature, mean=0.0 if made.code is not None else made.mean, code=made.code)
        for made in Design.of(examples).made
        if not made.missing
    ]


def clusters_of(
    examples: Dataset,
    columns: Sequence[_Column],
    centres: Sequence[NDArray[np.float64]] | NDArray[np.float64],
    rows: Sequence[int] | NDArray[np.intp],
) -> KMeans:
    """The model with these centres, given the number of rows of each, in any order; centres without rows are left
    out."""
    counts = np.asarray(rows)
    # Those without rows lie where another one does.
    order = sorted(
        np.flatnonzero(counts).tolist(),
        key=lambda centre: (-counts[centre], list(map(float, centres[centre]))),
    )
    return KMeans(
        _File(
            features=examples.matrix.shape[1],
            columns=list(columns),
            centres=[[*map(float, centres[centre])] for centre in order],
            rows=[int(counts[centre]) for centre in order],
        )
    )


def points_of(matrix: Matrix, columns: Sequence[_Column]) -> NDArray[np.float64]:
    """The rows as points, a number for each of the columns."""
    values = matrix.take([column.feature for column in columns], axis=1).astype(np.float64)
    means = np.array([column.mean for column in columns], np.float64)
    codes = np.array([np.nan if column.code is None else column.code for column in columns], np.float64)
    amounts = np.where(np.isnan(values), means, values)
    return np.where(np.isnan(codes), amounts, values == codes)


def _centres(points: NDArray[np.float64], parameters: Parameters, seed: int) -> NDArray[np.float64]:
    """As many centres as clusters, or as distinct points if there are fewer, in any order."""
    kinds = _kinds(points, int(parameters["clusters"]))
    if not points.shape[1]:
        return np.zeros((1, 0))
    from sklearn.cluster import KMeans as Estimator

    estimator = Estimator(
        n_clusters=kinds,
        n_init=int(parameters["starts"]),
        max_iter=int(parameters["max_iterations"]),
        tol=float(parameters["tolerance"]),
        random_state=random_state(seed),
    )
    # One thread: several add up the points of a centre in the order in which they come to their ends.
    with fitting(len(points), 1):
        estimator.fit(points)
    centres: NDArray[np.float64] = estimator.cluster_centers_
    return centres


def _kinds(points: NDArray[np.float64], most: int) -> int:
    """Number of distinct points, counted up to `most`."""
    kinds = 0
    while kinds < most and len(points):
        points = points[(points != points[0]).any(axis=1)]
        kinds += 1
    return kinds


def _nearest(points: NDArray[np.float64], centres: NDArray[np.float64]) -> Predictions:
    """The number of the nearest centre and the distance, for each point."""
    found = np.empty((len(points), 2), np.float64)
    for start, squares in _squares(points, centres):
        found[start : start + len(squares), 0] = squares.argmin(axis=1)
        found[start : start + len(squares), 1] = np.sqrt(squares.min(axis=1))
    return found


def _squares(
    points: NDArray[np.float64], centres: NDArray[np.float64]
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """The squared distances to all centres, of shape (points, centres), for a chunk of points at a time, with the
    position of its first point.

    The squares are added from the left, one after the other: a matrix product would add in another order for one point
    than for many, and the last bits of a prediction would depend on other rows.
    """
    block = max(1, _CELLS // max(1, centres.size))
    for start in range(0, len(points), block):
        part = points[start : start + block]
        sums = np.zeros((len(part), len(centres), points.shape[1] + 1), np.float64)
        np.square(part[:, None, :] - centres, out=sums[:, :, 1:])
        yield start, np.add.accumulate(sums, axis=2, out=sums)[:, :, -1]
