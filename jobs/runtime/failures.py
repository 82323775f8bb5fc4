"""What fails of several things that a job does one after the other: the others go on, and the job fails at its end."""

from collections.abc import Iterator
from contextlib import contextmanager

from giornata.errors import DataError, GiornataError, StoreError
from jobs.runtime.session import say
from jobs.runtime.spark_errors import as_data_errors, may_pass


class Failures:
    """The things that failed so far, by name, with whether a second try of the job may succeed."""

    def __init__(self, job: str) -> None:
        self._job = job
        self.names: list[str] = []
        self._final = True

    def __bool__(self) -> bool:
        return bool(self.names)

    def __len__(self) -> int:
        return len(self.names)

    @contextmanager
    def of(self, name: str, said: str | None = None) -> Iterator[None]:
        """Work on one thing: an error made for people is said under `said` (default: the name) and kept."""
        try:
            with as_data_errors("Spark or its metastore fails"):
                yield
        except GiornataError as error:
            self.note(name, str(error), said=said, may_pass=may_pass(error))

    def note(self, name: str, problem: str, *, said: str | None = None, may_pass: bool = False) -> None:
        """Say that a thing failed, and keep it."""
        say(self._job, f"{said or name}: failed: {problem}")
        self.names.append(name)
        self._final = self._final and not may_pass

    def check(self, what: str) -> None:
        """Raise what names all that failed, after `what` (`2 of 3 models were not scored`): DataError when the same
        would fail again, StoreError when a second try may succeed."""
        if self:
            raise (DataError if self._final else StoreError)(f"{what}: {', '.join(self.names)}.")
