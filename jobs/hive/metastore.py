"""The locations of a Hive table's partitions: reads them, and changes many in one call of the metastore.

SQL changes one partition per statement, each its own transaction of a quarter of a second; the metastore's Java client,
which Spark has loaded anyway, changes them all at once.

Partitions are read by name, a bounded number per call, and never by a condition that grows with them: the metastore
turns such a condition into one expression, which its database refuses at some hundreds of days.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from giornata.errors import StoreError
from giornata.settings import Settings

TIMEOUT = "120s"

# Partitions that are asked for in one call.
TOGETHER = 500

_ALL = -1


@dataclass(frozen=True)
class _Java:
    """Classes of the JVM, and the configuration of a client: looking them up takes longer than to connect."""

    list: Any
    map: Any
    partition: Any
    environment: Any
    gson: Any
    client: Any
    configuration: Any


@lru_cache(maxsize=1)
def _java(spark: SparkSession, address: str) -> _Java:
    context: Any = spark.sparkContext
    java = context._jvm
    hive = java.org.apache.hadoop.hive
    configuration = hive.conf.HiveConf(context._jsc.hadoopConfiguration(), hive.conf.HiveConf().getClass())
    configuration.set("hive.metastore.uris", address)
    configuration.set("hive.metastore.client.socket.timeout", TIMEOUT)
    return _Java(
        java.java.util.ArrayList,
        java.java.util.HashMap,
        hive.metastore.api.Partition,
        hive.metastore.api.EnvironmentContext,
        java.com.google.gson.Gson(),
        hive.metastore.HiveMetaStoreClient,
        configuration,
    )


class Metastore:
    """An open connection to the metastore of a Spark session; `metastore` below opens and closes it.

    A name such as `java.util.ArrayList` is looked up over py4j step by step, milliseconds each, so classes are
    looked up once; and a listing comes over as one text instead of field by field.
    """

    def __init__(self, spark: SparkSession, settings: Settings):
        java = _java(spark, settings.metastore)
        self._java_list = java.list
        self._java_map = java.map
        self._partition = java.partition
        self._environment = java.environment
        self._gson = java.gson
        self._client = java.client(java.configuration)

    def close(self) -> None:
        self._client.close()

    def location(self, table: str) -> str:
        """The folder of `database.table`."""
        location: str = self._client.getTable(*table.split(".")).getSd().getLocation()
        return location

    def locations(self, table: str, **only: str) -> dict[tuple[str, ...], str]:
        """The folder of every partition of `database.table`, by the values of its partition columns.

        `only` gives values of partition columns, as in `group_name="planes"`: other partitions are left out.
        """
        wanted = {f"{column}={value}" for column, value in only.items()}
        names = json.loads(self._gson.toJson(self._client.listPartitionNames(*table.split("."), _ALL)))
        return self._folders(table, [name for name in names if wanted.issubset(name.split("/"))])

    def locations_of(self, table: str, values: Collection[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
        """The folders of the partitions of `database.table` with these values of the partition columns."""
        return self._folders(table, self._names(table, values))

    def point(self, table: str, folders: Mapping[tuple[str, ...], str]) -> None:
        """Make `folders` the locations of the partitions with these values; all others stay.

        All new partitions appear in one call, then all others move in another: each is one transaction.
        """
        found = [
            (partition, described)
            for listed in self._partitions(table, self._names(table, folders))
            for partition, described in zip(listed, self._described(listed), strict=True)
        ]
        present = {tuple(described["values"]) for _, described in found}
        added = {value: folder for value, folder in folders.items() if value not in present}
        if added:
            self._client.add_partitions(self._new(table, added), True, False)
        moved = self._java_list()
        for partition, described in found:
            folder = folders[tuple(described["values"])]
            if described["sd"]["location"] != folder:
                partition.getSd().setLocation(folder)
                moved.add(partition)
        if moved:
            self._client.alter_partitions(*table.split("."), moved, self._environment())

    def _names(self, table: str, values: Iterable[tuple[str, ...]]) -> list[str]:
        """The metastore's names of partitions: `day=2013-01-01/group_name=planes`."""
        keys = json.loads(self._gson.toJson(self._client.getTable(*table.split(".")).getPartitionKeys()))
        columns = [key["name"] for key in keys]
        return [
            "/".join(f"{column}={item}" for column, item in zip(columns, value, strict=True))
            for value in values
        ]

    def _partitions(self, table: str, names: Sequence[str]) -> Iterator[Any]:
        """Java lists of the existing partitions with these names, TOGETHER at most in each."""
        for first in range(0, len(names), TOGETHER):
            asked = self._java_list()
            for name in names[first : first + TOGETHER]:
                asked.add(name)
            yield self._client.getPartitionsByNames(*table.split("."), asked)

    def _described(self, listed: Any) -> list[dict[str, Any]]:
        """The partitions in a Java list, in order."""
        described: list[dict[str, Any]] = json.loads(self._gson.toJson(listed))
        return described

    def _folders(self, table: str, names: Sequence[str]) -> dict[tuple[str, ...], str]:
        return {
            tuple(partition["values"]): partition["sd"]["location"]
            for listed in self._partitions(table, names)
            for partition in self._described(listed)
        }

    def _new(self, table: str, folders: Mapping[tuple[str, ...], str]) -> Any:
        """A Java list of new partitions with the table's storage format."""
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
    """A Metastore, closed at the end of the `with` block; its refusals are raised as StoreError."""
    try:
        opened = Metastore(spark, settings)
        try:
            yield opened
        finally:
            opened.close()
    except Py4JJavaError as fault:
        raise StoreError(f"the Hive metastore refuses: {fault.java_exception.toString()}") from fault
