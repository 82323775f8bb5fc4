"""Collects failures of a job's independent items, from any thread: the others go on, and the job fails at its end."""

from collections.abc import Iterator
from contextlib import contextmanager

from giornata.errors import DataError, GiornataError, StoreError
from jobs.runtime.session import say
from jobs.runtime.spark_errors import as_data_errors, may_pass


class Failures:
    """The items that failed so far, by name, with whether a retry of the job may succeed."""

    def __init__(self, job: str) -> None:
        self._job = job
        self.names: list[str] = []
        self._may_pass = False

    def __bool__(self) -> bool:
        return bool(self.names)

    def __len__(self) -> int:
        return len(self.names)

    @contextmanager
    def of(self, name: str, said: str | None = None) -> Iterator[None]:
        """Work on one item: an expected error is reported under `said` (default: the name) and kept."""
        try:
            with as_data_errors("Spark or its metastore fails"):
                yield
        except GiornataError as error:
            self.note(name, str(error), said=said, may_pass=may_pass(error))

    def note(self, name: str, problem: str, *, said: str | None = None, may_pass: bool = False) -> None:
        """Report that an item failed, and keep it."""
        say(self._job, f"{said or name}: failed: {problem}")
        self.names.append(name)
        if may_pass:
            self._may_pass = True

    def check(self, what: str) -> None:
        """Raise an error that names all failed items, sorted, after `what` (`2 of 3 models were not scored`): DataError
        if the same would fail again, StoreError if a retry may succeed."""
        if self:
            raise (StoreError if self._may_pass else DataError)(f"{what}: {', '.join(sorted(self.names))}.")
