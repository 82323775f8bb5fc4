"""The model type of a project's own classes, each with its own training, predictions and files."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from giornata.errors import GiornataError
from giornata.models.base import (
    EvaluationError,
    FitError,
    FitRequest,
    FittedModel,
    ModelType,
    ParameterError,
    Parameters,
)
from giornata.models.custom.code import CustomCode
from giornata.models.custom.loading import load_class, told_as
from giornata.models.parameters import ParameterTable
from giornata.models.search_space import Dimension
from giornata.schema import Bounds
from giornata.tasks import TASKS

if TYPE_CHECKING:
    from giornata.dataset import Vector

__all__ = ["CustomType"]

_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True)
class CustomType(ModelType):
    """The type `custom` with the class of one model; without `code` it can read models, but not fit any."""

    code: CustomCode | None = None

    name = "custom"
    tasks = ("regression", "binary")
    # Those of a class are its own to say, and to fill.
    parameters = ParameterTable({})
    learns_on_gpus = True
    has_class = True

    @property
    def fitted(self) -> type[FittedModel]:
        from giornata.models.custom.fitted import Custom

        return Custom

    def learn(self, request: FitRequest) -> FittedModel:
        from giornata.models.custom.fitted import fit

        return fit(self._own(FitError), request, self.evaluate)

    def of(self, code: CustomCode | None = None, bounds: Bounds | None = None) -> "CustomType":
        """The type with this class."""
        return CustomType(code)

    def check(self, parameters: Parameters, space: Mapping[str, Dimension]) -> None:
        """Let the class check its parameters, if it has a method for that."""
        code = self._own(ParameterError)
        own = getattr(load_class(code, ParameterError), "check", None)
        if own is None:
            return
        _check(own, code, parameters)
        for name, dimension in space.items():
            for value in dimension.values:
                _check(own, code, {**parameters, name: value})

    @property
    def code_version(self) -> str:
        return self.code.version if self.code else ""

    def evaluate(self, actual: "Vector", predicted: "Vector") -> dict[str, float]:
        """The class's own metrics for these predictions, empty if it has none.

        Raises EvaluationError if it fails, and FitError for an invalid metric.
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


def _check(own: Any, code: CustomCode, parameters: Parameters) -> None:
    with _in_its_words(code), told_as(ParameterError, code, "cannot check its parameters"):
        own(dict(parameters))


@contextmanager
def _in_its_words(code: CustomCode) -> Iterator[None]:
    """Pass on the message of a ValueError of `check`, without its position in the file."""
    try:
        yield
    except ParameterError as error:
        if isinstance(error.__cause__, ValueError):
            raise ParameterError(f"class {code.class_name}: {error.__cause__}") from error
        raise
