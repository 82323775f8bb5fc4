"""Brings the rows of each part to the task that fits it, packed into few binary values, the largest parts first.

Spark's own shuffle works row by row, and that takes longer than it takes to fit many a part.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from giornata.models.partitions import Key, key_text, parse_key, prefixes
from jobs.training_data import LABEL, ORDER, PARTS

__all__ = ["Candidate", "packed_rows", "path_column", "tasks_of", "unpacked_rows"]

Candidate = tuple[Key, int]
"""A part, and the number of the set of parameters that it is fitted with."""

_TASK, _PART, _SET, _ROWS = "_task", "_part", "_set", "_rows"
_PATH = "_path"
_PACKED = f"{_TASK} int, {_PART} string, {_SET} int, {_ROWS} binary"
_SCHEMA = pa.schema([(_TASK, pa.int32()), (_PART, pa.string()), (_SET, pa.int32()), (_ROWS, pa.binary())])

# So many rows are held until they are packed: more of them give fewer values, and take more memory.
_HELD = 100_000


def path_column(name: str) -> Column:
    """The text of the deepest part that a row of a frame of `matrix_frame` lies in."""
    return F.element_at(PARTS, -1).alias(name)


def tasks_of(rows: Mapping[Candidate, int], tasks: int) -> dict[Candidate, int]:
    """The number of the task that fits each candidate, given its rows: about as many rows for each.

    The candidate with the most rows goes next to the task with the fewest (R. L. Graham, Bounds on multiprocessing
    timing anomalies, 1969). Spark begins tasks by their number, so that no large part is begun last.
    """
    loads = [(0, task) for task in range(min(tasks, len(rows)))]
    placed = {}
    for candidate in sorted(rows, key=lambda each: (-rows[each], str(each))):
        load, task = loads[0]
        heapq.heapreplace(loads, (load + rows[candidate], task))
        placed[candidate] = task
    return placed


def packed_rows(rows: DataFrame, tasks: Mapping[Candidate, int], features: Iterable[str]) -> DataFrame:
    """The rows of the candidates' parts, each candidate's side by side in the partition that `tasks` gives it.

    `rows` is a frame of `matrix_frame`; each of them is there once for every candidate whose part it lies in, with
    `features`, LABEL and ORDER. `unpacked_rows` reads the partitions.
    """
    wanted: dict[str, list[tuple[int, int]]] = {}
    for (key, number), task in tasks.items():
        wanted.setdefault(key_text(key), []).append((number, task))
    columns = [*features, LABEL, ORDER]

    def pack(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in _tables(batches):
            for part, content in _by_part(table.select(columns), table.column(_PATH), wanted):
                for number, task in wanted[part]:
                    values = {_TASK: [task], _PART: [part], _SET: [number], _ROWS: [content]}
                    yield pa.RecordBatch.from_pydict(values, _SCHEMA)

    packed = rows.select(*columns, path_column(_PATH)).mapInArrow(pack, _PACKED)
    return packed.repartitionById(max(tasks.values()) + 1, _TASK).sortWithinPartitions(_PART, _SET)


def unpacked_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, int, pa.Table]]:
    """Of a partition of `packed_rows`: each candidate's part, its set and all its rows, in any order."""
    values = (value for batch in batches for value in zip(*batch.columns[1:], strict=True))
    for (part, number), own in groupby(values, lambda value: (value[0].as_py(), value[1].as_py())):
        yield part, number, pa.concat_tables(_read(content) for _, _, content in own)


def _tables(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(each.num_rows for each in held) >= _HELD:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _by_part(rows: pa.Table, paths: pa.ChunkedArray, wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The rows in each wanted part, a part being all paths that begin with it."""
    encoded = paths.combine_chunks().dictionary_encode()
    places = encoded.indices.to_numpy()
    order = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places[order], np.arange(len(encoded.dictionary) + 1))
    inside: dict[str, list[np.ndarray]] = {}
    for place, path in enumerate(encoded.dictionary.to_pylist()):
        for key in prefixes(parse_key(path)):
            inside.setdefault(key_text(key), []).append(order[bounds[place] : bounds[place + 1]])
    for part in wanted:
        if part in inside:
            yield part, _written(rows.take(np.concatenate(inside[part])))


def _written(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _read(content: pa.Scalar) -> pa.Table:
    return pa.ipc.open_stream(content.as_buffer()).read_all()
