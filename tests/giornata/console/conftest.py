"""A console over real Cassandra: models of a project of its own, one trained twice and watched, one not yet
trained.
"""

import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cassandra.cluster import Session
from fastapi import HTTPException, Request
from fastapi.testclient import TestClient

from giornata.console import create_app
from giornata.documents.model import ModelSpec
from giornata.monitoring.alerts import judge, rule
from giornata.monitoring.mail import alert_mail
from giornata.records.alert import Observation, RuleState
from giornata.records.metric_point import Point
from giornata.records.model_version import ModelVersion
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.alerts import Alerts
from giornata.stores.deployments import Deployments
from giornata.stores.repository import Repository
from giornata.stores.series import Series

TRAINED = datetime(2013, 11, 1, 6, 30, tzinfo=UTC)
FIRST = date(2013, 11, 1)

MODEL = {
    "description": "Gate-to-gate minutes of a flight, predicted at push-back",
    "owner": "flights-team",
    "type": "xgboost",
    "task": "regression",
    "data": {"table": "departures", "key": ["flight_id"], "event_time": "pushed_back_at"},
    "label": {"table": "arrivals", "value": "gate_minutes", "event_time": "arrived_at"},
    "split": {"train": "270d", "validation": 0.2, "test": "30d"},
    "features": {"distance": "row.distance"},
    "partition": {"by": ["row.dest_city", "row.dest_state"], "min_rows": 2000},
    "deploy": {"tag": "production", "modes": ["batch", "online"], "gate": {"rmse": {"max": 16}}},
    "monitor": {
        "alerts": [{"metric": "rmse", "above": 18, "over": "7d", "mail": ["flights-team@example.org"]}]
    },
}
DEPARTURES = {
    "description": "Departures",
    "key": ["flight_id"],
    "event_time": "pushed_back_at",
    "columns": {
        "flight_id": "str",
        "pushed_back_at": "timestamp",
        "distance": "float",
        "dest_city": "str",
        "dest_state": "str",
    },
}
ARRIVALS = {
    "description": "Arrivals",
    "key": ["flight_id"],
    "event_time": "arrived_at",
    "columns": {"flight_id": "str", "arrived_at": "timestamp", "gate_minutes": "float"},
}
ORIGIN_WEATHER = {
    "description": "Weather at the airport of departure",
    "owner": "flights-team",
    "entity": {"origin": "str"},
    "features": {"wind_speed": {"type": "float", "description": "Wind, mph"}},
}


def version(model: str, spec: ModelSpec, rmse: float, parts: int, **other: object) -> ModelVersion:
    """A record such as training writes, with a test rmse of `rmse` and `parts` parts."""
    metrics = {"rmse": rmse, "mae": rmse * 0.72, "r2": 0.971, "rmsle": 0.0821}
    beside = {
        "single_model": {**metrics, "rmse": rmse + 0.3},
        "baseline": {**metrics, "rmse": 94.25},
        "previous": {**metrics, "rmse": rmse + 0.7},
    }
    root = {
        "name": "all",
        "level": "all",
        "key": [],
        "rows": 244_737,
        "validation_rows": 48_000,
        "kept": True,
        "reason": "the root answers what no other part does",
        "metric": 14.9,
        "test_rows": 1_431,
        "test": metrics,
        "beside": beside,
    }
    cities = [
        root
        | {
            "name": f"dest_city=City {number}, Illinois",
            "level": "dest_city",
            "key": ["Illinois", f"City {number}, Illinois"],
            "rows": 9_000 - number,
            "validation_rows": 1_800,
            "kept": number % 3 == 0,
            "reason": "" if number % 3 == 0 else "not better than its parent on validation",
            "metric": 13.1 + number / 50,
            "parent_metric": 13.4,
        }
        for number in range(parts)
    ]
    if parts > 3:
        own = {"max_depth": 3, "learning_rate": 0.0123456789, "n_estimators": 60}
        cities[3] |= {"parameters": own, "tried": 9}
    trial = {"parameters": {"max_depth": 6, "learning_rate": 0.0734}, "state": "complete", "rounds": 60}
    record = {
        "uuid": str(uuid.uuid4()),
        "model": model,
        "trained_by": "anna",
        "started_at": TRAINED,
        "finished_at": TRAINED + timedelta(minutes=4),
        "configuration": spec,
        "table": DEPARTURES,
        "windows": {
            name: {"start": TRAINED - timedelta(days=days), "end": TRAINED, "rows": rows}
            for name, days, rows in (
                ("train", 270, 244_737),
                ("validation", 54, 61_184),
                ("test", 30, 28_618),
            )
        },
        "signature": {
            "inputs": {
                "flight_id": {"type": "str", "nullable": False},
                "distance": {"type": "float", "nullable": True},
            },
            "store": {"origin_weather": {"keys": {"origin": "origin"}, "features": {"wind_speed": "float"}}},
            "key": ["flight_id"],
            "event_time": "pushed_back_at",
            "task": spec.task,
        },
        "parameters": {"max_depth": 6, "n_estimators": 60},
        "metrics": metrics,
        "metrics_by_level": [
            {"level": level, "rows": rows, "metrics": metrics, "beside": beside}
            for level, rows in (("dest_city", 23_752), ("dest_state", 3_434), ("all", 1_431))
        ],
        "single_model_metrics": {**metrics, "rmse": rmse + 0.4},
        "baseline_metrics": {"rmse": 95.87, "mae": 79.2, "r2": -0.0003, "rmsle": None},
        "part_metric": "rmse",
        "parts": [root, *cities],
        "importances": {
            "distance": 0.81,
            "departure_hour": 0.07,
            "wind": 0.05,
            "crowding": 0.04,
            "carrier": 0.03,
        },
        "mlflow_run": "6f0f7a2b9d8f4c5f8e2a",
        "search": {
            "metric": "rmse",
            "best": 3,
            "train_rows": 100_000,
            "validation_rows": 24_000,
            "trials": [
                *({**trial, "number": n, "value": 15.2 - n / 9, "seconds": 2.31} for n in range(4)),
                {**trial, "number": 4, "state": "failed", "reason": "ran out of memory", "seconds": 0.4},
            ],
        },
    }
    return ModelVersion.model_validate({**record, **other})


@dataclass
class World:
    """What the tests of the console see: an installation, the names in it, and a client that is who it is
    told.
    """

    settings: Settings
    session: Session
    project: str
    model: str
    spec: ModelSpec
    versions: list[ModelVersion] = field(default_factory=list)
    user: str | None = "victor"
    editors: tuple[str, ...] = ("anna",)

    def current_user(self, request: Request) -> str:
        """The dependency that a console asks who it is."""
        if self.user is None:
            raise HTTPException(401, "Not authenticated")
        return self.user

    def require_editor(self, request: Request) -> str:
        """The dependency that a console asks who may change things."""
        user = self.current_user(request)
        if user not in self.editors:
            raise HTTPException(403, "To deploy you need the role that triggers DAG runs.")
        return user

    def train(self, rmse: float, model: str | None = None, parts: int = 40, **other: object) -> ModelVersion:
        """Put a version with this test rmse into the repository."""
        record = version(model or self.model, self.spec, rmse, parts, **other)
        Repository(self.session).save(record, b"PK not a real bundle")
        self.versions.append(record)
        return record

    def deploy(
        self, record: ModelVersion, at: datetime, tag: str = "production", reason: str = "better"
    ) -> None:
        """Put a version into the timeline of a tag."""
        Deployments(self.session).append(
            record.model, tag, record.uuid, "anna", reason, ["batch", "online"], at
        )


@pytest.fixture
def projects(tmp_path: Path) -> Callable[..., str]:
    """Write a project of one model under a name that no other test uses; gives the project's name."""

    def write(model: str = "trip_minutes", **changes: object) -> str:
        project = f"g_{uuid.uuid4().hex[:10]}"
        documents = {
            "project.yaml": {"description": "Flights", "owner": "flights-team", "start_date": "2013-01-01"},
            "tables/departures.yaml": DEPARTURES,
            "tables/arrivals.yaml": ARRIVALS,
            f"models/{model}.yaml": MODEL | changes,
        }
        for path, document in documents.items():
            file = tmp_path / "projects" / project / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(yaml.safe_dump(document, sort_keys=False))
        return project

    return write


@pytest.fixture(scope="package")
def session(stores: Settings, schema: Path) -> Iterator[Session]:
    """A session on the real Cassandra."""
    with cassandra.session(stores) as opened:
        cassandra.apply(opened, schema)
        yield opened


@pytest.fixture
def world(stores: Settings, session: Session, projects: Callable[..., str], tmp_path: Path) -> World:
    """A project with one model that was never trained."""
    project = projects()
    folders = {"GIORNATA_PROJECTS": str(tmp_path / "projects"), "GIORNATA_BUNDLES": str(tmp_path / "bundles")}
    settings = replace(stores, variables={**stores.variables, **folders})
    return World(
        settings,
        session,
        project,
        f"{project}/trip_minutes",
        ModelSpec.model_validate_json(json.dumps(MODEL)),
    )


@pytest.fixture
def trained(world: World) -> World:
    """The model trained twice, deployed, and measured over three weeks in which an alert came and went."""
    # A version is live only where the project has the features that it reads.
    group = world.settings.projects / world.project / "features" / "origin_weather.yaml"
    group.parent.mkdir(exist_ok=True)
    group.write_text(yaml.safe_dump(ORIGIN_WEATHER, sort_keys=False))
    group.with_suffix(".sql").write_text("SELECT 1 WHERE :from < :to")
    old = world.train(15.3)
    new = world.train(14.6, finished_at=TRAINED + timedelta(days=9))
    world.deploy(old, datetime(2013, 11, 1, 7, tzinfo=UTC), reason="the first one")
    world.deploy(new, datetime(2013, 11, 10, 7, tzinfo=UTC))
    measure(world, old.uuid, new.uuid)
    return world


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    """A browser at the console."""
    app = create_app(world.settings, world.current_user, world.require_editor)
    with TestClient(app, follow_redirects=False) as opened:
        yield opened
    app.state.sources.close()


def measure(world: World, old: str, new: str) -> None:
    """Three weeks of metrics, and the judgements of the document's alert over them."""
    noise = random.Random(7)
    points = []
    for number in range(21):
        day = FIRST + timedelta(days=number)
        uuid_ = old if number < 9 else new
        for mode in ("batch", "online"):
            rmse = (15 if number not in (6, 7, 8) else 19.3) + noise.random() - (number > 9)
            values = {"rmse": rmse, "mae": rmse * 0.7, "r2": 0.97, "rmsle": 0.08 + noise.random() / 99}
            for window, rows in (("1d", 900), ("7d", 6_300)):
                place = {"model": world.model, "tag": "production", "mode": mode, "window": window}
                found = {**values, "label_coverage": 0.97}
                points += [
                    Point(metric=metric, part="all", at=day, uuid=uuid_, value=value, rows=rows, **place)
                    for metric, value in found.items()
                ]
    Series(world.session).write(points)
    alerts, (alert,) = Alerts(world.session), world.spec.monitor.alerts
    own = rule(world.model, "production", "batch", alert)
    state = RuleState()
    seen = [
        Observation(point.at, point.value, point.rows, point.uuid)
        for point in points
        if (point.metric, point.window, point.mode) == ("rmse", "7d", "batch")
    ]
    for judgement in judge(own, seen, state):
        mail = judgement.transition and alert_mail(judgement.transition, "http://localhost/giornata/")
        assert alerts.advance(own, state, judgement, mail or None)
        state = judgement.state
