"""Linear and logistic regression fitted by all executors together, by Spark ML.

The columns are made as in `giornata.models.linear.design_matrix`, scaled by the sample; the loss and its penalty are
those of `giornata.models.linear.regression` and `giornata.models.linear.logistic`, so that the same parameters mean the
same.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.regression import LinearRegression
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from giornata.dataset import Dataset, Matrix, Vector
from giornata.models.base import Parameters
from giornata.models.linear.design_matrix import Design, Made
from giornata.models.linear.penalty import Penalty
from giornata.models.linear.regression import Linear
from giornata.models.logistic.regression import Logistic, is_balanced, score_of_true, scores_of_classes
from jobs.training.dataset import LABEL
from jobs.training.distributed.vectors import FEATURES, vectors

__all__ = ["fit_linear", "fit_logistic"]

_SCALED = "scaled"
_WEIGHT = "weight"

_Counts = Mapping[int, int]
"""Number of rows of each label, in the order of labels."""


def fit_linear(
    rows: DataFrame, sample: Dataset, task: str, parameters: Parameters, seed: int, workers: int
) -> Linear:
    """Linear regression; the mean if the label or all features are constant."""
    design = Design.of(sample)
    label = rows.agg(
        F.avg(LABEL).alias("mean"),
        F.stddev_pop(LABEL).alias("scale"),
        (F.min(LABEL) == F.max(LABEL)).alias("constant"),
    ).first()
    assert label, "an aggregate of all rows is one row"
    if label["constant"] or not design.made:
        return Linear(design.score(label["mean"], np.zeros(len(design.made))))
    scaled = (F.col(LABEL) - label["mean"]) / label["scale"]
    penalty = Penalty.of(parameters)
    fitted = LinearRegression(
        featuresCol=FEATURES,
        labelCol=_SCALED,
        regParam=penalty.alpha,
        elasticNetParam=penalty.l1_ratio,
        standardization=False,
        maxIter=penalty.max_iterations,
        tol=penalty.tolerance,
    ).fit(_points(rows, design, workers).withColumn(_SCALED, scaled))
    coefficients = fitted.coefficients.toArray() * label["scale"]
    return Linear(design.score(fitted.intercept * label["scale"] + label["mean"], coefficients))


def fit_logistic(
    rows: DataFrame, sample: Dataset, task: str, parameters: Parameters, seed: int, workers: int
) -> Logistic:
    """Logistic regression of true and false, or of several classes, each of which may have no rows."""
    design = Design.of(sample)
    counted = rows.groupBy(LABEL).count().collect()
    found = dict(sorted((int(row[LABEL]), row["count"]) for row in counted))
    several = task == "multiclass"
    counts = np.array([found.get(label, 0) for label in range(len(sample.outputs) if several else 2)])
    weigh = partial(_weights, rows, design, found, parameters, workers)
    scored = scores_of_classes if several else score_of_true
    return Logistic(scored(design, counts, is_balanced(parameters), weigh))


def _weights(
    rows: DataFrame, design: Design, counts: _Counts, parameters: Parameters, workers: int
) -> tuple[Vector, NDArray[np.float64]]:
    """Intercept and coefficients of each label with rows; of two labels, those of the second only."""
    even = sum(counts.values()) / len(counts)
    weights = [even / count if is_balanced(parameters) else 1.0 for count in counts.values()]
    points = _points(rows, design, workers).withColumns(
        {_WEIGHT: _by_label(counts, weights), LABEL: _by_label(counts, [*map(float, range(len(counts)))])}
    )
    penalty = Penalty.of(parameters)
    fitted = LogisticRegression(
        featuresCol=FEATURES,
        labelCol=LABEL,
        weightCol=_WEIGHT,
        family="multinomial" if len(counts) > 2 else "binomial",
        regParam=penalty.alpha,
        elasticNetParam=penalty.l1_ratio,
        standardization=False,
        maxIter=penalty.max_iterations,
        tol=penalty.tolerance,
    ).fit(points)
    return fitted.interceptVector.toArray(), fitted.coefficientMatrix.toArray()


def _by_label(counts: _Counts, values: Sequence[float]) -> Column:
    """The value of each row's label."""
    pairs = zip(counts, values, strict=True)
    return F.create_map(*(F.lit(each) for pair in pairs for each in pair))[F.col(LABEL).cast("int")]


def _points(rows: DataFrame, design: Design, workers: int) -> DataFrame:
    return vectors(rows, len(design.codes), partial(_made, made=design.made), workers)


def _made(matrix: Matrix, made: Sequence[Made]) -> NDArray[np.float64]:
    return np.column_stack([what.of(matrix[:, what.feature]) for what in made])
