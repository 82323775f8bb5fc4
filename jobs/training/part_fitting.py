"""Fits the parts of a partitioned model on executors, all at once, and sums the losses of candidates on validation
rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.accumulators import Accumulator
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.errors import DataError
from giornata.models import ModelType
from giornata.models.base import FitError, FittedModel
from giornata.partitions import CandidateLosses, Key, PartRows, key_text, parse_key
from giornata.schema import Scalar
from giornata.tasks import TASKS
from jobs.runtime.live_counter import counting
from jobs.runtime.reused_worker import keep_libraries
from jobs.training.dataset import LABEL, ORDER, PARTS, WINDOW, examples, matrix_columns, sample
from jobs.training.distributed import learner_of
from jobs.training.part_shuffle import Candidate, packed_rows, path_column, tasks_of, unpacked_rows

__all__ = [
    "MAX_PATHS",
    "SAMPLE",
    "SAMPLE_BYTES",
    "Candidate",
    "FitConfig",
    "FittedPart",
    "fit_parts",
    "fit_together",
    "path_rows",
    "validation_losses",
]

SAMPLE = 100_000
"""Rows of a part that come to the driver if all executors fit it together; fewer if they would take more than
SAMPLE_BYTES there."""

SAMPLE_BYTES = 2**29

MAX_PATHS = 20_000
"""Most paths of values of a partition's levels: each is counted on the driver and has an entry in the record."""

_FITTED = "part string, number int, file string, content binary, problem string"
_SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("number", pa.int32()),
        ("file", pa.string()),
        ("content", pa.binary()),
        ("problem", pa.string()),
    ]
)


@dataclass(frozen=True)
class FitConfig:
    """How each part is fitted: the model type, its task, the parameter sets to choose from, the number of features,
    which of them are codes, their names and those of outputs (see `Dataset`)."""

    type: ModelType
    task: str
    parameter_sets: Sequence[Mapping[str, Scalar]]
    seed: int
    features: int
    categories: Mapping[int, int]
    names: Sequence[str] = ()
    outputs: Sequence[str] = ()


@dataclass(frozen=True)
class FittedPart:
    """The files of a part's model, or the reason why it could not be fitted."""

    files: Mapping[str, bytes]
    problem: str = ""


def path_rows(matrix: DataFrame) -> dict[Key, PartRows]:
    """Training and validation rows of each full path in a frame of `matrix_frame`.

    Raises DataError for more than MAX_PATHS.
    """
    counts = matrix.where(F.col(WINDOW) != "test").groupBy(path_column("path"), WINDOW).count()
    # Each has a row for either window.
    found = counts.limit(2 * MAX_PATHS + 1).collect()
    paths = {row["path"] for row in found}
    if len(paths) > MAX_PATHS:
        few = ", ".join(key_text(parse_key(path)) for path in sorted(paths)[:3])
        raise DataError(
            f"the partition divides the rows into more than {MAX_PATHS:,} paths, such as {few}: a level is by few "
            "values, such as cities; leave out the finest, or take a coarser one"
        )
    rows: dict[Key, PartRows] = {}
    for row in found:
        key = parse_key(row["path"])
        counted = PartRows(**{row[WINDOW]: row["count"]})
        rows[key] = rows.get(key, PartRows()) + counted
    return rows


def fit_parts(
    matrix: DataFrame,
    candidates: Mapping[Candidate, int],
    used: Sequence[str],
    config: FitConfig,
    tasks: int,
    tell: Callable[[int], None] = lambda fitted: None,
) -> dict[Candidate, FittedPart]:
    """Fit each candidate to the rows of its part in the windows `used`, in at most `tasks` Spark tasks.

    `candidates` gives the approximate number of rows of each. The rows of one part must fit into the memory of an
    executor. Returns the models' files. Meanwhile `tell` is called now and then with the number of fitted candidates.
    """
    with counting(matrix.sparkSession, tell) as count:
        return _fit_parts(matrix, candidates, used, config, tasks, count)


def _fit_parts(
    matrix: DataFrame,
    candidates: Mapping[Candidate, int],
    used: Sequence[str],
    config: FitConfig,
    tasks: int,
    count: "Accumulator[int]",
) -> dict[Candidate, FittedPart]:
    def fit(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part, number, rows in unpacked_rows(batches):
            learned = examples(rows, config.features, config.categories, config.names, config.outputs)
            count.add(1)
            try:
                fitted = config.type.fit(learned, config.task, config.parameter_sets[number], config.seed)
            except FitError as error:
                yield _fitted(part, number, {"": b""}, str(error))
                continue
            yield _fitted(part, number, fitted.to_files())
        keep_libraries()

    rows = packed_rows(
        matrix.where(F.col(WINDOW).isin(*used)), tasks_of(candidates, tasks), matrix_columns(config.features)
    )
    collected = rows.mapInArrow(fit, _FITTED).toArrow().to_pylist()
    files: dict[Candidate, dict[str, bytes]] = {}
    problems: dict[Candidate, str] = {}
    for row in collected:
        candidate = parse_key(row["part"]), row["number"]
        if row["problem"]:
            problems[candidate] = row["problem"]
        else:
            files.setdefault(candidate, {})[row["file"]] = row["content"]
    return {
        candidate: FittedPart(files.get(candidate, {}), problems.get(candidate, ""))
        for candidate in candidates
    }


def fit_together(
    matrix: DataFrame, key: Key, number: int, used: Sequence[str], config: FitConfig, workers: int
) -> FittedPart:
    """Fit one model for a part with a parameter set, by several workers together.

    A sample of about SAMPLE of its rows comes to the driver.
    """
    learner = learner_of(config.type)
    assert learner, "the type of the model has a learner for all executors"
    bound = min(SAMPLE, SAMPLE_BYTES // max(config.type.bytes_of_row(config.features, config.categories), 1))
    rows = matrix.where(F.col(WINDOW).isin(*used) & F.array_contains(PARTS, key_text(key)))
    rows = rows.select(*matrix_columns(config.features), LABEL, ORDER)
    drawn = examples(
        sample(rows, rows.count(), bound).toArrow(),
        config.features,
        config.categories,
        config.names,
        config.outputs,
    )
    try:
        return FittedPart(
            learner.fit(
                rows, drawn, config.task, config.parameter_sets[number], config.seed, workers
            ).to_files()
        )
    except FitError as error:
        return FittedPart({}, str(error))


def validation_losses(
    matrix: DataFrame, fitted: Mapping[Candidate, Mapping[str, bytes]], config: FitConfig
) -> dict[Key, CandidateLosses]:
    """For each full path of the validation rows: their number, and the summed loss of each candidate they lie in."""
    models = matrix.sparkSession.sparkContext.broadcast(
        [(key_text(key), len(key), number, dict(files)) for (key, number), files in fitted.items()]
    )

    def judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        read = config.type.fitted.from_files
        loaded: dict[str, list[tuple[int, int, FittedModel]]] = {}
        for part, depth, number, files in models.value:
            loaded.setdefault(part, []).append((depth, number, read(files)))
        for batch in batches:
            table = pa.Table.from_batches([batch])
            parts = np.array(table.column("path").to_pylist(), dtype=object)
            features, actual = _arrays(table, config.features)
            sums: list[tuple[str, int, int, int, float]] = []
            for path in sorted(set(parts)):
                inside = np.flatnonzero(parts == path)
                for part in _prefix_texts(path):
                    for depth, number, model in loaded.get(part, ()):
                        answers = model.predict(features[inside])
                        loss = TASKS[config.task].losses(actual[inside], answers, config.outputs)
                        sums.append((path, depth, number, len(inside), float(loss.sum())))
            yield pa.RecordBatch.from_pydict(
                {
                    "path": pa.array([row[0] for row in sums], pa.string()),
                    "depth": pa.array([row[1] for row in sums], pa.int32()),
                    "number": pa.array([row[2] for row in sums], pa.int32()),
                    "count": pa.array([row[3] for row in sums], pa.int64()),
                    "loss": pa.array([row[4] for row in sums], pa.float64()),
                }
            )

    collected = (
        matrix.where(F.col(WINDOW) == "validation")
        .select(*matrix_columns(config.features), LABEL, path_column("path"))
        .mapInArrow(judge, "path string, depth int, number int, count bigint, loss double")
        .groupBy("path", "depth", "number")
        .agg(F.sum("count").alias("rows"), F.sum("loss").alias("loss"))
        .collect()
    )
    models.destroy()
    rows: dict[Key, int] = {}
    sums: dict[Key, dict[tuple[int, int], float]] = {}
    for row in collected:
        key = parse_key(row["path"])
        rows[key] = row["rows"]
        sums.setdefault(key, {})[row["depth"], row["number"]] = row["loss"]
    return {key: CandidateLosses(rows[key], sums[key]) for key in rows}


def _prefix_texts(path: str) -> list[str]:
    key = parse_key(path)
    return [key_text(key[:depth]) for depth in range(len(key) + 1)]


def _arrays(table: pa.Table, features: int) -> tuple[np.ndarray, np.ndarray]:
    columns = [table.column(name).to_numpy() for name in matrix_columns(features)]
    return np.column_stack(columns), table.column(LABEL).to_numpy()


def _fitted(part: str, number: int, files: Mapping[str, bytes], problem: str = "") -> pa.RecordBatch:
    count = len(files)
    values = [[part] * count, [number] * count, [*files], [*files.values()], [problem] * count]
    return pa.RecordBatch.from_pydict(dict(zip(_SCHEMA.names, values, strict=True)), _SCHEMA)
