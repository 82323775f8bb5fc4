"""Groups of windows and of Python functions, from their documents to Hive, and late events that reopen days."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from dsl import Inputs, StoreInput
from giornata import names
from giornata.documents import load_project
from giornata.errors import DataError
from giornata.settings import Settings
from giornata.stores import cassandra, hive
from jobs.features.late_data import reopened
from jobs.features.point_in_time import join
from jobs.features.windows import whole_entities
from jobs.hive.publish import ensure_table, publish
from jobs.materialize import run

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
START = datetime(2013, 1, 2, tzinfo=UTC)

TABLE = """
description: What boats sent
key: [number]
event_time: {event_time}
columns: {{number: int, boat: str, crew: int, called_at: timestamp, filed_at: timestamp, wind: float, port: str}}
"""
GROUP = """
description: What a boat met lately
owner: tests
entity: {boat: str, crew: int}
ttl: 3d
events: {table: calls, time: called_at, filed_ahead: 2d}
features:
  calls_6h: {type: int, description: Calls, window: {count: number, over: 6h}}
  wind_1d: {type: float, description: Knots, window: {mean: wind, over: 1d}}
  port: {type: str, description: The last one, window: {last: port, over: 1d}}
  called_1d: {type: timestamp, description: The first one, window: {min: called_at, over: 1d}}
"""
COLUMNS = "number bigint, boat string, crew bigint, called_at timestamp, filed_at timestamp, wind double, port string"

Call = tuple[int, str | None, int, datetime | None, datetime, float | None, str | None]
WriteProject = Callable[[Mapping[str, str]], Settings]
WriteCalls = Callable[[list[Call]], None]


@pytest.fixture
def write_calls(spark: SparkSession, stores: Settings, project: str) -> WriteCalls:
    """Files every call under the day of its `filed_at`, in place of all that were there."""

    def write(calls: list[Call]) -> None:
        table = f"{project}.calls"
        types = {"number": "int", "boat": "str", "crew": "int", "called_at": "timestamp"}
        ensure_table(spark, table, {**types, "filed_at": "timestamp", "wind": "float", "port": "str"})
        frame = spark.createDataFrame([(*call, f"{call[4]:%F}") for call in calls], f"{COLUMNS}, day string")
        days = [{"day": f"{START + number * DAY:%F}"} for number in range(-8, 12)]
        publish(spark, frame, table, settings=stores, expected=days)

    return write


def call(number: int, at: datetime | None, wind: float | None = None, **changed: object) -> Call:
    told = {"boat": "ann", "crew": 1, "filed_at": at, "port": None, **changed}
    return number, told["boat"], told["crew"], at, told["filed_at"], wind, told["port"]  # type: ignore[return-value]


def offline(stores: Settings, project: str) -> list[tuple]:
    columns = "boat, crew, event_time, calls_6h, wind_1d, port, called_1d"
    found = hive.query(stores, f"SELECT {columns} FROM {project}.met ORDER BY boat, crew, event_time")
    return [tuple(row.values()) for row in found]


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_windows_from_events_to_both_stores(
    spark: SparkSession, project: str, write_project: WriteProject, write_calls: WriteCalls, capsys
) -> None:
    settings = write_project(
        {"tables/calls.yaml": TABLE.format(event_time="filed_at"), "features/met.yaml": GROUP}
    )
    early = START - DAY + 5 * HOUR  # leaves a window of a day within the range
    cut = START + timedelta(hours=3, microseconds=1999)
    write_calls(
        [
            call(1, early, 10.0, filed_at=early - 2 * DAY, port="Bar"),
            call(2, cut, 20.0, filed_at=START + DAY),
            call(3, START + 3 * HOUR, None, boat="bea", filed_at=START),
            call(4, START + 3 * HOUR, 5.0, crew=2, filed_at=START),
            call(5, None, 1.0, filed_at=START),
            call(6, START + HOUR, 1.0, boat=None, filed_at=START),
            call(7, START + HOUR, 1.0, filed_at=START - 3 * DAY),  # too far ahead
            call(8, START + DAY, 1.0),  # of the next day
        ]
    )
    run(spark, settings, project, START, START + DAY)
    assert "1 rows of calls have their called_at more than 2d after the day" in capsys.readouterr().out
    at = cut.replace(microsecond=1000)
    three = START + 3 * HOUR
    found = [
        ("ann", 1, at, 1, 15.0, "Bar", early),
        ("ann", 1, START + 5 * HOUR, 1, 20.0, None, at),
        ("ann", 1, at + 6 * HOUR, 0, 20.0, None, at),
        ("ann", 2, three, 1, 5.0, None, three),
        ("ann", 2, three + 6 * HOUR, 0, 5.0, None, three),
        ("bea", 1, three, 1, None, None, three),
        ("bea", 1, three + 6 * HOUR, 0, None, None, three),
    ]
    assert offline(settings, project) == found
    with cassandra.session(settings) as session:
        rows = session.execute(
            "SELECT boat, crew, event_time, calls_6h, wind_1d, port, called_1d "
            f"FROM {names.keyspace(project)}.met"
        )
        online = sorted(
            (tuple(v.replace(tzinfo=UTC) if isinstance(v, datetime) else v for v in row) for row in rows),
            key=lambda row: row[:3],
        )
    assert online == found


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_the_rule_of_time_makes_windows_exact_at_every_moment(
    spark: SparkSession, project: str, write_project: WriteProject, write_calls: WriteCalls
) -> None:
    settings = write_project(
        {"tables/calls.yaml": TABLE.format(event_time="called_at"), "features/met.yaml": GROUP}
    )
    # Multiples of 7 hours meet the edges of both windows of 6 and of 24 hours with some of the moments below.
    times = [START + number * 7 * HOUR for number in range(-4, 7)] + [START + 7 * HOUR]
    write_calls([call(number, at, float(number)) for number, at in enumerate(times)])
    run(spark, settings, project, START, START + 2 * DAY)
    asked = [START + timedelta(minutes=20 * number) for number in range(1, 6 * 24)]
    frame = spark.createDataFrame([("ann", 1, at) for at in asked], "boat string, crew bigint, at timestamp")
    groups = load_project(settings.projects / project).groups
    read = StoreInput("met", {"boat": "boat", "crew": "crew"}, {"calls_6h": "int", "wind_1d": "float"})
    joined = join(spark, frame, "at", Inputs({}, {"met": read}, frozenset()), groups, project)
    found = {row["at"].replace(tzinfo=UTC): (row[3], row[4]) for row in joined.collect()}
    for moment in asked:
        short = [at for at in times if moment - 6 * HOUR <= at < moment]
        long = [float(number) for number, at in enumerate(times) if moment - DAY <= at < moment]
        assert found[moment] == (len(short), sum(long) / len(long))


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_late_events_reopen_the_days_whose_windows_hold_them(
    spark: SparkSession, project: str, write_project: WriteProject, write_calls: WriteCalls, capsys
) -> None:
    settings = write_project(
        {"tables/calls.yaml": TABLE.format(event_time="called_at"), "features/met.yaml": GROUP}
    )
    calls = [call(number, START + number * 5 * HOUR, float(number)) for number in range(20)]
    write_calls(calls)
    run(spark, settings, project, START, START + 3 * DAY)
    late = [*calls, call(50, START + 23 * HOUR, 100.0)]
    write_calls(late)
    capsys.readouterr()
    run(spark, settings, project, START, START + DAY)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "[materialize] met: later days look back on these, so 2013-01-03 follow again"
    reopened_rows = offline(settings, project)
    run(spark, settings, project, START, START + 3 * DAY)
    assert reopened_rows == offline(settings, project)
    at = START + 29 * HOUR  # the late call has left the window of 6 hours, and is in that of a day
    inside = [*range(2, 6), 100]
    assert ("ann", 1, at, 1, sum(inside) / len(inside), None, START + 10 * HOUR) in reopened_rows


@pytest.mark.parametrize(
    ("hours", "published", "expected"),
    [
        (0, [1, 2, 3], []),
        (6, [], []),
        (6, [0, 1, 2, 3], [(1, 2)]),
        (24, [1, 2, 3], [(1, 2)]),
        (25, [1, 2, 3], [(1, 3)]),
        (96, [1, 3, 4, 6], [(1, 2), (3, 5)]),
    ],
)
def test_reopened(hours: int, published: list[int], expected: list[tuple[int, int]]) -> None:
    days = [f"{START + number * DAY:%F}" for number in published]
    found = reopened(START + DAY, hours * HOUR, days)
    assert found == [(START + begin * DAY, START + end * DAY) for begin, end in expected]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1)), max_size=12), st.integers(1, 5))
def test_whole_entities(keys: list[tuple[str, int]], size: int) -> None:
    rows = [(*key, place) for place, key in enumerate(sorted(keys))]

    def batches() -> Iterator[pa.RecordBatch]:
        for first in range(0, len(rows), size):
            texts, numbers, places = zip(*rows[first : first + size], strict=True)
            yield pa.RecordBatch.from_pydict({"text": texts, "number": numbers, "place": places})
        yield pa.RecordBatch.from_pydict({name: [] for name in ("text", "number", "place")})

    chunks = [
        [tuple(row.values()) for row in table.to_pylist()]
        for table in whole_entities(batches(), ["text", "number"])
    ]
    assert [row for chunk in chunks for row in chunk] == rows
    entities = [{row[:2] for row in chunk} for chunk in chunks]
    assert sum(map(len, entities)) == len(set().union(*entities))


TIDES = """
description: Water levels
owner: tests
entity: {place: str, pier: int}
features:
  level: {type: float, description: Metres}
"""
FUNCTION = """
from datetime import timedelta

from pyspark.sql import functions as F

from ..shared import HEIGHT

def compute(spark, start, end):
    moments = [start + timedelta(hours=hour) for hour in range(24)]
    times = spark.createDataFrame([(at,) for at in moments], "event_time timestamp")
    place, pier = F.lit("quay").alias("place"), F.lit(3).alias("pier")
    return times.select(place, pier, "event_time", (F.hour("event_time") + HEIGHT).alias("level"))
"""


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_a_group_from_a_function(
    spark: SparkSession, project: str, write_project: WriteProject, capsys: pytest.CaptureFixture[str]
) -> None:
    returned = FUNCTION[FUNCTION.index("    return ") :]
    functions = {
        "a_raises": "def compute(spark, start, end):\n    return {}['wind']\n",
        "b_nothing": FUNCTION.replace("    return times", "    times"),
        "c_column": FUNCTION.replace('alias("level")', 'alias("height")'),
        "d_type": FUNCTION.replace("(F.hour", "F.hex(F.hour").replace("+ HEIGHT)", "+ 1)"),
        "e_outside": FUNCTION.replace("range(24)", "range(25)"),
        "f_refused": FUNCTION.replace(returned, '    return spark.table("no_such_table")\n'),
        "g_import": "import no_such_module\n" + FUNCTION,
        "h_later": FUNCTION.replace("F.hour(", "1 / (5 - F.hour(").replace("+ HEIGHT", ") + HEIGHT"),
        "i_udf": FUNCTION.replace("F.hour(", "F.udf(lambda at: 1 / 0, 'double')(").replace(
            "+ HEIGHT", "+ 0.5"
        ),
        "j_fine": FUNCTION,
    }
    files = {f"features/{name}.yaml": TIDES for name in functions}
    files |= {f"features/{name}.py": text for name, text in functions.items()}
    settings = write_project({**files, "shared.py": "HEIGHT = 0.5\n"})
    with pytest.raises(
        DataError, match="9 of 10 feature groups failed: a_raises, b_nothing, c_column, d_type,"
    ):
        run(spark, settings, project, START, START + DAY)
    printed = capsys.readouterr()
    for part in (
        "a_raises: failed: the function of feature group a_raises fails in features/a_raises.py, line 2: KeyError: ",
        "b_nothing gives NoneType instead of a Spark DataFrame.",
        "c_column does not return what its document declares: column level is missing; column height is not declared",
        "column level is string instead of double",
        "e_outside: 1 rows have an event_time outside 2013-01-02 to 2013-01-03",
        "the function of feature group f_refused fails: [TABLE_OR_VIEW_NOT_FOUND]",
        "g_import fails in features/g_import.py, line 1: ModuleNotFoundError",
        "the function of feature group h_later fails: [DIVIDE_BY_ZERO]",
        "the function of feature group i_udf fails: ZeroDivisionError: division by zero",
        "[materialize] j_fine: 1 of 1 days, 24 rows published",
    ):
        assert any(part in line for line in printed.out.splitlines()), part
    assert "Traceback" in printed.err
    rows = hive.query(
        settings, f"SELECT place, pier, event_time, level FROM {project}.j_fine ORDER BY event_time"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("quay", 3, START + hour * HOUR, hour + 0.5) for hour in range(24)
    ]
