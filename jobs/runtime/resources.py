"""The executors of a job: the largest of what its documents ask for, with the overrides of its request."""

import argparse
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pyspark.sql import SparkSession

from giornata.documents.resources import JobResources, read_overrides
from giornata.documents.suggestions import did_you_mean
from giornata.errors import SettingsError
from giornata.settings import Settings
from jobs.runtime.cluster import megabytes
from jobs.runtime.session import start

__all__ = ["add_resources", "largest", "overridden", "start_sized"]

_EXPECTED = {
    "executors": "a whole number, 1 or more",
    "cores": "a whole number, 1 or more",
    "memory": "an amount such as 600m or 2g",
    "gpus": "a whole number, 0 or more",
}

R = TypeVar("R", bound=BaseModel)


def add_resources(parser: argparse.ArgumentParser) -> None:
    """Add `--resources` to a job's arguments: a JSON object of overrides of its documents' resources."""
    parser.add_argument(
        "--resources",
        type=_overrides,
        default={},
        metavar="JSON",
        help='over the documents\', such as {"executors": 2, "memory": "2g"}',
    )


def _overrides(text: str) -> dict[str, Any]:
    try:
        return read_overrides(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def largest(asked: Iterable[JobResources | None], changes: Mapping[str, object]) -> JobResources | None:
    """The resources of one application for several items of work: of each resource the most that any asks for, or what
    `changes` say instead; None if nobody says anything.

    Raises SettingsError for `changes` that no document could have.
    """
    found = [each for each in asked if each is not None]
    if not found and not changes:
        return None
    most = JobResources(
        executors=max((each.executors for each in found), default=1),
        cores=max((each.cores for each in found), default=1),
        memory=max((each.memory for each in found), key=megabytes, default="1g"),
    )
    return overridden(most, changes)


def overridden(own: R, changes: Mapping[str, object]) -> R:
    """Resources with some of their values replaced. Raises SettingsError for values that no document could have."""
    known = [name for name in _EXPECTED if name in type(own).model_fields]
    for name in changes:
        if name not in known:
            raise SettingsError(f"resources have no '{name}' ({did_you_mean(name, known)})")
    try:
        return type(own).model_validate({**own.model_dump(), **changes})
    except ValidationError as wrong:
        problems = [_problem(error, changes) for error in wrong.errors()]
        raise SettingsError(f"resources: {'; '.join(problems)}") from wrong


def _problem(error: Any, changes: Mapping[str, object]) -> str:
    """The mistake in an override, as a rule of the document puts it."""
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    name = str(error["loc"][0])
    return f"{name} is {changes[name]!r}, expected {_EXPECTED[name]}"


def start_sized(settings: Settings, name: str, resources: JobResources | None) -> SparkSession:
    """A Spark session on executors of the cluster, or without resources on two threads where the job was started.

    Raises the errors of `jobs.runtime.session.start`.
    """
    if resources is None:
        return start(settings, name)
    return start(settings, name, settings.spark_master, resources, elastic=True)
