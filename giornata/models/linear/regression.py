"""Linear regression with a ridge, lasso or elastic-net penalty; scikit-learn fits it, NumPy predicts.

The fit minimises, over the standardised columns of `giornata.models.linear.design_matrix` and the label in standard
deviations,

    ½ · mean squared error + alpha · (ratio · Σ|w| + ½ · (1 - ratio) · Σw²)

with ratio 0 for the penalty l2 (ridge), 1 for l1 (lasso) and l1_ratio for elasticnet. So the same alpha means the same
whatever the unit of the label and the number of rows. The intercept is not penalised.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np

from giornata.dataset import Matrix, Vector
from giornata.models.base import FitRequest
from giornata.models.linear.design_matrix import Design
from giornata.models.linear.penalty import Penalty
from giornata.models.linear.predictor import LinearModel, LinearScore
from giornata.models.scikit_learn import fitting

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

__all__ = ["Linear", "fit"]

_FILE = "linear.json"


class Linear(LinearModel[LinearScore]):
    """A fitted linear regression."""

    def predict(self, matrix: Matrix) -> Vector:
        return self._score(matrix)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        return cls(LinearScore.from_files(files, _FILE))

    @property
    def _file(self) -> str:
        return _FILE


def fit(request: FitRequest) -> Linear:
    """Linear regression on checked rows; the mean if the label or all features are constant."""
    design = Design.of(request.examples)
    target = request.examples.target
    rows, columns = design.values.shape
    if target.min() == target.max() or not columns:
        return Linear(design.score(float(target.mean()), np.zeros(columns)))
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = float(target.mean()), float(target.std())
    estimator = _estimator(Penalty.of(request.parameters), rows, columns)
    with fitting(rows, request.threads):
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
