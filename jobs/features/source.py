"""The rows of a feature group from its source: its query, its function, or its windows."""

import sys
import traceback
from datetime import datetime
from pathlib import Path

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from giornata.documents import ProjectDocuments
from giornata.errors import DataError
from giornata.names import group_file
from jobs.features.windows import windows
from jobs.runtime import project_code

__all__ = ["group_rows", "source_of"]


def source_of(documents: ProjectDocuments, name: str) -> str:
    """The name of a group's source in messages: `the query of feature group tides`."""
    return f"the {documents.source(name)} of feature group {name}"


def group_rows(
    spark: SparkSession, documents: ProjectDocuments, name: str, start: datetime, end: datetime
) -> DataFrame:
    """The rows of a group's source for [start, end), unchecked; tables are found by their bare names.

    Raises DataError if a function fails or returns no DataFrame. Errors of Spark are passed on.
    """
    spark.catalog.setCurrentDatabase(documents.name)
    match documents.source(name):
        case "query":
            query = documents.query(name).rstrip().removesuffix(";")
            return spark.sql(query, args={"from": start, "to": end})
        case "function":
            return _of_function(spark, documents, name, start, end)
        case "windows":
            group = documents.group(name)
            assert group.events, "windows are over events"
            return windows(spark, documents.name, group, documents.table(group.events.table), start, end)


def _of_function(
    spark: SparkSession, documents: ProjectDocuments, name: str, start: datetime, end: datetime
) -> DataFrame:
    """The result of `compute` in the group's Python file; if it fails, its author finds the traceback in the log."""
    try:
        rows = project_code.load(documents.folder, "features", group_file(name)).compute(spark, start, end)
    except PySparkException:
        raise
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        raise DataError(
            f"{source_of(documents, name)} fails{_place(error, documents.folder)}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(rows, DataFrame):
        raise DataError(
            f"{source_of(documents, name)} gives {type(rows).__name__} instead of a Spark DataFrame."
        )
    return rows


def _place(error: Exception, folder: Path) -> str:
    """The position in the project's own files at which an error occurred: ` in features/tides.py, line 7`."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(folder):
        return f" in {Path(error.filename).relative_to(folder).as_posix()}, line {error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(folder):
            return f" in {Path(frame.filename).relative_to(folder).as_posix()}, line {frame.lineno}"
    return ""
