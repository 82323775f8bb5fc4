"""Where the partitions of a Hive table are: read, and moved many in one call of the metastore.

SQL moves one partition a statement, each its own transaction of a quarter of a second; the metastore's Java
client, which Spark has loaded anyway, takes them all at once.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from giornata.errors import StoreError
from giornata.settings import Settings

TIMEOUT = "120s"

_ALL = -1


class Metastore:
    """An open connection to the metastore of a Spark session; `metastore` below opens and closes it."""

    def __init__(self, spark: SparkSession, settings: Settings):
        context: Any = spark.sparkContext
        self._java = context._jvm
        self._hive = self._java.org.apache.hadoop.hive
        hadoop = context._jsc.hadoopConfiguration()
        configuration = self._hive.conf.HiveConf(hadoop, self._hive.conf.HiveConf().getClass())
        configuration.set("hive.metastore.uris", settings.metastore)
        configuration.set("hive.metastore.client.socket.timeout", TIMEOUT)
        self._client = self._hive.metastore.HiveMetaStoreClient(configuration)

    def close(self) -> None:
        self._client.close()

    def location(self, table: str) -> str:
        """The folder of `database.table`."""
        return self._client.getTable(*table.split(".")).getSd().getLocation()

    def locations(self, table: str) -> dict[tuple[str, ...], str]:
        """The folder of every partition of `database.table`, by the values of its partition columns."""
        return {
            tuple(partition.getValues()): partition.getSd().getLocation()
            for partition in self._client.listPartitions(*table.split("."), _ALL)
        }

    def point(self, table: str, folders: Mapping[tuple[str, ...], str]) -> None:
        """Make `folders` the partitions of these values.

        All new partitions appear in one call, then all others move in another: each is one transaction.
        """
        present = self.locations(table)
        added = [
            self._partition(table, value, folder) for value, folder in folders.items() if value not in present
        ]
        if added:
            self._client.add_partitions(self._java_list(added), True, False)
        moved = []
        for partition in self._client.listPartitions(*table.split("."), _ALL):
            folder = folders.get(tuple(partition.getValues()))
            if folder is not None and partition.getSd().getLocation() != folder:
                partition.getSd().setLocation(folder)
                moved.append(partition)
        if moved:
            context = self._hive.metastore.api.EnvironmentContext()
            self._client.alter_partitions(*table.split("."), self._java_list(moved), context)

    def _partition(self, table: str, value: tuple[str, ...], folder: str) -> Any:
        database, name = table.split(".")
        partition = self._hive.metastore.api.Partition()
        partition.setDbName(database)
        partition.setTableName(name)
        partition.setValues(self._java_list(value))
        storage = self._client.getTable(database, name).getSd().deepCopy()
        storage.setLocation(folder)
        partition.setSd(storage)
        partition.setParameters(self._java.java.util.HashMap())
        return partition

    def _java_list(self, items: Any) -> Any:
        values = self._java.java.util.ArrayList()
        for item in items:
            values.add(item)
        return values


@contextmanager
def metastore(spark: SparkSession, settings: Settings) -> Iterator[Metastore]:
    """A Metastore, closed at the end of the `with` block; what it refuses is raised as StoreError."""
    try:
        opened = Metastore(spark, settings)
        try:
            yield opened
        finally:
            opened.close()
    except Py4JJavaError as fault:
        raise StoreError(f"the Hive metastore refuses: {fault.java_exception.toString()}") from fault
