"""A project of flights with a weather group, changed as a test wants, and a version that reads it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from giornata.catalogue.versions import LiveVersion
from giornata.documents import ProjectDocuments, load_project

DOCUMENTS: dict[str, Any] = {
    "project.yaml": {"description": "Trips", "owner": "trips-team", "start_date": "2013-01-01"},
    "tables/departures.yaml": {
        "description": "Generated trips",
        "key": ["trip_id"],
        "event_time": "left_at",
        "columns": {
            "trip_id": "int", "left_at": "timestamp", "distance": "float", "carrier": "str", "origin": "str",
            "city": "str", "state": "str", "sched_dep": "timestamp", "late": "bool", "stops": "int",
        },
    },
    "tables/arrivals.yaml": {
        "description": "Their ends",
        "key": ["trip_id"],
        "event_time": "arrived_at",
        "columns": {"trip_id": "int", "arrived_at": "timestamp", "minutes": "float"},
    },
    "features/origin_weather.yaml": {
        "description": "Weather where trips begin",
        "owner": "weather-team",
        "entity": {"origin": "str"},
        "schedule": "@hourly",
        "ttl": "3h",
        "features": {
            "wind_speed": {"type": "float", "description": "Wind, mph"},
            "temp": {"type": "float", "description": "Temperature"},
        },
    },
    "features/city_size.yaml": {
        "description": "How big a city is",
        "owner": "maps",
        "entity": {"city": "str"},
        "features": {"people": {"type": "int", "description": "People who live there"}},
    },
    "models/minutes.yaml": {
        "description": "Minutes",
        "owner": "trips-team",
        "type": "xgboost",
        "task": "regression",
        "data": {"table": "departures", "key": ["trip_id"], "event_time": "left_at"},
        "label": {"table": "arrivals", "value": "minutes", "event_time": "arrived_at"},
        "split": {"train": "30d", "validation": 0.2, "test": "10d"},
        "features": {"temp": "store.origin_weather.temp * factor", "distance": "row.distance"},
        "define": {"factor": "coalesce(store.city_size.people, 1)"},
    },
}  # fmt: skip

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., ProjectDocuments]:
    """Loads the project `trips` after a change to its documents; one that is set to None is left out."""

    def do(change: Change = lambda documents: None) -> ProjectDocuments:
        documents = copy.deepcopy(DOCUMENTS)
        change(documents)
        folder = tmp_path / "trips"
        for path, document in documents.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if document is not None:
                file.write_text(yaml.safe_dump(document, sort_keys=False))
                if path.startswith("features/"):
                    file.with_suffix(".sql").write_text("SELECT 1 WHERE a >= :from AND a < :to\n")
        return load_project(folder)

    return do


@pytest.fixture
def live(trained: Any) -> LiveVersion:
    """The version of trips/minutes that reads wind_speed, live for both modes."""
    return LiveVersion(trained.bundle.version, ("production",), frozenset({"batch", "online"}))
