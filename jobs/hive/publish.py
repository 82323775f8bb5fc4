"""Hive tables whose partitions change whole: a reader sees the old rows or the new, never some of each.

A run writes its rows to a folder of its own, `<table>/_runs/<run id>/day=…`; then one call to the metastore
makes all new partitions visible and one more points all existing ones at their new folder. A job that is
killed before has published nothing, and the folder it leaves behind is removed by a later run. Of two runs
that publish the same partition at once the last one wins, whole.
"""

import io
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from giornata.errors import DataError, StoreError
from giornata.settings import Settings
from jobs.hive import folders
from jobs.hive.metastore import metastore
from jobs.hive.schema import SQL_TYPES, check_columns

# A query that runs goes on reading the folders it began with, and the push to Cassandra compares a new
# folder with the one it pushed before.
GRACE = timedelta(days=7)


_RUNS = "_runs"
_RUN_TIME = "%Y%m%dT%H%M%S%f"
_RUN_ID = re.compile(r"(\d{8}T\d{12})-[0-9a-f]{8}")
_PARTITION_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class Published:
    """What one publication made visible: values of the partition columns, sorted; rows in all; and the folder of each
    partition."""

    partitions: tuple[tuple[str, ...], ...]
    rows: int
    folders: Mapping[tuple[str, ...], str] = field(default_factory=dict, compare=False)


def ensure_table(
    spark: SparkSession, table: str, columns: Mapping[str, str], partitions: Sequence[str] = ("day",)
) -> None:
    """Create `database.table` with these columns, or add the new ones to it.

    `columns` maps a name to one of int, float, bool, str and timestamp; `partitions` are its partition
    columns, all strings. A column that the table has and `columns` lacks stays. Raises StoreError when the
    table has a column with another type, or other partition columns.
    """
    database = table.partition(".")[0]
    wanted = {name: SQL_TYPES[type_] for name, type_ in columns.items()}
    if not spark.catalog.tableExists(table):
        spark.sql("CREATE DATABASE IF NOT EXISTS IDENTIFIER(:database)", args={"database": database})
        spark.sql(
            f"CREATE TABLE IF NOT EXISTS IDENTIFIER(:table) ({_definitions(wanted)}) "
            f"PARTITIONED BY ({', '.join(f'{name} STRING' for name in partitions)}) STORED AS PARQUET",
            args={"table": table},
        )
    present = {column.name: column for column in spark.catalog.listColumns(table)}
    partitioned = [name for name, column in present.items() if column.isPartition]
    if partitioned != list(partitions):
        raise StoreError(
            f"Hive table {table} is partitioned by {', '.join(partitioned)}, not by {', '.join(partitions)}. "
            "A table's partitions cannot change: give the document another name, or drop the table."
        )
    for name, type_ in wanted.items():
        if name in present and present[name].dataType != type_:
            raise StoreError(
                f"Hive table {table} has column {name} as {present[name].dataType}, not as {type_}. "
                "A type cannot change in place: give the column another name."
            )
    added = {name: type_ for name, type_ in wanted.items() if name not in present}
    if added:
        spark.sql(
            f"ALTER TABLE IDENTIFIER(:table) ADD COLUMNS ({_definitions(added)})", args={"table": table}
        )


def create_table(spark: SparkSession, file: Path, project: str) -> None:
    """Create the table that a file of `sql/hive` declares in the database of `project`, if it is missing."""
    spark.sql("CREATE DATABASE IF NOT EXISTS IDENTIFIER(:project)", args={"project": project})
    spark.sql(file.read_text(encoding="utf-8"), args={"project": project})


def _definitions(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {type_}" for name, type_ in columns.items())


def publish(
    spark: SparkSession,
    frame: DataFrame,
    table: str,
    partitions: Sequence[str] = ("day",),
    *,
    settings: Settings,
    expected: Sequence[Mapping[str, str]] | None = None,
    counted: Mapping[tuple[str, ...], int] | None = None,
) -> Published:
    """Replace every partition that `frame` has rows of, and every one in `expected`, by the rows of `frame`.

    `frame` has exactly the columns of `table`, the partition columns as strings among them. `expected`, a
    list such as
    `[{"day": "2013-01-01"}]`, names the partitions that this run is responsible for: one without rows is
    published empty, so that no row of an earlier run stays behind. `counted` are the rows of each partition that
    has some, where the caller knows them; else what was written is counted.

    Raises DataError, with nothing published, when columns, types or partition values are not the table's or
    the expected ones.
    """
    columns = dict(spark.table(table).dtypes)
    check_columns(frame, columns, f"what is to be published in Hive table {table}")
    frame = frame.select(*columns)

    def write(location: str) -> Mapping[tuple[str, ...], int]:
        return write_run(spark, frame, location, partitions, counted)

    return _publish(spark, table, partitions, write, settings, expected)


def publish_records(
    spark: SparkSession,
    records: Sequence[Mapping[str, object]],
    table: str,
    partitions: Sequence[str],
    *,
    settings: Settings,
    expected: Sequence[Mapping[str, str]],
) -> Published:
    """As `publish`, for a few thousand rows that the driver has and writes itself: a query costs more than the files.

    A record names every column of `table`.
    """
    fields = [field for field in spark.table(table).schema if field.name not in partitions]
    schema = to_arrow_schema(StructType(fields))
    rows: dict[tuple[str, ...], list[Mapping[str, object]]] = {}
    for record in records:
        rows.setdefault(tuple(str(record[name]) for name in partitions), []).append(record)

    def write(location: str) -> dict[tuple[str, ...], int]:
        contents = {
            f"{partition_folder(location, partitions, values)}/part-0.parquet": _parquet(some, schema)
            for values, some in rows.items()
        }
        folders.write_files(spark, contents)
        return {values: len(some) for values, some in rows.items()}

    return _publish(spark, table, partitions, write, settings, expected)


def _parquet(records: Sequence[Mapping[str, object]], schema: pa.Schema) -> bytes:
    """A Parquet file of the records; fields that are not in `schema` are left out."""
    file = io.BytesIO()
    rows = [{name: record[name] for name in schema.names} for record in records]
    parquet.write_table(pa.Table.from_pylist(rows, schema), file)
    return file.getvalue()


def _publish(
    spark: SparkSession,
    table: str,
    partitions: Sequence[str],
    write: Callable[[str], Mapping[tuple[str, ...], int]],
    settings: Settings,
    expected: Sequence[Mapping[str, str]] | None,
) -> Published:
    """Publish what `write` writes below the folder it is given; it returns the rows of each partition."""
    run = new_run_id()
    with metastore(spark, settings) as hive:
        home = hive.location(table)
        location = f"{home}/{_RUNS}/{run}"
        rows = write(location)
        values = sorted(_responsible(table, partitions, rows, expected))
        placed = {value: partition_folder(location, partitions, value) for value in values}
        folders.make(spark, (folder for value, folder in placed.items() if value not in rows))
        hive.point(table, placed)
        tidy(spark, home, lambda: hive.locations(table).values(), run)
    spark.catalog.refreshTable(table)
    return Published(tuple(placed), sum(rows.values()), placed)


def write_run(
    spark: SparkSession,
    frame: DataFrame,
    location: str,
    partitions: Sequence[str],
    counted: Mapping[tuple[str, ...], int] | None = None,
) -> Mapping[tuple[str, ...], int]:
    """Write `frame` below the new folder `location`, one folder a partition; nobody reads it yet.

    Returns the number of rows by partition values, counted in what was written where it was not `counted` before.
    """
    frame.hint("rebalance", *partitions).write.partitionBy(*partitions).parquet(location)
    if counted is not None:
        return counted
    written = spark.read.schema(frame.schema).parquet(location)
    counts = written.groupBy(*partitions).agg(F.count(F.lit(1)).alias("rows")).collect()
    return {tuple(row[name] for name in partitions): row["rows"] for row in counts}


def partition_folder(location: str, partitions: Sequence[str], values: Sequence[str]) -> str:
    """The folder of one partition below the folder of a run: `<location>/day=2013-01-01`."""
    return "/".join([location, *(f"{name}={value}" for name, value in zip(partitions, values, strict=True))])


def _responsible(
    table: str,
    partitions: Sequence[str],
    rows: Mapping[tuple[str, ...], int],
    expected: Sequence[Mapping[str, str]] | None,
) -> set[tuple[str, ...]]:
    """The partitions that a run replaces. Raises DataError when a row lies in another or in none."""
    for values in rows:
        for name, value in zip(partitions, values, strict=True):
            if value is None or not _PARTITION_VALUE.fullmatch(value):
                raise DataError(f"a row for Hive table {table} has {value!r} as its partition column {name}.")
    if expected is None:
        return set(rows)
    responsible = {tuple(partition[name] for name in partitions) for partition in expected}
    strays = sorted(rows.keys() - responsible)
    if strays:
        shown = ", ".join("/".join(values) for values in strays[:3])
        raise DataError(f"rows for Hive table {table} lie outside the partitions of this run: {shown}.")
    return responsible


def new_run_id() -> str:
    """A name for the folder of a run: the moment it began, to the microsecond, and eight random digits.

    The moment orders publications; see `published_at`.
    """
    return f"{datetime.now(UTC).strftime(_RUN_TIME)}-{uuid.uuid4().hex[:8]}"


def published_at(location: str) -> datetime:
    """When the run that wrote a partition's folder began. Raises StoreError when no run of ours wrote it."""
    found = _RUN_ID.search(location)
    if not found:
        raise StoreError(f"{location} was not written by a job of Giornata; publish the partition again.")
    return datetime.strptime(found[1], _RUN_TIME).replace(tzinfo=UTC)


def tidy(spark: SparkSession, location: str, used: Callable[[], Iterable[str]], run: str) -> None:
    """Remove the folders of runs below the folder of a table that are a grace period older than `run`, except where
    one of the folders that `used` gives, those of its partitions, lies: it is asked only where there are old ones.
    """
    runs = f"{location}/{_RUNS}"
    old = [
        name
        for name in folders.entries(spark, runs)
        if _RUN_ID.fullmatch(name) and published_at(name) < published_at(run) - GRACE
    ]
    kept = {found[0] for folder in used() if (found := _RUN_ID.search(folder))} if old else set()
    for name in old:
        if name not in kept:
            folders.remove(spark, f"{runs}/{name}")
