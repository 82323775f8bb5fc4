"""All errors that Giornata raises, in one tree; their messages are written for the user.

The module in brackets defines the error; errors without one are defined here:

    GiornataError: base of every error that is raised on purpose (dsl.errors)
        AirflowError: Airflow does not answer or refuses, or a run failed (giornata.airflow_api)
        BundleError: a bundle is damaged or altered, or a file is not a bundle
        DataError: data breaks a stated rule
        DaysError: a range of days is missing or invalid (giornata.days)
        DocumentErrors: all mistakes in a project's documents
        FitError: a model cannot be fitted (giornata.models.base)
            EvaluationError: a project's own class failed to evaluate predictions (giornata.models.base)
        GateError: a version does not meet the bounds of its deployment
        InputError: a value or column is not of the type that features declare (dsl.errors)
        InvalidNameError: a name is not legal in every system
        LanguageError: one mistake in one expression (dsl.errors)
        LanguageErrors: all mistakes in a set of features (dsl.errors)
        MailError: a mail was not delivered (giornata.monitoring.mail)
        MisplacedError: a validator names the part of a document that is wrong (giornata.documents.base)
        NotFittedError: features are used before their fitted functions have a state (dsl.errors)
        NotFoundError: a project, model, version or the like does not exist
        NotNowError: a bundle cannot be opened for now (giornata.serving.bundle_checks)
        ParameterError: a model type has no such parameter, or not with that value (giornata.models.base)
        PatternError: a regular expression is invalid (dsl.regex)
        PredictionError: a project's own class has no prediction for a row (giornata.models.base)
        PrunedError: a search ends a fit that does worse than others (giornata.models.base)
        RequestError: a prediction request is wrong
            RefusedError: a request gets no prediction, with its HTTP status (giornata.serving.requests)
                BusyError: the server has no time for it (giornata.serving.pool)
                CodeError: a project's own code took too long or ended its process (giornata.serving.workers)
                WrongMethodError: a path does not take the method (giornata.serving.application)
        RowFailedError: carries a UdfError through Polars (dsl.polars.expressions)
        SchemaError: a schema names a type that the language does not have (dsl.errors)
        SettingsError: a setting is missing or wrong
        SignatureError: inputs or output of a model do not fit
        StackError: the local stack cannot start, run or stop (stack.errors)
            NeedFailedError: a service is not started, since one that it needs is not ready (stack.control)
            NotReadyError: a server does not answer as it should (stack.readiness)
            SupervisorRefusedError: the supervisor refuses a call (stack.supervision)
        StillThereError: a project to be removed has its folder still (giornata.removal)
        StoreError: Cassandra, Hive or the disk does not answer or refuses
            NotReachedError: the command line finds no Cassandra (giornata.cli.live)
            UnansweredError: Cassandra's nodes do not answer in time (giornata.stores.deployments)
            WriteRefusedError: Cassandra refuses a write, which no retry can fix (jobs.online.writer)
        StoredFormError: stored features cannot be read (dsl.errors)
        UdfError: a function of a project failed (dsl.errors)
        UnhealthyError: something answers and is not as it should be (giornata.doctor)

Exceptions that end a task or a job, and that no `except Exception` catches:

    BaseException
        _Late: Spark has not started in time (jobs.runtime.executors)
        _TooLongError: project code takes too long in a check (jobs.check_code)
        Cancelled: a job is cancelled, a KeyboardInterrupt (jobs.runtime.cancellation)
"""

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
"""Exit code of a job whose failure no retry can fix: wrong documents, data or request."""


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
    """The documents of a project have mistakes; `problems` holds all of them, in order of file and line."""

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
    """A model's inputs or output do not match what is deployed or requested."""


class GateError(GiornataError):
    """A model version does not meet the metric bounds that its deployment requires."""


class StoreError(GiornataError):
    """A store (Cassandra, Hive, the disk) does not answer or refuses."""


class DataError(GiornataError):
    """Data breaks a stated rule."""


class RequestError(GiornataError):
    """A prediction request is wrong; `field` names the offending field, or is None for the whole request."""

    def __init__(self, message: str, field: str | None = None):
        self.field = field
        super().__init__(message)
