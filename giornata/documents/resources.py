"""Resources: the executors that a document asks for, of a training or of another job."""

import json
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from giornata.schema import Document

__all__ = ["JobResources", "Resources", "StageResources", "read_overrides"]

_LEAST_MEMORY = 466
"""Megabytes of the smallest executor: Spark does not start with less than 450, and Java's garbage collector keeps a
thirtieth of its memory."""


def _check_memory(text: str) -> str:
    amount, unit = int(text[:-1]), text[-1]
    if unit == "m" and amount < _LEAST_MEMORY:
        raise ValueError(
            f"{text} is too little memory for an executor of Spark: it needs {_LEAST_MEMORY}m or more"
        )
    return text


class _Executors(Document):
    executors: Annotated[int, Field(ge=1, le=10_000)] = 1
    cores: Annotated[int, Field(ge=1, le=1_000)] = 1
    memory: Annotated[
        str, StringConstraints(pattern=r"^[1-9][0-9]{0,6}[mg]$"), AfterValidator(_check_memory)
    ] = "1g"


class JobResources(_Executors):
    """The executors of a job that trains nothing; `memory` is of one executor, such as 1g or 512m."""

    gpus: ClassVar[int] = 0


class Resources(_Executors):
    """The resources of a training; `memory` and `gpus` are per executor, memory such as 1g or 512m.

    Each core of an executor uses an equal share of a GPU, or an equal number of whole ones. `distribute` says when all
    executors fit one model together, if its type can: `automatic` if its rows would fill a good part of one executor's
    memory, else always or never.
    """

    gpus: Annotated[int, Field(ge=0, le=1_000)] = 0
    distribute: Literal["automatic", "always", "never"] = "automatic"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.gpus > self.cores and self.gpus % self.cores:
            less = self.gpus // self.cores * self.cores
            raise ValueError(
                f"{self.gpus} gpus cannot be shared by {self.cores} cores, each with as many whole GPUs: ask for "
                f"gpus: {less} or gpus: {less + self.cores}, or for cores: {self.gpus}"
            )
        return self


class StageResources(Document):
    """The executors of a project's jobs by stage of the chain; a stage without any runs where it is started."""

    ingest: JobResources | None = None
    features: JobResources | None = None
    score: JobResources | None = None
    monitor: JobResources | None = None


def read_overrides(text: str) -> dict[str, Any]:
    """The overrides of resources in the argument of a command, a JSON object. Raises ValueError."""
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise ValueError(f'{text!r} is not a JSON object, such as {{"executors": 2, "memory": "2g"}}')
    return values
