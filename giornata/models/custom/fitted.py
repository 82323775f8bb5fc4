"""Models of a project's own class, with its own training, predictions and files, behind the common interface.

The class's source is part of the files of each model, with its hash, so that batch, server and library run exactly what
was trained, without the project's folder. Its contract is checked when it is fitted, so that a class that breaks it
gives no model.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from giornata.dataset import Dataset, Matrix, Vector
from giornata.errors import BundleError, GiornataError
from giornata.models.base import (
    EvaluationError,
    FitError,
    FitRequest,
    FittedModel,
    Parameters,
    PredictionError,
)
from giornata.models.custom.code import CustomCode
from giornata.models.custom.loading import load_class, told_as
from giornata.models.files import MALFORMED

__all__ = ["Custom", "CustomModel", "Setting", "fit"]

_FACTS = "custom.json"
_FILE = re.compile(r"[a-z][a-z0-9_]{0,30}\.(ubj|json|npy|npz|safetensors)", re.ASCII)  # as bundles name files
_TRIED_ROWS = 100
_TRIED_ALONE = 10

Evaluate = Callable[[Vector, Vector], dict[str, float]]
"""A function of actual and predicted values."""


@dataclass(frozen=True)
class Setting:
    """The input of a fit besides the rows: the task (regression or binary), the document's parameters, the random seed,
    the number of threads, and validation rows, if any."""

    task: str
    parameters: Parameters
    seed: int
    threads: int = 1
    validation: Dataset | None = None


class CustomModel(Protocol):
    """The interface of a class in `models/<module>.py` of a project: it is created without arguments, then fitted or
    loaded.

    Optional methods are `check(parameters)`, a static method that raises ValueError, in words, for parameters that it
    does not accept; `evaluate(actual, predicted)`, a static method that returns further metrics by name;
    `importance()`, by the feature's name; and `size()`, in terms of its own.
    """

    def fit(self, examples: Dataset, setting: Setting) -> None:
        """Fit to examples. The same examples and setting must give the same model; rows may be few, and of one
        label."""
        ...

    def predict(self, matrix: Matrix) -> Vector:
        """One prediction per row: a value, or the probability of true; always finite, also if everything is missing.

        The prediction for a row must not depend on other rows, and several threads may call at once. The matrix is
        read-only.
        """
        ...

    def save(self) -> Mapping[str, bytes]:
        """The fitted state as files: their names end in .json, .npy, .npz, .safetensors or .ubj. No pickle."""
        ...

    def load(self, files: Mapping[str, bytes]) -> None:
        """Restore the state from the files of `save`: predictions must be the same, to the last bit."""
        ...


class Custom(FittedModel):
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
        """Create an object of the class and let it load its files. Raises `kind` if that fails."""
        self._code, self._task, self._features = code, task, features
        self._files, self._shares = dict(files), dict(shares)
        made = load_class(code, kind)
        with told_as(kind, code, "does not load its files"):
            self._model: CustomModel = made()
            self._model.load(dict(files))

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
        except MALFORMED as error:
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


def fit(code: CustomCode, request: FitRequest, evaluate: Evaluate) -> Custom:
    """A model of the class, fitted to checked rows, that passes the checks of its contract; `evaluate` computes its
    metrics."""
    examples, task = request.examples, request.task
    made = load_class(code, FitError)
    held_out = _read_only(request.validation) if request.validation is not None else None
    setting = Setting(task, dict(request.parameters), request.seed, request.threads, held_out)
    with told_as(FitError, code, "cannot be fitted"):
        model = made()
        model.fit(_read_only(examples), setting)
    with told_as(FitError, code, "cannot be saved"):
        files = model.save()
    _check_files(files, code)
    shares = _shares(model, code, examples)
    fitted = Custom(code, task, examples.matrix.shape[1], files, shares, FitError)
    _try(model, fitted, code, examples, task, evaluate)
    return fitted


def _try(
    model: CustomModel, fitted: Custom, code: CustomCode, examples: Dataset, task: str, evaluate: Evaluate
) -> None:
    """Check the contract on some training rows, and on a row without values. Raises FitError."""
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
        evaluate(np.asarray(examples.target[:learned], np.float64), answers[:learned])
    except EvaluationError as error:
        # Of so few rows, which may be of one class, there may be nothing to say; broken code is another matter.
        if not isinstance(error.__cause__, ArithmeticError | ValueError | LookupError):
            raise


def _answers(model: CustomModel, code: CustomCode, task: str, matrix: Matrix) -> Vector:
    """The predictions of the class, if they are valid. Raises PredictionError."""
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
