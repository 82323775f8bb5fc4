"""A sum of one term per column, with which linear and logistic models predict, by NumPy only.

The terms are added one after the other, from the left, whatever the number of rows: a matrix product would add in
another order for one row than for many, and the last bits of a prediction would depend on other rows. Few rows are
added up by a loop over Python's numbers, which takes less time than NumPy needs to begin, with the same bits.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Generic, Protocol, Self, TypeVar

import numpy as np
from pydantic import Field, FiniteFloat

from giornata.dataset import Matrix, Vector
from giornata.errors import DataError
from giornata.models.base import FittedModel
from giornata.models.files import read_document, write_json
from giornata.schema import Document

__all__ = ["Amount", "Codes", "Column", "LinearModel", "LinearScore", "Share", "Terms"]

_BLOCK = 4096  # rows at a time: their terms stay in the processor's cache
_FEW = 512  # cells that the loop adds up faster than NumPy

Share = Annotated[FiniteFloat, Field(ge=0, le=1)]


class Amount(Document):
    """A column of numbers: a value adds (value - mean) * weight, a missing one adds `missing`.

    `share` is the contribution of the column to the predictions, as a share of all columns (of the scores of all
    classes, if there are several).
    """

    mean: FiniteFloat = 0.0
    weight: FiniteFloat = 0.0
    missing: FiniteFloat = 0.0
    share: Share = 0.0


class Codes(Document):
    """A column of codes: code c adds `weights[c]`, an unknown code and a missing one add nothing."""

    weights: list[FiniteFloat]
    share: Share = 0.0


Column = Amount | Codes


class Terms(Document):
    """The terms of a score."""

    intercept: FiniteFloat
    columns: list[Column]


class LinearScore:
    """The sum of an intercept and one term a column. Immutable."""

    def __init__(self, intercept: float, columns: Sequence[Column]):
        self._intercept = intercept
        self._columns = tuple(columns)
        amounts = [column if isinstance(column, Amount) else Amount() for column in columns]
        self._mean = np.array([column.mean for column in amounts], np.float64)
        self._weight = np.array([column.weight for column in amounts], np.float64)
        self._missing = np.array([column.missing for column in amounts], np.float64)
        codes = {at: column.weights for at, column in enumerate(columns) if isinstance(column, Codes)}
        # The tables of all columns of codes one after the other; each ends with the 0 of codes that it lacks.
        self._coded = np.array(list(codes), np.intp)
        self._counts = np.array([len(weights) for weights in codes.values()], np.float32)
        self._starts = np.cumsum([0, *(len(weights) + 1 for weights in codes.values())], dtype=np.intp)[:-1]
        self._table = np.array([each for weights in codes.values() for each in (*weights, 0.0)], np.float64)
        # The same for the loop: mean, weight, missing and, of codes, what each adds.
        self._plan = [
            (amount.mean, amount.weight, amount.missing, dict(enumerate(codes[at])) if at in codes else None)
            for at, amount in enumerate(amounts)
        ]

    def __call__(self, matrix: Matrix) -> Vector:
        """The sum for each row. Raises DataError when the matrix has another number of columns."""
        rows, columns = matrix.shape
        if columns != len(self._plan):
            raise DataError(f"the model takes {len(self._plan)} features, and rows have {columns}")
        if rows * columns <= _FEW:
            return np.array([self._sum_of(row) for row in matrix.tolist()], np.float64)
        return np.concatenate([self._sums(matrix[at : at + _BLOCK]) for at in range(0, rows, _BLOCK)])

    def _sum_of(self, row: list[float]) -> float:
        total = self._intercept
        for value, (mean, weight, missing, codes) in zip(row, self._plan, strict=True):
            if codes is not None:
                total += codes.get(value, 0.0)  # type: ignore[call-overload]  # 2.0 finds 2
            elif value == value:
                total += (value - mean) * weight
            else:
                total += missing
        return total

    def _sums(self, matrix: Matrix) -> Vector:
        terms = np.empty((len(matrix), len(self._plan) + 1), np.float64)
        terms[:, 0] = self._intercept
        inner = terms[:, 1:]
        np.subtract(matrix, self._mean, out=inner)
        np.multiply(inner, self._weight, out=inner)
        np.copyto(inner, self._missing, where=np.isnan(matrix))
        if self._coded.size:
            codes = matrix.take(self._coded, axis=1)
            known = (codes >= 0) & (codes < self._counts) & (codes == np.floor(codes))
            places = np.where(known, codes, self._counts).astype(np.intp) + self._starts
            inner[:, self._coded] = self._table.take(places)
        np.add.accumulate(terms, axis=1, out=terms)
        return terms[:, -1]

    def importance(self) -> dict[int, float]:
        """The share of each column that contributes."""
        return {at: column.share for at, column in enumerate(self._columns) if column.share > 0}

    def coefficients(self) -> int:
        """Number of weights other than 0."""
        held = (self._weight, self._missing, self._table)
        return int(sum(np.count_nonzero(numbers) for numbers in held))

    @property
    def terms(self) -> Terms:
        """The terms."""
        return Terms(intercept=self._intercept, columns=list(self._columns))

    def to_json(self) -> bytes:
        """The sum as JSON, with every bit of its numbers."""
        return write_json(self.terms.model_dump())

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], name: str) -> Self:
        """The sum that `to_json` wrote, the only file `name`. Raises BundleError when it holds something else."""
        terms = read_document(Terms, files, name, "linear model")
        return cls(terms.intercept, terms.columns)


class Score(Protocol):
    """The score of a linear model, used directly or through a function."""

    def importance(self) -> dict[int, float]: ...

    def coefficients(self) -> int: ...

    def to_json(self) -> bytes: ...


_Score = TypeVar("_Score", bound=Score)


class LinearModel(FittedModel, Generic[_Score]):
    """A model that consists of one score, stored in one file."""

    def __init__(self, score: _Score):
        self._score = score

    @property
    @abstractmethod
    def _file(self) -> str: ...

    def to_files(self) -> dict[str, bytes]:
        return {self._file: self._score.to_json()}

    def importance(self) -> dict[int, float]:
        return self._score.importance()

    def size(self) -> dict[str, int]:
        return {"coefficients": self._score.coefficients()}
