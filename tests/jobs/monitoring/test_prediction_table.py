"""The columns of prediction tables, and ids that come out the same each time."""

import json
import math
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from giornata.documents import ModelSpec, Table
from giornata.errors import DataError
from jobs.monitoring.prediction_table import inputs_json, prediction_id, predictions_columns

AT = datetime(2013, 11, 1, 12, 30, tzinfo=UTC)
VERSION = "0b7f7a5e-9d3c-4a51-9a3c-2f6f0a1d4c11"
TABLE = Table(
    description="d", key=["flight_id", "leg"], event_time="left_at",
    columns={"flight_id": "str", "leg": "int", "left_at": "timestamp", "tag": "str"},
)  # fmt: skip


def spec(*key):
    return ModelSpec.model_validate(
        {
            "description": "d",
            "owner": "o",
            "type": "xgboost",
            "task": "regression",
            "data": {"table": "departures", "key": list(key), "event_time": "left_at"},
            "label": {"table": "arrivals", "value": "minutes", "event_time": "arrived_at"},
            "split": {"train": "30d", "validation": 0.2, "test": "10d"},
            "features": {"leg": "row.leg"},
        }
    )


def test_columns():
    assert predictions_columns(spec("flight_id", "leg"), TABLE) == {
        "flight_id": "str",
        "leg": "int",
        "event_time": "timestamp",
        "prediction": "float",
        "prediction_id": "str",
        "predicted_at": "timestamp",
        "tag": "str",
        "part": "str",
        "level": "str",
        "inputs": "str",
    }
    with pytest.raises(DataError, match="key column tag of table departures"):
        predictions_columns(spec("tag"), TABLE)


def test_ids():
    first = prediction_id(VERSION, ["UA1", 2], AT)
    assert uuid.UUID(first).version == 5
    assert prediction_id(VERSION, ["UA1", 2], AT.astimezone(timezone(timedelta(hours=5)))) == first
    others = {
        prediction_id(str(uuid.uuid4()), ["UA1", 2], AT),
        prediction_id(VERSION, ["UA1", 3], AT),
        prediction_id(VERSION, ["UA1", "2"], AT),
        prediction_id(VERSION, ["UA12"], AT),
        prediction_id(VERSION, ["UA1", 2], AT + timedelta(microseconds=1)),
    }
    assert len(others - {first}) == 5


def test_inputs():
    text = inputs_json({"wind": math.nan, "at": AT, "city": "Zürich", "late": True, "none": None, "x": 0.1})
    assert json.loads(text) == {
        "at": "2013-11-01T12:30:00+00:00",
        "city": "Zürich",
        "late": True,
        "none": None,
        "wind": None,
        "x": 0.1,
    }
