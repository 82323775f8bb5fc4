"""Linear regression with a ridge, lasso or elastic-net penalty; scikit-learn fits it, NumPy alone answers.

The fit minimises, over the standardised columns of `linear_design` and the label in standard deviations,

    ½ · mean squared error + alpha · (ratio · Σ|w| + ½ · (1 - ratio) · Σw²)

with ratio 0 for the penalty l2 (ridge), 1 for l1 (lasso) and l1_ratio for elasticnet. So the same alpha means as much
whatever the unit of the label and the number of rows. The intercept is not penalised.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np

from giornata.dataset import Dataset, Matrix, Vector
from giornata.documents.model import TYPES, Dimension, Scalar
from giornata.models.base import Callback, Parameters
from giornata.models.label_checks import check_labels, check_task
from giornata.models.linear.design_matrix import Design
from giornata.models.linear.penalty import DEFAULT_SPACE, PENALTIES, Penalty
from giornata.models.linear.predictor import LinearScore
from giornata.models.parameters import ParameterTable
from giornata.models.scikit_learn import fitting

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

__all__ = ["Linear", "LinearType"]

_FILE = "linear.json"

_PARAMETERS = ParameterTable(
    "linear",
    whole={"max_iterations": (1, None)},
    real={"alpha": (0, None), "l1_ratio": (0, 1), "tolerance": (0, None)},
    choices={"penalty": PENALTIES},
)


class Linear:
    """A fitted linear regression."""

    rounds = 1

    def __init__(self, score: LinearScore):
        self._score = score

    def predict(self, matrix: Matrix) -> Vector:
        return self._score(matrix)

    def to_files(self) -> dict[str, bytes]:
        return {_FILE: self._score.to_json()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        return cls(LinearScore.from_files(files, _FILE))

    def importance(self) -> dict[int, float]:
        return self._score.importance()

    def size(self) -> dict[str, int]:
        return {"coefficients": self._score.coefficients()}


class LinearType:
    """Linear regression; its parameters are explained above and in the reference of the documents."""

    tasks = TYPES["linear"]
    fitted = Linear

    def check(self, parameters: Parameters, space: Mapping[str, Dimension]) -> None:
        _PARAMETERS.check(parameters, space)

    def default_space(self) -> dict[str, Dimension]:
        return dict(DEFAULT_SPACE)

    def with_rounds(self, parameters: Parameters, rounds: int) -> dict[str, Scalar]:
        return dict(parameters)

    def fit(
        self,
        examples: Dataset,
        task: str,
        parameters: Parameters,
        seed: int,
        threads: int = 1,
        validation: Dataset | None = None,
        watch: Callback | None = None,
    ) -> Linear:
        check_task("linear", task)
        self.check(parameters, {})
        check_labels(examples, task)
        design = Design.of(examples)
        target = examples.target
        rows, columns = design.values.shape
        if target.min() == target.max() or not columns:
            return Linear(design.score(float(target.mean()), np.zeros(columns)))
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale = float(target.mean()), float(target.std())
        estimator = _estimator(Penalty.of(parameters), rows, columns)
        with fitting(rows, threads):
            estimator.fit(design.values, (target - mean) / scale)
        with np.errstate(over="ignore", invalid="ignore"):
            return Linear(design.score(estimator.intercept_ * scale + mean, estimator.coef_ * scale))


def _estimator(penalty: Penalty, rows: int, columns: int) -> "BaseEstimator":
    from sklearn.linear_model import ElasticNet, LinearRegression, Ridge

    if penalty.alpha == 0:
        return LinearRegression(copy_X=False)
    if penalty.l1_ratio == 0:
        # Ridge adds up the errors of all rows.
        return Ridge(penalty.alpha * rows, copy_X=False)
    return ElasticNet(
        penalty.alpha,
        l1_ratio=penalty.l1_ratio,
        precompute=rows > columns,
        copy_X=False,
        max_iter=penalty.max_iterations,
        tol=penalty.tolerance,
    )
