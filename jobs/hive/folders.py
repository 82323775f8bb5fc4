"""Folders of the warehouse, on any file system: the local one, HDFS or an object store."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyspark.sql import SparkSession


def existing(spark: SparkSession, folders: Iterable[str]) -> list[str]:
    """The folders that exist. All lie on the same file system."""
    return [folder for folder, files, path in _each(spark, folders) if files.exists(path)]


def make(spark: SparkSession, folders: Iterable[str]) -> None:
    """Create folders, and their parents, if they do not exist. All lie on the same file system."""
    for _, files, path in _each(spark, folders):
        files.mkdirs(path)


def write_files(spark: SparkSession, contents: Mapping[str, bytes]) -> None:
    """Write files, path -> content, each a few megabytes at most; folders are made. All lie on the same file system."""
    for file, files, path in _each(spark, contents):
        stream = files.create(path)
        try:
            stream.write(bytearray(contents[file]))
        finally:
            stream.close()


def remove(spark: SparkSession, folder: str) -> None:
    """Remove a folder with everything in it."""
    files, path = _opened(spark, folder)
    files.delete(path, True)


def entries(spark: SparkSession, folder: str) -> list[str]:
    """The names in a folder; none if it does not exist."""
    files, path = _opened(spark, folder)
    return [status.getPath().getName() for status in files.listStatus(path)] if files.exists(path) else []


def _each(spark: SparkSession, folders: Iterable[str]) -> Iterator[tuple[str, Any, Any]]:
    """Each folder on its file system, with its path there."""
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
