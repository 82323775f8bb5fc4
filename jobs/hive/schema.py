"""Checks a frame's columns, keys and days against its document."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from giornata.errors import DataError

SQL_TYPES = {"int": "bigint", "float": "double", "bool": "boolean", "str": "string", "timestamp": "timestamp"}
SQL_TYPES |= {f"list[{name}]": f"array<{type_}>" for name, type_ in SQL_TYPES.items()}

# A narrower number is taken as the declared one; `1.5` in Spark SQL is a decimal.
_SMALL = ("tinyint", "smallint", "int")
_ACCEPTED = {"bigint": _SMALL, "double": (*_SMALL, "float", "decimal")}
_ACCEPTED |= {
    f"array<{type_}>": tuple(f"array<{small}>" for small in accepted) for type_, accepted in _ACCEPTED.items()
}


def conform(frame: DataFrame, columns: Mapping[str, str], what: str) -> DataFrame:
    """`frame` with exactly `columns` (name -> int, float, bool, str or timestamp), in that order.

    Narrower numbers are widened. Raises DataError naming each column that is missing, not declared or of another type;
    `what` names the origin of the frame in messages.
    """
    wanted = {name: SQL_TYPES[type_] for name, type_ in columns.items()}
    found = {name: type_.partition("(")[0] for name, type_ in frame.dtypes}
    widened = {
        name: F.col(name).cast(type_)
        for name, type_ in wanted.items()
        if found.get(name) in _ACCEPTED.get(type_, ())
    }
    frame = frame.withColumns(widened)
    check_columns(frame, wanted, what)
    return frame.select(*wanted)


def check_columns(frame: DataFrame, wanted: Mapping[str, str], what: str) -> None:
    """Raise DataError naming every column of `frame` that is missing, of another type, or undeclared.

    `wanted` maps a column to Spark's name of its type; `what` names the origin of the frame in messages.
    """
    found = dict(frame.dtypes)
    problems = [f"column {name} is missing" for name in wanted if name not in found]
    problems += [f"column {name} is not declared" for name in found if name not in wanted]
    problems += [
        f"column {name} is {found[name]} instead of {type_}"
        for name, type_ in wanted.items()
        if name in found and found[name] != type_
    ]
    if problems:
        raise DataError(f"{what} does not return what its document declares: {'; '.join(problems)}.")


def check_rows(
    rows: DataFrame, what: str, key: Sequence[str], event_time: str, start: datetime, end: datetime
) -> int:
    """Count rows. Raise DataError unless every row has a key, lies in [start, end) by `event_time`, and is the only one
    with its key.

    `what` names the origin of the rows in messages.
    """
    required = list(dict.fromkeys([*key, event_time]))
    inside = (F.col(event_time) >= F.lit(start)) & (F.col(event_time) < F.lit(end))
    by_key = rows.groupBy(*(F.col(column).alias(f"__key_{column}") for column in key)).agg(
        *(F.count_if(F.col(column).isNull()).alias(column) for column in required),
        F.count_if(~inside).alias("__outside"),
        F.count(F.lit(1)).alias("__rows"),
    )
    most = F.max_by(F.struct(*(F.col(f"__key_{column}").alias(column) for column in key)), "__rows")
    (counts,) = by_key.agg(
        *(F.coalesce(F.sum(column), F.lit(0)).alias(column) for column in [*required, "__outside"]),
        F.coalesce(F.sum("__rows"), F.lit(0)).alias("__all"),
        F.max("__rows").alias("__rows"),
        most.alias("__most"),
    ).collect()
    problems = [f"{counts[column]} rows have no {column}" for column in required if counts[column]]
    if counts["__outside"]:
        problems.append(f"{counts['__outside']} rows have an {event_time} outside {start:%F} to {end:%F}")
    if (counts["__rows"] or 0) > 1:
        values = ", ".join(f"{column} {counts['__most'][column]}" for column in key)
        problems.append(f"{counts['__rows']} rows have the same key: {values}")
    if problems:
        raise DataError(f"{what}: {'; '.join(problems)}. Nothing of it was published.")
    return int(counts["__all"])


def day_of(event_time: str) -> Column:
    """The partition of a row: the UTC date of its event time, as text."""
    return F.date_format(event_time, "yyyy-MM-dd")


def on_days(rows: DataFrame, days: Collection[str]) -> DataFrame:
    """The rows of a table on `days`, of which there is at least one, however many they are.

    The metastore is only asked for the range from the first to the last: a condition with every day grows beyond what
    its database accepts.
    """
    span = rows.where(F.col("day").between(min(days), max(days)))
    wanted = rows.sparkSession.createDataFrame([(day,) for day in days], "day string")
    return span.join(F.broadcast(wanted), "day", "left_semi").select(rows.columns)


def input_frame(frame: DataFrame, columns: Mapping[str, str], *others: str | Column) -> DataFrame:
    """The input columns in the types that the feature language expects, and `others` as they are."""
    return frame.select(
        *(F.col(name).cast(SQL_TYPES[type_]).alias(name) for name, type_ in columns.items()), *others
    )
