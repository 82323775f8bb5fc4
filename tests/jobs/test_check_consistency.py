"""Features served by the real reader beside the offline join: all equal, until Cassandra says something else."""

import json
import math
import random
import statistics
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from cassandra.cluster import Session
from pyspark.sql import SparkSession

from giornata import names
from giornata.bundle import Bundle, Part, write_bundle
from giornata.documents import ProjectDocuments, load_project
from giornata.documents.compile import compile_model
from giornata.errors import StoreError
from giornata.monitoring.consistency import SERIES
from giornata.records.model_version import (
    InputColumn,
    ModelSignature,
    ModelVersion,
    PartRecord,
    RecordedStoreInput,
    RecordedWindow,
)
from giornata.serving.metrics import Metrics
from giornata.serving.model import open_model
from giornata.serving.online_store import OnlineStore
from giornata.serving.prediction_log import PredictionLog
from giornata.serving.predictor import Predictor
from giornata.serving.routing import Route
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.alerts import Alerts
from giornata.stores.deployments import Deployments
from giornata.stores.repository import Repository
from giornata.stores.series import Series
from jobs import check_consistency, collect_log, monitor
from jobs.hive.publish import ensure_table, publish
from jobs.online.push import push

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
FIRST = datetime(2013, 11, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TTL = 3 * HOUR
ANSWERS = 600  # a day, so that some of them see each single row
EVER = (date(1970, 1, 1), date(9999, 12, 31))
WEATHER = {"wind": "float", "gusts": "int", "stormy": "bool", "since": "timestamp"}
FILES = {
    "tables/departures.yaml": """\
description: Departures
key: [flight_id]
event_time: left_at
columns: {flight_id: str, left_at: timestamp, origin: str, dest: str, tail: int}
""",
    "tables/arrivals.yaml": """\
description: Arrivals
key: [flight_id]
event_time: arrived_at
columns: {flight_id: str, arrived_at: timestamp, minutes: float}
""",
    "features/weather.yaml": """\
description: Weather
owner: tests
entity: {origin: str}
ttl: 3h
features:
  wind: {type: float, description: Miles an hour}
  gusts: {type: int, description: How many}
  stormy: {type: bool, description: Whether there is a storm}
  since: {type: timestamp, description: When this weather began}
""",
    "features/weather.sql": "SELECT 1 AS no_query WHERE :from < :to",
    "features/plane.yaml": """\
description: Planes
owner: tests
entity: {tail: int}
features:
  maker: {type: str, description: Who built it}
""",
    "features/plane.sql": "SELECT 1 AS no_query WHERE :from < :to",
    "models/trip.yaml": """\
description: Minutes of a trip
owner: tests
type: xgboost
task: regression
data: {table: departures, key: [flight_id], event_time: left_at}
label: {table: arrivals, value: minutes, event_time: arrived_at}
split: {train: 30d, validation: 0.2, test: 7d}
features:
  wind: store.weather.wind
  wind_there: store.weather(origin=row.dest).wind
  gusts: store.weather.gusts
  stormy: store.weather.stormy
  lasted: minutes_between(store.weather.since, row.left_at)
  age: store.weather.event_age
  name: length(store.plane.maker)
deploy: {tag: production, modes: [online]}
online: {deadline: 60s}
monitor:
  alerts:
    - {metric: consistency, below: 0.99, min_rows: 20, mail: [trips@example.org]}
    - {metric: values_missing_online, above: 0.01, min_rows: 20, mail: [trips@example.org]}
""",
}
FEATURES = (
    "plane.maker",
    "weather.event_age",
    "weather.gusts",
    "weather.since",
    "weather.stormy",
    "weather.wind",
    "weather__dest.wind",
)


def weather() -> dict[tuple[str, datetime], tuple[float | None, int, bool, datetime]]:
    """Hourly weather at two places, not on the hour; a wind that is unknown, one that is no number, and a gap."""
    chance = random.Random(5)
    rows: dict[tuple[str, datetime], tuple[float | None, int, bool, datetime]] = {}
    for place in ("EWR", "JFK"):
        for number in range(48):
            at = FIRST + number * HOUR + timedelta(milliseconds=chance.randrange(1_000_000))
            wind = {3: None, 4: math.nan}.get(number, chance.uniform(-1, 30))
            if place == "EWR" or not 8 <= number < 14:
                rows[place, at] = (wind, chance.randrange(9), chance.random() < 0.5, at - HOUR)
    return rows


@dataclass(frozen=True)
class Asked:
    """What one request asked."""

    at: datetime
    origin: str
    dest: str
    tail: int


def asked(day: int, number: int = ANSWERS) -> list[Asked]:
    chance = random.Random(day)
    places = ["EWR", "JFK", "LGA"]
    return [
        Asked(
            FIRST + (day - 1) * DAY + timedelta(microseconds=chance.randrange(86_400_000_000)),
            *chance.choices(places, k=2),
            chance.choice([1, 2, 3, 9]),
        )
        for _ in range(number)
    ]


def seen(place: str, at: datetime) -> datetime | None:
    """When the weather row began that is to be seen at a moment, by looking at each of them."""
    known = [event for where, event in weather() if where == place and event < at <= event + TTL]
    return max(known, default=None)


@dataclass
class Installation:
    """A project whose groups are in Hive and Cassandra, and a version of its model that answers."""

    spark: SparkSession
    settings: Settings
    session: Session
    documents: ProjectDocuments
    version: ModelVersion
    ask: Callable[[list[Asked]], None]

    @property
    def project(self) -> str:
        return self.documents.name

    def run(self, start: int, end: int) -> None:
        """Collect the log and check, from the start of day `start` of November to that of day `end`."""
        collect_log.run(self.spark, self.settings, self.project)
        first, last = (FIRST + (day - 1) * DAY for day in (start, end))
        check_consistency.run(self.spark, self.settings, self.project, first, last)

    def found(self, day: int) -> dict[str, dict[str, Any]]:
        """What Hive has of a day, by feature."""
        rows = self.spark.table(f"{self.project}.feature_consistency").where(f"day = '2013-11-0{day}'")
        found = {row.feature: row.asDict() for row in rows.collect()}
        assert rows.count() == len(found), "a feature appears twice"
        for row in found.values():
            place = (row["model_name"], row["model_uuid"], row["tag"])
            assert place == ("trip", self.version.uuid, "production")
        return found

    def points(self, metric: str = "consistency", window: str = "1d") -> dict[tuple[int, str], tuple]:
        """What Cassandra has: value and rows by day and part."""
        read = Series(self.session).read_parts(
            f"{self.project}/trip", "production", "online", metric, window, *EVER
        )
        return {(point.at.day, point.part): (point.value, point.rows) for point in read}


def publish_groups(spark: SparkSession, settings: Settings, documents: ProjectDocuments) -> None:
    """Weather and planes, into Hive and from there online."""
    project = documents.name
    planes = [(tail, FIRST - DAY, maker) for tail, maker in ((1, "Boeing"), (2, "Airbus"), (3, None))]
    rows = {
        "weather": [(place, at, *values) for (place, at), values in weather().items()],
        "plane": planes,
    }
    for name, group in documents.groups.items():
        table = names.group_table(project, name)
        features = {feature: declared.type for feature, declared in group.features.items()}
        ensure_table(spark, table, {**group.entity, "event_time": "timestamp", **features})
        publish_rows(spark, settings, table, rows[name])
        push(spark, settings, project, name, group)


def publish_rows(spark: SparkSession, settings: Settings, table: str, rows: list[tuple]) -> None:
    filed = [(*row, f"{row[1]:%Y-%m-%d}") for row in rows]
    publish(spark, spark.createDataFrame(filed, spark.table(table).schema), table, settings=settings)


def made_version(documents: ProjectDocuments) -> tuple[ModelVersion, bytes]:
    """A version of the model trip, its trees fitted to noise, and its bundle."""
    compiled = compile_model(documents, "trip").features
    noise = np.random.default_rng(1)
    matrix = noise.normal(size=(200, len(compiled.types)))
    booster = xgboost.train({"max_depth": 3}, xgboost.DMatrix(matrix, noise.normal(size=200)), 5)
    table, spec = documents.table("departures"), documents.model("trip")
    root = PartRecord(
        name="all", level="all", key=[], rows=200, validation_rows=0, kept=True, reason="the root"
    )
    version = ModelVersion(
        uuid=str(uuid.uuid4()),
        model=f"{documents.name}/trip",
        trained_by="tests",
        started_at=FIRST,
        finished_at=FIRST,
        configuration=spec,
        table=table,
        groups=dict(documents.groups),
        windows=dict.fromkeys(
            ("train", "validation", "test"), RecordedWindow(start=FIRST, end=FIRST, rows=1)
        ),
        signature=ModelSignature(
            inputs={
                name: InputColumn(type=str(type_), nullable=True)
                for name, type_ in compiled.inputs.row.items()
            },
            store={
                use: RecordedStoreInput(
                    group=store.group,
                    keys=dict(store.keys),
                    features={feature: str(type_) for feature, type_ in store.features.items()},
                )
                for use, store in compiled.inputs.store.items()
            },
            key=table.key,
            event_time=table.event_time,
            task="regression",
        ),
        parameters={},
        metrics={"rmse": 1.0},
        metrics_by_level=[],
        single_model_metrics={},
        baseline_metrics={},
        part_metric="rmse",
        parts=[root],
        importances={},
    )
    part = Part((), "all", "all", {"model.ubj": bytes(booster.save_raw("ubj"))})
    return version, write_bundle(Bundle(version, compiled.to_json(), None, (part,)))


@pytest.fixture
def installed(
    spark: SparkSession,
    project: str,
    write_project: Callable[..., Settings],
    stores: Settings,
    tmp_path: Path,
) -> Iterator[Installation]:
    """The project with its groups online, its version deployed, and a server's parts that answer and log."""
    settings = write_project(FILES)
    settings = replace(
        settings, variables={**settings.variables, "GIORNATA_PREDICTION_LOG": str(tmp_path / "log")}
    )
    documents = load_project(settings.projects / project)
    version, content = made_version(documents)
    with cassandra.session(stores) as session:
        cassandra.apply_schema(session)
        assert not check_consistency.is_due(settings, project)
        Repository(session).save(version, content)
        Deployments(session).append(
            version.model, "production", version.uuid, "anna", "a test", ["online"], FIRST
        )
        publish_groups(spark, settings, documents)
        (tmp_path / "bundle.zip").write_bytes(content)
        route, metrics = Route(open_model(tmp_path / "bundle.zip"), "production"), Metrics()
        online = OnlineStore(partial(cassandra.connect, settings), metrics)
        online.need()
        online._tried.wait(30)

        def ask(requests: list[Asked]) -> None:
            log = PredictionLog(settings.prediction_log, metrics)
            log.start()
            predictor = Predictor(online, log, metrics)
            rows = [
                {"flight_id": str(uuid.uuid4()), "left_at": request.at.isoformat(), **place(request)}
                for request in requests
            ]
            answer = predictor.answer(route, json.dumps({"rows": rows}).encode(), datetime.now(UTC))
            assert len(json.loads(answer)["predictions"]) == len(requests)
            log.stop()

        yield Installation(spark, settings, session, documents, version, ask)
        online.stop()


def place(request: Asked) -> dict[str, object]:
    return {"origin": request.origin, "dest": request.dest, "tail": request.tail}


def counts(row: dict[str, Any]) -> tuple[int, ...]:
    """Equal, different, missing online, missing offline, and of all these how many were published later."""
    kinds = ("equal", "different", "missing_online", "missing_offline", "published_later")
    return tuple(row[f"{kind}_count"] for kind in kinds)


def test_served_and_recomputed(installed: Installation) -> None:
    """All equal; then a wrong value, a deleted row and a made-up one in Cassandra; then a late event."""
    spark, project, session = installed.spark, installed.project, installed.session
    assert check_consistency.is_due(installed.settings, project)
    one, two = asked(1), asked(2)
    installed.ask(one)
    installed.run(1, 2)
    found = installed.found(1)
    assert tuple(sorted(found)) == FEATURES
    for row in found.values():
        assert counts(row) == (ANSWERS, 0, 0, 0, 0)
        assert row["mean_difference"] is None
        assert row["p99_difference"] is None
    unseen = [request for request in one if seen(request.origin, request.at) is None]
    assert ANSWERS / 10 < len(unseen) < ANSWERS * 0.9
    assert found["weather.gusts"]["null_count"] == len(unseen)
    assert found["weather.event_age"]["null_count"] == len(unseen)
    assert found["weather.wind"]["null_count"] > len(unseen), (
        "the wind that is no number is null on both sides"
    )
    assert found["weather.gusts"]["no_row_count"] + found["weather.gusts"]["too_old_count"] == len(unseen)
    assert found["weather.wind"]["no_row_count"] == found["weather.gusts"]["no_row_count"] > 0
    assert found["plane.maker"]["no_row_count"] == sum(request.tail == 9 for request in one)
    assert {row["not_read_count"] + row["before_history_count"] for row in found.values()} == {0}
    assert installed.points("values_no_row")[1, "plane.maker"] == (
        pytest.approx(sum(request.tail == 9 for request in one) / ANSWERS),
        ANSWERS,
    )
    assert found["plane.maker"]["null_count"] == sum(request.tail in (3, 9) for request in one)
    assert installed.points() == {(1, part): (1.0, ANSWERS) for part in ("all", *FEATURES)}

    # A wrong wind and a missing plane, and a plane that Hive does not know.
    event = min(at for where, at in weather() if where == "EWR" and at > FIRST + DAY + 9 * HOUR)
    wind = weather()["EWR", event][0]
    keyspace = names.keyspace(project)
    write_time = int(datetime.now(UTC).timestamp() * 1_000_000) + 1
    session.execute(
        f"INSERT INTO {keyspace}.weather (origin, event_time, wind) VALUES (%s, %s, %s) "
        f"USING TIMESTAMP {write_time}",
        ("EWR", event, wind + 2.5),
    )
    session.execute(f"DELETE FROM {keyspace}.plane USING TIMESTAMP {write_time} WHERE tail = 1")
    session.execute(
        f"INSERT INTO {keyspace}.plane (tail, event_time, maker) VALUES (9, %s, 'Nobody')", (FIRST,)
    )
    installed.ask(two)
    installed.run(1, 3)
    assert {row["equal_count"] for row in installed.found(1).values()} == {ANSWERS}
    found = installed.found(2)
    here = [r for r in two if r.origin == "EWR" and seen("EWR", r.at) == event]
    there = [r for r in two if r.dest == "EWR" and seen("EWR", r.at) == event]
    assert here
    assert there
    gone, made_up = sum(r.tail == 1 for r in two), sum(r.tail == 9 for r in two)
    assert counts(found["weather.wind"]) == (ANSWERS - len(here), len(here), 0, 0, 0)
    assert counts(found["weather__dest.wind"]) == (ANSWERS - len(there), len(there), 0, 0, 0)
    assert counts(found["plane.maker"]) == (ANSWERS - gone - made_up, 0, gone, made_up, 0)
    for feature in ("weather.gusts", "weather.stormy", "weather.since", "weather.event_age"):
        assert counts(found[feature]) == (ANSWERS, 0, 0, 0, 0)
    difference = (wind + 2.5) - wind
    for name in ("mean", "max", "p50", "p90", "p99"):
        assert found["weather.wind"][f"{name}_difference"] == pytest.approx(difference, abs=1e-12)
    equal = 7 * ANSWERS - len(here) - len(there) - gone - made_up
    points = installed.points()
    assert points[2, "all"] == (pytest.approx(equal / (7 * ANSWERS)), ANSWERS)
    assert points[2, "weather.wind"] == (pytest.approx(1 - len(here) / ANSWERS), ANSWERS)
    assert points[1, "all"] == (1.0, ANSWERS)
    assert installed.points("values_missing_online")[2, "plane.maker"] == (
        pytest.approx(gone / ANSWERS),
        ANSWERS,
    )
    assert installed.points("values_missing_offline")[2, "plane.maker"] == (
        pytest.approx(made_up / ANSWERS),
        ANSWERS,
    )

    # Again: nothing changes. The monitor leaves the points where they are, and its rule fires.
    before = state(installed)
    installed.run(1, 3)
    assert state(installed) == before
    ensure_table(
        spark, f"{project}.arrivals", {"flight_id": "str", "arrived_at": "timestamp", "minutes": "float"}
    )
    monitor.run(spark, installed.settings, project, FIRST, FIRST + 2 * DAY)
    assert state(installed) == before
    alert_state, missing = sorted(
        Alerts(session).alert_states(f"{project}/trip"), key=lambda one: one.key.rule
    )
    assert missing.key.rule.startswith("values_missing_online above 0.01")
    (fired,) = Alerts(session).events(missing.key)
    assert (fired.kind, fired.day, fired.delivered) == ("fired", date(2013, 11, 2), True)
    assert fired.value == pytest.approx(gone / (7 * ANSWERS))
    (event_,) = Alerts(session).events(alert_state.key)
    assert (event_.kind, event_.day, event_.rows, event_.delivered) == (
        "fired",
        date(2013, 11, 2),
        ANSWERS,
        True,
    )
    assert event_.value == pytest.approx(equal / (7 * ANSWERS))
    assert f"FROM {project}.feature_consistency" in event_.mail.body
    accuracy = ("label_coverage", "1d")
    assert installed.points(*accuracy)
    installed.run(1, 3)
    assert installed.points(*accuracy), "the check leaves the monitor's points where they are"

    # An event of the second day that comes after the answers: they differ, and it can be seen why.
    table = names.group_table(project, "weather")
    late = max(at for where, at in weather() if where == "JFK" and at < FIRST + DAY + 16 * HOUR)
    late += timedelta(minutes=10)
    rows = {(where, at): values for (where, at), values in weather().items() if at >= FIRST + DAY}
    rows["JFK", late] = (99.0, 77, True, late)
    publish_rows(spark, installed.settings, table, [(*key, *values) for key, values in rows.items()])
    installed.run(2, 3)
    hidden = [r for r in two if r.origin == "JFK" and late_is_seen(r, late)]
    assert hidden
    found = installed.found(2)
    assert counts(found["weather.gusts"]) == (ANSWERS - len(hidden), len(hidden), 0, 0, len(hidden))
    ages = found["weather.event_age"]
    assert counts(ages) == (ANSWERS - len(hidden), len(hidden), 0, 0, len(hidden))
    assert ages["max_difference"] == pytest.approx(600)
    winds = sorted(
        abs(99.0 - weather()["JFK", seen("JFK", r.at)][0]) if r in hidden else difference
        for r in [*here, *hidden]
    )
    # The day was published again, so the wrong value might be due to that as well.
    assert counts(found["weather.wind"]) == (ANSWERS - len(winds), len(winds), 0, 0, len(winds))
    assert found["weather.wind"]["mean_difference"] == pytest.approx(statistics.mean(winds))
    assert found["weather.wind"]["max_difference"] == pytest.approx(winds[-1])
    assert found["weather.wind"]["p50_difference"] == pytest.approx(winds[math.ceil(len(winds) / 2) - 1])


def late_is_seen(request: Asked, late: datetime) -> bool:
    """Whether a moment sees the late event at JFK, which is newer than the row it saw."""
    before = seen("JFK", request.at)
    return before is not None and before < late < request.at


def state(installed: Installation) -> tuple[object, ...]:
    """Everything that a check writes."""
    rows = installed.spark.table(f"{installed.project}.feature_consistency").collect()
    return sorted(map(repr, rows)), [installed.points(metric) for metric in SERIES]


def test_answers_that_come_later_and_answers_that_were_withdrawn(installed: Installation) -> None:
    """And a model whose group is gone from Hive is named, with what was found before left as it was."""
    installed.ask(asked(1)[:100])
    installed.ask(asked(2)[:50])
    installed.run(2, 3)
    assert counts(installed.found(1)["weather.gusts"]) == (100, 0, 0, 0, 0), "a day that was never checked"
    installed.ask(asked(1)[100:])
    installed.run(2, 3)
    assert counts(installed.found(1)["weather.gusts"]) == (ANSWERS, 0, 0, 0, 0), "answers that came since"
    assert installed.points()[1, "all"] == (1.0, ANSWERS)
    assert installed.points()[2, "all"] == (1.0, 50)
    table = f"{installed.project}.trip_predictions"
    second = {"day": "2013-11-02", "mode": "online", "model_uuid": installed.version.uuid}
    empty = installed.spark.table(table).limit(0)
    publish(installed.spark, empty, table, tuple(second), settings=installed.settings, expected=[second])
    installed.run(1, 3)
    before = state(installed)
    spark, project = installed.spark, installed.project
    spark.sql(f"DROP TABLE {project}.plane")
    with pytest.raises(StoreError, match=r"1 of 1 models were not checked: trip\."):
        installed.run(1, 2)
    assert state(installed) == before
    day = {"day": "2013-11-01", "mode": "online", "model_uuid": installed.version.uuid}
    publish(spark, empty, table, tuple(day), settings=installed.settings, expected=[day])
    installed.run(1, 2)
    assert state(installed) == ([], [{} for _ in SERIES])
