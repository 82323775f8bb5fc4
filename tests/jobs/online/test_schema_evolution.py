"""The document of a feature group changes while a live model version reads it: both stores, and what is said."""

import dataclasses
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Session
from pyspark.sql import SparkSession

from giornata import names
from giornata.deployment import deploy
from giornata.documents import compile_model, load_project
from giornata.documents.group_source import read_source
from giornata.errors import DataError, SignatureError
from giornata.records.model_version import ModelVersion, PartRecord, RecordedWindow
from giornata.scorer import inputs_of
from giornata.settings import Settings
from giornata.stores import cassandra, hive
from giornata.stores.features import OnlineFeatures
from giornata.stores.repository import Repository
from giornata.stores.statistics import Statistics
from jobs.features.point_in_time import join
from jobs.hive.publish import ensure_table, publish
from jobs.materialize import run
from jobs.training.dataset import merged_inputs, signature

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

DAY = timedelta(days=1)
START = datetime(2013, 1, 1, tzinfo=UTC)
END = START + 3 * DAY

TABLE = """
description: {0}
key: [number]
event_time: at
columns: {{number: int, place: str, at: timestamp, height: float}}
"""
LEVEL = "  level: {type: float, description: Metres}\n"
WAVES = "  waves: {type: int, description: Number of waves}\n"
DEPTH = "  depth: {type: float, description: Metres below}\n"
QUERY = """
SELECT place, observed_at AS event_time{0} FROM readings WHERE observed_at >= :from AND observed_at < :to
"""
EXPRESSIONS = {"level": "level", "waves": "CAST(waves AS bigint) AS waves", "depth": "-level AS depth"}
MODEL = """
description: Heights
owner: tests
type: xgboost
task: regression
data: {{table: asked, key: [number], event_time: at}}
label: {{table: told, value: height, event_time: at}}
split: {{train: 30d, validation: 0.2, test: 7d}}
features:
{0}"""


def group(*features: str) -> dict[str, str]:
    """The files of the group `tides` with these features."""
    declared = {"level": LEVEL, "waves": WAVES, "depth": DEPTH}
    columns = "".join(f", {EXPRESSIONS[feature]}" for feature in features)
    return {
        "features/tides.yaml": "description: Water\nowner: tests\nentity: {place: str}\nfeatures:\n"
        + "".join(declared[feature] for feature in features),
        "features/tides.sql": QUERY.format(columns),
    }


def model(**features: str) -> dict[str, str]:
    """The files of the model `heights` with these features, and of its tables."""
    lines = "".join(f"  {name}: {text}\n" for name, text in features.items())
    return {
        "models/heights.yaml": MODEL.format(lines),
        "tables/asked.yaml": TABLE.format("Asked"),
        "tables/told.yaml": TABLE.format("Told"),
    }


def value(feature: str, hour: int) -> float | int:
    """The group's values, computed from the hour."""
    return {"level": float(hour), "waves": hour * 2, "depth": -float(hour)}[feature]


@pytest.fixture
def readings(spark: SparkSession, stores: Settings, project: str) -> None:
    """Hourly readings of three days at one place."""
    table = f"{project}.readings"
    ensure_table(spark, table, {"place": "str", "observed_at": "timestamp", "level": "float", "waves": "int"})
    moments = [START + timedelta(hours=hour) for hour in range(72)]
    rows = [("a", at, float(hour), hour * 2, f"{at:%F}") for hour, at in enumerate(moments)]
    frame = spark.createDataFrame(
        rows, "place string, observed_at timestamp, level double, waves bigint, day string"
    )
    publish(spark, frame, table, settings=stores)


@pytest.fixture
def session(stores: Settings, project: str) -> Iterator[Session]:
    with cassandra.session(stores) as opened:
        cassandra.apply_schema(opened)
        yield opened
        # What is live decides what every later deployment writes to disk.
        opened.execute(
            "DELETE FROM giornata.deployments WHERE model = %s AND tag = %s",
            (f"{project}/heights", "production"),
        )


@pytest.fixture
def train(session: Session, project: str, tmp_path: Path) -> Callable[[Settings], ModelVersion]:
    """Records a version of `heights` as the documents have it now."""

    def record(settings: Settings) -> ModelVersion:
        documents = load_project(settings.projects / project)
        spec = documents.model("heights")
        inputs = merged_inputs(compile_model(documents, "heights").features, None)
        root = PartRecord(
            name="all", level="all", key=[], rows=1, validation_rows=0, kept=True, reason="root"
        )
        version = ModelVersion(
            uuid=str(uuid.uuid4()),
            model=f"{project}/heights",
            trained_by="tests",
            started_at=START,
            finished_at=START,
            configuration=spec,
            table=documents.table("asked"),
            groups={read.group: documents.group(read.group) for read in inputs.store.values()},
            sources={read.group: read_source(documents, read.group) for read in inputs.store.values()},
            windows=dict.fromkeys(
                ("train", "validation", "test"), RecordedWindow(start=START, end=START, rows=1)
            ),
            signature=signature(spec, inputs, frozenset()),
            parameters={},
            metrics={},
            metrics_by_level=[],
            single_model_metrics={},
            baseline_metrics={},
            part_metric="rmse",
            parts=[root],
            importances={},
        )
        Repository(session).save(version, b"no bundle")
        return version

    return record


class Live:
    """Puts versions live, an hour after one another."""

    def __init__(self, session: Session, tmp_path: Path):
        self.session, self.bundles, self.at = session, tmp_path / "bundles", START

    def __call__(self, settings: Settings, version: ModelVersion) -> None:
        self.at += timedelta(hours=1)
        settings = dataclasses.replace(
            settings, variables={**settings.variables, "GIORNATA_BUNDLES": str(self.bundles)}
        )
        deploy(settings, self.session, version.uuid, "anna", "a test", self.at, "production", ["batch"])


@pytest.fixture
def put_live(session: Session, tmp_path: Path) -> Live:
    return Live(session, tmp_path)


def offline(settings: Settings, project: str, table: str, *features: str) -> list[tuple[Any, ...]]:
    rows = hive.query(settings, f"SELECT {', '.join(features)} FROM {project}.{table} ORDER BY event_time")
    return [tuple(row.values()) for row in rows]


def online(session: Session, project: str, table: str, *features: str) -> list[tuple[Any, ...]]:
    rows = session.execute(f"SELECT event_time, {', '.join(features)} FROM {names.keyspace(project)}.{table}")
    return [tuple(row)[1:] for row in sorted(rows)]


def columns_online(session: Session, project: str, table: str = "tides") -> set[str]:
    rows = session.execute(
        "SELECT column_name FROM system_schema.columns WHERE keyspace_name = %s AND table_name = %s",
        (names.keyspace(project), table),
    )
    return {row.column_name for row in rows} - {"place", "event_time"}


def truth(hours: int, *features: str) -> list[tuple[Any, ...]]:
    return [tuple(value(feature, hour) for feature in features) for hour in range(hours)]


WriteProject = Callable[[Mapping[str, str]], Settings]


def test_a_new_feature_is_backfilled_everywhere(
    spark: SparkSession, project: str, write_project: WriteProject, readings: None, session: Session
) -> None:
    settings = write_project(group("level", "waves"))
    run(spark, settings, project, START, END)
    write_project(group("level", "waves", "depth"))
    run(spark, settings, project, START + 2 * DAY, END)
    known = ("level", "waves", "depth")
    begun = [(*row[:2], row[2] if hour >= 48 else None) for hour, row in enumerate(truth(72, *known))]
    assert offline(settings, project, "tides", *known) == begun
    assert online(session, project, "tides", *known) == begun
    run(spark, settings, project, START, END)
    assert offline(settings, project, "tides", *known) == truth(72, *known)
    assert online(session, project, "tides", *known) == truth(72, *known)
    measured = Statistics(session).read(project, "tides", START.date(), END.date())
    assert {
        (each.day, each.feature): (each.rows, each.null_share, each.minimum, each.maximum)
        for each in measured
    } == {
        ((START + day * DAY).date(), feature): (24, 0.0, min(values), max(values))
        for day in range(3)
        for feature in known
        for values in [[float(value(feature, hour)) for hour in range(24 * day, 24 * day + 24)]]
    }


def test_a_feature_that_a_live_version_reads_stays_until_it_is_replaced(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    readings: None,
    session: Session,
    train: Callable[[Settings], ModelVersion],
    put_live: Live,
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = ("level", "waves")
    settings = write_project(
        group(*both)
        | model(level="store.tides.level", waves="store.tides.waves", age="store.tides.event_age")
    )
    run(spark, settings, project, START, START + 2 * DAY)
    first = train(settings)
    put_live(settings, first)

    write_project(group("level") | model(level="store.tides.level"))
    capsys.readouterr()
    with pytest.raises(DataError, match="1 of 1 feature groups failed: tides"):
        run(spark, settings, project, START, END)
    assert (
        f"[materialize] tides: failed: version {first.uuid} of heights, live as production, reads tides.waves (int), "
        "which the documents no longer have: put it back until a version that does not read it is live in its place. "
        "Nothing was published.\n"
    ) == capsys.readouterr().out
    assert offline(settings, project, "tides", *both) == truth(48, *both)
    assert online(session, project, "tides", *both) == truth(48, *both)
    assert not Statistics(session).read(project, "tides", (START + 2 * DAY).date(), END.date())

    # A version that does without takes its place: the column leaves Cassandra, and Hive keeps the past.
    second = train(settings)
    put_live(settings, second)
    run(spark, settings, project, START + DAY, END)
    assert (
        "tides: no live version reads waves, which left Cassandra; Hive keeps its past"
        in capsys.readouterr().out
    )
    assert columns_online(session, project) == {"level"}
    assert online(session, project, "tides", "level") == truth(72, "level")
    assert offline(settings, project, "tides", *both) == [
        (each, waves if hour < 24 else None) for hour, (each, waves) in enumerate(truth(72, *both))
    ]
    with pytest.raises(SignatureError) as refused:
        put_live(settings, first)
    assert str(refused.value) == (
        f"version {first.uuid} of {project}/heights cannot be live: it reads tides.waves (int), which the documents "
        "no longer have; it reads tides.waves, whose column Cassandra does not have. Train a version that does "
        "not read it, or put back what is missing and compute its days again"
    )

    # It comes back: online is what Hive has, also of days that were published before the column was dropped.
    write_project(group(*both))
    run(spark, settings, project, START + 2 * DAY, END)
    back = [(each, None if 24 <= hour < 48 else waves) for hour, (each, waves) in enumerate(truth(72, *both))]
    assert offline(settings, project, "tides", *both) == back
    assert online(session, project, "tides", *both) == back
    run(spark, settings, project, START, END)
    assert online(session, project, "tides", *both) == truth(72, *both)
    put_live(settings, first)

    # The group itself goes.
    for path in group():
        (settings.projects / project / path).unlink()
    write_project(model(number="row.number"))
    capsys.readouterr()
    with pytest.raises(DataError, match="1 of 1 feature groups failed: tides"):
        run(spark, settings, project, START, END)
    assert (
        "reads feature group tides, which the documents no longer have: put it back"
        in capsys.readouterr().out
    )


FUNCTION = """
from ..levels import HEIGHTENED

def compute(spark, start, end):
    rows = spark.table("readings").where(f"observed_at >= '{start}' AND observed_at < '{end}'")
    return rows.selectExpr("place", "observed_at AS event_time", f"level * {HEIGHTENED} AS level")
"""


def test_a_changed_meaning_is_a_new_version_beside_the_old_one(
    spark: SparkSession,
    project: str,
    write_project: WriteProject,
    readings: None,
    session: Session,
    train: Callable[[Settings], ModelVersion],
    put_live: Live,
    capsys: pytest.CaptureFixture[str],
) -> None:
    heights = model(level="store.tides(place=row.place).level")
    settings = write_project(group("level", "waves") | heights)
    run(spark, settings, project, START, START + 2 * DAY)
    first = train(settings)
    put_live(settings, first)

    query = group("level", "waves")["features/tides.sql"]
    write_project({"features/tides.sql": query.replace(" level,", " level * 10 AS level,")})
    capsys.readouterr()
    with pytest.raises(DataError, match="1 of 1 feature groups failed: tides"):
        run(spark, settings, project, START, END)
    said = capsys.readouterr().out
    assert said.startswith(
        f"[materialize] tides: failed: version {first.uuid} of heights, live as production, reads tides, whose query "
        "is now another: leave features/tides.yaml as it is and write what changes as a new version of the group, "
        "features/tides.v2.yaml; or, if it means the same, write same_meaning: [query-"
    )
    assert said.endswith("in features/tides.yaml. Nothing was published.\n")
    write_project({"features/tides.sql": f"-- as before\n{query}"})
    run(spark, settings, project, START, START + DAY)
    assert offline(settings, project, "tides", "level") == truth(48, "level")

    in_place = group("level", "waves")["features/tides.yaml"].replace(
        "waves: {type: int", "waves: {type: float"
    )
    write_project({"features/tides.yaml": in_place})
    capsys.readouterr()
    with pytest.raises(DataError, match="1 of 1 feature groups failed: tides"):
        run(spark, settings, project, START, END)
    assert capsys.readouterr().out == (
        "[materialize] tides: failed: waves is bigint in Hive and float in the document. This cannot change in "
        "place: leave features/tides.yaml as it is and write what changes as a new version of the group, "
        "features/tides.v2.yaml. Nothing was published.\n"
    )
    by_pier = in_place.replace("type: float, description: Number", "type: int, description: Number")
    # Without the model, whose document would say so first: it asks by the place alone.
    asking = settings.projects / project / "models" / "heights.yaml"
    asking.unlink()
    write_project({"features/tides.yaml": by_pier.replace("{place: str}", "{place: str, pier: int}")})
    with pytest.raises(DataError, match="1 of 1 feature groups failed: tides"):
        run(spark, settings, project, START, END)
    assert "pier of the entity is not in Hive. This cannot change in place: leave" in capsys.readouterr().out
    assert offline(settings, project, "tides", "level") == truth(48, "level")

    second_group = group("level")["features/tides.yaml"].replace("Metres", "Tenths of a metre")
    beside = {"features/tides.v2.yaml": second_group, "features/tides.v2.py": FUNCTION}
    write_project(group("level", "waves") | beside | heights | {"levels.py": "HEIGHTENED = 10\n"})
    run(spark, settings, project, START, END)
    tenfold = [(each * 10,) for (each,) in truth(72, "level")]
    assert offline(settings, project, "tides", "level", "waves") == truth(72, "level", "waves")
    assert online(session, project, "tides", "level", "waves") == truth(72, "level", "waves")
    assert offline(settings, project, "tides_v2", "level") == tenfold
    assert online(session, project, "tides_v2", "level") == tenfold

    # The same expression is frozen as the version that it meant.
    second = train(settings)
    assert [read.group for read in first.signature.store.values()] == ["tides"]
    assert {use: read.group for use, read in second.signature.store.items()} == {"tides_v2": "tides_v2"}
    at = START + timedelta(hours=50, minutes=1)
    asked = spark.createDataFrame([("a", at)], "place string, at timestamp")
    for version, expected in ((first, 50.0), (second, 500.0)):
        inputs = inputs_of(version.signature)
        (served,) = OnlineFeatures(session, project, version.groups, deadline=10.0).read(
            inputs, [{"place": "a"}], [at]
        )
        (joined,) = join(spark, asked, "at", inputs, version.groups, project).collect()
        assert list(served.values()) == [expected]
        assert joined.asDict().items() >= served.items()

    # The old one goes when no live version reads it, not before.
    for path in group():
        (settings.projects / project / path).unlink()
    capsys.readouterr()
    with pytest.raises(DataError, match="1 of 2 feature groups failed: tides"):
        run(spark, settings, project, START, END)
    said = capsys.readouterr().out
    assert (
        f"tides: failed: version {first.uuid} of heights, live as production, reads feature group tides,"
        in said
    )
    put_live(settings, second)
    run(spark, settings, project, START, END)
    with pytest.raises(
        SignatureError, match="it reads feature group tides, which the documents no longer have"
    ):
        put_live(settings, first)
