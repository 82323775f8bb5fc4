"""Writes Arrow batches to Cassandra inside a Spark task: bounded, repeated on faults, never all in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, groupby, islice

import pyarrow as pa
from cassandra import RequestValidationException
from cassandra.cluster import PreparedStatement, Session
from cassandra.concurrent import execute_concurrent
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
from giornata.stores.cassandra import CASSANDRA_FAULTS, connect_to

# Statements under way at once in one task, and rows of one entity that go in one statement.
CONCURRENCY = 32
ROWS_TOGETHER = 1

# A write that fails is tried again after 1, 2, 4, 8 and 16 seconds.
ATTEMPTS = 6
LONGEST_WAIT = 16.0

Row = tuple[object, ...]


class RefusedError(StoreError):
    """Cassandra understood a write and refuses it: no use in trying again."""


def patient() -> Retrying:
    """Repeats a function that raises StoreError, a limited number of times; the last StoreError goes on."""
    return Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(max=LONGEST_WAIT),
        retry=retry_if_exception_type(StoreError) & retry_if_not_exception_type(RefusedError),
        reraise=True,
    )


@contextmanager
def patient_session(settings: Settings) -> Iterator[Session]:
    """A session to Cassandra, tried again a few times when nobody answers. Raises StoreError in the end."""
    opened = patient()(connect_to, settings.cassandra)
    try:
        yield opened
    finally:
        opened.cluster.shutdown()


def write_batches(
    address: str, statement: str, entity: Sequence[int], batches: Iterator[pa.RecordBatch]
) -> tuple[int, str | None]:
    """Execute `statement` for every row of `batches`, whose columns are its parameters in order.

    `entity` are the places of the columns that make Cassandra's partition; neighbouring rows of one
    partition go together. Returns the rows written, and what went wrong for good or None. A fault is an
    answer rather than an exception, because Spark would repeat a failed task and show people its stack
    trace.
    """
    first = next(batches, None)
    if first is None:
        return 0, None
    written = 0
    session = None
    try:
        session = patient()(connect_to, address)
        prepared = patient()(_prepare, session, statement)
        for batch in chain([first], batches):
            _execute(session, _statements(prepared, entity, _rows(batch)))
            written += batch.num_rows
    except StoreError as fault:
        return written, str(fault)
    finally:
        if session is not None:
            session.cluster.shutdown()
    return written, None


def _prepare(session: Session, statement: str) -> PreparedStatement:
    try:
        return session.prepare(statement)
    except RequestValidationException as fault:
        raise RefusedError(f"Cassandra refuses `{statement}`: {fault}") from fault
    except CASSANDRA_FAULTS as fault:
        raise StoreError(f"Cassandra does not answer: {fault}") from fault


def _rows(batch: pa.RecordBatch) -> Iterator[Row]:
    return zip(*(_values(column) for column in batch.columns), strict=True)


def _values(column: pa.Array) -> list[object]:
    """Python values of a column, a timestamp as milliseconds from 1970, which is how Cassandra keeps it."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", "UTC")).cast(pa.int64())
    return column.to_pylist()


def _statements(
    prepared: PreparedStatement, entity: Sequence[int], rows: Iterator[Row]
) -> Iterator[BoundStatement | BatchStatement]:
    """One statement for at most ROWS_TOGETHER neighbours of one partition: one write for Cassandra, too."""
    for _, neighbours in groupby(rows, key=lambda row: [row[place] for place in entity]):
        while bound := [prepared.bind(row) for row in islice(neighbours, ROWS_TOGETHER)]:
            if len(bound) == 1:
                yield bound[0]
                continue
            together = BatchStatement(BatchType.UNLOGGED)
            for statement in bound:
                together.add(statement)
            yield together


def _execute(session: Session, statements: Iterator[BoundStatement | BatchStatement]) -> None:
    """Execute all statements, and those that fail again. Raises StoreError after the last attempt."""
    pending = list(statements)
    for attempt in patient():
        with attempt:
            outcomes = execute_concurrent(
                session, [(statement, None) for statement in pending], CONCURRENCY, raise_on_first_error=False
            )
            faults = [outcome.result_or_exc for outcome in outcomes if not outcome.success]
            pending = [
                statement for statement, outcome in zip(pending, outcomes, strict=True) if not outcome.success
            ]
            _raise_first(faults)


def _raise_first(faults: Sequence[Exception]) -> None:
    for fault in faults:
        if isinstance(fault, RequestValidationException):
            raise RefusedError(f"Cassandra refuses a row: {fault}") from fault
        if isinstance(fault, CASSANDRA_FAULTS):
            raise StoreError(f"Cassandra does not take {len(faults)} writes: {fault}") from fault
        raise fault
