"""Linear and logistic regression that all executors fit together, by Spark ML.

The columns are made as in `giornata.models.linear_design`, scaled by the sample; the loss and its penalty are those of
`giornata.models.linear` and `giornata.models.logistic`, so that the same parameters mean the same.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.regression import LinearRegression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.models.base import Examples, FitError, Matrix, Parameters
from giornata.models.linear import Linear
from giornata.models.linear_design import Design, Made
from giornata.models.logistic import Logistic
from giornata.models.penalty import Penalty
from jobs.distributed.vectors import FEATURES, vectors
from jobs.training_data import LABEL

__all__ = ["fit_linear", "fit_logistic"]

_SCALED = "scaled"


def fit_linear(
    rows: DataFrame, sample: Examples, task: str, parameters: Parameters, seed: int, workers: int
) -> Linear:
    """Linear regression. Raises FitError when the label is constant or no column is left to learn from."""
    design = _design(sample)
    label = rows.agg(F.avg(LABEL).alias("mean"), F.stddev_pop(LABEL).alias("scale")).first()
    if not label["scale"]:
        raise FitError("the label is the same in all rows")
    scaled = (F.col(LABEL) - label["mean"]) / label["scale"]
    points = vectors(rows, sample.matrix.shape[1], partial(_made, made=design.made)).withColumn(
        _SCALED, scaled
    )
    penalty = Penalty.of(parameters)
    fitted = LinearRegression(
        featuresCol=FEATURES,
        labelCol=_SCALED,
        regParam=penalty.alpha,
        elasticNetParam=penalty.l1_ratio,
        standardization=False,
        maxIter=penalty.max_iterations,
        tol=penalty.tolerance,
    ).fit(points)
    coefficients = fitted.coefficients.toArray() * label["scale"]
    return Linear(design.score(fitted.intercept * label["scale"] + label["mean"], coefficients))


def fit_logistic(
    rows: DataFrame, sample: Examples, task: str, parameters: Parameters, seed: int, workers: int
) -> Logistic:
    """Logistic regression of two classes or more.

    Raises FitError when a class has no row or no column is left to learn from.
    """
    design = _design(sample)
    classes = len(sample.outputs) or 2
    counts = {int(row[LABEL]): row["count"] for row in rows.groupBy(LABEL).count().collect()}
    if len(counts) < classes:
        raise FitError(f"{classes - len(counts)} of {classes} classes have no row")
    points = vectors(rows, sample.matrix.shape[1], partial(_made, made=design.made))
    penalty = Penalty.of(parameters)
    estimator = LogisticRegression(
        featuresCol=FEATURES,
        labelCol=LABEL,
        family="multinomial" if task == "multiclass" else "binomial",
        regParam=penalty.alpha,
        elasticNetParam=penalty.l1_ratio,
        standardization=False,
        maxIter=penalty.max_iterations,
        tol=penalty.tolerance,
    )
    if parameters.get("class_weight") == "balanced":
        total = sum(counts.values())
        weights = {label: total / (classes * count) for label, count in counts.items()}
        weight = F.create_map(*(F.lit(number) for pair in weights.items() for number in pair))
        points = points.withColumn("weight", weight[F.col(LABEL).cast("int")])
        estimator = estimator.setWeightCol("weight")
    fitted = estimator.fit(points)
    if task == "multiclass":
        return Logistic.of_classes(
            design, fitted.interceptVector.toArray(), fitted.coefficientMatrix.toArray()
        )
    return Logistic(design.score(float(fitted.intercept), fitted.coefficients.toArray()))


def _design(sample: Examples) -> Design:
    design = Design.of(sample)
    if not design.made:
        raise FitError("no feature has two values: there is nothing to learn from")
    return design


def _made(matrix: Matrix, made: Sequence[Made]) -> NDArray[np.float64]:
    return np.column_stack([what.of(matrix[:, what.feature]) for what in made])
