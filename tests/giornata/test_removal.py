"""Removing a project takes all of it and nothing of its neighbours, on the real stores."""

import dataclasses
import uuid
from datetime import UTC, date, datetime

import pytest

from giornata.deployment import deploy
from giornata.documents import FeatureGroup
from giornata.errors import NotFoundError
from giornata.records.feature_statistics import FeatureStatistics
from giornata.records.metric_point import Point
from giornata.records.validation_result import Validation
from giornata.removal import StillThereError, check_is_known, remove_project
from giornata.stores import cassandra, hive
from giornata.stores.deployments import Deployments
from giornata.stores.features import ensure_feature_table
from giornata.stores.online_history import Covered, covered_days, record_covered
from giornata.stores.repository import Repository
from giornata.stores.series import Series
from giornata.stores.statistics import Statistics
from giornata.stores.validations import Validations

AT = datetime(2013, 11, 1, 6, tzinfo=UTC)
DAY = date(2013, 11, 1)
GROUP = FeatureGroup.model_validate(
    {
        "description": "d",
        "owner": "o",
        "entity": {"origin": "str"},
        "features": {"wind": {"type": "float", "description": "w"}},
    }
)


@pytest.fixture
def session(stores, schema):
    with cassandra.session(stores) as opened:
        cassandra.apply(opened, schema)
        cassandra.apply_schema(opened)
        yield opened


@pytest.fixture
def settings(stores, tmp_path):
    folders = {"BUNDLES": "bundles", "PROJECTS": "projects", "PREDICTION_LOG": "log"}
    changed = {f"GIORNATA_{name}": str(tmp_path / folder) for name, folder in folders.items()}
    return dataclasses.replace(stores, variables={**stores.variables, **changed})


@pytest.fixture
def fill(settings, session, trained):
    """Fills every store for a project and returns its version; what is left of it is removed at the end."""
    filled = []

    def do(project):
        filled.append(project)
        model = f"{project}/minutes"
        version = trained.bundle.version.model_copy(update={"uuid": str(uuid.uuid4()), "model": model})
        Repository(session).save(version, b"bundle" * 100)
        deploy(settings, session, version.uuid, "anna", "first", AT)
        point = Point(
            model=model, uuid=version.uuid, tag="production", mode="batch", part="all", window="1d",
            metric="rmse", at=DAY, value=1.0, rows=5,
        )  # fmt: skip
        Series(session).replace(model, [point], DAY, DAY, {"rmse"})
        ensure_feature_table(session, project, "weather", GROUP)
        session.execute(
            "INSERT INTO giornata.pushed_partitions (project, group_name, day, location) "
            "VALUES (%s, 'weather', '2013-11-01', '/w')",
            (project,),
        )
        record_covered(session, project, "weather", Covered(None, DAY))
        measured = FeatureStatistics("wind", "float", DAY, 5, 0.0)
        Statistics(session).replace(project, "weather", DAY, [measured], "/s", AT)
        # A group whose rows never met its expectations has nothing else in Cassandra.
        Validations(session).replace(project, "planes", Validation(DAY, DAY, AT, ()), "/v")
        hive.query(settings, f"CREATE DATABASE {project}")
        hive.query(settings, f"CREATE TABLE {project}.weather (origin STRING) STORED AS PARQUET")
        folder = settings.prediction_log / project / "minutes"
        folder.mkdir(parents=True)
        (folder / "segment-1.jsonl").write_text("{}\n")
        return version

    yield do
    for project in filled:
        list(remove_project(settings, session, project))


def remains(settings, session, project):
    """Where something of a project is still found."""
    model = f"{project}/minutes"
    found = {
        "versions": Repository(session).list(model),
        "deployments": Deployments(session).timeline(model, "production"),
        "series": [
            row for row in session.execute("SELECT model FROM giornata.metric_series") if row.model == model
        ],
        "pushed": [
            row
            for row in session.execute("SELECT project FROM giornata.pushed_partitions")
            if row.project == project
        ],
        "online history": covered_days(session, project),
        "statistics": Statistics(session).newest(project, "weather"),
        "validations": Validations(session).locations(project, "planes"),
        "keyspace": list(
            session.execute(
                "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = %s",
                (f"features_{project}",),
            )
        ),
        "hive": [row for row in hive.query(settings, "SHOW DATABASES") if row["namespace"] == project],
        "log": list(settings.prediction_log.glob(f"{project}/*/*")),
        "served": [
            line for line in [(settings.bundles / "deployments.json").read_text()] if f'"{model}"' in line
        ],
    }
    return {name for name, things in found.items() if things}


def test_all_of_one_project_goes_and_its_neighbour_stays(settings, session, fill):
    name = f"gone_{uuid.uuid4().hex[:8]}"
    neighbour = f"{name}_too"
    version = fill(name)
    fill(neighbour)
    everything = {
        "versions", "deployments", "series", "pushed", "online history", "statistics", "validations", "keyspace",
        "hive", "log", "served",
    }  # fmt: skip
    assert remains(settings, session, name) == everything
    check_is_known(settings, session, None, name)
    told = list(remove_project(settings, session, name))
    assert "1 model versions" in told
    assert remains(settings, session, name) == set()
    assert not list(
        session.execute(
            "SELECT chunk FROM giornata.model_files WHERE uuid = %s ALLOW FILTERING", (version.uuid,)
        )
    )
    assert remains(settings, session, neighbour) == everything
    assert next(iter(remove_project(settings, session, name))) == "0 deployments"
    with pytest.raises(NotFoundError, match=rf"there is no project {name}: .*did you mean '{neighbour}'"):
        check_is_known(settings, session, None, name)


def test_whatever_is_left_of_a_project_it_can_be_removed(settings, session, fill):
    """As a removal leaves it that was interrupted."""
    name = f"left_{uuid.uuid4().hex[:8]}"
    version = fill(name)
    list(remove_project(settings, session, name))

    def log_alone():
        (settings.prediction_log / name).mkdir(parents=True)

    def hive_alone():
        hive.query(settings, f"CREATE DATABASE {name}")

    def keyspace_alone():
        ensure_feature_table(session, name, "weather", GROUP)

    def version_alone():
        Repository(session).save(version, b"bundle" * 100)

    for leave in (log_alone, hive_alone, keyspace_alone, version_alone):
        leave()
        check_is_known(settings, session, None, name)
        list(remove_project(settings, session, name))
        with pytest.raises(NotFoundError):
            check_is_known(settings, session, None, name)


def test_a_project_that_is_still_there_is_not_removed(settings, session, fill):
    name = f"kept_{uuid.uuid4().hex[:8]}"
    fill(name)
    folder = settings.projects / name
    folder.mkdir(parents=True)
    before = remains(settings, session, name)
    with pytest.raises(StillThereError, match="delete the folder first"):
        list(remove_project(settings, session, name))
    assert remains(settings, session, name) == before
    folder.rmdir()
