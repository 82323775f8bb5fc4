"""The online read compared with Feast's SDK on the same Cassandra, and the push compared with the bare driver."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import pyarrow.parquet as pq
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args
from pyspark.sql import DataFrame, SparkSession

from bench.feast_peer import Peer, describe
from bench.figures import percentile, show
from bench.flights_year import ASKED, AT, KEYS, PROJECT, START, asking_rows, inputs
from giornata.documents import FeatureGroup
from giornata.names import group_table, store_column
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.features import OnlineFeatures
from jobs.online.push import DEFAULT_PATIENCE
from jobs.online.table import OnlineTable
from jobs.online.writer import CONCURRENCY

KEYSPACE = "bench_feast"
ROUNDS = 6
PUSH_ROUNDS = 3

# Entities of a request, and the requests of a round.
REQUESTS = {1: 100, 100: 15}

# A session of two threads writes with two tasks at a time.
AT_ONCE = 2 * CONCURRENCY
PUSHED = 30_000


def beside_feast(
    spark: SparkSession,
    settings: Settings,
    groups: Mapping[str, FeatureGroup],
    python: str,
    folder: Path,
    days: int,
) -> None:
    """Print p50 and p95 of reads of 1 and of 100 entities of four groups, ours and Feast's in turn."""
    at = START + timedelta(days=days - 3, hours=18)  # there is no weather of the last two days
    flights = asking_rows(spark).where(f"{AT} BETWEEN '{at - timedelta(hours=8)}' AND '{at}'")
    pool = [{key: row[key] for key in KEYS} for row in flights.select(*KEYS).collect()]
    describe(folder, {name: groups[name] for name in ASKED})
    for name in ASKED:
        rows = spark.table(group_table(PROJECT, name)).where(f"day >= '{at - timedelta(days=2):%Y-%m-%d}'")
        pq.write_table(rows.drop("day").toArrow(), folder / f"{name}.parquet")
    host, _, port = settings.cassandra.partition(":")
    with cassandra.session(settings) as session, Peer(python, folder) as peer:
        session.execute(
            f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE} "
            "WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
        )
        try:
            peer.tell("fill", 600, host=host, port=int(port), keyspace=KEYSPACE, until=at.isoformat())
            reader, asked = OnlineFeatures(session, PROJECT, groups), inputs(groups)

            def ours(requests: Sequence[list[dict[str, str]]]) -> dict[str, Any]:
                seconds, found = [], []
                for rows in requests:
                    began = perf_counter()
                    found = reader.read(asked, rows, [at] * len(rows))
                    seconds.append(perf_counter() - began)
                return {"seconds": seconds, "last": found}

            def feasts(requests: Sequence[list[dict[str, str]]]) -> dict[str, Any]:
                return peer.tell("read", 300, requests=requests)

            for entities in REQUESTS:
                _in_turn(pool, entities, ours, feasts, groups)
        finally:
            session.execute(f"DROP KEYSPACE {KEYSPACE}", timeout=60.0)


def _in_turn(
    pool: Sequence[dict[str, str]],
    entities: int,
    ours: Callable[[Sequence[list[dict[str, str]]]], dict[str, Any]],
    feasts: Callable[[Sequence[list[dict[str, str]]]], dict[str, Any]],
    groups: Mapping[str, FeatureGroup],
) -> None:
    """Rounds of requests of so many entities, the first of them to warm up."""
    requests = [
        [pool[(place * entities + number) % len(pool)] for number in range(entities)]
        for place in range(REQUESTS[entities])
    ]
    seconds: dict[str, list[float]] = {"ours": [], "feast": []}
    for number in range(ROUNDS + 1):
        found, feast = ours(requests), feasts(requests)
        if number:
            seconds["ours"] += found["seconds"]
            seconds["feast"] += feast["seconds"]
    for share in (0.5, 0.95):
        mine, theirs = percentile(seconds["ours"], share), percentile(seconds["feast"], share)
        name = f"online read of {entities} x {len(ASKED)} groups, p{share * 100:g}"
        show(name, f"{mine * 1e3:.2f} ms", f"Feast {theirs * 1e3:.2f} ms", theirs / mine, 3)
    keys = sum(
        len({tuple(row[key] for key in groups[name].entity) for row in requests[-1]}) for name in ASKED
    )
    features = [store_column(name, feature) for name in ASKED for feature in groups[name].features]
    pairs = [
        (row[feature], feast["last"][feature][place])
        for place, row in enumerate(found["last"])
        for feature in features
    ]
    differ = sum(mine is not None and mine != theirs for mine, theirs in pairs)
    aged = sum(mine is None and theirs is not None for mine, theirs in pairs)
    print(
        f"    {keys} different rows in the last request; of {len(pairs)} values {differ} differ, "
        f"and {aged} are older than their ttl, which Feast shows"
    )


def push_beside_driver(
    spark: SparkSession, settings: Settings, groups: Mapping[str, FeatureGroup], folder: Path
) -> None:
    """Print rows a second of a push's writing and of the bare driver in one process, as many under way."""
    online = OnlineTable(settings, PROJECT, "dest_delays", groups["dest_delays"], DEFAULT_PATIENCE)
    many = spark.table(group_table(PROJECT, "dest_delays")).drop("day").limit(PUSHED)
    single = spark.range(PUSHED).selectExpr(
        "concat('N', id) AS dest",
        "timestamp_millis(1357041600000 + id) AS event_time",
        "id / 7 AS mean_arr_delay_6h",
        "id AS arrivals_6h",
    )
    with cassandra.session(settings) as session:
        session.execute(
            f"CREATE KEYSPACE IF NOT EXISTS {KEYSPACE} "
            "WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
        )
        try:
            for name, rows in (("entities of many rows", many), ("entities of one row", single)):
                file = str(folder / name.replace(" ", "-"))
                rows.write.parquet(file)
                _push(spark.read.parquet(file), online, session, name)
        finally:
            session.execute(f"DROP KEYSPACE {KEYSPACE}", timeout=60.0)


def _push(rows: DataFrame, online: OnlineTable, session: Session, name: str) -> None:
    """Both write the same rows into one table, in turn; what the bare driver writes lies in memory before."""
    table = f"{KEYSPACE}.{name.replace(' ', '_')}"
    columns = [*online.key, *online.group.features]
    session.execute(
        f"CREATE TABLE {table} (dest text, event_time timestamp, mean_arr_delay_6h double, arrivals_6h bigint, "
        "PRIMARY KEY (dest, event_time)) WITH CLUSTERING ORDER BY (event_time DESC)"
    )
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
    stamped = rows.selectExpr(*columns, "1000000 AS published")
    prepared = session.prepare(insert)
    in_memory = [
        (dest, int(time.replace(tzinfo=UTC).timestamp() * 1000), *others)
        for dest, time, *others in map(tuple, stamped.collect())
    ]

    def ours() -> None:
        online._write(stamped, insert, [*columns, "published"])

    def driver() -> None:
        execute_concurrent_with_args(session, prepared, in_memory, concurrency=AT_ONCE)

    taken: dict[Callable[[], None], list[float]] = {ours: [], driver: []}
    for _ in range(PUSH_ROUNDS):
        for write, seconds in taken.items():
            began = perf_counter()
            write()
            seconds.append(perf_counter() - began)
    mine, bare = len(in_memory) / min(taken[ours]), len(in_memory) / min(taken[driver])
    show(f"push, {name}", f"{mine:.0f} rows/s", f"driver {bare:.0f} rows/s", mine / bare, 0.8)
