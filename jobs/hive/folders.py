"""Folders of the warehouse, on whatever file system it lies: this machine's, HDFS or an object store."""

from collections.abc import Iterable, Iterator
from typing import Any

from pyspark.sql import SparkSession


def existing(spark: SparkSession, folders: Iterable[str]) -> list[str]:
    """Those of the folders that are there. All lie on the same file system."""
    return [folder for folder, files, path in _each(spark, folders) if files.exists(path)]


def make(spark: SparkSession, folders: Iterable[str]) -> None:
    """Make folders, and those above them, if they are not there. All lie on the same file system."""
    for _, files, path in _each(spark, folders):
        files.mkdirs(path)


def remove(spark: SparkSession, folder: str) -> None:
    """Remove a folder and all that is in it."""
    files, path = _opened(spark, folder)
    files.delete(path, True)


def entries(spark: SparkSession, folder: str) -> list[str]:
    """The names of what is in a folder; nothing when there is no such folder."""
    files, path = _opened(spark, folder)
    return [status.getPath().getName() for status in files.listStatus(path)] if files.exists(path) else []


def _each(spark: SparkSession, folders: Iterable[str]) -> Iterator[tuple[str, Any, Any]]:
    """Folders on one file system, each with that and with its path there."""
    java: Any = spark.sparkContext._jvm
    to_path = java.org.apache.hadoop.fs.Path  # once: each step of the name takes py4j milliseconds to find
    files = None
    for folder in folders:
        path = to_path(folder)
        files = files or path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
        yield folder, files, path


def _opened(spark: SparkSession, folder: str) -> tuple[Any, Any]:
    java: Any = spark.sparkContext._jvm
    path = java.org.apache.hadoop.fs.Path(folder)
    return path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()), path
