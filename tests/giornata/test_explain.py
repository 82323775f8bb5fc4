"""`giornata explain`: the inputs, every step and one row's values, in 80 columns."""

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dsl import GroupSchema, Schema, compile_features, parse_udfs
from giornata.bundle import write_bundle
from giornata.cli.main import app
from giornata.errors import DataError
from giornata.explain import explained, read_row

SCHEMA = Schema(
    {"distance": "float", "minutes": "float", "origin": "str", "dest": "str", "t": "timestamp"},
    {"weather": GroupSchema({"origin": "str"}, {"wind": "float"})},
    parse_udfs("import math\ndef root(x: float) -> float: return math.sqrt(x)\n"),
)
FEATURES = compile_features(
    {
        "fast": "speed > 5 and not is_null(row.origin)",
        "wind": "coalesce(store.weather(origin=row.dest).wind, 0) / 2",
        "level": "normalize(row.distance)",
        "root": "udfs.root(row.minutes) if row.origin in ['EWR'] else 1",
        "hour": "hour(row.t)",
    },
    SCHEMA,
    {"speed": "row.distance / row.minutes"},
)
ROW = {"distance": 60.0, "minutes": 10.0, "origin": "EWR", "t": "2013-11-01T08:30:00-04:00"}


def shown(*arguments):
    console = Console(width=80, highlight=False, record=True, file=StringIO())
    console.print(explained("flights/test", *arguments))
    lines = [line.rstrip() for line in console.export_text().split("\n")]
    assert max(map(len, lines)) <= 80
    return "\n".join(lines).strip()


def test_every_step_with_its_value():
    text = shown(FEATURES, None, json.dumps(ROW | {"weather__dest__wind": 7.0}))
    assert (
        text
        == """\
flights/test: features

Input                Type
row.distance         float
row.minutes          float
row.origin           str        may be null
row.t                timestamp
row.dest             str        may be null
weather__dest__wind  float      by row.dest

fast: and  bool = True
├── >  bool = True
│   ├── /  float = 6.0
│   │   ├── row.distance  float = 60.0
│   │   └── row.minutes  float = 10.0
│   └── 5.0  float
└── not  bool = True
    └── is_null(…)  bool = False
        └── row.origin  str = 'EWR'

wind: /  float = 3.5
├── coalesce(…)  float = 7.0
│   ├── store.weather(origin=row.dest).wind  float = 7.0
│   └── 0.0  float
└── 2.0  float

level: normalize(…)  float ! is not fitted yet
└── row.distance  float = 60.0

root: if: condition, then, else  float = 3.1622776601683795
├── in ['EWR']  bool = True
│   └── row.origin  str = 'EWR'
├── udfs.root(…)  float = 3.1622776601683795
│   └── row.minutes  float = 10.0
└── 1.0  float

hour: hour(…)  int = 12
├── row.t  timestamp = 2013-11-01T12:30:00Z
└── 'UTC'  str"""
    )


def test_without_a_row_there_are_types_alone():
    text = shown(FEATURES, compile_features({"origin": "row.origin"}, SCHEMA))
    assert "=" not in text.replace("origin=row.dest", "")
    assert "flights/test: partition, finest level first" in text
    assert "└── row.minutes  float\n" in text


def test_a_function_that_fails_is_shown_where_it_does():
    text = shown(FEATURES, None, json.dumps(ROW | {"minutes": -1.0}))
    assert "├── udfs.root(…)  float ! udfs.root(-1.0): raises ValueError: math domain" in text
    assert "│   └── row.minutes  float = -1.0" in text


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{", "the row is not JSON"),
        ("[1]", "the row is not an object"),
        ('{"t": "noon"}', "t is of type timestamp, ISO 8601 text with its zone"),
        ('{"distance": "far"}', "distance is of type float, not the text 'far'"),
    ],
)
def test_mistakes_in_the_row(written, message):
    with pytest.raises(DataError, match=message):
        read_row(written, FEATURES.inputs)


def test_a_row_is_taken_as_the_server_takes_it():
    """Columns that are no inputs are ignored with a note, whole numbers are floats, a request is unwrapped."""
    whole = {"flight_id": "UA-1", "tailnum": "N1", "distanse": 7, **ROW, "distance": 60}
    row, notes = read_row(json.dumps({"row": whole}), FEATURES.inputs)
    assert row == {**ROW, "distance": 60.0, "t": datetime(2013, 11, 1, 12, 30, tzinfo=UTC)}
    assert type(row["distance"]) is float
    assert notes == [
        "ignored: 'flight_id', which the model does not read",
        "ignored: 'tailnum', which the model does not read",
        "ignored: 'distanse', which the model does not read; did you mean distance?",
    ]
    text = shown(FEATURES, None, json.dumps(whole))
    assert text.startswith("ignored: 'flight_id', which the model does not read\n")
    assert "── row.distance  float = 60.0" in text
    assert text.count("ignored") == 3


def test_a_bundle_shows_what_was_learned(trained, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(write_bundle(trained.bundle))
    row = json.dumps({"carrier": "UA", "state": "Maine"})
    done = CliRunner().invoke(app, ["explain", "trips/minutes", "--bundle", str(path), "--row", row])
    assert done.exit_code == 0, done.output
    assert "learned words = [" in done.output
    assert "row.state  str = 'Maine'" in done.output
    assert max(map(len, done.output.split("\n"))) <= 80
    done = CliRunner().invoke(app, ["explain", "trips/other", "--bundle", str(path)])
    assert "is a version of trips/minutes, not of trips/other" in str(done.exception)


def test_a_document_is_explained(monkeypatch):
    monkeypatch.setenv("GIORNATA_PROJECTS", "projects")
    done = CliRunner().invoke(app, ["explain", "flights/late"])
    assert done.exit_code == 0, done.output
    assert "rush: udfs.rush(…)  float\n└── minute_of_day(…)  int" in done.output
