"""From a project's tables to training data: labelled rows, joined features, the matrix on the executors.

Only counts, aggregates and, by `sample`, a bounded number of rows are collected here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from dsl import CompiledFeatures, Inputs, StoreInput
from giornata.dataset import Dataset
from giornata.documents import ProjectDocuments
from giornata.documents.model import ModelSpec, Split
from giornata.errors import DataError
from giornata.evaluation.leakage import Ahead
from giornata.evaluation.precision import Distinct
from giornata.names import data_table
from giornata.partitions import key_text, path_of, prefixes
from giornata.records.model_version import InputColumn, ModelSignature, RecordedStoreInput
from giornata.scorer import matrix_of_columns
from giornata.tasks import TASKS
from jobs.hive.labels import KNOWN_AT, newest_labels
from jobs.hive.labels import LABEL as KNOWN_LABEL
from jobs.hive.scan import PARTITION_DAY, scan_partitions
from jobs.hive.schema import SQL_TYPES, input_frame

__all__ = [
    "FOLDS",
    "LABEL",
    "LATER",
    "LATER_LABEL",
    "MAX_CLASSES",
    "ORDER",
    "PARTS",
    "TRAINING_WINDOWS",
    "WINDOW",
    "FittedFeatures",
    "RowCounts",
    "Windows",
    "asked_rows",
    "classes_of",
    "coded",
    "distinct_values",
    "examples",
    "fit_features",
    "label_delay",
    "labelled_rows",
    "matrix_columns",
    "matrix_frame",
    "merged_inputs",
    "row_counts",
    "sample",
    "signature",
    "windowed_rows",
    "windows",
]

# Columns of our own; a project's names begin with a letter.
LABEL = "_label"
LATER_LABEL = "_later_label"
WINDOW = "_window"
ORDER = "_order"  # hash of the key: an order that does not depend on how Spark moved the rows
PARTS = "_parts"  # the parts a row lies in, as key texts, the root first

TRAINING_WINDOWS = ("train", "validation")
"""The windows that the evaluated model is fitted to."""

LATER = "later"
"""The window of rows before the test period whose labels, or those of their days, were not all known when it began:
only a refit uses them."""

FOLDS = 5
"""Number of folds for training rows if features are fitted to labels."""

MAX_CLASSES = 100
"""The most classes that a model may tell apart."""

_FOLD = "_fold"
_AHEAD = "_ahead_"
_BEFORE_TEST = "_before_test"
_BEFORE_END = "_before_end"
_BUCKETS = 1_000_000


@dataclass(frozen=True)
class Windows:
    """The moments that divide a run: train [train, validation), validation [validation, learned), test [test, end).

    `learned` is the beginning of the test period, or earlier if labels are late.
    """

    train: datetime
    validation: datetime
    learned: datetime
    test: datetime
    end: datetime

    @property
    def bounds(self) -> dict[Literal["train", "validation", "test"], tuple[datetime, datetime]]:
        """Start and end of each window."""
        return {
            "train": (self.train, self.validation),
            "validation": (self.validation, self.learned),
            "test": (self.test, self.end),
        }


@dataclass(frozen=True)
class FittedFeatures:
    """Features with their state from all training rows.

    If they are fitted to labels, `by_fold` has for each fold of the training rows the features with the state from the
    labels of the other folds.
    """

    features: CompiledFeatures
    by_fold: tuple[CompiledFeatures, ...] = ()


@dataclass(frozen=True)
class RowCounts:
    """Numbers of labelled and unlabelled rows of each window; and for the row's input columns in training and
    validation, which ones are ever null, and how often timestamps lie after the event time."""

    rows: Mapping[str, int]
    unlabelled: Mapping[str, int]
    nullable: frozenset[str]
    ahead: Mapping[str, Ahead]


def windows(split: Split, as_of: datetime) -> Windows:
    """The windows counted back from `as_of`: the last part of the training length is validation."""
    test = as_of - split.test
    train = test - split.train
    return Windows(train, test - split.train * split.validation, test, test, as_of)


def merged_inputs(features: CompiledFeatures, partition: CompiledFeatures | None) -> Inputs:
    """The inputs of features and partition together."""
    row = dict(features.inputs.row)
    store = dict(features.inputs.store)
    needed = features.inputs.row.keys() - features.inputs.nullable
    if partition:
        needed |= partition.inputs.row.keys() - partition.inputs.nullable
        row |= partition.inputs.row
        for use, read in partition.inputs.store.items():
            known = store.get(use, read)
            store[use] = StoreInput(read.group, read.keys, {**known.features, **read.features})
    return Inputs(row, store, frozenset(row) - needed)


def asked_rows(
    spark: SparkSession, documents: ProjectDocuments, spec: ModelSpec, inputs: Inputs, when: Windows
) -> DataFrame:
    """The rows of all windows: the inputs of the row, event time, LABEL, WINDOW and ORDER.

    A row belongs to a window by its event time. Its LABEL must be known before the model that uses it exists: before
    `when.test` for training and validation, before `when.end` for the test; otherwise it is null, as for labels that
    are NaN or infinite. A class label is text (see `coded`); without a label (clustering) LABEL is 0 everywhere. Rows
    without an event time are left out.
    """
    event_time = F.col(spec.data.event_time)
    columns = [*spec.data.key, *inputs.row]
    asked = scan_partitions(spark, documents.name, spec.data, columns, when.train, when.end)
    asked = (
        asked.where((event_time >= F.lit(when.train)) & (event_time < F.lit(when.end)))
        .withColumns({WINDOW: _window(spec, when), ORDER: F.xxhash64(*spec.data.key)})
        .drop(PARTITION_DAY)
    )
    if spec.label is None:
        return asked.withColumn(LABEL, F.lit(0.0))
    labels = newest_labels(
        spark.table(data_table(documents.name, spec.label.table)),
        documents.table(spec.label.table),
        spec,
        _day(when.train),
        {_BEFORE_TEST: when.test, _BEFORE_END: when.end},
    )
    known = F.when(F.col(WINDOW) == "test", F.col(_BEFORE_END)).otherwise(F.col(_BEFORE_TEST))
    return asked.join(labels, spec.data.key, "left").withColumn(LABEL, _usable(known[KNOWN_LABEL], spec))


def _window(spec: ModelSpec, when: Windows) -> Column:
    """The window of a row by its event time; null if it lies in none."""
    event_time = F.col(spec.data.event_time)
    window = F.lit(None)
    for name, (start, end) in when.bounds.items():
        inside = (event_time >= F.lit(start)) & (event_time < F.lit(end))
        window = F.when(inside, name).otherwise(window)
    return window


def _usable(label: Column, spec: ModelSpec) -> Column:
    """The label, or null if it cannot be used."""
    return label if TASKS[spec.task].label == "class" else F.when(F.abs(label) < float("inf"), label)


def label_delay(spec: ModelSpec) -> Column:
    """Microseconds from the event time of a row of `asked_rows` until its label was known."""
    known = F.when(F.col(LABEL).isNotNull(), F.col(_BEFORE_TEST)[KNOWN_AT])
    return F.unix_micros(known) - F.unix_micros(F.col(spec.data.event_time))


def windowed_rows(asked: DataFrame, spec: ModelSpec, when: Windows) -> DataFrame:
    """The rows of `asked_rows` in the windows `when`, which may end earlier than the requested ones.

    For a refit, the rows in between are there as window LATER, and LATER_LABEL is the label of every row as known at
    the end.
    """
    event_time = F.col(spec.data.event_time)
    rows = asked.withColumn(WINDOW, F.coalesce(_window(spec, when), F.lit(LATER))).where(
        event_time < F.lit(when.end)
    )
    if spec.is_refitted:
        at_the_end = _usable(F.col(_BEFORE_END)[KNOWN_LABEL], spec) if spec.label else F.col(LABEL)
        rows = rows.withColumn(LATER_LABEL, F.coalesce(F.col(LABEL), at_the_end))
    else:
        rows = rows.where(F.col(WINDOW) != LATER)
    return rows.drop(_BEFORE_TEST, _BEFORE_END)


def labelled_rows(rows: DataFrame) -> DataFrame:
    """The rows of `windowed_rows` that have a label for the evaluated model, or for a refit."""
    return rows.where(F.coalesce(*(F.col(name) for name in _labels(rows))).isNotNull())


def _labels(rows: DataFrame) -> list[str]:
    return [name for name in (LABEL, LATER_LABEL) if name in rows.columns]


def classes_of(rows: DataFrame, spec: ModelSpec) -> list[str]:
    """The classes of labelled rows (LABEL), in order of their text; none unless the task is multiclass.

    Raises DataError if there are fewer than two classes, or more than MAX_CLASSES.
    """
    if TASKS[spec.task].label != "class":
        return []
    assert spec.label, "classes are labels"
    found = sorted(row[LABEL] for row in rows.select(LABEL).distinct().limit(MAX_CLASSES + 1).collect())
    if not 2 <= len(found) <= MAX_CLASSES:
        count = f"more than {MAX_CLASSES}" if len(found) > MAX_CLASSES else len(found)
        raise DataError(
            f"the label {spec.label.value} has {count} different values: a multiclass model has from 2 to {MAX_CLASSES}"
        )
    return found


def coded(rows: DataFrame, classes: Sequence[str]) -> DataFrame:
    """Labelled rows with the positions of their classes, 0, 1, … as doubles, as labels, -1 for another class; unchanged
    without classes."""
    if not classes:
        return rows
    known = F.array(*(F.lit(name) for name in classes))
    return rows.withColumns(
        {name: (F.array_position(known, F.col(name)) - 1).cast("double") for name in _labels(rows)}
    )


def row_counts(rows: DataFrame, spec: ModelSpec, inputs: Inputs, when: Windows) -> RowCounts:
    """Count the rows of each window with and without a label, and find the inputs of the labelled ones that are ever
    null or lie after the event time.

    Raises DataError if a window has no row, a key occurs twice, or a binary label is neither 0 nor 1.
    """
    asked, labelled = F.col(spec.data.event_time), F.col(LABEL).isNotNull()
    moments = [name for name, type_ in inputs.row.items() if type_ == "timestamp"]
    found = {
        row[WINDOW]: row
        for row in rows.groupBy(WINDOW)
        .agg(
            F.count_if(labelled).alias("_rows"),
            F.count_if(~labelled).alias("_unlabelled"),
            F.count_if(
                ~F.col(LABEL).isin(0.0, 1.0) if TASKS[spec.task].label == "truth" else F.lit(False)
            ).alias("_not_binary"),
            *(F.count_if(F.col(name).isNull() & labelled).alias(name) for name in inputs.row),
            *(F.count_if((F.col(name) > asked) & labelled).alias(_AHEAD + name) for name in moments),
        )
        .collect()
    }
    for name, (start, end) in when.bounds.items():
        if name not in found or not found[name]["_rows"]:
            waiting = found[name]["_unlabelled"] if name in found else 0
            advice = (
                f"none of the {waiting:,} rows there had a label in time: choose a later --as-of, or a longer period"
                if waiting
                else "load the data of these days, or choose another --as-of or split"
            )
            raise DataError(
                f"there are no labelled {name} rows in {spec.data.table} from {_day(start)} to {_day(end)}: {advice}"
            )
    counts = list(found.values())
    if not rows.where(labelled).groupBy(*spec.data.key).count().where(F.col("count") > 1).isEmpty():
        raise DataError(
            f"the key {', '.join(spec.data.key)} occurs more than once in {spec.data.table}"
            f"{f' joined to {spec.label.table}' if spec.label else ''}: a key must name one row and one label"
        )
    if spec.label and any(row["_not_binary"] for row in counts):
        raise DataError(f"the label {spec.label.value} of a binary model must be 0 or 1 (false or true)")
    learned = [found[window] for window in TRAINING_WINDOWS]
    nullable = frozenset(name for name in inputs.row if any(row[name] for row in learned))
    ahead = {
        name: Ahead(
            sum(row[_AHEAD + name] for row in learned), sum(row["_rows"] - row[name] for row in learned)
        )
        for name in moments
    }
    return RowCounts(
        {window: row["_rows"] for window, row in found.items()},
        {window: row["_unlabelled"] for window, row in found.items()},
        nullable,
        ahead,
    )


def signature(
    spec: ModelSpec, inputs: Inputs, nullable: frozenset[str], classes: Sequence[str] = ()
) -> ModelSignature:
    """The inputs and the kind of prediction of a version trained on these inputs and labels of these `classes`.

    A column may be null if it was in training, or if no expression needs it (see `dsl.schema.Inputs`).
    """
    nullable |= inputs.nullable
    return ModelSignature(
        inputs={
            name: InputColumn.model_validate({"type": str(type_), "nullable": name in nullable})
            for name, type_ in inputs.row.items()
        },
        store={
            use: RecordedStoreInput.model_validate(
                {
                    "group": read.group,
                    "keys": dict(read.keys),
                    "features": {name: str(type_) for name, type_ in read.features.items()},
                }
            )
            for use, read in inputs.store.items()
        },
        key=list(spec.data.key),
        event_time=spec.data.event_time,
        task=spec.task,
        outputs=list(TASKS[spec.task].outputs(classes, spec.shares)),
    )


def fit_features(rows: DataFrame, features: CompiledFeatures, columns: Mapping[str, str]) -> FittedFeatures:
    """`features` fitted to `rows`, by partial aggregates on the executors merged here.

    If they are fitted to labels, the rows are dealt into FOLDS folds by ORDER, and aggregated fold by fold.
    """
    if features.is_fitted:
        return FittedFeatures(features)
    stored = json.dumps(features.to_json())
    folds = FOLDS if features.learns_target else 1

    def aggregate(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        unfitted = CompiledFeatures.from_json(json.loads(stored))
        merged: dict[int, dict[str, Any]] = {}
        for batch in batches:
            for (fold,), part in _polars(batch).partition_by(_FOLD, as_dict=True).items():
                partial = unfitted.aggregate(part, part[LABEL])
                merged[fold] = unfitted.merge(merged[fold], partial) if fold in merged else partial
        if merged:
            written = [json.dumps(partial) for partial in merged.values()]
            yield pa.RecordBatch.from_pydict({"fold": pa.array(merged, pa.int64()), "aggregate": written})

    dealt = input_frame(rows, columns, F.pmod(ORDER, F.lit(folds)).cast("long").alias(_FOLD), LABEL)
    merged: dict[int, dict[str, Any]] = {}
    for row in dealt.mapInArrow(aggregate, "fold bigint, aggregate string").toLocalIterator():
        partial = json.loads(row.aggregate)
        merged[row.fold] = features.merge(merged[row.fold], partial) if row.fold in merged else partial
    total = reduce(features.merge, merged.values())
    if not features.learns_target:
        return FittedFeatures(features.fitted(total))
    if len(merged) < FOLDS:
        raise DataError(
            f"only {len(merged)} of {FOLDS} folds of training rows have any: too few for a function that learns "
            "from labels"
        )
    of_others = (
        reduce(features.merge, [merged[other] for other in merged if other != fold]) for fold in range(FOLDS)
    )
    return FittedFeatures(
        features.fitted(total), tuple(features.fitted(total, others) for others in of_others)
    )


def matrix_columns(features: int) -> list[str]:
    """The names of the columns of the matrix in a frame."""
    return [f"x{number}" for number in range(features)]


def matrix_frame(
    rows: DataFrame,
    fitted: FittedFeatures,
    partition: CompiledFeatures | None,
    columns: Mapping[str, str],
    kept: Sequence[str] | None = None,
) -> DataFrame:
    """One row per labelled row: the final features as floats (`x0` …), LABEL, WINDOW, ORDER and PARTS.

    State that depends on labels comes, for a training row, from other rows. With `kept`, names of further columns of
    `rows`, these and the input columns are included.
    """
    stored = json.dumps(
        [
            partition.to_json() if partition else None,
            fitted.features.to_json(),
            *(features.to_json() for features in fitted.by_fold),
        ]
    )
    names = matrix_columns(len(fitted.features.names))
    own = [LABEL, WINDOW, ORDER]
    others = own if kept is None else [*columns, *(name for name in kept if name not in columns), *own]
    framed = input_frame(rows, columns, *(name for name in others if name not in columns))

    def transform(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        form_of_levels, *forms = json.loads(stored)
        levels = CompiledFeatures.from_json(form_of_levels) if form_of_levels else None
        features, *by_fold = (CompiledFeatures.from_json(form) for form in forms)
        for batch in batches:
            frame = _polars(batch)
            matrix = matrix_of_columns(features.columns(frame))
            fold = np.where(frame[WINDOW] == "train", frame[ORDER].to_numpy() % FOLDS, -1)
            for number, of_others in enumerate(by_fold):
                mine = fold == number
                matrix[mine] = matrix_of_columns(of_others.columns(frame.filter(mine)))
            parts = _parts(levels, frame)
            arrays = [pa.array(matrix[:, number]) for number in range(len(names))]
            arrays += [batch.column(name) for name in others]
            yield pa.RecordBatch.from_arrays([*arrays, parts], [*names, *others, PARTS])

    types = {name: framed.schema[name].dataType.simpleString() for name in others}
    schema = ", ".join(
        [
            *(f"{name} float" for name in names),
            *(f"`{name}` {type_}" for name, type_ in types.items()),
            f"{PARTS} array<string>",
        ]
    )
    return framed.mapInArrow(transform, schema)


def distinct_values(
    rows: DataFrame, features: CompiledFeatures, columns: Mapping[str, str], names: Sequence[str]
) -> dict[str, Distinct]:
    """Numbers of distinct values of the features `names` in rows like those of `matrix_frame`, before they become
    floats of its matrix and after."""
    if not names:
        return {}
    stored = json.dumps(features.to_json())
    asked = list(names)

    def values(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        fitted = CompiledFeatures.from_json(json.loads(stored))
        for batch in batches:
            table = (
                fitted.columns(_polars(batch)).select(asked).to_arrow(compat_level=pl.CompatLevel.oldest())
            )
            yield from table.to_batches()

    schema = ", ".join(f"{name} {SQL_TYPES[features.types[name]]}" for name in asked)
    counted: list[Column] = []
    for place, name in enumerate(asked):
        value = F.col(name)
        single = value.cast("double").cast("float")
        counted += [
            F.count_distinct(value).alias(f"v{place}"),
            F.count_distinct(single).alias(f"l{place}"),
            F.bool_and(value == F.floor(value)).alias(f"w{place}"),
        ]
    (row,) = input_frame(rows, columns).mapInArrow(values, schema).agg(*counted).collect()
    return {
        name: Distinct(row[f"v{place}"], row[f"l{place}"], bool(row[f"w{place}"]))
        for place, name in enumerate(asked)
    }


def sample(frame: DataFrame, rows: int, bound: int) -> DataFrame:
    """All of a frame of `rows` rows, or the share of it, chosen by ORDER, that has about `bound` rows."""
    if rows <= bound:
        return frame
    return frame.where(F.pmod(F.col(ORDER), F.lit(_BUCKETS)) < int(_BUCKETS * bound / rows))


def examples(
    table: pa.Table,
    features: int,
    categories: Mapping[int, int],
    names: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> Dataset:
    """The rows of a frame of `matrix_frame`, in ORDER: the same rows give the same arrays."""
    order = np.argsort(table.column(ORDER).to_numpy(), kind="stable")
    columns = [table.column(name).to_numpy() for name in matrix_columns(features)]
    target = table.column(LABEL).to_numpy()[order]
    return Dataset(np.column_stack(columns)[order], target, categories, names, outputs)


def _parts(levels: CompiledFeatures | None, frame: pl.DataFrame) -> pa.Array:
    if levels is None:
        return pa.array([[key_text(())]] * frame.height, pa.list_(pa.string()))
    known: dict[tuple[object, ...], list[str]] = {}
    parts = []
    for values in levels.columns(frame).iter_rows():
        if values not in known:
            known[values] = [key_text(key) for key in prefixes(path_of(values))]
        parts.append(known[values])
    return pa.array(parts, pa.list_(pa.string()))


def _polars(batch: pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
