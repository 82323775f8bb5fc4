"""Asks a bundle about the rows of the test period, on executors, by the scorer that will answer later on."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame

from giornata.bundle import open_bundle
from giornata.documents.record import LevelMetrics, Metrics
from giornata.evaluation.metrics import defined, metrics
from giornata.scorer import Scorer
from jobs.training_data import LABEL, ORDER, input_frame, sample

__all__ = ["MAX_TEST_ROWS", "Evaluation", "evaluate"]

# The answers to the test rows come to the driver, some 60 bytes each. Of more rows, this many are chosen by ORDER.
MAX_TEST_ROWS = 4_000_000


OwnMetrics = Callable[[np.ndarray, np.ndarray], dict[str, float]]


@dataclass(frozen=True)
class Evaluation:
    """Metrics on the test rows: of the whole model, by level, by part (with rows), of its root alone, of a constant,
    and of an earlier version where one was asked."""

    whole: Metrics
    levels: list[LevelMetrics]
    parts: dict[str, tuple[int, Metrics]]
    single: Metrics
    baseline: Metrics
    previous: Metrics | None


def evaluate(
    test: DataFrame,
    rows: int,
    bundle: bytes,
    columns: Mapping[str, str],
    constant: float,
    previous: bytes | None = None,
    own: OwnMetrics | None = None,
) -> Evaluation:
    """Evaluate a bundle on `rows` labelled test rows; `constant` is what the baseline answers to all of them.

    `previous` is the bundle of an earlier version that reads nothing but `columns`; `own` gives further metrics for
    actual and predicted values, those of a class of the project.
    """
    answers = _answers(sample(test, rows, MAX_TEST_ROWS), bundle, columns, previous)
    task = open_bundle(bundle).version.signature.task
    actual = answers["actual"].to_numpy()

    def measured(actual: np.ndarray, predicted: np.ndarray) -> Metrics:
        return defined(metrics(task, actual, predicted) | (own(actual, predicted) if own else {}))

    def of(frame: pl.DataFrame, column: str = "prediction") -> Metrics:
        return measured(frame["actual"].to_numpy(), frame[column].to_numpy())

    levels = answers.partition_by("level", as_dict=True)
    parts = answers.partition_by("part", as_dict=True)
    return Evaluation(
        whole=of(answers),
        levels=[
            LevelMetrics(level=str(level), rows=frame.height, metrics=of(frame))
            for (level,), frame in sorted(levels.items(), key=lambda item: str(item[0]))
        ],
        parts={str(part): (frame.height, of(frame)) for (part,), frame in parts.items()},
        single=of(answers, "root"),
        baseline=measured(actual, np.full(len(actual), constant)),
        previous=of(answers, "previous") if previous else None,
    )


def _answers(
    test: DataFrame, bundle: bytes, columns: Mapping[str, str], previous: bytes | None
) -> pl.DataFrame:
    sent = test.sparkSession.sparkContext.broadcast((bundle, previous))

    def answer(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        asked, earlier = sent.value
        scorer = Scorer(open_bundle(asked))
        root = scorer.unpartitioned()
        before = Scorer(open_bundle(earlier)) if earlier else root
        for batch in batches:
            frame = pl.from_arrow(batch)
            answered = scorer.columns(frame).with_columns(
                actual=frame[LABEL],
                order=frame[ORDER],
                root=root.columns(frame)["prediction"],
                previous=before.columns(frame)["prediction"],
            )
            yield from answered.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches()

    schema = "prediction double, part string, level string, actual double, order bigint, root double, previous double"
    collected = input_frame(test, columns, LABEL, ORDER).mapInArrow(answer, schema).toArrow()
    sent.destroy()
    frame = pl.from_arrow(collected)
    assert isinstance(frame, pl.DataFrame)
    # In the order of the keys, so that sums do not depend on how Spark moved the rows.
    return frame.sort("order", maintain_order=True)
