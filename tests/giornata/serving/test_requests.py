"""Reading requests: types, required fields, names, times and limits, each refused with its place."""

import json
import re
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giornata.documents import ModelSpec
from giornata.serving.moments import AllowedMoments, moments_of
from giornata.serving.requests import MAX_PROBLEMS, MAX_ROWS, RefusedError, RequestColumn, RequestReader

NOW = datetime(2013, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MOMENTS = AllowedMoments(datetime(2013, 1, 1, tzinfo=UTC), None, 7 * DAY)
READER = RequestReader(
    inputs={
        "distance": RequestColumn("float", False),
        "seats": RequestColumn("int", True),
        "late": RequestColumn("bool", True),
        "origin": RequestColumn("str", True),
        "sched_dep": RequestColumn("timestamp", True),
    },
    table={
        "flight_id": "str",
        "origin": "str",
        "distance": "float",
        "tailnum": "str",
        "pushed_back_at": "timestamp",
    },
    key=["flight_id", "origin"],
    event_time="pushed_back_at",
    moments=MOMENTS,
)
ROW = {
    "distance": 719.5,
    "seats": 180,
    "late": True,
    "origin": "JFK",
    "sched_dep": "2013-11-01T07:30:00-04:00",
}


def read(document):
    return READER.read(json.dumps(document).encode(), NOW)


def refusal(document):
    """Why a body is refused; of an object, as one that asks for all its rows or none."""
    if isinstance(document, dict):
        document = document | {"all_or_nothing": True}
    with pytest.raises(RefusedError) as caught:
        READER.read(document if isinstance(document, bytes) else json.dumps(document).encode(), NOW)
    return caught.value


def test_one_row_and_many_rows_are_read_alike():
    one, many = read({"row": ROW}), read({"rows": [ROW, ROW]})
    assert one.rows == [
        {
            "distance": 719.5,
            "seats": 180,
            "late": True,
            "origin": "JFK",
            "sched_dep": datetime(2013, 11, 1, 11, 30, tzinfo=UTC),
        }
    ]
    assert many.rows == one.rows * 2
    assert many.keys == [{"flight_id": None, "origin": "JFK"}] * 2
    assert many.at == [NOW, NOW]


def test_the_moment_is_at_else_the_rows_event_time_else_now():
    with_time = ROW | {"pushed_back_at": "2013-06-01T00:00:00Z"}
    request = read({"rows": [with_time, ROW]})
    assert request.at == [datetime(2013, 6, 1, tzinfo=UTC), NOW]
    request = read({"rows": [with_time, ROW], "at": "2013-07-01T02:00:00+02:00"})
    assert request.at == [datetime(2013, 7, 1, tzinfo=UTC)] * 2
    assert all(moment.utcoffset() == timedelta() for moment in request.at)


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("2012-12-31T23:59:59Z", r"before 2013-01-01T00:00:00Z.*`online: {moments: {past: …}}`"),
        ("1700-01-01T00:00:00Z", "before 2013-01-01"),
        ("2013-11-08T12:00:01Z", r"more than 7d after now.*`online: {moments: {ahead: …}}`"),
        ("2261-12-31T00:00:00Z", "more than 7d after now"),
    ],
)
def test_a_moment_that_the_models_document_does_not_allow_is_refused_with_the_bound_and_its_key(moment, told):
    error = refusal({"rows": [ROW, ROW | {"pushed_back_at": moment}]})
    assert (error.status, error.field, error.row) == (422, "pushed_back_at", 1)
    assert re.search(told, str(error))
    error = refusal({"rows": [ROW, ROW], "at": moment})
    assert (error.status, error.field, error.row) == (422, "at", None)
    assert re.search(told, str(error))


def test_the_bounds_of_a_moment_are_allowed_and_a_stated_past_counts_from_now():
    for moment in ("2013-01-01T00:00:00Z", "2013-11-08T12:00:00Z"):
        assert read({"row": ROW, "at": moment}).at == [datetime.fromisoformat(moment)]
    for past in (30 * DAY, 999_999 * DAY):  # the longest reaches back further than there are years
        moments = AllowedMoments(MOMENTS.begin, past, DAY)
        assert moments.problem(NOW - 30 * DAY, NOW) is None
        assert moments.problem(NOW + DAY, NOW) is None
    assert "more than 30d before now" in str(
        AllowedMoments(MOMENTS.begin, 30 * DAY, DAY).problem(NOW - 30 * DAY - timedelta(seconds=1), NOW)
    )


def test_a_version_allows_what_its_document_states_else_its_training_and_what_is_filed_ahead(trained):
    version = trained.bundle.version
    begin = version.windows["train"].start
    assert moments_of(version) == AllowedMoments(begin, None, 7 * DAY)
    stated = {
        ("regression", "2h", None): DAY,
        ("regression", "20d", None): 20 * DAY,
        ("forecasting", "2h", None): 366 * DAY,
        ("forecasting", "2h", "5d"): 5 * DAY,
    }
    for (task, filed_ahead, ahead), expected in stated.items():
        document = version.configuration.model_dump(by_alias=True, mode="json")
        document["task"], document["data"]["filed_ahead"] = task, filed_ahead
        document["online"]["moments"] = {"past": "3d"} | ({"ahead": ahead} if ahead else {})
        changed = version.model_copy(update={"configuration": ModelSpec.model_validate(document)})
        assert moments_of(changed) == AllowedMoments(begin, 3 * DAY, expected)


def test_the_key_is_read_when_given_and_checked():
    assert read({"row": ROW | {"flight_id": "UA-1"}}).keys == [{"flight_id": "UA-1", "origin": "JFK"}]
    for value in (17, 1.5, [], {}):
        error = refusal({"row": ROW | {"flight_id": value}})
        assert (error.status, error.field) == (422, "flight_id")


def test_a_whole_number_is_a_float_but_nothing_else_is_converted():
    assert read({"row": ROW | {"distance": 700}}).rows[0]["distance"] == 700.0
    assert type(read({"row": ROW | {"distance": 700}}).rows[0]["distance"]) is float
    for column, value in [
        ("distance", "719"),
        ("distance", True),
        ("seats", 180.0),
        ("seats", True),
        ("seats", 2**63),
        ("late", 1),
        ("late", "true"),
        ("origin", 1),
        ("origin", ["JFK"]),
        ("sched_dep", 1383303600),
        ("sched_dep", "2013-11-01T07:30:00"),
        ("sched_dep", "2013-11-01"),
        ("sched_dep", "yesterday"),
        ("sched_dep", "1066-10-14T09:00:00Z"),
        ("sched_dep", "9999-12-31T23:59:59-23:59"),
    ]:
        error = refusal({"rows": [ROW, ROW | {column: value}]})
        assert (error.status, error.field, error.row) == (422, column, 1), (column, value)


def test_lists_are_read_item_by_item():
    reader = RequestReader(
        {name: RequestColumn(f"list[{name}]", True) for name in ("float", "str", "timestamp")},
        {},
        [],
        "at",
        MOMENTS,
    )
    row = {"float": [1, None, 0.5], "str": [], "timestamp": ["2013-11-01T07:30:00-04:00"]}
    (found,) = reader.read(json.dumps({"row": row}).encode(), NOW).rows
    assert found == {
        "float": [1.0, None, 0.5],
        "str": [],
        "timestamp": [datetime(2013, 11, 1, 11, 30, tzinfo=UTC)],
    }
    for name, value in [("float", 1.0), ("float", ["1"]), ("str", [["a"]]), ("timestamp", ["2013-11-01"])]:
        with pytest.raises(RefusedError) as caught:
            reader.read(json.dumps({"row": {name: value}}).encode(), NOW)
        assert (caught.value.status, caught.value.field) == (422, name)
        assert f"of type list[{name}]" in str(caught.value)


def test_an_error_says_what_was_expected_and_what_came():
    assert str(refusal({"row": ROW | {"seats": "many"}})) == "seats is of type int, not the text 'many'"
    message = str(refusal({"row": ROW | {"sched_dep": "2013-11-01T07:30:00"}}))
    assert "zone" in message
    assert "'2013-11-01T07:30:00'" in message
    assert len(str(refusal({"row": ROW | {"seats": "x" * 10_000}}))) < 200


def test_a_column_may_be_null_or_left_out_where_the_signature_says_so():
    without_seats = {name: value for name, value in ROW.items() if name != "seats"}
    assert read({"row": ROW | {"seats": None}}).rows[0]["seats"] is None
    assert read({"row": without_seats}).rows == read({"row": ROW | {"seats": None}}).rows
    error = refusal({"row": ROW | {"distance": None}})
    assert (error.status, error.field) == (422, "distance")
    assert "distance is null" in str(error)
    error = refusal({"rows": [ROW, {name: value for name, value in ROW.items() if name != "distance"}]})
    assert (error.status, error.field, error.row) == (422, "distance", 1)
    assert "distance is missing" in str(error)


def test_other_columns_of_the_table_are_ignored():
    assert read({"row": ROW | {"tailnum": ["anything"]}}).rows == read({"row": ROW}).rows


def test_an_unknown_name_is_refused_with_the_nearest_one():
    error = refusal({"row": ROW | {"fligth_id": "UA-1"}})
    assert (error.status, error.field) == (422, "fligth_id")
    assert "did you mean flight_id?" in str(error)
    misspelt = {("distanse" if name == "distance" else name): value for name, value in ROW.items()}
    assert "did you mean distance?" in str(refusal({"row": misspelt}))
    assert "a row may have" in str(refusal({"row": ROW | {"zzz": 1}}))
    assert "did you mean at?" in str(refusal({"row": ROW, "aat": None}))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"rows": [{"origin": "\xff\xfe"}]}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"rows": [{"distance": NaN}]}', "send null"),
        (b'{"rows": [{"distance": -Infinity}]}', "send null"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b'"text"', "not an object"),
    ],
)
def test_what_is_not_a_json_object_is_400(body, words):
    error = refusal(body)
    assert (error.status, error.field) == (400, None)
    assert words in str(error)


@pytest.mark.parametrize(
    "document",
    [{}, {"rows": []}, {"rows": {}}, {"rows": None}, {"rows": [ROW], "row": ROW}, {"rows": [1]}, {"row": []}],
)
def test_what_has_no_rows_is_422(document):
    assert refusal(document).status == 422


def test_rows_are_bounded():
    assert len(read({"rows": [ROW] * MAX_ROWS}).rows) == MAX_ROWS
    error = refusal({"rows": [ROW] * (MAX_ROWS + 1)})
    assert error.status == 413
    assert str(MAX_ROWS) in str(error)


def test_every_problem_of_every_row_is_told_and_the_good_rows_are_read():
    worse = {"distance": "far", "seets": 1, "late": 1, "flight_id": 7, "sched_dep": ROW["sched_dep"]}
    without = {name: value for name, value in ROW.items() if name != "distance"}
    rows = [ROW, worse, 17, ROW | {"origin": "EWR"}, without]
    request = read({"rows": rows})
    assert [row["origin"] for row in request.rows] == ["JFK", "EWR"]
    assert request.places == [0, 3]
    assert len(request.keys) == len(request.at) == 2
    told = {
        row: [(fault.field, fault.message) for fault in faults] for row, faults in request.refused.items()
    }
    assert told == {
        1: [
            ("seets", "the model has no column 'seets'; did you mean seats?"),
            ("distance", "distance is of type float, not the text 'far'"),
            ("late", "late is of type bool, not the int 1"),
            ("flight_id", "flight_id is of type str, not the int 7"),
        ],
        2: [(None, "a row is an object of column names and values, not the int 17")],
        4: [("distance", "distance is missing, but the model needs its value (float)")],
    }


def test_one_row_or_rows_that_are_all_wrong_are_refused_with_all_their_problems():
    for document in ({"row": {"seats": "x", "late": 0}}, {"rows": [{"seats": "x", "late": 0}]}):
        with pytest.raises(RefusedError) as caught:
            read(document)
        assert caught.value.status == 422
        assert caught.value.document() == {
            "error": "distance is missing, but the model needs its value (float)",
            "field": "distance",
            "row": 0,
            "errors": [
                {"row": 0, "field": field, "error": message}
                for field, message in [
                    ("distance", "distance is missing, but the model needs its value (float)"),
                    ("seats", "seats is of type int, not the text 'x'"),
                    ("late", "late is of type bool, not the int 0"),
                ]
            ],
        }


def test_all_or_nothing_refuses_a_request_for_one_wrong_row():
    rows = [ROW, ROW | {"late": 1}]
    assert read({"rows": rows, "all_or_nothing": False}).places == [0]
    error = refusal({"rows": rows})
    assert (error.status, error.field, error.row) == (422, "late", 1)
    with pytest.raises(RefusedError, match="all_or_nothing is true or false, not the text 'yes'"):
        read({"rows": rows, "all_or_nothing": "yes"})


def test_the_problems_that_are_told_are_bounded_and_the_others_counted():
    wrong = {f"x{number}": 1 for number in range(150)}
    error = refusal({"rows": [wrong] * 3})
    document = error.document()
    assert len(document["errors"]) == MAX_PROBLEMS
    assert document["errors_left_out"] == 3 * 151 - MAX_PROBLEMS
    assert sorted(error.faults) == [0, 1, 2]
    assert len(json.dumps(document)) < 20_000


TIMED = RequestReader(
    {"left_at": RequestColumn("timestamp", False), "stops": RequestColumn("int", True)},
    {"trip": "int", "left_at": "timestamp", "stops": "int"},
    ["trip"],
    "left_at",
    MOMENTS,
    needs_moment=True,
)


def test_a_model_whose_features_depend_on_the_event_time_is_asked_about_a_moment():
    for row in ({"stops": 1}, {"stops": 1, "left_at": None}):
        with pytest.raises(RefusedError, match=r'left_at is missing.*give .* "at"') as caught:
            TIMED.read(json.dumps({"row": row}).encode(), NOW)
        assert (caught.value.status, caught.value.field, caught.value.row) == (422, "left_at", 0)
    noon = "2013-10-01T12:00:00+00:00"
    for document in ({"row": {"left_at": noon}}, {"row": {}, "at": noon}):
        request = TIMED.read(json.dumps(document).encode(), NOW)
        assert request.rows == [{"left_at": datetime(2013, 10, 1, 12, tzinfo=UTC), "stops": None}]
        assert request.at == [datetime(2013, 10, 1, 12, tzinfo=UTC)]


def test_where_the_document_allows_it_a_row_without_a_moment_is_asked_about_now():
    reader = RequestReader(
        {"left_at": RequestColumn("timestamp", False)},
        {"trip": "int", "left_at": "timestamp"},
        ["trip"],
        "left_at",
        MOMENTS,
    )
    request = reader.read(b'{"row": {"trip": 1}}', NOW)
    assert (request.rows, request.keys, request.at) == ([{"left_at": NOW}], [{"trip": 1}], [NOW])


scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
rows = st.dictionaries(
    st.sampled_from([*ROW, "flight_id", "pushed_back_at", "tailnum", "x"]),
    json_values | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
)


@given(
    st.binary(max_size=200)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {"rows": st.lists(st.builds(lambda row: ROW | row, rows), max_size=3)}, optional={"at": json_values}
    ).map(lambda value: json.dumps(value).encode())
)
@settings(max_examples=400)
def test_any_body_is_read_to_the_types_asked_for_or_refused(body):
    try:
        request = READER.read(body, NOW)
    except RefusedError as error:
        status, answer = error.status, {"error": str(error), "field": error.field}
        assert status in (400, 422)
        assert orjson.dumps(answer)
    else:
        types = {"distance": float, "seats": int, "late": bool, "origin": str, "sched_dep": datetime}
        for row, moment in zip(request.rows, request.at, strict=True):
            assert list(row) == list(types)
            assert all(value is None or type(value) is types[name] for name, value in row.items())
            assert moment.tzinfo is UTC
