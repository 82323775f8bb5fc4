"""Moves the rows of each part to the task that fits it, packed into few binary values, the largest parts first.

Spark's own shuffle works row by row, which takes longer than it takes to fit many a part.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from giornata.partitions import Key, key_text, parse_key, prefixes
from jobs.training.dataset import LABEL, ORDER, PARTS

__all__ = ["Candidate", "packed_rows", "path_column", "tasks_of", "unpacked_rows"]

Candidate = tuple[Key, int]
"""A part, and the number of the parameter set that it is fitted with."""

_TASK, _PART, _SET, _ROWS = "_task", "_part", "_set", "_rows"
_PATH = "_path"
_PACKED = f"{_TASK} int, {_PART} string, {_SET} int, {_ROWS} binary"
_SCHEMA = pa.schema([(_TASK, pa.int32()), (_PART, pa.string()), (_SET, pa.int32()), (_ROWS, pa.binary())])

# So many rows are held until they are packed: more of them give fewer values, and take more memory.
_HELD = 100_000
# So many bytes of values go to Spark at once.
_SENT = 16 * 2**20


def path_column(name: str) -> Column:
    """The text of the deepest part that a row of a frame of `matrix_frame` lies in."""
    return F.element_at(PARTS, -1).alias(name)


def tasks_of(rows: Mapping[Candidate, int], tasks: int) -> dict[Candidate, int]:
    """The number of the task that fits each candidate, given its rows: about as many rows for each.

    The candidate with the most rows goes next to the task with the fewest (R. L. Graham, Bounds on multiprocessing
    timing anomalies, 1969). Spark starts tasks by their number, so that no large part is started last.
    """
    loads = [(0, task) for task in range(min(tasks, len(rows)))]
    placed = {}
    for candidate in sorted(rows, key=lambda each: (-rows[each], str(each))):
        load, task = loads[0]
        heapq.heapreplace(loads, (load + rows[candidate], task))
        placed[candidate] = task
    return placed


def packed_rows(rows: DataFrame, tasks: Mapping[Candidate, int], features: Iterable[str]) -> DataFrame:
    """The rows of the candidates' parts, each candidate's together in the partition given by `tasks`.

    `rows` is a frame of `matrix_frame`; each row is there once for every candidate whose part it lies in, with
    `features`, LABEL and ORDER. `unpacked_rows` reads the partitions.
    """
    wanted: dict[str, list[tuple[int, int]]] = {}
    for (key, number), task in tasks.items():
        wanted.setdefault(key_text(key), []).append((number, task))
    columns = [*features, LABEL, ORDER]

    def pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in _tables(batches):
            values: list[tuple[int, str, int, bytes]] = []
            size = 0
            for part, own in _by_part(table.select(columns), table.column(_PATH), wanted):
                content = _written(own)
                values += [(task, part, number, content) for number, task in wanted[part]]
                size += len(content) * len(wanted[part])
                if size > _SENT:
                    yield _batch(values)
                    values, size = [], 0
            if values:
                yield _batch(values)

    packed = rows.select(*columns, path_column(_PATH)).mapInArrow(pack, _PACKED)
    return packed.repartitionById(max(tasks.values()) + 1, _TASK).sortWithinPartitions(_PART, _SET)


def unpacked_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, int, pa.Table]]:
    """From a partition of `packed_rows`: each candidate's part, its parameter set and all its rows, in any order."""
    values = (value for batch in batches for value in zip(*batch.columns[1:], strict=True))
    for (part, number), own in groupby(values, lambda value: (value[0].as_py(), value[1].as_py())):
        yield part, number, pa.concat_tables(_read(content) for _, _, content in own)


def _tables(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= _HELD:
            yield pa.Table.from_batches(held).combine_chunks()
            held, rows = [], 0
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


def _by_part(rows: pa.Table, paths: pa.ChunkedArray, wanted: Iterable[str]) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each wanted part, which is all paths that begin with it."""
    encoded = paths.combine_chunks().dictionary_encode()
    parts = [[key_text(key) for key in prefixes(parse_key(path))] for path in encoded.dictionary.to_pylist()]
    # In the order of their parts, coarsest first, the rows of each part, however deep it is, lie side by side.
    in_order = sorted(range(len(parts)), key=parts.__getitem__)
    places = np.argsort(in_order)[encoded.indices.to_numpy()]
    order = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places, np.arange(len(parts) + 1), sorter=order)
    ordered = rows.take(order)
    begins: dict[str, int] = {}
    ends: dict[str, int] = {}
    for place, path in enumerate(in_order):
        for part in parts[path]:
            begins.setdefault(part, bounds[place])
            ends[part] = bounds[place + 1]
    for part in wanted:
        if part in begins:
            yield part, ordered.slice(begins[part], ends[part] - begins[part])


def _batch(values: Iterable[tuple[int, str, int, bytes]]) -> pa.RecordBatch:
    columns = zip(*values, strict=True)
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA
    )


def _written(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _read(content: pa.Scalar) -> pa.Table:
    return pa.ipc.open_stream(content.as_buffer()).read_all()
