"""Checks before a run that its inputs exist: tables and feature groups in Hive; messages name the DAG that fills
them."""

from collections.abc import Iterable

from pyspark.sql import SparkSession

from giornata.errors import StoreError
from giornata.names import dag_id, data_table, group_table

__all__ = ["check_groups", "check_tables"]


def check_tables(spark: SparkSession, project: str, tables: Iterable[str]) -> None:
    """Raise StoreError if Hive lacks one of these tables of a project."""
    missing = [
        name for name in dict.fromkeys(tables) if not spark.catalog.tableExists(data_table(project, name))
    ]
    if missing:
        raise StoreError(
            f"nothing has been loaded yet for {', '.join(missing)}: trigger {dag_id(project, 'ingest')} with a range "
            "of days first, or let whatever fills it load it"
        )


def check_groups(spark: SparkSession, project: str, groups: Iterable[str]) -> None:
    """Raise StoreError if one of these feature groups of a project has no published day."""
    missing = [name for name in dict.fromkeys(groups) if not _has_days(spark, group_table(project, name))]
    if missing:
        what = "the feature group" if len(missing) == 1 else "the feature groups"
        raise StoreError(
            f"no day is published yet of {what} {', '.join(missing)}: trigger {dag_id(project, 'features')} with a "
            "range of days first"
        )


def _has_days(spark: SparkSession, table: str) -> bool:
    return spark.catalog.tableExists(table) and not spark.sql(f"SHOW PARTITIONS {table}").isEmpty()
