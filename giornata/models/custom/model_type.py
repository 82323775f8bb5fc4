"""Model types of a project's own: a class with its own training, answers and files, behind the interface of the others.

The class's source is part of the files of each model, with its hash, so that batch, server and library run exactly
what was trained, without the project's folder. It is held to its contract when it is fitted, so that a class that
breaks it gives no model.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from giornata.dataset import Dataset, Matrix, Vector
from giornata.documents.custom_code import CustomCode
from giornata.documents.model import TYPES, Dimension, Scalar
from giornata.errors import BundleError, GiornataError
from giornata.models.base import (
    Callback,
    EvaluationError,
    FitError,
    ParameterError,
    Parameters,
    PredictionError,
)
from giornata.models.custom.loading import load_class, told_as
from giornata.models.label_checks import check_labels
from giornata.tasks import TASKS

__all__ = ["Custom", "CustomModel", "CustomType", "Setting"]

_FACTS = "custom.json"
_FILE = re.compile(r"[a-z][a-z0-9_]{0,30}\.(ubj|json|npy|npz|safetensors)", re.ASCII)  # as bundles name files
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_TRIED_ROWS = 100
_TRIED_ALONE = 10


@dataclass(frozen=True)
class Setting:
    """How a class is asked to learn: the task (regression or binary), the document's parameters, the seed of all that
    is drawn at random, the threads it may use, and rows that are held out, where there are any."""

    task: str
    parameters: Parameters
    seed: int
    threads: int = 1
    validation: Dataset | None = None


class CustomModel(Protocol):
    """What a class in `models/<module>.py` of a project must have: it is made without arguments, then fitted or loaded.

    It may have more: `check(parameters)`, a static method that raises ValueError, in words, for parameters that it
    does not take; `evaluate(actual, predicted)`, a static method that gives metrics of its own by name, for two
    vectors; `importance()`, by the feature's name; `size()`, how large it is, in terms of its own.
    """

    def fit(self, examples: Dataset, setting: Setting) -> None:
        """Learn. The same examples and setting must give the same model; rows may be few, and of one label."""
        ...

    def predict(self, matrix: Matrix) -> Vector:
        """One answer for each row: a value, or the probability of true; always finite, also where all is missing.

        A row's answer must not depend on the rows beside it, and several threads may ask at once. The matrix cannot
        be written to.
        """
        ...

    def save(self) -> Mapping[str, bytes]:
        """What was learned, as files: their names end in .json, .npy, .npz, .safetensors or .ubj. No pickle."""
        ...

    def load(self, files: Mapping[str, bytes]) -> None:
        """Become the model that `save` gave these files of: it must answer the same, to the last bit."""
        ...


class Custom:
    """A fitted model of a class of a project."""

    def __init__(
        self,
        code: CustomCode,
        task: str,
        features: int,
        files: Mapping[str, bytes],
        shares: Mapping[int, float],
        kind: type[GiornataError],
    ):
        """Make an object of the class and let it load its files. Raises `kind` when that fails."""
        self._code, self._task, self._features = code, task, features
        self._files, self._shares = dict(files), dict(shares)
        made = load_class(code, kind)
        with told_as(kind, code, "does not load its files"):
            self._model: CustomModel = made()
            self._model.load(dict(files))

    @property
    def rounds(self) -> int:
        return 1

    def predict(self, matrix: Matrix) -> Vector:
        return _answers(self._model, self._code, self._task, matrix)

    def to_files(self) -> dict[str, bytes]:
        facts = {
            "class": self._code.class_name,
            "file": self._code.file,
            "sha256": self._code.version,
            "source": self._code.source,
            "task": self._task,
            "features": self._features,
            "importance": {str(column): share for column, share in self._shares.items()},
        }
        return {_FACTS: json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode(), **self._files}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        if _FACTS not in files:
            raise BundleError(
                f"a model of type custom is kept in {_FACTS} and files of its own, not in "
                f"{', '.join(files) or 'no file'}"
            )
        try:
            facts = json.loads(files[_FACTS])
            code = CustomCode(facts["class"], facts["file"], facts["source"])
            if code.version != facts["sha256"]:
                raise BundleError(
                    f"{_FACTS} is damaged: the source of {code.file} is not of the hash it states"
                )
            shares = {int(column): float(share) for column, share in facts["importance"].items()}
            task, features = str(facts["task"]), int(facts["features"])
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OverflowError,
            RecursionError,
        ) as error:
            raise BundleError(f"{_FACTS} holds no class of a project: {error}") from error
        own = {name: content for name, content in files.items() if name != _FACTS}
        return cls(code, task, features, own, shares, BundleError)

    def importance(self) -> dict[int, float]:
        return dict(self._shares)

    def size(self) -> dict[str, int]:
        own = getattr(self._model, "size", None)
        if own is None:
            return {"bytes": sum(map(len, self._files.values()))}
        with told_as(FitError, self._code, "does not tell its size"):
            return {str(name): int(value) for name, value in own().items()}


@dataclass(frozen=True)
class CustomType:
    """The type `custom` with the class of one model; without `code` it reads models, and fits none."""

    code: CustomCode | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        return TYPES["custom"]

    @property
    def fitted(self) -> type[Custom]:
        return Custom

    def check(self, parameters: Parameters, space: Mapping[str, Dimension]) -> None:
        code = self._own(ParameterError)
        made = load_class(code, ParameterError)
        own = getattr(made, "check", None)
        if own is None:
            return
        _check(own, code, parameters)
        for name, dimension in space.items():
            for value in dimension.choice or dimension.integers or dimension.floats or ():
                _check(own, code, {**parameters, name: value})

    def default_space(self) -> dict[str, Dimension]:
        return {}

    def with_rounds(self, parameters: Parameters, rounds: int) -> dict[str, Scalar]:
        return dict(parameters)

    def fit(
        self,
        examples: Dataset,
        task: str,
        parameters: Parameters,
        seed: int,
        threads: int = 1,
        validation: Dataset | None = None,
        watch: Callback | None = None,
    ) -> Custom:
        self.check(parameters, {})
        code = self._own(FitError)
        check_labels(examples, task)
        made = load_class(code, FitError)
        held_out = _read_only(validation) if validation is not None else None
        setting = Setting(task, dict(parameters), seed, threads, held_out)
        with told_as(FitError, code, "cannot be fitted"):
            model = made()
            model.fit(_read_only(examples), setting)
        with told_as(FitError, code, "cannot be saved"):
            files = model.save()
        _check_files(files, code)
        shares = _shares(model, code, examples)
        fitted = Custom(code, task, examples.matrix.shape[1], files, shares, FitError)
        self._try(model, fitted, examples, task)
        return fitted

    def evaluate(self, actual: Vector, predicted: Vector) -> dict[str, float]:
        """The class's own metrics of these answers, none where it has none.

        Raises EvaluationError where it fails, and FitError for what is no metric of its own.
        """
        code = self._own(FitError)
        own = getattr(load_class(code, FitError), "evaluate", None)
        if own is None:
            return {}
        with told_as(EvaluationError, code, "cannot evaluate"):
            found = {name: float(value) for name, value in own(actual, predicted).items()}
        for name in found:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise FitError(f"class {code.class_name} evaluates {name!r}: a metric's name is like_this")
            if any(name in task.metrics for task in TASKS.values()):
                raise FitError(
                    f"class {code.class_name} evaluates {name}, which is a metric of Giornata's own"
                )
        return found

    def _own(self, kind: type[GiornataError]) -> CustomCode:
        if self.code is None:
            raise kind("a model of type custom needs its class: write class: module.Class in its document")
        return self.code

    def _try(self, model: CustomModel, fitted: Custom, examples: Dataset, task: str) -> None:
        """Hold the model to its contract on some training rows, and one that has nothing. Raises FitError."""
        code = self._own(FitError)
        nothing = np.full((1, examples.matrix.shape[1]), np.nan, np.float32)
        rows = np.concatenate([examples.matrix[:_TRIED_ROWS], nothing])
        try:
            answers = fitted.predict(rows)
            if _answers(model, code, task, rows).tolist() != answers.tolist():
                raise FitError(
                    f"class {code.class_name} of {code.file} answers differently once saved and loaded"
                )
            places = [*range(min(_TRIED_ALONE, len(rows) - 1)), len(rows) - 1]
            for place in places:
                (alone,) = fitted.predict(rows[place : place + 1])
                if alone != answers[place]:
                    raise FitError(
                        f"class {code.class_name} of {code.file} answers {float(alone)!r} to a row alone, and "
                        f"{float(answers[place])!r} to it among others: an answer must not depend on other rows"
                    )
        except PredictionError as error:
            raise FitError(str(error)) from error
        learned = len(rows) - 1
        try:
            self.evaluate(np.asarray(examples.target[:learned], np.float64), answers[:learned])
        except EvaluationError as error:
            # Of so few rows, which may be of one class, there may be nothing to say; broken code is another matter.
            if not isinstance(error.__cause__, ArithmeticError | ValueError | LookupError):
                raise


def _answers(model: CustomModel, code: CustomCode, task: str, matrix: Matrix) -> Vector:
    """What the class answers, if it may be an answer. Raises PredictionError."""
    with told_as(PredictionError, code, "fails to answer"):
        answers = np.array(model.predict(_frozen(matrix)), np.float64)
    if answers.shape != (len(matrix),):
        raise _no_answer(code, f"answers of shape {answers.shape} to {len(matrix)} rows")
    wrong = ~np.isfinite(answers)
    if task == "binary":
        wrong |= (answers < 0) | (answers > 1)
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        row = ", ".join(f"{value:g}" for value in matrix[place].tolist())
        wanted = "a probability" if task == "binary" else "a number"
        raise _no_answer(code, f"answers {answers[place]:g} to the row ({row}): it must be {wanted}")
    return answers


def _no_answer(code: CustomCode, what: str) -> PredictionError:
    return PredictionError(f"class {code.class_name} of {code.file} {what}")


def _check(own: Any, code: CustomCode, parameters: Parameters) -> None:
    with _in_its_words(code), told_as(ParameterError, code, "cannot check its parameters"):
        own(dict(parameters))


@contextmanager
def _in_its_words(code: CustomCode) -> Iterator[None]:
    """A ValueError of `check` is what people are to be told; where it stands in the file is not."""
    try:
        yield
    except ParameterError as error:
        if isinstance(error.__cause__, ValueError):
            raise ParameterError(f"class {code.class_name}: {error.__cause__}") from error
        raise


def _check_files(files: object, code: CustomCode) -> None:
    whose = f"save of class {code.class_name} of {code.file}"
    if not isinstance(files, Mapping):
        raise FitError(f"{whose} returns {type(files).__name__}, not files by name")
    for name, content in files.items():
        if not isinstance(name, str) or not _FILE.fullmatch(name) or name == _FACTS:
            raise FitError(
                f"{whose} calls a file {name!r}: write lower-case words joined by _, and end in .json, .npy, .npz, "
                f".safetensors or .ubj"
            )
        if not isinstance(content, bytes):
            raise FitError(f"{whose} gives {type(content).__name__} for {name}, not bytes")


def _shares(model: object, code: CustomCode, examples: Dataset) -> dict[int, float]:
    own = getattr(model, "importance", None)
    if own is None:
        return {}
    with told_as(FitError, code, "does not tell the importance of features"):
        weights = {name: float(weight) for name, weight in own().items()}
    names = {name: column for column, name in enumerate(examples.names)}
    for name, weight in weights.items():
        if name not in names or not (weight >= 0 and math.isfinite(weight)):
            raise FitError(f"class {code.class_name} says that the importance of {name!r} is {weight:g}")
    total = sum(weights.values())
    return {names[name]: weight / total for name, weight in weights.items()} if total > 0 else {}


def _read_only(examples: Dataset) -> Dataset:
    return Dataset(
        _frozen(examples.matrix), _frozen(examples.target), dict(examples.categories), tuple(examples.names)
    )


def _frozen(array: Any) -> Any:
    view = array.view()
    view.flags.writeable = False
    return view
