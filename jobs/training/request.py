"""A training request: read from the command line, checked against the document and the cluster.

    python -m jobs.training.request --model flights/trip_minutes --as-of 2013-11-01 --uuid UUID

checks the arguments of `jobs/train.py` without starting Spark: exit code 0, or 65 with what is wrong.
"""

import argparse
import getpass
import json
import sys
import uuid as uuids
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from giornata.documents import ProjectDocuments, load_project
from giornata.documents.model import ModelSpec, Search
from giornata.errors import SettingsError
from giornata.models import ModelType, model_type
from giornata.names import parse_model_name
from giornata.schema import Scalar
from giornata.search.objective import usual_metric
from giornata.settings import Settings, load_settings
from jobs.runtime.cluster import check_resources
from jobs.runtime.resources import add_resources, overridden
from jobs.runtime.session import job_main, parse_day

__all__ = ["TrainingRequest", "apply_overrides", "checked", "main", "parse"]

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingRequest:
    """A training request: which model, as of which moment, under which uuid, and overrides of its document."""

    model: str
    as_of: datetime
    uuid: str
    trained_by: str
    trials: int | None = None
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    resources: Mapping[str, object] = field(default_factory=dict)


def parse(argv: Sequence[str] | None) -> TrainingRequest:
    """The request in the arguments of `jobs/train.py`. Raises SettingsError for wrong ones."""
    parser = _Parser(prog="train", description="Train a model and save it in the repository.")
    parser.add_argument("--model", required=True, metavar="PROJECT/MODEL")
    parser.add_argument(
        "--as-of",
        type=parse_day,
        required=True,
        metavar="DAY",
        help="what is known at 00:00 UTC",
    )
    parser.add_argument(
        "--uuid",
        type=_read(lambda text: str(uuids.UUID(text)), "a uuid"),
        required=True,
        help="the version's uuid; again replaces the version",
    )
    parser.add_argument(
        "--trials",
        type=_read(_positive, "a whole number, 1 or more"),
        help="instead of the document's number of trials",
    )
    parameters = _read(_plain_values, 'a JSON object of plain values, such as {"max_depth": 4}')
    parser.add_argument(
        "--parameters", type=parameters, default={}, metavar="JSON", help="over the document's"
    )
    add_resources(parser)
    parser.add_argument("--trained-by", default=getpass.getuser(), metavar="NAME")
    return TrainingRequest(**vars(parser.parse_args(argv)))


def apply_overrides(documents: ProjectDocuments, training: TrainingRequest) -> ModelSpec:
    """The model's document with the overrides of the request.

    A parameter in the request is not searched for; without a search in the document, more than one trial searches the
    default space of the model type.

    Raises NotFoundError for an unknown model, ParameterError for a parameter that its type does not take, SettingsError
    for resources that no document could have, or for trials without anything to search.
    """
    name = parse_model_name(training.model).name
    spec = documents.model(name)
    parameters = {**spec.parameters, **training.parameters}
    type_ = model_type(spec.type, documents.classes.get(name))
    type_.check(parameters, spec.search.space if spec.search else {})
    resources = overridden(spec.resources, training.resources)
    if resources.gpus and not type_.learns_on_gpus:
        raise SettingsError(
            f"{training.model} asks for GPUs; a model of type {spec.type} is trained on processors here: set gpus: 0"
        )
    search = _search(spec, type_, training)
    asked = spec.model_copy(update={"parameters": parameters, "resources": resources, "search": search})
    if search is None and spec.partition:
        # Without a search levels or parts have nothing to choose from, and no document could say so.
        partition = spec.partition.model_copy(update={"tune": None, "sets": None, "trials": None})
        return asked.model_copy(update={"partition": partition})
    return asked


def checked(settings: Settings, training: TrainingRequest) -> ModelSpec:
    """The result of `apply_overrides`, if the cluster has the resources for it as far as can be seen without Spark.

    Raises the errors of `apply_overrides`, DocumentErrors, and SettingsError for more than the cluster has.
    """
    documents = load_project(settings.projects / parse_model_name(training.model).project)
    spec = apply_overrides(documents, training)
    check_resources(settings.spark_master, spec.resources, settings)
    return spec


def main(argv: Sequence[str] | None = None) -> int:
    """Check a request without starting Spark."""
    checked(load_settings(), parse(argv))
    return 0


def _search(spec: ModelSpec, type_: ModelType, training: TrainingRequest) -> Search | None:
    """The search to run; None if there is nothing to search."""
    stated = spec.search
    if stated is None and (training.trials or 1) > 1 and (space := dict(type_.default_space)):
        stated = Search(trials=1, metric=usual_metric(spec.task), space=space)
    space = (
        {name: one for name, one in stated.space.items() if name not in training.parameters} if stated else {}
    )
    if stated and space:
        return stated.model_copy(update={"trials": training.trials or stated.trials, "space": space})
    if (training.trials or 1) > 1:
        why = "the order states every parameter of it" if stated else "the document has no search"
        raise SettingsError(
            f"{training.model} is asked for {training.trials} trials, and there is nothing to search: {why}"
        )
    return None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message.removeprefix("argument "))


def _read(read: Callable[[str], T], expected: str) -> Callable[[str], T]:
    """A parser of an argument whose error says what it expects."""

    def checked_read(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not {expected}") from error

    return checked_read


def _plain_values(text: str) -> dict[str, Scalar]:
    values: Any = json.loads(text)
    if not isinstance(values, dict) or any(
        isinstance(value, dict | list | None) for value in values.values()
    ):
        raise ValueError(text)
    return dict(values)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


if __name__ == "__main__":
    sys.exit(job_main(main))
