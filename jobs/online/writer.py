"""Writes Arrow batches to Cassandra inside a Spark task: bounded, retried on faults, never all in memory."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import TypeAlias

import pyarrow as pa
from cassandra import RequestValidationException
from cassandra.cluster import PreparedStatement, Session
from cassandra.query import BatchStatement, BatchType, BoundStatement
from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from giornata.errors import StoreError
from giornata.settings import Settings
from giornata.stores.cassandra import CASSANDRA_FAULTS, CassandraAccess, connect_to

# Statements under way at once in one task, and rows of one entity that go in one statement.
CONCURRENCY = 32
ROWS_TOGETHER = 50

Row = tuple[object, ...]
Statement: TypeAlias = BoundStatement | BatchStatement


@dataclass(frozen=True)
class Patience:
    """How often an operation of Cassandra is tried, and the longest pause between two tries in seconds.

    The pauses are 1, 2, 4 … seconds: by default an outage of half a minute is survived.
    """

    attempts: int = 6
    longest_wait: float = 16.0

    def retrying(self) -> Retrying:
        """Retries a function that raises StoreError; the last StoreError is passed on, and a WriteRefusedError at
        once."""
        return Retrying(
            stop=stop_after_attempt(self.attempts),
            wait=wait_exponential(max=self.longest_wait),
            retry=retry_if_exception_type(StoreError) & retry_if_not_exception_type(WriteRefusedError),
            reraise=True,
        )


class WriteRefusedError(StoreError):
    """Cassandra understood a write, or its statement, and refuses it: a retry would not help."""


@contextmanager
def patient_session(settings: Settings, patience: Patience) -> Iterator[Session]:
    """A session to Cassandra, retried a few times if nobody answers. Raises StoreError in the end."""
    opened = patience.retrying()(connect_to, CassandraAccess.of(settings))
    try:
        yield opened
    finally:
        opened.cluster.shutdown()


def write_batches(
    access: CassandraAccess,
    statement: str,
    entity: Sequence[int],
    batches: Iterator[pa.RecordBatch],
    patience: Patience,
) -> tuple[int, str | None]:
    """Execute `statement` for every row of `batches`, whose columns are its parameters in order.

    `entity` are the positions of the columns that make Cassandra's partition key; neighbouring rows of one partition go
    together. Returns the number of rows written, and the final fault or None. A fault is a return value rather than an
    exception, because Spark would repeat a failed task and show its stack trace.
    """
    first = next(batches, None)
    if first is None:
        return 0, None
    written = 0
    session = None
    try:
        session = patience.retrying()(connect_to, access)
        prepared = prepare(session, statement, patience)
        for batch in chain([first], batches):
            execute(session, _statements(prepared, entity, _rows(batch)), patience)
            written += batch.num_rows
    except StoreError as fault:
        return written, str(fault)
    finally:
        if session is not None:
            session.cluster.shutdown()
    return written, None


def prepare(session: Session, statement: str, patience: Patience) -> PreparedStatement:
    """Prepare a statement, with retries if Cassandra does not answer. Raises StoreError in the end."""
    return patience.retrying()(_prepare, session, statement)


def _prepare(session: Session, statement: str) -> PreparedStatement:
    try:
        prepared = session.prepare(statement)
        # A row is written at a stated time: sent twice, it is the same row.
        prepared.is_idempotent = True
        return prepared
    except RequestValidationException as fault:
        raise WriteRefusedError(f"Cassandra refuses `{statement}`: {fault}") from fault
    except CASSANDRA_FAULTS as fault:
        raise StoreError(f"Cassandra does not answer: {fault}") from fault


def _rows(batch: pa.RecordBatch) -> Iterator[Row]:
    return zip(*(_values(column) for column in batch.columns), strict=True)


def _values(column: pa.Array) -> list[object]:
    """Python values of a column, a timestamp as milliseconds from 1970, which is how Cassandra keeps it."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", "UTC")).cast(pa.int64())
    values: list[object] = column.to_pylist()
    return values


def _statements(
    prepared: PreparedStatement, entity: Sequence[int], rows: Iterator[Row]
) -> Iterator[Statement]:
    """One statement for at most ROWS_TOGETHER neighbours of one partition: a single write for Cassandra, too."""
    for _, neighbours in groupby(rows, key=lambda row: [row[place] for place in entity]):
        while bound := [prepared.bind(row) for row in islice(neighbours, ROWS_TOGETHER)]:
            if len(bound) == 1:
                yield bound[0]
                continue
            together = BatchStatement(BatchType.UNLOGGED)
            together.is_idempotent = True
            for statement in bound:
                together.add(statement)
            yield together


def execute(session: Session, statements: Iterable[Statement], patience: Patience) -> None:
    """Execute all statements, a bounded number at once, and retry those that fail. Raises StoreError in the end."""
    pending = list(statements)
    for attempt in patience.retrying():
        with attempt:
            pending, fault = _attempt(session, pending)
            if isinstance(fault, RequestValidationException):
                raise WriteRefusedError(f"Cassandra refuses a row: {fault}") from fault
            if fault is not None:
                raise StoreError(f"Cassandra does not take {len(pending)} writes: {fault}") from fault


def _attempt(session: Session, statements: Sequence[Statement]) -> tuple[list[Statement], Exception | None]:
    """Execute statements once; returns those that did not succeed, and the first fault.

    After a fault nothing new is begun. (The driver's own `execute_concurrent` continues, and when every statement fails
    at once, because the server is away, it recurses until Python gives up.)
    """
    failed: list[Statement] = []
    faults: list[Exception] = []
    waiting = iter(statements)
    under_way = deque(
        (statement, session.execute_async(statement)) for statement in islice(waiting, CONCURRENCY)
    )
    while under_way:
        statement, answer = under_way.popleft()
        try:
            answer.result()
        except CASSANDRA_FAULTS as fault:
            failed.append(statement)
            faults.append(fault)
        if not faults:
            under_way.extend((more, session.execute_async(more)) for more in islice(waiting, 1))
    return [*failed, *waiting], next(iter(faults), None)
