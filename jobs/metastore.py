"""Where the partitions of a Hive table are: read, and moved many in one call of the metastore.

SQL moves one partition a statement, each its own transaction of a quarter of a second; the metastore's Java
client, which Spark has loaded anyway, takes them all at once.
"""

import json
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
    """An open connection to the metastore of a Spark session; `metastore` below opens and closes it.

    A name such as `java.util.ArrayList` is looked up over py4j step by step, milliseconds each, so classes are
    looked up once; and a listing comes over as one text instead of field by field.
    """

    def __init__(self, spark: SparkSession, settings: Settings):
        context: Any = spark.sparkContext
        java = context._jvm
        hive = java.org.apache.hadoop.hive
        self._java_list = java.java.util.ArrayList
        self._java_map = java.java.util.HashMap
        self._partition = hive.metastore.api.Partition
        self._environment = hive.metastore.api.EnvironmentContext
        self._gson = java.com.google.gson.Gson()
        configuration = hive.conf.HiveConf(
            context._jsc.hadoopConfiguration(), hive.conf.HiveConf().getClass()
        )
        configuration.set("hive.metastore.uris", settings.metastore)
        configuration.set("hive.metastore.client.socket.timeout", TIMEOUT)
        self._client = hive.metastore.HiveMetaStoreClient(configuration)

    def close(self) -> None:
        self._client.close()

    def location(self, table: str) -> str:
        """The folder of `database.table`."""
        return self._client.getTable(*table.split(".")).getSd().getLocation()

    def locations(self, table: str) -> dict[tuple[str, ...], str]:
        """The folder of every partition of `database.table`, by the values of its partition columns."""
        return self._read(self._list(table))

    def point(self, table: str, folders: Mapping[tuple[str, ...], str]) -> dict[tuple[str, ...], str]:
        """Make `folders` the partitions of these values; returns the folders that all partitions have then.

        All new partitions appear in one call, then all others move in another: each is one transaction.
        """
        listed = self._list(table)
        present = self._read(listed)
        added = {value: folder for value, folder in folders.items() if value not in present}
        if added:
            self._client.add_partitions(self._new(table, added), True, False)
        moved = self._java_list()
        for position, (value, folder) in enumerate(present.items()):
            if folders.get(value, folder) != folder:
                partition = listed.get(position)
                partition.getSd().setLocation(folders[value])
                moved.add(partition)
        if moved:
            self._client.alter_partitions(*table.split("."), moved, self._environment())
        return {**present, **folders}

    def _list(self, table: str) -> Any:
        """Java's list of the partitions of a table."""
        return self._client.listPartitions(*table.split("."), _ALL)

    def _read(self, listed: Any) -> dict[tuple[str, ...], str]:
        """The folders in Java's list of partitions, in its order."""
        partitions = json.loads(self._gson.toJson(listed))
        return {tuple(partition["values"]): partition["sd"]["location"] for partition in partitions}

    def _new(self, table: str, folders: Mapping[tuple[str, ...], str]) -> Any:
        """Java's list of new partitions, stored as the table is."""
        database, name = table.split(".")
        model = self._partition()
        model.setDbName(database)
        model.setTableName(name)
        model.setSd(self._client.getTable(database, name).getSd())
        model.setParameters(self._java_map())
        partitions = self._java_list()
        for value, folder in folders.items():
            partition = model.deepCopy()
            values = self._java_list()
            for item in value:
                values.add(item)
            partition.setValues(values)
            partition.getSd().setLocation(folder)
            partitions.add(partition)
        return partitions


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
