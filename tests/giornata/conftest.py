"""A small model of generated trips, trained in process: a bundle with parts, a feature group and a vocabulary."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dsl import CompiledFeatures, GroupSchema, Schema, compile_features
from giornata.bundle import Bundle, Part, write_bundle
from giornata.dataset import Dataset, Matrix
from giornata.documents import FeatureGroup, ModelSpec, Table
from giornata.evaluation.distributions import distributions
from giornata.models import model_type
from giornata.partitions import level_of, part_names
from giornata.records.model_version import (
    InputColumn,
    LevelMetrics,
    ModelSignature,
    ModelVersion,
    PartRecord,
    RecordedStoreInput,
    RecordedWindow,
    TrialRecord,
)
from giornata.records.model_version import SearchRecord as Search
from giornata.scorer import matrix_of_columns, with_self_test
from giornata.tasks import TASKS
from giornata.tasks.metrics import defined

MOMENT = datetime(2013, 6, 1, tzinfo=UTC)
ROW_COLUMNS = {
    "distance": "float",
    "carrier": "str",
    "origin": "str",
    "city": "str",
    "state": "str",
    "sched_dep": "timestamp",
    "late": "bool",
    "stops": "int",
}
SPEC = {
    "description": "Minutes of a generated trip",
    "owner": "trips-team",
    "type": "xgboost",
    "task": "regression",
    "data": {"table": "departures", "key": ["trip_id"], "event_time": "left_at"},
    "label": {"table": "arrivals", "value": "minutes", "event_time": "arrived_at"},
    "split": {"train": "30d", "validation": 0.2, "test": "10d"},
    "features": {
        "distance": "row.distance",
        "carrier": "vocabulary(row.carrier)",
        "hour": 'hour(row.sched_dep, "America/New_York")',
        "wind": "coalesce(store.origin_weather.wind_speed, 0)",
        "late": "row.late",
        "stops": "row.stops",
    },
    "partition": {"by": ["row.city", "row.state"], "min_rows": 50},
    "parameters": {"n_estimators": 12, "max_depth": 3},
    "deploy": {"tag": "production", "modes": ["batch", "online"], "gate": {"rmse": {"max": 40}}},
}
TABLE = {
    "description": "Generated trips",
    "key": ["trip_id"],
    "event_time": "left_at",
    "columns": {"trip_id": "int", "left_at": "timestamp", **ROW_COLUMNS},
}
WEATHER = {
    "description": "Wind at the origin",
    "owner": "weather-team",
    "entity": {"origin": "str"},
    "schedule": "@hourly",
    "ttl": "3h",
    "features": {"wind_speed": {"type": "float", "description": "Wind, mph"}},
}


@dataclass(frozen=True)
class Trained:
    """A bundle and what it was made of: `frame` holds the input columns, `matrix` the features by hand's route."""

    bundle: Bundle
    content: bytes
    frame: pl.DataFrame
    matrix: Matrix
    target: np.ndarray


def trips(rows: int, seed: int) -> pl.DataFrame:
    """Inputs of generated trips with nulls, and their `minutes`; each city has a speed of its own."""
    random = np.random.default_rng(seed)
    city = random.choice(["Chicago", "Boston", "Portland", "Tiny"], rows, p=[0.4, 0.3, 0.28, 0.02])
    state = [
        {"Chicago": "Illinois", "Boston": "Massachusetts", "Tiny": "Illinois"}.get(name)
        or ("Maine", "Oregon")[at % 2]
        for at, name in enumerate(city)
    ]
    distance = random.uniform(100, 1000, rows)
    wind = random.uniform(0, 40, rows)
    speed = np.where(city == "Chicago", 0.2, np.where(city == "Boston", 0.1, 0.15))
    frame = pl.DataFrame(
        {
            "distance": distance,
            "carrier": random.choice(["UA", "AA", "B6"], rows),
            "origin": random.choice(["EWR", "JFK"], rows),
            "city": city,
            "state": state,
            "sched_dep": [
                MOMENT + timedelta(minutes=int(minute)) for minute in random.integers(0, 40_000, rows)
            ],
            "late": random.random(rows) < 0.3,
            "stops": random.integers(0, 3, rows),
            "origin_weather__wind_speed": wind,
            "minutes": distance * speed + wind + random.normal(0, 3, rows),
        },
        schema_overrides={"sched_dep": pl.Datetime("us", "UTC"), "stops": pl.Int64},
    )
    nullable = [
        "distance",
        "carrier",
        "city",
        "state",
        "sched_dep",
        "late",
        "stops",
        "origin_weather__wind_speed",
    ]
    return frame.with_columns(
        pl.when(pl.Series(random.random(rows) < 0.05)).then(None).otherwise(pl.col(name)).alias(name)
        for name in nullable
    )


def _compiled(frame: pl.DataFrame) -> tuple[CompiledFeatures, CompiledFeatures]:
    schema = Schema(
        row=ROW_COLUMNS, store={"origin_weather": GroupSchema({"origin": "str"}, {"wind_speed": "float"})}
    )
    features = compile_features(SPEC["features"], schema)
    partition = compile_features({"city": "row.city", "state": "row.state"}, schema)
    return features.fitted(features.aggregate(frame)), partition


def _record(spec: ModelSpec, frame: pl.DataFrame, matrix: Matrix) -> ModelVersion:
    columns = {
        name: InputColumn(type=type_, nullable=bool(frame[name].null_count()))
        for name, type_ in ROW_COLUMNS.items()
    }
    bounds = (MOMENT - timedelta(days=40), MOMENT - timedelta(days=16), MOMENT - timedelta(days=10), MOMENT)
    return ModelVersion(
        uuid="0b7f7a5e-9d3c-4a51-9a3c-2f6f0a1d4c11",
        model="trips/minutes",
        trained_by="anna",
        started_at=MOMENT,
        finished_at=MOMENT + timedelta(minutes=3),
        configuration=spec,
        table=Table.model_validate(TABLE),
        groups={"origin_weather": FeatureGroup.model_validate(WEATHER)},
        windows={
            name: RecordedWindow(start=bounds[at], end=bounds[at + 1], rows=frame.height)
            for at, name in enumerate(("train", "validation", "test"))
        },
        signature=ModelSignature(
            inputs=columns,
            store={
                "origin_weather": RecordedStoreInput(
                    group="origin_weather", keys={"origin": "origin"}, features={"wind_speed": "float"}
                )
            },
            key=["trip_id"],
            event_time="left_at",
            task="regression",
        ),
        parameters=dict(spec.parameters),
        metrics={},
        metrics_by_level=[],
        single_model_metrics={},
        baseline_metrics={},
        part_metric="rmse",
        parts=[
            PartRecord(
                name="all", level="all", key=[], rows=1, validation_rows=0, kept=True, reason="the root"
            )
        ],
        importances=dict.fromkeys(spec.features, 1 / len(spec.features)),
        search=Search(
            metric="rmse",
            best=0,
            train_rows=frame.height,
            validation_rows=1,
            trials=[
                TrialRecord(number=0, parameters={}, state="complete", value=3.5, rounds=12, seconds=0.1)
            ],
        ),
        distributions=distributions(list(spec.features), matrix),
    )


@pytest.fixture(scope="session")
def trained() -> Trained:
    """A trained bundle with its data. Kept parts: root, Illinois, Boston inside Massachusetts, both Portlands."""
    frame = trips(1500, seed=1)
    features, partition = _compiled(frame)
    matrix, target = matrix_of_columns(features.columns(frame)), frame["minutes"].to_numpy()
    spec = ModelSpec.model_validate(SPEC)
    type_ = model_type("xgboost")
    keys = [
        (),
        ("Illinois",),
        ("Maine", "Portland"),
        ("Massachusetts", "Boston"),
        ("Oregon", "Portland"),
    ]
    names = part_names(keys, partition.names)
    parts = []
    for key in keys:
        inside = np.ones(frame.height, bool)
        for level, value in zip(("state", "city"), key, strict=False):
            inside &= (frame[level] == value).fill_null(False).to_numpy()
        fitted = type_.fit(Dataset(matrix[inside], target[inside]), "regression", spec.parameters, seed=0)
        parts.append(Part(key, level_of(key, partition.names), names[key], fitted.to_files()))
    version = _record(spec, frame, matrix)
    bundle = Bundle(version, features.to_json(), partition.to_json(), tuple(parts))
    metrics = defined(
        TASKS["regression"].measure(target, type_.fitted.from_files(parts[0].files).predict(matrix))
    )
    level = LevelMetrics(level="all", rows=frame.height, metrics=metrics)
    version = version.model_copy(
        update={
            "metrics": metrics,
            "metrics_by_level": [level],
            "single_model_metrics": metrics,
            "baseline_metrics": metrics,
        }
    )
    rows = [*frame.drop("minutes").head(12).to_dicts(), dict.fromkeys(frame.columns)]
    bundle = with_self_test(replace(bundle, version=version), rows)
    return Trained(bundle, write_bundle(bundle), frame, matrix, target)


@pytest.fixture(scope="session")
def trained_bundle(trained: Trained) -> bytes:
    """The ZIP of a real, small model: see `trained`."""
    return trained.content


@pytest.fixture(scope="session")
def schema() -> Path:
    """The tables of the repository in Cassandra."""
    return Path(__file__).parents[2] / "sql" / "cassandra" / "giornata.cql"
