"""Typed columns or one packed value per row in Cassandra: reads, writes and bytes on disk of both, in one run.

`make bench NAME=packed_rows`. A packed row is one blob: a bit for each missing value, then
the values as 8-byte floats, which is about as small and quick to decode in Python as such rows can be. Both tables
have the entity and the event time as their key, the same rows, and one in twenty values missing.
"""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, perf_counter, sleep

from cassandra.cluster import PreparedStatement, Session
from cassandra.concurrent import execute_concurrent_with_args

from bench.figures import percentile, recorded, show
from giornata.settings import load_settings
from giornata.stores import cassandra

NEEDS = ("stack",)

KEYSPACE = "bench_packed"
WIDTHS = (7, 50)
ENTITIES, EVENTS = 4_000, 5
START = datetime(2013, 1, 1, tzinfo=UTC)
AT = START + timedelta(hours=EVENTS)
AT_ONCE = 64
ROUNDS = 6
REQUESTS = {1: 200, 100: 20}
FLUSHED, QUIET = 60.0, 5.0  # seconds
WORTH_IT = 0.5  # a packed row that is not twice as good gives up tables that a person can read for little

Values = list[float | None]
Decode = Callable[[Sequence[object]], dict[str, float | None]]


def main() -> None:
    """Measure and print."""
    settings = load_settings()
    with recorded("packed_rows"), cassandra.session(settings) as session:
        session.execute(f"DROP KEYSPACE IF EXISTS {KEYSPACE}", timeout=60.0)
        session.execute(
            f"CREATE KEYSPACE {KEYSPACE} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        )
        try:
            for width in WIDTHS:
                compare(session, settings.home / "cassandra" / "data", width)
        finally:
            session.execute(f"DROP KEYSPACE {KEYSPACE}", timeout=60.0)


def compare(session: Session, data: Path, width: int) -> None:
    """Print the figures of rows with so many features; `data` is Cassandra's folder of tables."""
    features = [f"feature_{number}" for number in range(width)]
    rows = [
        (entity, START + timedelta(hours=event), values_of(entity * EVENTS + event, width))
        for entity in range(ENTITIES)
        for event in range(EVENTS)
    ]
    typed, packed = f"typed_{width}", f"packed_{width}"
    create(session, typed, ", ".join(f"{feature} double" for feature in features))
    create(session, packed, "packed blob")
    one, several = struct.Struct(f"<{width}d"), (width + 7) // 8

    def pack(values: Values) -> bytes:
        missing = sum(1 << place for place, value in enumerate(values) if value is None)
        return missing.to_bytes(several, "little") + one.pack(*(value or 0.0 for value in values))

    def unpack(row: Sequence[object]) -> dict[str, float | None]:
        blob = row[1]
        assert isinstance(blob, bytes)
        missing = int.from_bytes(blob[:several], "little")
        values: list[float | None] = list(one.unpack_from(blob, several))
        while missing:
            place = missing.bit_length() - 1
            values[place] = None
            missing ^= 1 << place
        return dict(zip(features, values, strict=True))

    def columns(row: Sequence[object]) -> dict[str, float | None]:
        return dict(zip(features, row[1:], strict=True))  # type: ignore[arg-type]

    written = {typed: [(*key, *values) for *key, values in rows]}
    written[packed] = [(*key, pack(values)) for *key, values in rows]
    rates: dict[str, list[float]] = {typed: [], packed: []}
    inserts = {
        table: session.prepare(f"INSERT INTO {KEYSPACE}.{table} ({names}) VALUES ({marks})")
        for table, names, marks in (
            (typed, ", ".join(["entity", "event_time", *features]), ", ".join("?" * (width + 2))),
            (packed, "entity, event_time, packed", "?, ?, ?"),
        )
    }
    sizes: dict[str, int] = {}
    for number in range(2):
        for table, insert in inserts.items():
            began = perf_counter()
            execute_concurrent_with_args(session, insert, written[table], concurrency=AT_ONCE)
            rates[table].append(len(rows) / (perf_counter() - began))
            if number == 0:  # later there are older versions on disk, too, until Cassandra compacts them
                sizes[table] = on_disk(session, data, table)
    decoders: dict[str, tuple[str, Decode]] = {
        typed: (", ".join(features), columns),
        packed: ("packed", unpack),
    }
    selects = {
        table: session.prepare(
            f"SELECT event_time, {names} FROM {KEYSPACE}.{table} WHERE entity = ? AND event_time < ? LIMIT 1"
        )
        for table, (names, _) in decoders.items()
    }
    seconds = {(table, size): [] for table in (typed, packed) for size in REQUESTS}  # type: ignore[var-annotated]
    for number in range(ROUNDS + 1):
        for (table, size), taken in seconds.items():
            decode = decoders[table][1]
            requests = [
                [(request * 7919 + place * 31 + number) % ENTITIES for place in range(size)]
                for request in range(REQUESTS[size])
            ]
            measured = [read(session, selects[table], entities, decode) for entities in requests]
            taken += measured if number else []
    check = {table: values_read(session, selects[table], 42, decoders[table][1]) for table in (typed, packed)}
    if check[typed] != check[packed]:
        raise SystemExit(f"a row differs: {check}")
    _show(f"{width} features", *((rates[table], sizes[table]) for table in (typed, packed)))
    for entities in REQUESTS:
        for share in (0.5, 0.95):
            mine, theirs = (percentile(seconds[table, entities], share) * 1e3 for table in (typed, packed))
            name = f"{width} features, read of {entities}, p{share * 100:g}"
            show(name, f"{mine:.2f} ms", f"packed {theirs:.2f} ms", theirs / mine, WORTH_IT)


def _show(name: str, typed: tuple[list[float], int], packed: tuple[list[float], int]) -> None:
    """The figures of writing: rows a second, the best of the rounds, and bytes on disk."""
    (rates, size), (packed_rates, packed_size) = typed, packed
    mine, theirs = max(rates), max(packed_rates)
    show(f"{name}, write", f"{mine:.0f} rows/s", f"packed {theirs:.0f} rows/s", mine / theirs, WORTH_IT)
    show(
        f"{name}, on disk",
        f"{size / 1e6:.2f} MB", f"packed {packed_size / 1e6:.2f} MB", packed_size / size, WORTH_IT,
    )  # fmt: skip


def values_of(number: int, width: int) -> Values:
    """Values of a row, the same in every run; one in twenty is missing."""
    return [
        None if (number * 31 + place * 17) % 20 == 0 else (number * 2654435761 + place * 40503) % 100_003 / 7
        for place in range(width)
    ]


def create(session: Session, table: str, columns: str) -> None:
    """A table by entity and time, as those of feature groups."""
    session.execute(
        f"CREATE TABLE {KEYSPACE}.{table} (entity bigint, event_time timestamp, {columns}, "
        "PRIMARY KEY (entity, event_time)) WITH CLUSTERING ORDER BY (event_time DESC)"
    )


def read(session: Session, select: PreparedStatement, entities: Sequence[int], decode: Decode) -> float:
    """Seconds until the values of all entities are there, as a request gets them."""
    began = perf_counter()
    futures = [session.execute_async(select, (entity, AT)) for entity in entities]
    for future in futures:
        decode(future.result().one())
    return perf_counter() - began


def values_read(
    session: Session, select: PreparedStatement, entity: int, decode: Decode
) -> dict[str, float | None]:
    """The newest values of one entity."""
    return decode(session.execute(select, (entity, AT)).one())


def on_disk(session: Session, data: Path, table: str) -> int:
    """Bytes of a table's files, once Cassandra was told to write its memory to disk and the files do not grow."""
    flush = f"ALTER TABLE {KEYSPACE}.{table} WITH memtable_flush_period_in_ms"
    session.execute(f"{flush} = 1000")
    described = "SELECT id FROM system_schema.tables WHERE keyspace_name = %s AND table_name = %s"
    folder = data / KEYSPACE / f"{table}-{session.execute(described, (KEYSPACE, table)).one().id.hex}"
    size, since, until = -1, monotonic(), monotonic() + FLUSHED
    while monotonic() < until and monotonic() - since < QUIET:
        found = sum(file.stat().st_size for file in folder.glob("*.db"))
        if found != size or found == 0:
            size, since = found, monotonic()
        sleep(0.2)
    session.execute(f"{flush} = 0")
    return size


if __name__ == "__main__":
    main()
