"""Labels by the time they become known, and predictions joined with their labels."""

from collections.abc import Mapping
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.documents import ModelSpec, Table
from giornata.tasks import TASKS
from jobs.hive.schema import SQL_TYPES

LABEL = "label"
KNOWN_AT = "label_known_at"


def label_columns(task: str) -> dict[str, str]:
    """Name and type of the columns that a labelled prediction adds to a prediction; class labels are text."""
    return {LABEL: "str" if TASKS[task].label == "class" else "float", KNOWN_AT: "timestamp"}


def labelled_predictions(predictions: DataFrame, labels: DataFrame, spec: ModelSpec) -> DataFrame:
    """The predictions that have a label, with `label` and `label_known_at` added."""
    return predictions.join(labels, on=spec.data.key, how="inner")


def known_labels(
    rows: DataFrame, table: Table, spec: ModelSpec, first_day: str, known_before: datetime
) -> DataFrame:
    """The label of each key as known before a moment: the key columns, `label` (double, or string for classes),
    `label_known_at`.

    `rows`, `first_day` and the choice among several labels of a key are as in `newest_labels`.
    """
    newest = newest_labels(rows, table, spec, first_day, {"newest": known_before})
    return newest.select(*spec.data.key, f"newest.{LABEL}", f"newest.{KNOWN_AT}")


def newest_labels(
    rows: DataFrame, table: Table, spec: ModelSpec, first_day: str, moments: Mapping[str, datetime]
) -> DataFrame:
    """The key columns of every label known before the last of `moments`, and for each moment, under its name, a struct
    of `label_known_at` and `label` (as in `known_labels`) as known before it, or null.

    `rows` are those of the label's table. If a key has several labels (a correction), the newest counts; of two known
    at the same instant the greater. If the label's table is partitioned by the day they become known, it is read from
    `first_day` on, since a prediction is made before its label is known.
    """
    label = spec.label
    assert label, "a model whose labels are looked for has one"
    known_at = F.col(label.event_time)
    value = F.col(label.value).cast(SQL_TYPES[label_columns(spec.task)[LABEL]])
    known = rows.where(known_at < F.lit(max(moments.values()))).where(F.col(label.value).isNotNull())
    if table.event_time == label.event_time:
        known = known.where(F.col("day") >= first_day)
    told = F.struct(known_at.alias(KNOWN_AT), value.alias(LABEL))
    newest = (F.max(F.when(known_at < F.lit(moment), told)).alias(name) for name, moment in moments.items())
    return known.groupBy(*spec.data.key).agg(*newest)
