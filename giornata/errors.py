"""Every error that Giornata raises: one tree under GiornataError, with messages made for people."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from dsl.errors import GiornataError

__all__ = [
    "FINAL_EXIT",
    "BundleError",
    "DataError",
    "DocumentErrors",
    "GateError",
    "GiornataError",
    "InvalidNameError",
    "NotFoundError",
    "Problem",
    "RequestError",
    "SettingsError",
    "SignatureError",
    "StoreError",
]


FINAL_EXIT = os.EX_DATAERR
"""Exit code of a job that failed over what no second try mends: documents, data or the request itself."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in one document.

    `line` and `column` count from 1. `excerpt` is the offending line with a caret line below it, or empty
    when there is no line to show (a missing file). `suggestion` says what to write instead, or is empty.
    """

    file: str
    line: int
    column: int
    message: str
    suggestion: str = ""
    excerpt: str = ""

    def __str__(self) -> str:
        hint = f" ({self.suggestion})" if self.suggestion else ""
        excerpt = "".join(f"\n    {line}" for line in self.excerpt.splitlines())
        return f"{self.file}:{self.line}:{self.column}: {self.message}{hint}{excerpt}"


class DocumentErrors(GiornataError):
    """The documents of a project are wrong; `problems` holds every one, in order of file and line."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class InvalidNameError(GiornataError):
    """A name is not legal in every system it would be used in."""


class SettingsError(GiornataError):
    """A setting is missing or wrong; names the variable and the remedy."""


class NotFoundError(GiornataError):
    """A project, model, version, tag, table or group that was asked for does not exist."""


class BundleError(GiornataError):
    """A model bundle is damaged, altered or not a bundle."""


class SignatureError(GiornataError):
    """A model's inputs or output do not fit what is deployed or asked."""


class GateError(GiornataError):
    """A model version does not meet the metric bounds that its deployment requires."""


class StoreError(GiornataError):
    """A store (Cassandra, Hive, the disk) does not answer or refuses."""


class DataError(GiornataError):
    """Data breaks a rule that is stated for it."""


class RequestError(GiornataError):
    """A prediction request is wrong; `field` names the offending field, or is None for the whole request."""

    def __init__(self, message: str, field: str | None = None):
        self.field = field
        super().__init__(message)
