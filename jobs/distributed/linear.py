"""Linear and logistic regression that all executors fit together, by Spark ML.

The columns are made as in `giornata.models.linear_design`, scaled by the sample; the loss and its penalty are those of
`giornata.models.linear` and `giornata.models.logistic`, so that the same parameters mean the same. What these answer
where there is nothing to learn is answered here, too.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.regression import LinearRegression
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from giornata.models.base import Examples, Matrix, Parameters, Vector
from giornata.models.class_scores import ClassScores
from giornata.models.linear import Linear
from giornata.models.linear_design import Design, Made
from giornata.models.linear_score import LinearScore
from giornata.models.logistic import Logistic
from giornata.models.penalty import Penalty
from jobs.distributed.vectors import FEATURES, vectors
from jobs.training_data import LABEL

__all__ = ["fit_linear", "fit_logistic"]

_SCALED = "scaled"
_WEIGHT = "weight"

_Counts = Mapping[int, int]
"""How many rows each label has, by the label, in its order."""


def fit_linear(
    rows: DataFrame, sample: Examples, task: str, parameters: Parameters, seed: int, workers: int
) -> Linear:
    """Linear regression; the mean where the label or all features are constant."""
    design = Design.of(sample)
    label = rows.agg(
        F.avg(LABEL).alias("mean"),
        F.stddev_pop(LABEL).alias("scale"),
        (F.min(LABEL) == F.max(LABEL)).alias("constant"),
    ).first()
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
    rows: DataFrame, sample: Examples, task: str, parameters: Parameters, seed: int, workers: int
) -> Logistic:
    """Logistic regression of true and false, or of several classes, each of which may lack rows."""
    design = Design.of(sample)
    counted = rows.groupBy(LABEL).count().collect()
    counts = dict(sorted((int(row[LABEL]), row["count"]) for row in counted))
    if task == "multiclass":
        return Logistic(_of_classes(rows, design, counts, len(sample.outputs), parameters, workers))
    return Logistic(_of_true(rows, design, counts, parameters, workers))


def _of_true(
    rows: DataFrame, design: Design, counts: _Counts, parameters: Parameters, workers: int
) -> LinearScore:
    true, false = counts.get(1, 0), counts.get(0, 0)
    if len(counts) < 2:
        # As if one more row of each had been seen.
        return design.score(math.log((true + 1) / (false + 1)), np.zeros(len(design.made)))
    if not design.made:
        return design.score(0.0 if _balanced(parameters) else math.log(true / false), np.zeros(0))
    (intercept,), (coefficients,) = _weights(rows, design, counts, parameters, workers)
    return design.score(intercept, coefficients)


def _of_classes(
    rows: DataFrame, design: Design, counts: _Counts, classes: int, parameters: Parameters, workers: int
) -> ClassScores:
    found, total = [*counts], sum(counts.values())
    # As if one more row of each class had been seen, for those that have none.
    least = 1 / (total + classes)
    left = 1 - (classes - len(found)) * least
    intercepts = np.zeros(len(found))
    if not _balanced(parameters):
        intercepts = np.log([count / total * left for count in counts.values()])
    coefficients = np.zeros((len(found), len(design.made)))
    if len(found) > 1 and design.made:
        own = _weights(rows, design, counts, parameters, workers)
        # Of two classes the first has none.
        first = len(found) - len(own[0])
        intercepts[:first] = 0.0
        intercepts[first:], coefficients[first:] = own
    scores = dict(zip(found, design.scores(intercepts, coefficients), strict=True))
    return ClassScores([scores.get(place, least) for place in range(classes)])


def _weights(
    rows: DataFrame, design: Design, counts: _Counts, parameters: Parameters, workers: int
) -> tuple[Vector, NDArray[np.float64]]:
    """Intercept and coefficients of each label that rows have; of two labels, those of the second alone."""
    even = sum(counts.values()) / len(counts)
    weights = [even / count if _balanced(parameters) else 1.0 for count in counts.values()]
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


def _balanced(parameters: Parameters) -> bool:
    return parameters.get("class_weight") == "balanced"


def _points(rows: DataFrame, design: Design, workers: int) -> DataFrame:
    return vectors(rows, len(design.codes), partial(_made, made=design.made), workers)


def _made(matrix: Matrix, made: Sequence[Made]) -> NDArray[np.float64]:
    return np.column_stack([what.of(matrix[:, what.feature]) for what in made])
