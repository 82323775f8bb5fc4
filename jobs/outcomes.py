"""Join labels to predictions: which predictions of a model have come true, and what the truth was."""

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.documents import ModelSpec, Table

LABEL = "label"
KNOWN_AT = "label_known_at"
OUTCOME_COLUMNS = {LABEL: "float", KNOWN_AT: "timestamp"}


def known_labels(
    rows: DataFrame, table: Table, spec: ModelSpec, first_day: str, known_before: datetime
) -> DataFrame:
    """The label of each key as it was known before a moment: the key columns, `label` (double),
    `label_known_at`.

    `rows` are those of the label's table. Where a key has several labels (a correction), the newest counts;
    of two known at the same instant the greater. Labels of a table that is filed by the day they become known
    are looked for from `first_day` on, since a prediction is made before its label is known.
    """
    key = spec.data.key
    label = spec.label
    known = rows.where(F.col(label.event_time) < F.lit(known_before)).where(F.col(label.value).isNotNull())
    if table.event_time == label.event_time:
        known = known.where(F.col("day") >= first_day)
    newest = F.max(
        F.struct(F.col(label.event_time).alias(KNOWN_AT), F.col(label.value).cast("double").alias(LABEL))
    )
    return (
        known.groupBy(*key).agg(newest.alias("newest")).select(*key, f"newest.{LABEL}", f"newest.{KNOWN_AT}")
    )


def outcomes(predictions: DataFrame, labels: DataFrame, spec: ModelSpec) -> DataFrame:
    """The predictions that have a label, with `label` and `label_known_at` beside their own columns."""
    return predictions.join(labels, on=spec.data.key, how="inner")
