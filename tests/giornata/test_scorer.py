"""The scorer answers rows and columns alike, by the right part, as XGBoost does on the same matrix."""

import dataclasses
import json
import math
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from giornata.bundle import open_bundle, write_bundle
from giornata.errors import BundleError, DataError
from giornata.scorer import (
    Prediction,
    Scorer,
    _plain,
    _typed,
    inputs_of,
    matrix_of_columns,
    matrix_of_rows,
    with_self_test,
)

HEAVY = (
    "pandas",
    "sklearn",
    "pyspark",
    "mlflow",
    "airflow",
    "great_expectations",
    "xgboost",
    "polars",
    "optuna",
    "torch",
)


@pytest.fixture(scope="module")
def scorer(trained_bundle):
    return Scorer(open_bundle(trained_bundle))


def test_rows_and_columns_agree_bit_for_bit(trained, scorer):
    frame = trained.frame.drop("minutes")
    columns = scorer.columns(frame)
    rows = scorer.rows(frame.to_dicts())
    assert columns["prediction"].to_list() == [row.value for row in rows]
    assert columns["part"].to_list() == [row.part for row in rows]
    assert columns["level"].to_list() == [row.level for row in rows]
    one_by_one = [scorer.rows([row])[0] for row in frame.head(40).to_dicts()]
    assert one_by_one == rows[:40]


def test_predictions_are_plain_xgboost_of_the_chosen_part(trained, scorer):
    """The part by hand from city and state, its UBJ by XGBoost itself, the features by hand."""
    frame = trained.frame
    kept = {part.key: part for part in trained.bundle.parts}
    boosters = {}
    for key, part in kept.items():
        boosters[key] = xgboost.Booster(model_file=bytearray(part.files["model.ubj"]))
    codes = {None: 0} | {
        name: 2 + place
        for place, name in enumerate(
            row["carrier"]
            for row in frame.drop_nulls("carrier")
            .group_by("carrier")
            .len()
            .sort("len", "carrier", descending=[True, False])
            .to_dicts()
        )
    }
    local = frame["sched_dep"].dt.convert_time_zone("America/New_York")
    matrix = np.column_stack(
        [
            frame["distance"].to_numpy(),
            np.array([codes[name] for name in frame["carrier"]], float),
            local.dt.hour().cast(pl.Float64).to_numpy(),
            frame["origin_weather__wind_speed"].fill_null(0).to_numpy(),
            frame["late"].cast(pl.Float64).to_numpy(),
            frame["stops"].cast(pl.Float64).to_numpy(),
        ]
    ).astype(np.float32)
    found = scorer.columns(frame.drop("minutes"))
    for at, row in enumerate(frame.to_dicts()):
        key = next(key for key in ((row["state"], row["city"]), (row["state"],), ()) if key in kept)
        assert found["part"][at] == kept[key].name
        expected = boosters[key].predict(xgboost.DMatrix(matrix[at : at + 1]))[0] if at < 200 else None
        if expected is not None:
            assert found["prediction"][at] == float(expected)
    assert set(found["part"]) == {part.name for part in kept.values()}


def row(**values):
    known = {
        "distance": 500.0,
        "carrier": "UA",
        "origin": "EWR",
        "city": "Chicago",
        "state": "Illinois",
        "sched_dep": None,
        "late": False,
        "stops": 1,
        "origin_weather__wind_speed": 12.0,
    }
    return known | values


@pytest.mark.parametrize(
    ("values", "part", "level"),
    [
        ({}, "state=Illinois", "state"),
        ({"city": "Nowhere"}, "state=Illinois", "state"),
        ({"city": None}, "state=Illinois", "state"),
        ({"state": None}, "all", "all"),
        ({"state": "Texas", "city": "Austin"}, "all", "all"),
        ({"state": "Massachusetts", "city": "Boston"}, "city=Boston", "city"),
        ({"state": "Massachusetts", "city": "Salem"}, "all", "all"),
        ({"state": "Maine", "city": "Portland"}, "city=Portland (state=Maine)", "city"),
        ({"state": "Oregon", "city": "Portland"}, "city=Portland (state=Oregon)", "city"),
        (dict.fromkeys(row()), "all", "all"),
    ],
)
def test_falls_back_to_the_deepest_part(scorer, values, part, level):
    (answer,) = scorer.rows([row(**values)])
    assert (answer.part, answer.level) == (part, level)
    assert math.isfinite(answer.value)


def test_unseen_words_and_missing_values_are_answered(scorer):
    values = [row(carrier="ZZ"), row(carrier=None), row(distance=None), row(origin_weather__wind_speed=None)]
    assert all(math.isfinite(answer.value) for answer in scorer.rows(values))


def test_no_rows(scorer, trained):
    assert scorer.rows([]) == []
    empty = scorer.columns(trained.frame.head(0))
    assert empty.schema == {"prediction": pl.Float64, "part": pl.String, "level": pl.String}


def test_unpartitioned_answers_by_the_root(trained, scorer):
    frame = trained.frame.drop("minutes").head(50)
    answers = scorer.unpartitioned().columns(frame)
    root = xgboost.Booster(model_file=bytearray(trained.bundle.parts[0].files["model.ubj"]))
    expected = root.predict(xgboost.DMatrix(trained.matrix[:50])).astype(np.float64)
    assert answers["prediction"].to_list() == expected.tolist()
    assert set(answers["part"]) == {"all"}


@pytest.fixture(scope="module", params=["multiclass", "quantile"])
def several(request, trained, scorer):
    """A bundle whose parts answer several numbers, XGBoost's own models by part, and the matrix of the frame."""
    outputs = {"multiclass": ["early", "on time", "“late”"], "quantile": ["0.1", "0.5", "0.9"]}[request.param]
    objective = {
        "multiclass": {"objective": "multi:softprob", "num_class": 3},
        "quantile": {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]},
    }[request.param]
    frame = trained.frame
    matrix = matrix_of_columns(scorer._features.columns(frame.drop("minutes")))
    minutes = frame["minutes"].to_numpy()
    target = np.digitize(minutes, np.quantile(minutes, [0.3, 0.7])) if "num_class" in objective else minutes
    boosters = []
    for number, _ in enumerate(trained.bundle.parts):
        rows = slice(number, None, 2)
        data = xgboost.DMatrix(matrix[rows], target[rows])
        boosters.append(xgboost.train({**objective, "seed": number, "max_depth": 3}, data, 4))
    parts = tuple(
        dataclasses.replace(part, files={"model.ubj": bytes(booster.save_raw("ubj"))})
        for part, booster in zip(trained.bundle.parts, boosters, strict=True)
    )
    version = trained.bundle.version
    signature = version.signature.model_copy(update={"task": request.param, "outputs": outputs})
    version = version.model_copy(update={"signature": signature})
    return dataclasses.replace(trained.bundle, version=version, parts=parts, self_test=()), boosters, matrix


def test_answers_of_several_numbers(trained, several):
    """The part that answers is the one of the model with one number; its numbers are XGBoost's own."""
    bundle, boosters, matrix = several
    outputs = bundle.version.signature.outputs
    frame = trained.frame.drop("minutes")
    scorer = Scorer(open_bundle(write_bundle(bundle)))
    columns = scorer.columns(frame)
    assert columns.columns == ["prediction", "outputs", "part", "level"]
    assert columns["part"].equals(Scorer(trained.bundle).columns(frame)["part"])
    names = [part.name for part in bundle.parts]
    for name, booster in zip(names, boosters, strict=True):
        mine = (columns["part"] == name).to_numpy()
        expected = booster.inplace_predict(matrix[mine], missing=np.nan).astype(np.float64)
        found = [json.loads(text) for text in columns["outputs"].filter(pl.Series(mine))]
        assert [list(answer) for answer in found] == [outputs] * int(mine.sum())
        # XGBoost's shares of classes are of single precision, and their sum is only nearly 1.
        assert np.array([list(answer.values()) for answer in found]) == pytest.approx(expected, rel=1e-6)
        predicted = columns["prediction"].filter(pl.Series(mine)).to_list()
        if bundle.version.signature.task == "quantile":
            assert predicted == expected[:, 1].tolist()
        else:
            assert predicted == [outputs[place] for place in expected.argmax(axis=1)]
    rows = scorer.rows(frame.to_dicts())
    assert [row.value for row in rows] == columns["prediction"].to_list()
    assert [row.outputs for row in rows] == [json.loads(text) for text in columns["outputs"]]
    assert scorer.rows(frame.head(1).to_dicts()) == rows[:1]
    assert scorer.rows([]) == []
    assert scorer.columns(frame.head(0)).height == 0


def test_a_self_test_holds_all_numbers(trained, several):
    bundle, _, _ = several
    rows = trained.frame.drop("minutes").head(5).to_dicts()
    again = open_bundle(write_bundle(with_self_test(bundle, rows)))
    Scorer(again).check_self_test()
    first, *others = again.self_test
    numbers = dict(first.outputs)
    numbers[next(iter(numbers))] += 1e-9
    wrong = dataclasses.replace(again, self_test=(dataclasses.replace(first, outputs=numbers), *others))
    with pytest.raises(BundleError, match="to row 0 of its self-test"):
        Scorer(wrong).check_self_test()


def test_inputs(scorer):
    assert scorer.inputs["origin_weather__wind_speed"] == "float"
    assert scorer.inputs["sched_dep"] == "timestamp"
    read = inputs_of(scorer.signature)
    assert read.store["origin_weather"].keys == {"origin": "origin"}
    assert read.row["origin"] == "str"


def test_self_test_notices_another_answer(trained, scorer):
    scorer.check_self_test()
    assert len(trained.bundle.self_test) == 13
    first, *rest = trained.bundle.self_test
    wrong = dataclasses.replace(first, prediction=float(np.nextafter(first.prediction, np.inf)))
    altered = Scorer(dataclasses.replace(trained.bundle, self_test=(wrong, *rest)))
    with pytest.raises(BundleError, match="row 0 of its self-test"):
        altered.check_self_test()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=8))
def test_matrix_of_floats(values):
    by_rows = matrix_of_rows([[value] for value in values])
    by_columns = matrix_of_columns(pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)}))
    np.testing.assert_array_equal(by_rows, by_columns)
    assert not np.isinf(by_rows).any()
    assert by_rows.dtype == by_columns.dtype == np.float32


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=8))
def test_matrix_of_whole_numbers(values):
    by_rows = matrix_of_rows([[value] for value in values])
    by_columns = matrix_of_columns(pl.DataFrame({"x": pl.Series(values, dtype=pl.Int64)}))
    np.testing.assert_array_equal(by_rows, by_columns)


def test_matrix_by_hand():
    found = matrix_of_rows([[True, 2, None], [False, 1e39, 0.1]])
    np.testing.assert_array_equal(found, np.array([[1, 2, np.nan], [0, np.nan, 0.1]], np.float32))
    frame = pl.DataFrame({"a": [True, False], "b": [2.0, math.inf], "c": [None, 0.1]})
    np.testing.assert_array_equal(matrix_of_columns(frame), found)
    with pytest.raises(DataError, match="feature place is of type String"):
        matrix_of_columns(pl.DataFrame({"place": ["x"]}))


def test_importing_takes_no_heavy_library():
    code = f"import sys, giornata.scorer; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_one_row_takes_no_polars(trained_bundle, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(trained_bundle)
    code = (
        "import sys; from pathlib import Path; from giornata.bundle import open_bundle\n"
        "from giornata.scorer import Scorer\n"
        "scorer = Scorer(open_bundle(Path(sys.argv[1]))); scorer.check_self_test()\n"
        "print('polars' in sys.modules, 'pyspark' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "False False"


def test_prediction_is_plain():
    assert dataclasses.asdict(Prediction(1.5, "all", "all")) == {
        "value": 1.5,
        "part": "all",
        "level": "all",
        "outputs": None,
    }


def test_lists_travel_in_a_self_test():
    """As text and back: times with their zone, NaN as null."""
    moment = datetime(2013, 11, 1, 8, tzinfo=timezone(timedelta(hours=2)))
    row = {"times": [moment, None], "sizes": (0.5, math.nan), "at": moment, "words": ["a"]}
    types = {"times": "list[timestamp]", "sizes": "list[float]", "at": "timestamp", "words": "list[str]"}
    plain = {name: _plain(value) for name, value in row.items()}
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert _typed(plain, types) == {
        "times": [moment, None], "sizes": [0.5, None], "at": moment, "words": ["a"]
    }  # fmt: skip
