"""Predicts from a bundle: features, choice of the part, model. The same for one row and for columns.

This is the only way in which Giornata predicts: in evaluation, in batch, online and as a library. Importing it loads
neither Polars nor XGBoost; they come with the first columns and the first model.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from dsl import CompiledFeatures, Inputs, StoreInput
from giornata.bundle import Bundle, SelfTestRow, told
from giornata.dataset import Matrix, Predictions
from giornata.errors import BundleError, DataError
from giornata.models import model_type
from giornata.names import store_column
from giornata.partitions import PartIndex
from giornata.records.model_version import ModelSignature, ModelVersion
from giornata.tasks import TASKS

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Prediction",
    "Scorer",
    "input_columns",
    "inputs_of",
    "matrix_of_columns",
    "matrix_of_rows",
    "with_self_test",
]

_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A prediction, and which part of the model, on which level of the partition tree, gave it.

    `value` is a number, or the likeliest class; `outputs` are all numbers of a prediction that has several, by name.
    """

    value: float | str
    part: str
    level: str
    outputs: Mapping[str, float] | None = None


class Scorer:
    """Predicts with the model of a bundle. Immutable; several threads may use it at once.

    For instance:

        >>> from pathlib import Path
        >>> from giornata.bundle import open_bundle
        >>> scorer = Scorer(open_bundle(Path("trips.zip")))
        >>> scorer.check_self_test()  # the answers on this machine are those of the training
        >>> scorer.inputs["distance"], scorer.inputs["origin_weather__wind_speed"]
        ('float', 'float')
        >>> [answer] = scorer.rows([{**dict.fromkeys(scorer.inputs), "distance": 187.0, "city": "Boston"}])
        >>> answer.part
        'all'
    """

    def __init__(self, bundle: Bundle):
        """Prepare the features and the models of `bundle`. Raises BundleError if its parts cannot be read."""
        self._bundle = bundle
        with _told("its features cannot be read"):
            self._features = CompiledFeatures.from_json(dict(bundle.features))
            self._partition = CompiledFeatures.from_json(dict(bundle.partition)) if bundle.partition else None
        self._index = PartIndex([part.key for part in bundle.parts])
        fitted = model_type(bundle.version.configuration.type).fitted
        self._models = []
        for part in bundle.parts:
            with _told(f"the model of part {part.name} cannot be read"):
                self._models.append(fitted.from_files(part.files))
        self._names = [part.name for part in bundle.parts]
        self._levels = [part.level for part in bundle.parts]
        self._outputs = tuple(bundle.version.signature.outputs)

    @property
    def version(self) -> ModelVersion:
        """The record of the version, without its reports."""
        return self._bundle.version

    @property
    def signature(self) -> ModelSignature:
        """The inputs that a row must have."""
        return self.version.signature

    @property
    def inputs(self) -> dict[str, str]:
        """Name and type of every input column: those of the row, and `use__feature` of the feature store."""
        return input_columns(self.signature)

    def rows(self, rows: Sequence[Mapping[str, object]]) -> list[Prediction]:
        """One prediction per row. A row maps each of `inputs` to its value, missing ones to None; other keys are
        ignored."""
        matrix = matrix_of_rows([self._features.row(row) for row in rows])
        if self._partition is None:
            positions = [0] * len(rows)
        else:
            positions = [self._index.find(self._partition.row(row)) for row in rows]
        answers = self._predict(matrix, positions)
        values = TASKS[self.signature.task].predictions(self._outputs, answers).tolist()
        outputs = self._named(answers) if self._outputs else itertools.repeat(None)
        return [
            Prediction(value, self._names[position], self._levels[position], numbers)
            for value, position, numbers in zip(values, positions, outputs, strict=False)
        ]

    def columns(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        """`prediction` (float, or str for a class), `part` and `level` (str) for each row of a frame that holds the
        columns `inputs`; also `outputs` (JSON of all numbers by name) if a prediction has several."""
        import polars as pl

        answers, positions = self.answers(frame)
        values = TASKS[self.signature.task].predictions(self._outputs, answers)
        named = [orjson.dumps(numbers).decode() for numbers in self._named(answers)] if self._outputs else []
        return pl.DataFrame(
            {
                "prediction": pl.Series(
                    values, dtype=pl.String if TASKS[self.signature.task].label == "class" else pl.Float64
                ),
                **({"outputs": pl.Series(named, dtype=pl.String)} if self._outputs else {}),
                "part": pl.Series([self._names[position] for position in positions], dtype=pl.String),
                "level": pl.Series([self._levels[position] for position in positions], dtype=pl.String),
            }
        )

    def answers(self, frame: "pl.DataFrame") -> tuple[Predictions, list[int]]:
        """The predictions for the rows of a frame as in `columns`, one array row each (a number each if there is only
        one), and the positions of the bundle's parts that gave them."""
        positions = self._positions(frame)
        return self._predict(matrix_of_columns(self._features.columns(frame)), positions), positions

    def unpartitioned(self) -> "Scorer":
        """The same version predicting everything by its root."""
        return Scorer(
            dataclasses.replace(self._bundle, partition=None, parts=self._bundle.parts[:1], self_test=())
        )

    def check_self_test(self) -> None:
        """Predict for the self-test rows of the bundle. Raises BundleError if a prediction differs in any bit."""
        with _told("its self-test fails"):
            rows = [_typed(row.inputs, self.inputs) for row in self._bundle.self_test]
            answers = self.rows(rows)
        for number, (row, answer) in enumerate(zip(self._bundle.self_test, answers, strict=True)):
            expected = Prediction(row.prediction, row.part, row.level, row.outputs)
            if answer != expected:
                raise BundleError(
                    f"version {self.version.uuid} of {self.version.model} answers {answer} to row {number} of its "
                    f"self-test, and {expected} when it was trained: it must not be used on this machine"
                )

    def check_parts(self) -> None:
        """Predict with each part for a row without values. Raises BundleError if that fails or is not a valid
        prediction.

        It takes as long as reading the parts does, and is meant for the first time that a bundle is opened on a
        machine.
        """
        nothing = np.full((1, len(self._features.trees)), np.nan, np.float32)
        shape = (1, len(self._outputs)) if self._outputs else (1,)
        for part, model in zip(self._bundle.parts, self._models, strict=True):
            with _told(f"the model of part {part.name} cannot be asked"):
                answer = model.predict(nothing)
                TASKS[self.signature.task].predictions(self._outputs, answer)
            if answer.shape != shape or not np.isfinite(answer).all():
                raise BundleError(
                    f"the model of part {part.name} answers {answer.tolist()} to a row without values"
                )

    def _positions(self, frame: "pl.DataFrame") -> list[int]:
        if self._partition is None:
            return [0] * frame.height
        known: dict[tuple[object, ...], int] = {}
        positions = []
        for values in self._partition.columns(frame).iter_rows():
            position = known.get(values)
            if position is None:
                position = known[values] = self._index.find(values)
            positions.append(position)
        return positions

    def _named(self, answers: Predictions) -> list[dict[str, float]]:
        return [dict(zip(self._outputs, numbers, strict=True)) for numbers in answers.tolist()]

    def _predict(self, matrix: Matrix, positions: Sequence[int]) -> Predictions:
        width = (len(self._outputs),) if self._outputs else ()
        values = np.empty((len(positions), *width), np.float64)
        chosen = np.asarray(positions)
        for position in set(positions):
            rows = np.flatnonzero(chosen == position)
            values[rows] = self._models[position].predict(matrix[rows])
        return values


def input_columns(signature: ModelSignature) -> dict[str, str]:
    """Name and type of every column that a version with this signature reads, feature-store columns included."""
    columns: dict[str, str] = {name: column.type for name, column in signature.inputs.items()}
    for use, store in signature.store.items():
        columns |= {store_column(use, feature): type_ for feature, type_ in store.features.items()}
    return columns


def inputs_of(signature: ModelSignature) -> Inputs:
    """The inputs of a version with this signature, in the form in which the feature stores take them."""
    return Inputs(
        row={name: column.type for name, column in signature.inputs.items()},
        store={
            use: StoreInput(store.group, store.keys, store.features) for use, store in signature.store.items()
        },
    )


def matrix_of_rows(rows: Sequence[Sequence[object]]) -> Matrix:
    """The matrix of final features given as Python values: None is NaN, False and True are 0 and 1."""
    return _to_float32(np.array(rows, np.float64, ndmin=2))


def matrix_of_columns(frame: "pl.DataFrame") -> Matrix:
    """The matrix of final features given as columns: the same numbers as `matrix_of_rows` gives for their values.

    Raises DataError if a feature is neither a number nor a bool.
    """
    import polars as pl

    for name, type_ in frame.schema.items():
        if not (type_.is_numeric() or type_ == pl.Boolean):
            raise DataError(
                f"feature {name} is of type {type_}: a model takes numbers; use vocabulary(…) on text"
            )
    return _to_float32(frame.select(pl.all().cast(pl.Float64)).to_numpy(order="c"))


def with_self_test(bundle: Bundle, rows: Iterable[Mapping[str, object]]) -> Bundle:
    """`bundle` with these rows and the predictions for them, for servers to compare with their own."""
    scorer = Scorer(bundle)
    inputs = [{name: _plain(row[name]) for name in scorer.inputs} for row in rows]
    answers = scorer.rows([_typed(row, scorer.inputs) for row in inputs])
    self_test = [
        SelfTestRow(row, answer.value, answer.part, answer.level, answer.outputs)
        for row, answer in zip(inputs, answers, strict=True)
    ]
    return dataclasses.replace(bundle, self_test=tuple(self_test))


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Raise any error that a bundle's content causes in the block as a BundleError that says what failed."""
    try:
        yield
    except (BundleError, OSError, MemoryError):
        raise  # it is said already, or no fault of the bundle's
    except Exception as error:
        raise BundleError(f"{what}: {told(error)}") from error


def _to_float32(matrix: np.ndarray) -> Matrix:
    # Through double first, as both paths do; what float32 cannot hold, infinity included, is missing, because
    # XGBoost refuses infinity when it learns.
    return np.where(np.abs(matrix) <= _FLOAT32_MAX, matrix, np.nan).astype(np.float32)


def _plain(value: object) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _typed(row: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, object]:
    return {name: _moments(value) if "timestamp" in types[name] else value for name, value in row.items()}


def _moments(value: Any) -> Any:
    if isinstance(value, list):
        return [_moments(item) for item in value]
    return None if value is None else datetime.fromisoformat(value)
