"""The rows of a feature group of sliding windows, computed from the events entity by entity; nothing is collected.

Between two moments at which a window changes, all windows stay as they are. So there is a row at the moment of each
event and at each moment at which an event leaves a window, and the newest row before any moment holds the windows of
that moment: see docs/decisions/0005-sliding-windows.md. The values of a row are computed in
`jobs/features/window_kernels.py`.

An executor holds the events of one entity and of a batch of others at a time.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata.documents import FeatureGroup, Table
from giornata.documents.feature_group import Events
from giornata.names import data_table
from jobs.features.window_kernels import slide
from jobs.hive.scan import PARTITION_DAY, earliest_partition, scan_partitions
from jobs.hive.schema import SQL_TYPES

__all__ = ["whole_entities", "windows"]

# The moment of an event in milliseconds from 1970. A project's names begin with a letter.
_TIME = "_time"

_BATCH = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def windows(
    spark: SparkSession, project: str, group: FeatureGroup, table: Table, start: datetime, end: datetime
) -> DataFrame:
    """The rows of [start, end) of a group of sliding windows: entity, event_time and features.

    `table` is the document of the table whose rows are the events. Times of events are cut to whole milliseconds, and
    rows are about the cut times. A row without a time or an entity is not an event.
    """
    assert group.events, "a group of windows states its events"
    asked = {name: feature.window for name, feature in group.features.items() if feature.window}
    entity = list(group.entity)
    first, last = (start - _EPOCH) // _MILLISECOND, (end - _EPOCH) // _MILLISECOND
    types = {**group.entity, "event_time": "timestamp"}
    types |= {name: feature.type for name, feature in group.features.items()}
    columns = dict.fromkeys([*entity, *(window.column for window in asked.values())])
    events = _events(spark, project, group.events, table, list(columns), start - group.longest_window, end)

    def compute(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for chunk in whole_entities(batches, entity):
            rows = slide(chunk, _TIME, entity, asked, first, last)
            moments = rows[_TIME].cast(pa.timestamp("ms", "UTC")).cast(pa.timestamp("us", "UTC"))
            rows = rows.append_column("event_time", moments).select(list(types))
            yield from rows.to_batches(max_chunksize=_BATCH)

    present = events.where(" AND ".join(f"{column} IS NOT NULL" for column in entity))
    together = present.repartition(*entity).sortWithinPartitions(*entity)
    return together.mapInArrow(
        compute, ", ".join(f"{name} {SQL_TYPES[type_]}" for name, type_ in types.items())
    )


def _events(
    spark: SparkSession,
    project: str,
    events: Events,
    table: Table,
    columns: Sequence[str],
    begin: datetime,
    end: datetime,
) -> DataFrame:
    """The events with begin <= time < end, in whichever partition they lie: `columns` and their time as _TIME.

    An event that lies in a partition too far ahead for some ranges to find it is left out of all of them, so that the
    result does not depend on the range.
    """
    moment = F.col(events.event_time)
    if events.event_time == table.event_time:
        days = F.col("day").between(f"{begin:%Y-%m-%d}", f"{end - _MILLISECOND:%Y-%m-%d}")
        rows = spark.table(data_table(project, events.table)).where(days)
    else:
        midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        latest = F.date_format(F.date_add(moment, 1), "yyyy-MM-dd")
        rows = scan_partitions(spark, project, events, columns, midnight, end)
        rows = rows.where(F.col(PARTITION_DAY).between(earliest_partition(events), latest))
    inside = rows.where((moment >= F.lit(begin)) & (moment < F.lit(end)))
    return inside.select(*columns, F.unix_millis(moment).alias(_TIME))


def whole_entities(batches: Iterator[pa.RecordBatch], entity: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of sorted batches in tables that split no entity: each batch ends where its last entity begins."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        last = _last_begins(batch, entity)
        if last or (waiting and _key(batch, 0, entity) != _key(waiting[-1], 0, entity)):
            complete = [*waiting, batch.slice(0, last)] if last else waiting
            yield pa.Table.from_batches(complete)
            waiting = []
        waiting.append(batch.slice(last))
    if waiting:
        yield pa.Table.from_batches(waiting)


def _last_begins(batch: pa.RecordBatch, entity: Sequence[str]) -> int:
    """The position of the first row of the last entity of a batch, by bisection: the batch is sorted."""
    key = _key(batch, batch.num_rows - 1, entity)
    low, high = 0, batch.num_rows - 1
    while low < high:
        middle = (low + high) // 2
        if _key(batch, middle, entity) == key:
            high = middle
        else:
            low = middle + 1
    return low


def _key(batch: pa.RecordBatch, row: int, entity: Sequence[str]) -> tuple[object, ...]:
    return tuple(batch[column][row].as_py() for column in entity)
