"""The columns of prediction tables, the same for batch and online predictions."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson

from giornata.documents.model import ModelSpec
from giornata.documents.table import Table
from giornata.errors import DataError
from giornata.tasks import TASKS

__all__ = ["PARTITIONS", "inputs_json", "prediction_id", "predictions_columns"]

PARTITIONS = ("day", "mode", "model_uuid")

_COLUMNS = {
    "event_time": "timestamp",
    "prediction": "float",
    "outputs": "str",
    "prediction_id": "str",
    "predicted_at": "timestamp",
    "tag": "str",
    "part": "str",
    "level": "str",
    "inputs": "str",
}


def predictions_columns(spec: ModelSpec, table: Table) -> dict[str, str]:
    """Name and type of the columns of a model's prediction table, without its partitions: the key columns first.

    `event_time` is the moment of the prediction; `prediction` the value, the probability of true, or the likeliest
    class as text; `outputs` is JSON of the numbers of a prediction by name, for tasks with several; `tag` the tags of
    the version, joined by commas; `part` and `level` say which part of a partitioned model predicted; `inputs` is JSON
    of the inputs as used (see `inputs_json`). The partition `day` is that of the moment; in batch the partition day of
    its row, if that is later. Raises DataError if a key column has the name of another.
    """
    for name in spec.data.key:
        if name in _COLUMNS or name in PARTITIONS:
            raise DataError(
                f"key column {name} of table {spec.data.table} has the name of a prediction's own column"
            )
    own = dict(_COLUMNS)
    if TASKS[spec.task].label == "class":
        own["prediction"] = "str"
    if not TASKS[spec.task].has_outputs:
        del own["outputs"]
    return {**{name: str(table.columns[name]) for name in spec.data.key}, **own}


def prediction_id(model_uuid: str, key: Sequence[object], event_time: datetime) -> str:
    """The id of a batch prediction: derived from what it is about, so that scoring again gives the same id."""
    about = orjson.dumps([*key, event_time.astimezone(UTC)], default=str).decode()
    return str(uuid.uuid5(uuid.UUID(model_uuid), about))


def inputs_json(inputs: Mapping[str, object]) -> str:
    """Inputs as used, by column (`distance`, `origin_weather__wind_speed`): times as ISO text in UTC, NaN as null."""
    return orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS).decode()
