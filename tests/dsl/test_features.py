"""Compiled features as a whole: names, types, inputs, and what importing them costs."""

import pickle
import subprocess
import sys

import polars as pl
import pytest

from dsl import GroupSchema, Inputs, Schema, StoreInput, compile_features

SCHEMA = Schema(
    {"origin": "str", "dest": "str", "distance": "float", "hhmm": "int", "unused": "float"},
    {
        "weather": GroupSchema({"origin": "str"}, {"wind": "float", "rain": "float"}),
        "routes": GroupSchema({"origin": "str", "dest": "str"}, {"flights": "int"}),
    },
)
FEATURES = {
    "wind": "coalesce(store.weather.wind, 0)",
    "crowd": "store.routes.flights * 2",
    "distance": "row.distance / 1000",
    "minutes": "row.hhmm // 100 * 60 + row.hhmm % 100",
}


def test_names_types_and_inputs_are_what_the_expressions_use():
    features = compile_features(FEATURES, SCHEMA)
    assert features.names == ("wind", "crowd", "distance", "minutes")
    assert features.types == {"wind": "float", "crowd": "int", "distance": "float", "minutes": "int"}
    assert features.is_fitted
    assert features.inputs == Inputs(
        row={"origin": "str", "dest": "str", "distance": "float", "hhmm": "int"},
        store={
            "weather": StoreInput("weather", {"origin": "origin"}, {"wind": "float"}),
            "routes": StoreInput("routes", {"origin": "origin", "dest": "dest"}, {"flights": "int"}),
        },
    )


def test_one_group_by_several_keys_is_several_inputs():
    features = compile_features(
        {
            "here": "store.weather.wind",
            "there": "store.weather(origin=row.dest).wind - here",
            "rain": "store.weather(origin=row.dest).rain",
            "back": "store.routes(origin=row.dest, dest=row.origin).flights",
            "half": "store.routes(dest=row.origin).flights",
            "same": "store.weather(origin=row.origin).wind",
            "age": "store.weather(origin=row.dest).event_age",
            "late": "store.routes.event_age > 60",
        },
        SCHEMA,
    )
    assert features.inputs.store == {
        "weather": StoreInput("weather", {"origin": "origin"}, {"wind": "float"}),
        "weather__dest": StoreInput(
            "weather", {"origin": "dest"}, {"wind": "float", "rain": "float", "event_age": "float"}
        ),
        "routes__dest__origin": StoreInput(
            "routes", {"origin": "dest", "dest": "origin"}, {"flights": "int"}
        ),
        "routes__origin__origin": StoreInput(
            "routes", {"origin": "origin", "dest": "origin"}, {"flights": "int"}
        ),
        "routes": StoreInput("routes", {"origin": "origin", "dest": "dest"}, {"event_age": "float"}),
    }
    assert features.inputs.row == {"origin": "str", "dest": "str"}
    assert features.inputs.store["weather__dest"].stored == {"wind": "float", "rain": "float"}
    values = {
        "weather__wind": 3.0,
        "weather__dest__wind": 5.0,
        "weather__dest__rain": 0.5,
        "weather__dest__event_age": 1800.25,
        "routes__dest__origin__flights": 4,
        "routes__origin__origin__flights": 0,
        "routes__event_age": 61.0,
    }
    answers = [3.0, 2.0, 0.5, 4, 0, 3.0, 1800.25, True]
    assert features.row(values) == answers
    assert features.columns(pl.DataFrame([values])).row(0) == tuple(answers)
    again = type(features).from_json(features.to_json())
    assert (again, again.inputs) == (features, features.inputs)


def test_the_keys_of_a_group_can_be_named():
    features = compile_features({"wind": "store.weather(origin=place).wind"}, SCHEMA, {"place": "row.dest"})
    assert list(features.inputs.store) == ["weather__dest"]


def test_values_are_in_the_order_of_names_and_missing_inputs_are_null():
    features = compile_features(FEATURES, SCHEMA)
    row = {"routes__flights": 3, "distance": 500.0, "hhmm": 1315, "extra": object()}
    assert features.row(row) == [0.0, 6, 0.5, 795]
    assert features.row_many([row, {}]) == [[0.0, 6, 0.5, 795], [0.0, None, None, None]]
    frame = pl.DataFrame(
        {"weather__wind": [None, 3.0], "routes__flights": [3, None], "distance": [500.0, 1], "hhmm": 1315}
    )
    assert features.columns(frame).to_dict(as_series=False) == {
        "wind": [0.0, 3.0],
        "crowd": [6, None],
        "distance": [0.5, 0.001],
        "minutes": [795, 795],
    }


@pytest.mark.parametrize("height", [0, 1, 2, 5])
def test_features_without_inputs_have_the_frames_height(height):
    features = compile_features({"one": "1", "text": "'a'", "unknown": "None if True else 1.0"}, SCHEMA)
    columns = features.columns(pl.DataFrame({"z": [0] * height}))
    assert columns.rows() == [(1, "a", None)] * height
    assert columns.dtypes == [pl.Int64, pl.String, pl.Float64]


def test_the_frame_is_left_as_it_is():
    frame = pl.DataFrame({"distance": [1000.0], "extra": [1]})
    features = compile_features({"distance": "row.distance / 1000"}, SCHEMA)
    assert features.columns(frame).to_dict(as_series=False) == {"distance": [1.0]}
    assert frame.to_dict(as_series=False) == {"distance": [1000.0], "extra": [1]}


def test_features_travel_as_their_json():
    features = compile_features(FEATURES, SCHEMA)
    features.row({})
    assert pickle.loads(pickle.dumps(features)) == features  # noqa: S301 - as Spark sends it to executors
    assert features.__reduce__()[1] == (features.to_json(),)


def test_parsing_and_rows_do_without_polars():
    code = (
        "import sys, dsl; f = dsl.compile_features({'a': 'hour(row.t) + normalize(row.x)'},"
        " dsl.Schema({'t': 'timestamp', 'x': 'float'}));"
        " g = dsl.compile_features({'a': 'row.x / 2'}, dsl.Schema({'x': 'float'})); assert g.row({'x': 1.0}) == [0.5];"
        " assert not {'polars', 'numpy', 'pandas'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
