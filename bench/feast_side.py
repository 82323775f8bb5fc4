"""Feast's half of bench/feature_store.py, run by Feast's own Python: obeys one JSON command a line, answers with one.

The folder in its argument holds `groups.json` (what `Side` of bench/feast_peer.py writes) and each group's rows as
`<group>.parquet`; asking rows come as Parquet files too. Times are seconds.
"""

import json
import os
import resource
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.infra.offline_stores.dask import DaskOfflineStoreConfig
from feast.infra.offline_stores.duckdb import DuckDBOfflineStoreConfig
from feast.infra.online_stores.cassandra_online_store.cassandra_online_store import CassandraOnlineStoreConfig
from feast.infra.online_stores.sqlite import SqliteOnlineStoreConfig
from feast.types import Bool, Float64, Int64, String, UnixTimestamp

TYPES = {"int": Int64, "float": Float64, "bool": Bool, "str": String, "timestamp": UnixTimestamp}
KEYS = {"int": ValueType.INT64, "str": ValueType.STRING}
ENGINES = {"dask": DaskOfflineStoreConfig, "duckdb": DuckDBOfflineStoreConfig}


class Feast:
    """Feature stores over the groups of a folder, one for each choice of engines, and the commands."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.groups: dict[str, Any] = json.loads((folder / "groups.json").read_text())
        self.features = [
            f"{name}:{feature}" for name, group in self.groups.items() for feature in group["features"]
        ]

    def store(self, name: str, offline: Any, online: Any) -> FeatureStore:
        """A store with every group as a feature view."""
        store = FeatureStore(
            config=RepoConfig(
                project="bench",
                provider="local",
                registry=str(self.folder / f"{name}.db"),
                offline_store=offline,
                online_store=online,
                entity_key_serialization_version=3,
            )
        )
        keys = {key: type_ for group in self.groups.values() for key, type_ in group["entity"].items()}
        entities = {
            key: Entity(name=key, join_keys=[key], value_type=KEYS[type_]) for key, type_ in keys.items()
        }
        views = [
            FeatureView(
                name=group_name,
                entities=[entities[key] for key in group["entity"]],
                ttl=timedelta(seconds=group["ttl"] or 0),
                schema=[
                    Field(name=column, dtype=TYPES[type_])
                    for column, type_ in {**group["entity"], **group["features"]}.items()
                ],
                source=FileSource(
                    path=str(self.folder / f"{group_name}.parquet"), timestamp_field="event_time"
                ),
            )
            for group_name, group in self.groups.items()
        ]
        store.apply([*entities.values(), *views])
        return store

    def historical(self, engine: str, asks: str, answer: str, memory: int) -> dict[str, Any]:
        """Features of the asking rows, written to the file `answer`; at most `memory` bytes may be in use."""
        resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.RLIM_INFINITY))
        online = SqliteOnlineStoreConfig(path=str(self.folder / f"{engine}-online.db"))
        store = self.store(engine, ENGINES[engine](), online)
        rows = pq.read_table(asks).to_pandas()
        began = perf_counter()
        found = store.get_historical_features(rows, self.features, full_feature_names=True).to_arrow()
        seconds = perf_counter() - began
        pq.write_table(found, answer)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {"seconds": seconds, "rows": found.num_rows, "peak": peak}

    def fill(self, host: str, port: int, keyspace: str, until: str) -> dict[str, Any]:
        """Put the newest row of each entity before `until` into Cassandra."""
        online = CassandraOnlineStoreConfig(hosts=[host], port=port, keyspace=keyspace, protocol_version=5)
        self.online = self.store("online", DaskOfflineStoreConfig(), online)
        written = {}
        for name, group in self.groups.items():
            rows = pd.read_parquet(self.folder / f"{name}.parquet")
            rows = rows[rows.event_time < datetime.fromisoformat(until)]
            newest = rows.sort_values("event_time").drop_duplicates(list(group["entity"]), keep="last")
            self.online.write_to_online_store(name, df=newest)
            written[name] = len(newest)
        return {"rows": written}

    def read(self, requests: list[list[dict[str, Any]]]) -> dict[str, Any]:
        """Read each list of entities in a request of its own; the seconds of each, and what the last one gave."""
        seconds = []
        found: dict[str, Any] = {}
        for rows in requests:
            began = perf_counter()
            found = self.online.get_online_features(self.features, rows, full_feature_names=True).to_dict()
            seconds.append(perf_counter() - began)
        return {"seconds": seconds, "last": found}


def main() -> None:
    """Obey commands until the input ends. What libraries print goes to the error stream."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    feast = Feast(Path(sys.argv[1]))
    commands: dict[str, Callable[..., dict[str, Any]]] = {
        "historical": feast.historical,
        "fill": feast.fill,
        "read": feast.read,
    }
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = commands[command.pop("do")](**command)
        except Exception as error:  # noqa: BLE001 (the benchmark prints it)
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
