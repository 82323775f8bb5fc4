"""Logistic regression, binary or multinomial; scikit-learn fits it, NumPy predicts.

The fit minimises, over the standardised columns of `giornata.models.linear.design_matrix`,

    mean log loss + alpha · (ratio · Σ|w| + ½ · (1 - ratio) · Σw²)

with ratio 0 for the penalty l2, 1 for l1 and l1_ratio for elasticnet. The intercept is not penalised. With
`class_weight` balanced, all labels weigh the same, however rare one of them is: the predictions rank rows better, but
are no longer probabilities.

Several classes have weights each, and their probabilities are the softmax of the scores (multinomial logistic
regression); of two classes, the first has none, and the other has those of a binary label. A class without rows always
gets 1 / (rows + classes), as if one more row of each class had been seen.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from giornata.dataset import Matrix, Predictions, Vector
from giornata.models.base import FitRequest, Parameters
from giornata.models.classes import places_of, shares_of_counts
from giornata.models.linear.design_matrix import Design
from giornata.models.linear.penalty import Penalty
from giornata.models.linear.predictor import LinearModel, LinearScore
from giornata.models.logistic.multiclass_predictor import ClassScores
from giornata.models.scikit_learn import fitting, random_state

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

__all__ = ["Logistic", "fit", "is_balanced", "score_of_true", "scores_of_classes"]

Weigh = Callable[[], tuple[Vector, NDArray[np.float64]]]
"""A fit: intercepts, and coefficients of the design matrix, for each label with rows; for two labels, those of the
second only."""

_FILE = "logistic.json"
_CLASSES_FILE = "classes.json"


class Logistic(LinearModel[LinearScore | ClassScores]):
    """A fitted logistic regression, with the score of true, or those of several classes."""

    def predict(self, matrix: Matrix) -> Predictions:
        answers = self._score(matrix)
        if isinstance(self._score, ClassScores):
            return answers
        # Not NumPy's exp: which of its versions runs, and so the last bit, depends on the processor.
        return np.array([_chance(score) for score in answers.tolist()], np.float64)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        if _CLASSES_FILE in files:
            return cls(ClassScores.from_files(files, _CLASSES_FILE))
        return cls(LinearScore.from_files(files, _FILE))

    @property
    def _file(self) -> str:
        return _CLASSES_FILE if isinstance(self._score, ClassScores) else _FILE


def fit(request: FitRequest) -> Logistic:
    """Logistic regression on checked rows."""
    examples, parameters = request.examples, request.parameters
    design = Design.of(examples)
    several = request.task == "multiclass"
    labels = places_of(examples) if several else examples.target
    counts = np.bincount(labels.astype(np.intp), minlength=len(examples.outputs) if several else 2)
    weigh = partial(_weights, design, labels, parameters, request.seed, request.threads)
    scored = scores_of_classes if several else score_of_true
    return Logistic(scored(design, counts, is_balanced(parameters), weigh))


def is_balanced(parameters: Parameters) -> bool:
    """Whether all labels weigh the same, however rare one of them is."""
    return parameters["class_weight"] == "balanced"


def score_of_true(design: Design, counts: NDArray[np.intp], balanced: bool, weigh: Weigh) -> LinearScore:
    """The score of true, given the numbers of false and true rows."""
    false, true = counts.tolist()
    columns = len(design.made)
    if not false or not true:
        # One label alone is no reason to be certain: as if one more row of each had been seen.
        return design.score(math.log((true + 1) / (false + 1)), np.zeros(columns))
    if not columns:
        return design.score(0.0 if balanced else math.log(true / false), np.zeros(0))
    (intercept,), (coefficients,) = weigh()
    return design.score(float(intercept), coefficients)


def scores_of_classes(design: Design, counts: NDArray[np.intp], balanced: bool, weigh: Weigh) -> ClassScores:
    """The scores of all classes, given the number of rows of each."""
    shares = shares_of_counts(counts)
    found = np.flatnonzero(counts)
    columns = len(design.made)
    intercepts = np.zeros(len(found)) if balanced else np.log(shares[found])
    coefficients = np.zeros((len(found), columns))
    if len(found) > 1 and columns:
        own_intercepts, own_coefficients = weigh()
        # Of two classes, the second alone has weights.
        first = len(found) - len(own_coefficients)
        intercepts[:first] = 0.0
        intercepts[first:], coefficients[first:] = own_intercepts, own_coefficients
    scores = dict(zip(found.tolist(), design.scores(intercepts, coefficients), strict=True))
    return ClassScores([scores.get(place, share) for place, share in enumerate(shares.tolist())])


def _weights(
    design: Design, labels: NDArray[np.generic], parameters: Parameters, seed: int, threads: int
) -> tuple[Vector, NDArray[np.float64]]:
    rows = len(labels)
    estimator = _estimator(Penalty.of(parameters), rows, is_balanced(parameters), seed)
    with fitting(rows, threads):
        estimator.fit(design.values, labels)
    return estimator.intercept_, estimator.coef_


def _estimator(penalty: Penalty, rows: int, balanced: bool, seed: int) -> "LogisticRegression":
    from sklearn.linear_model import LogisticRegression

    # It adds up the losses of all rows, and weighs them, not the penalty.
    strength = penalty.alpha * rows
    smooth = penalty.alpha == 0 or penalty.l1_ratio == 0
    return LogisticRegression(
        C=1 / strength if strength else np.inf,
        l1_ratio=0.0 if smooth else penalty.l1_ratio,
        class_weight="balanced" if balanced else None,
        solver="lbfgs" if smooth else "saga",
        max_iter=penalty.max_iterations,
        tol=penalty.tolerance,
        random_state=random_state(seed),
    )


def _chance(score: float) -> float:
    """The logistic function, without overflow."""
    if score >= 0:
        return 1 / (1 + math.exp(-score))
    odds = math.exp(score)
    return odds / (1 + odds)
