"""Evaluates a bundle on the rows of the test period, on executors, by the scorer that will also predict later."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame

from giornata.bundle import open_bundle
from giornata.models.base import EvaluationError
from giornata.records.model_version import ComparedMetrics, Metrics
from giornata.scorer import Scorer
from giornata.tasks import TASKS
from giornata.tasks.metrics import defined
from jobs.hive.schema import input_frame
from jobs.training.dataset import LABEL, ORDER, sample

__all__ = ["MAX_TEST_BYTES", "Evaluation", "Measured", "evaluate"]

# The answers to the test rows come to the driver, and take so many bytes there at most: with one number to an answer
# those to two million rows. Of more rows, as many are chosen by ORDER.
MAX_TEST_BYTES = 2**27
_NUMBER = 8  # bytes


OwnMetrics = Callable[[np.ndarray, np.ndarray], dict[str, float]]


@dataclass(frozen=True)
class Measured:
    """Metrics of the model on some test rows, and of others on the same rows: its root, a baseline, and the earlier
    version if it is comparable."""

    rows: int
    metrics: Metrics
    beside: ComparedMetrics


@dataclass(frozen=True)
class Evaluation:
    """Metrics on the test rows: on all of them, by level and by part."""

    whole: Measured
    levels: dict[str, Measured]
    parts: dict[str, Measured]


def evaluate(
    test: DataFrame,
    rows: int,
    bundle: bytes,
    columns: Mapping[str, str],
    baseline: Sequence[float] | bytes,
    previous: bytes | None = None,
    own: OwnMetrics | None = None,
) -> Evaluation:
    """Evaluate a bundle on `rows` labelled test rows. The baseline is a bundle, or a constant prediction.

    `previous` is the bundle of an earlier version that reads nothing but `columns` and has the same outputs; `own`
    computes further metrics from actual and predicted values, for a class of the project.
    """
    others = {"previous": previous, "baseline": baseline if isinstance(baseline, bytes) else None}
    opened = open_bundle(bundle)
    asked = opened.version.signature
    answers = _answers(sample(test, rows, _most_rows(len(asked.outputs))), bundle, columns, others)
    if not isinstance(baseline, bytes):
        answers = _constant(answers, baseline)

    def of(frame: pl.DataFrame, column: str, whole: bool) -> Metrics:
        if column not in frame.columns:
            return {}
        actual, given = frame["actual"].to_numpy(), frame[column].to_numpy()
        given = given if asked.outputs else given[:, 0]
        found = TASKS[asked.task].measure(actual, given, asked.outputs)
        return defined(found | (_own_metrics(own, actual, given, whole) if own else {}))

    def measured(frame: pl.DataFrame, whole: bool = False) -> Measured:
        beside = ComparedMetrics(
            single_model=of(frame, "root", whole),
            baseline=of(frame, "baseline", whole),
            previous=of(frame, "previous", whole),
        )
        return Measured(frame.height, of(frame, "answer", whole), beside)

    levels: dict[str, list[int]] = {}
    for place, part in enumerate(opened.parts):
        levels.setdefault(part.level, []).append(place)
    by_level = {level: answers.filter(pl.col("place").is_in(places)) for level, places in levels.items()}
    by_place = answers.partition_by("place", as_dict=True)
    return Evaluation(
        whole=measured(answers, whole=True),
        levels={level: measured(frame) for level, frame in sorted(by_level.items()) if not frame.is_empty()},
        parts={opened.parts[place].name: measured(frame) for (place,), frame in by_place.items()},
    )


def _most_rows(outputs: int) -> int:
    """The number of rows for MAX_TEST_BYTES: each has its label, its position, and four predictions."""
    return MAX_TEST_BYTES // (2 * _NUMBER + 4 * max(outputs, 1) * _NUMBER)


def _own_metrics(own: OwnMetrics, actual: np.ndarray, given: np.ndarray, whole: bool) -> dict[str, float]:
    """The own metrics of a project's class. For some of the test rows it may fail, such as for a single row or class,
    and has none there; for all test rows its error is raised."""
    try:
        return own(actual, given)
    except EvaluationError:
        if whole:
            raise
        return {}


def _answers(
    test: DataFrame, bundle: bytes, columns: Mapping[str, str], others: Mapping[str, bytes | None]
) -> pl.DataFrame:
    """For each row `actual`, the `place` in the bundle of the part that predicts, and the predicted numbers of the
    model (`answer`), its `root` and the `others`, in arrays of fixed width."""
    further = {name: other for name, other in others.items() if other is not None}
    sent = test.sparkSession.sparkContext.broadcast((bundle, further))

    def answer(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        asked, further = sent.value
        scorer = Scorer(open_bundle(asked))
        asking = {"root": scorer.unpartitioned()}
        asking |= {name: Scorer(open_bundle(other)) for name, other in further.items()}
        for batch in batches:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            numbers, places = scorer.answers(frame)
            answered = {"answer": numbers} | {name: other.answers(frame)[0] for name, other in asking.items()}
            yield pa.RecordBatch.from_pydict(
                {
                    "actual": frame[LABEL].to_arrow(),
                    "order": frame[ORDER].to_arrow(),
                    "place": pa.array(places, pa.int32()),
                    **{name: _lists(numbers) for name, numbers in answered.items()},
                }
            )

    answers = ", ".join(f"{name} array<double>" for name in ("answer", "root", *further))
    schema = f"actual double, order bigint, place int, {answers}"
    collected = input_frame(test, columns, LABEL, ORDER).mapInArrow(answer, schema).toArrow()
    sent.destroy()
    frame = pl.from_arrow(collected)
    assert isinstance(frame, pl.DataFrame)
    width = max(len(open_bundle(bundle).version.signature.outputs), 1)
    fixed = pl.col(*("answer", "root", *further)).list.to_array(width)
    # In the order of the keys, so that sums do not depend on how Spark moved the rows.
    return frame.with_columns(fixed).sort("order", maintain_order=True).drop("order")


def _lists(answers: np.ndarray) -> pa.Array:
    """Predictions as a column of lists of numbers."""
    width = answers.shape[1] if answers.ndim == 2 else 1
    offsets = np.arange(0, (len(answers) + 1) * width, width, dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(answers).reshape(-1))


def _constant(answers: pl.DataFrame, numbers: Sequence[float]) -> pl.DataFrame:
    """`answers` with the same numbers for every row as `baseline`."""
    constant = np.tile(np.asarray(numbers, np.float64), (answers.height, 1))
    return answers.with_columns(baseline=pl.Series(constant, dtype=pl.Array(pl.Float64, len(numbers))))
