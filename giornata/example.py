"""Builds an example request for a version: a typed row of its training data, about a moment that is online."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pprint import pformat
from typing import Any

from giornata.bundle import Bundle
from giornata.records.model_version import ModelVersion
from giornata.serving.moments import moments_of
from giornata.stores.online_history import Covered

__all__ = ["ExampleRequest", "example"]

_WIDTH = 88

# What stands for a value that no row of the training data has.
_MADE_UP: dict[str, object] = {"int": 1, "float": 1.0, "bool": True, "str": "example"}


@dataclass(frozen=True)
class ExampleRequest:
    """A request to a version, under a tag or by its uuid: `address` is the server's, `path` the version's path
    there."""

    address: str
    path: str
    body: Mapping[str, object]

    @property
    def url(self) -> str:
        """The URL to post the body to."""
        return f"{self.address}/models/{self.path}/predict"

    @property
    def curl(self) -> str:
        """The request as a shell command with curl."""
        return f"curl -s {self.url} -d {shlex.quote(json.dumps(self.body, ensure_ascii=False))}"

    @property
    def python(self) -> str:
        """The request as a Python script with the standard library."""
        return f"""\
import json
import urllib.request

body = {pformat(self.body, width=_WIDTH, sort_dicts=False)}
url = "{self.url}"
with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=10) as response:
    print(json.load(response))"""


def example(
    bundle: Bundle, covered: Mapping[str, Covered], address: str, tag: str | None, now: datetime
) -> ExampleRequest:
    """A request to the version of a bundle, under `tag` or by its uuid, to the server at `address`.

    The row is the one with the most values among those in the bundle. `covered` says which days of feature groups are
    online: the request is about the newest of these days, or about now, and the row's timestamps are moved by the same
    amount as its event time.
    """
    version = bundle.version
    row = _row(bundle, _moment(version, covered, now))
    return ExampleRequest(address, f"{version.model}/{tag or version.uuid}", {"row": row})


def _moment(version: ModelVersion, covered: Mapping[str, Covered], now: datetime) -> datetime:
    newest = max((covered[group].newest for group in version.groups if group in covered), default=None)
    if newest is None:
        return now.replace(microsecond=0)
    end = datetime.combine(newest, time(tzinfo=UTC)) + timedelta(hours=18)
    moment = min(end, now.replace(microsecond=0))
    return now.replace(microsecond=0) if moments_of(version).problem(moment, now) else moment


def _row(bundle: Bundle, moment: datetime) -> dict[str, object]:
    version, signature = bundle.version, bundle.version.signature
    rows = [{name: row.inputs.get(name) for name in signature.inputs} for row in bundle.self_test]
    fullest = max(rows, key=lambda row: sum(value is not None for value in row.values()), default={})
    types = {name: version.table.columns[name] for name in (*signature.key, signature.event_time)}
    types |= {name: column.type for name, column in signature.inputs.items()}
    times = {
        name: datetime.fromisoformat(value)
        for name, value in fullest.items()
        if types[name] == "timestamp" and value is not None
    }
    day = timedelta(days=1)
    if event := times.get(signature.event_time):
        shift = (moment - event) // day * day
    else:  # asked about at `moment`, before anything of which the row tells the time
        shift = -((min(times.values(), default=moment) - moment) // day) * day
    row: dict[str, object] = {
        name: _written(times[name] + shift) if name in times else value for name, value in fullest.items()
    }
    for name, type_ in types.items():
        if row.get(name) is None and (name not in signature.inputs or not signature.inputs[name].nullable):
            row[name] = _made_up(type_, moment)
    return {name: row[name] for name in types if name in row}


def _made_up(type_: str, moment: datetime) -> Any:
    if type_.startswith("list["):
        return []
    return _MADE_UP.get(type_, _written(moment))


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
