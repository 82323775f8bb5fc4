"""Measures predictions against their labels on the executors: metrics by version, tag, mode, part and window.

Every window is computed from its rows, not from the metrics of its days. Besides the metrics of the model's task there
is `label_coverage`, the share of the predictions that have a label so far.

A task without labels is measured by its predictions alone: its metrics, the number of `rows`, and the share in each
cluster, `share_of_cluster_0` and so on, for clusters with rows. Each part of a model has clusters of its own, so that a
model with parts has these shares by part and none for the whole.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
import orjson
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from giornata.documents import ModelSpec
from giornata.monitoring.observations import LABEL_COVERAGE, ROWS
from giornata.records.alert import ALL_ROWS
from giornata.records.metric_point import Point
from giornata.tasks import TASKS

# A part with fewer labelled rows in a window says little; the whole and the levels are always measured.
MIN_PART_ROWS = 50
LEVEL_PREFIX = "level:"

CLUSTER_SHARE = "share_of_cluster_"

_METRICS = frozenset({LABEL_COVERAGE, ROWS, *(metric for task in TASKS.values() for metric in task.metrics)})

_GROUP = ("tag", "mode", "model_uuid", "time_window", "at", "part")
_MEASURED = (
    "tag string, mode string, model_uuid string, time_window string, at date, part string, "
    "metric string, value double, row_count bigint"
)


def is_measured_here(metric: str) -> bool:
    """Whether a metric, of any task, is one that `measure` computes."""
    return metric in _METRICS or metric.startswith(CLUSTER_SHARE)


def measure(
    predictions: DataFrame,
    outcomes: DataFrame | None,
    model: str,
    spec: ModelSpec,
    windows: Iterable[int],
    days: Sequence[str],
) -> list[Point]:
    """The points of one model for every window (in days) that ends on one of `days` (ISO dates, UTC, in order).

    `predictions` and `outcomes` hold the rows of the days that the windows cover; a task without labels has no
    outcomes. Parts are `all`, `level:<name>` (the rows for which this level of the partition tree predicts) and the
    parts by their own names. A metric that is not defined on its rows (AUC of one class) has no point.
    """
    measured = (
        _by_window(_by_part(_labelled(predictions, outcomes)), windows, days)
        .groupBy(*_GROUP)
        .applyInPandas(_measure_group(spec), _MEASURED)
    )
    return [
        Point(
            model=model,
            tag=row.tag,
            mode=row.mode,
            metric=row.metric,
            window=row.time_window,
            part=row.part,
            at=row.at,
            uuid=row.model_uuid,
            value=row.value,
            rows=row.row_count,
        )
        for row in measured.collect()
    ]


def _labelled(predictions: DataFrame, outcomes: DataFrame | None) -> DataFrame:
    """Every prediction with its label or null, once for each tag of its version ("" for none)."""
    one = ["day", "mode", "model_uuid", "prediction_id"]
    answer = [name for name in ("prediction", "outputs") if name in predictions.columns]
    tags = F.explode(F.split(F.coalesce("tag", F.lit("")), ","))
    answered = predictions.select(*one, tags.alias("tag"), "level", "part", *answer)
    if outcomes is None:
        return answered
    return answered.join(outcomes.select(*one, "label"), on=one, how="left")


def _by_part(rows: DataFrame) -> DataFrame:
    parts = F.array_distinct(F.array(F.lit(ALL_ROWS), F.concat(F.lit(LEVEL_PREFIX), "level"), "part"))
    return rows.withColumn("part", F.explode(parts)).drop("level")


def _by_window(rows: DataFrame, windows: Iterable[int], days: Sequence[str]) -> DataFrame:
    """Each row once for every window that includes its day."""
    ends = [_ends(length) for length in sorted(windows)]
    return (
        rows.withColumn("window_end", F.explode(F.concat(*ends)))
        .select("*", "window_end.*")
        .drop("window_end", "day")
        .where(F.col("at").between(date.fromisoformat(days[0]), date.fromisoformat(days[-1])))
    )


def _ends(length: int) -> Column:
    """The windows of `length` days that include a row's day: structs of their name and last day."""
    return F.transform(
        F.sequence(F.lit(0), F.lit(length - 1)),
        lambda later: F.struct(
            F.lit(f"{length}d").alias("time_window"), F.date_add(F.to_date("day"), later).alias("at")
        ),
    )


def _measure_group(spec: ModelSpec) -> Callable[[tuple[Any, ...], pd.DataFrame], pd.DataFrame]:
    def measure_group(group: tuple[Any, ...], rows: pd.DataFrame) -> pd.DataFrame:
        measured = list(_measurements(spec, dict(zip(_GROUP, group, strict=True))["part"], rows))
        frame = pd.DataFrame(measured, columns=["metric", "value", "row_count"])
        for place, (name, value) in enumerate(zip(_GROUP, group, strict=True)):
            frame.insert(place, name, value)
        return frame

    return measure_group


def _measurements(spec: ModelSpec, part: str, rows: pd.DataFrame) -> Iterator[tuple[str, float, int]]:
    # In one order, whatever order the rows came in: sums of floats, and so metrics, are the same in every
    # run.
    rows = rows.sort_values("prediction_id")
    measured = rows[rows["label"].notna()] if spec.label else rows
    whole = part == ALL_ROWS or part.startswith(LEVEL_PREFIX)
    if not whole and len(measured) < MIN_PART_ROWS:
        return
    if spec.label:
        yield LABEL_COVERAGE, len(measured) / len(rows), len(rows)
    else:
        yield ROWS, len(rows), len(rows)
        if not (whole and spec.partition):
            counts = rows["prediction"].value_counts(sort=False)
            for cluster, count in zip(counts.index, counts, strict=True):
                yield f"{CLUSTER_SHARE}{int(cluster)}", count / len(rows), len(rows)
    for name, value in _values(spec, measured).items():
        if math.isfinite(value):
            yield name, value, len(measured)


def _values(spec: ModelSpec, labelled: pd.DataFrame) -> dict[str, float]:
    """The metrics of predictions, by the names of the numbers in a prediction."""
    if "outputs" not in labelled:
        return TASKS[spec.task].measure(
            labelled["label"].to_numpy(float), labelled["prediction"].to_numpy(float)
        )
    if labelled.empty:
        return {}
    answers = [orjson.loads(text) for text in labelled["outputs"]]
    outputs = list(answers[0])  # of one version, so that all rows have the same
    numbers = np.array([[answer[name] for name in outputs] for answer in answers], np.float64)
    if TASKS[spec.task].label == "class":
        places = {name: place for place, name in enumerate(outputs)}
        actual = np.array([places.get(label, -1) for label in labelled["label"]], np.float64)
    elif spec.label:
        actual = labelled["label"].to_numpy(float)
    else:
        actual = np.zeros(len(labelled))
    return TASKS[spec.task].measure(actual, numbers, outputs)
