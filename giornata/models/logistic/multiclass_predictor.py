"""The probabilities of several classes, each by a linear score, with which logistic models predict, by NumPy only."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field

from giornata.dataset import Matrix, Predictions
from giornata.errors import BundleError
from giornata.models.classes import softmax
from giornata.models.files import read_document, write_json
from giornata.models.linear.predictor import LinearScore, Share, Terms
from giornata.schema import Document

__all__ = ["ClassScores"]


class _Fixed(Document):
    chance: Share


class _File(Document):
    classes: Annotated[list[Terms | _Fixed], Field(min_length=1)]


class ClassScores:
    """For each class a linear score, or a fixed probability. Immutable.

    The classes with scores, at least one, share by softmax what the fixed probabilities leave.
    """

    def __init__(self, classes: Sequence[LinearScore | float]):
        self._classes = tuple(classes)
        self._scored = {at: each for at, each in enumerate(classes) if isinstance(each, LinearScore)}
        self._chances = np.array([0.0 if at in self._scored else each for at, each in enumerate(classes)])

    def __call__(self, matrix: Matrix) -> Predictions:
        """Shape (rows, classes). Raises DataError when the matrix has another number of columns."""
        answers = np.tile(self._chances, (len(matrix), 1))
        scores = np.column_stack([score(matrix) for score in self._scored.values()])
        answers[:, list(self._scored)] = softmax(scores) * (1 - self._chances.sum())
        return answers

    def importance(self) -> dict[int, float]:
        """The share of each column that contributes, over all classes."""
        shares: dict[int, float] = {}
        for score in self._scored.values():
            for column, share in score.importance().items():
                shares[column] = shares.get(column, 0.0) + share
        return dict(sorted(shares.items()))

    def coefficients(self) -> int:
        """Number of weights other than 0."""
        return sum(score.coefficients() for score in self._scored.values())

    def to_json(self) -> bytes:
        """The scores as JSON, with every bit of their numbers."""
        classes = [
            each.terms.model_dump() if isinstance(each, LinearScore) else {"chance": each}
            for each in self._classes
        ]
        return write_json({"classes": classes})

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], name: str) -> Self:
        """The scores that `to_json` wrote, the only file `name`. Raises BundleError when it holds something else."""
        classes = read_document(_File, files, name, "linear model").classes
        widths = {len(each.columns) for each in classes if isinstance(each, Terms)}
        if len(widths) != 1:
            raise BundleError(f"{name} holds no classes with scores over the same columns")
        if sum(each.chance for each in classes if isinstance(each, _Fixed)) >= 1:
            raise BundleError(f"{name} holds fixed chances that leave nothing to the other classes")
        return cls(
            [
                LinearScore(each.intercept, each.columns) if isinstance(each, Terms) else each.chance
                for each in classes
            ]
        )
