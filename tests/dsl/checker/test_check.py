"""Messages for mistakes: the whole text, with the caret and the suggestion."""

import pytest

from dsl import GroupSchema, LanguageErrors, Schema, SchemaError, compile_features

SCHEMA = Schema(
    {"distance": "float", "count": "int", "origin": "str", "dest": "str", "late": "bool", "t": "timestamp"},
    {
        "weather": GroupSchema({"origin": "str"}, {"wind_speed": "float"}),
        "planes": GroupSchema({"tail_number": "str"}, {"seats": "int"}),
    },
)

MESSAGES = {
    "row.distnce / 60": """\
feature 'f', line 1, column 1: the row has no column 'distnce'
    row.distnce / 60
    ^^^^^^^^^^^
    did you mean row.distance?""",
    "1 + row.zzz": """\
feature 'f', line 1, column 5: the row has no column 'zzz'
    1 + row.zzz
        ^^^^^^^
    it has count, dest, distance, late, origin, t""",
    "store.wether.wind_speed": """\
feature 'f', line 1, column 1: the store has no feature group 'wether'
    store.wether.wind_speed
    ^^^^^^^^^^^^
    did you mean store.weather?""",
    "store.weather.wind": """\
feature 'f', line 1, column 1: feature group 'weather' has no feature 'wind'
    store.weather.wind
    ^^^^^^^^^^^^^^^^^^
    did you mean store.weather.wind_speed?""",
    "store.planes.seats": """\
feature 'f', line 1, column 1: feature group 'planes' is looked up by row.tail_number of type str, but the row has no \
column 'tail_number'
    store.planes.seats
    ^^^^^^^^^^^^^^^^^^
    state the column that holds it: store.planes(tail_number=row.…)""",
    "store.weather": """\
feature 'f', line 1, column 1: a feature of the group is missing
    store.weather
    ^^^^^^^^^^^^^
    write store.weather.feature""",
    "store.weather(origin=row.origin)": """\
feature 'f', line 1, column 1: a feature of the group is missing
    store.weather(origin=row.origin)
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    write store.weather(…).feature""",
    "store.weather.wind_speed(origin=row.origin)": """\
feature 'f', line 1, column 1: keys are stated behind the group
    store.weather.wind_speed(origin=row.origin)
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    write store.weather(…).wind_speed""",
    "store.weather(orign=row.origin).wind_speed": """\
feature 'f', line 1, column 15: the entity of feature group 'weather' has no 'orign'
    store.weather(orign=row.origin).wind_speed
                  ^^^^^^^^^^^^^^^^
    did you mean origin=?""",
    "store.weather(row.origin).wind_speed": """\
feature 'f', line 1, column 15: a key is stated with the name of its entity
    store.weather(row.origin).wind_speed
                  ^^^^^^^^^^
    write store.weather(origin=row.…)""",
    "store.weather().wind_speed": """\
feature 'f', line 1, column 1: no key is stated in the brackets
    store.weather().wind_speed
    ^^^^^^^^^^^^^^^
    write store.weather(origin=row.…), or leave them out""",
    "store.weather(**row).wind_speed": """\
feature 'f', line 1, column 15: keys cannot be unpacked with **
    store.weather(**row).wind_speed
                  ^^^^^
    write store.weather(origin=row.…)""",
    "store.weather(origin=row.count).wind_speed": """\
feature 'f', line 1, column 22: origin of feature group 'weather' is str, but row.count is int
    store.weather(origin=row.count).wind_speed
                         ^^^^^^^^^""",
    "store.weather(origin=lower(row.origin)).wind_speed": """\
feature 'f', line 1, column 22: a key is a column of the row
    store.weather(origin=lower(row.origin)).wind_speed
                         ^^^^^^^^^^^^^^^^^
    write origin=row.name; compute other keys in the table""",
    "store.weather(origin=row.dst).event_aeg": """\
feature 'f', line 1, column 22: the row has no column 'dst'
    store.weather(origin=row.dst).event_aeg
                         ^^^^^^^
    did you mean row.dest?
feature 'f', line 1, column 1: feature group 'weather' has no feature 'event_aeg'
    store.weather(origin=row.dst).event_aeg
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    did you mean store.weather.event_age?""",
    "distance + 1": """\
feature 'f', line 1, column 1: the name 'distance' is not known
    distance + 1
    ^^^^^^^^
    did you mean row.distance?""",
    "true": """\
feature 'f', line 1, column 1: the name 'true' is not known
    true
    ^^^^
    did you mean True?""",
    "1 + log3p(row.distance)": """\
feature 'f', line 1, column 5: there is no function 'log3p'
    1 + log3p(row.distance)
        ^^^^^
    did you mean log1p(…)?""",
    "_hour(row.t)": """\
feature 'f', line 1, column 1: there is no function '_hour'
    _hour(row.t)
    ^^^^^
    did you mean hour(…)?""",
    "row.distance + row.origin": """\
feature 'f', line 1, column 1: + needs numbers, not float and str
    row.distance + row.origin
    ^^^^^^^^^^^^^^^^^^^^^^^^^""",
    "row.late + 1": """\
feature 'f', line 1, column 1: + needs numbers, not bool and int
    row.late + 1
    ^^^^^^^^^^^^
    int(…) makes 1 or 0 of true or false""",
    "row.t - row.t": """\
feature 'f', line 1, column 1: - needs numbers, not timestamp and timestamp
    row.t - row.t
    ^^^^^^^^^^^^^
    minutes_between(start, end) is the time between two timestamps""",
    "row.origin == 1": """\
feature 'f', line 1, column 1: == needs values of one type (any type but a list), not str and int
    row.origin == 1
    ^^^^^^^^^^^^^^^""",
    "abs(row.origin)": """\
feature 'f', line 1, column 1: abs takes (x: int) or (x: float), not (str)
    abs(row.origin)
    ^^^^^^^^^^^^^^^""",
    "clip(row.distance, low=0, hihg=1)": """\
feature 'f', line 1, column 27: clip has no argument 'hihg'
    clip(row.distance, low=0, hihg=1)
                              ^^^^^^
    did you mean high=?""",
    "round(row.distance, 16)": """\
feature 'f', line 1, column 21: digits of round must be from 0 to 15, not 16
    round(row.distance, 16)
                        ^^""",
    "round(row.distance, row.count)": """\
feature 'f', line 1, column 21: digits of round must be a literal
    round(row.distance, row.count)
                        ^^^^^^^^^""",
    'hour(row.t, zone="America/New_Yrok")': """\
feature 'f', line 1, column 18: there is no time zone 'America/New_Yrok'
    hour(row.t, zone="America/New_Yrok")
                     ^^^^^^^^^^^^^^^^^^
    did you mean 'America/New_York'?""",
    "row.distance and row.late": """\
feature 'f', line 1, column 1: and needs true or false, not float
    row.distance and row.late
    ^^^^^^^^^^^^
    compare it, such as with != 0""",
    "1 if row.late else 'x'": """\
feature 'f', line 1, column 1: both values of an if must be of one type, not int and str
    1 if row.late else 'x'
    ^^^^^^^^^^^^^^^^^^^^^^""",
    "row.count == None": """\
feature 'f', line 1, column 14: a comparison with None is always null
    row.count == None
                 ^^^^
    write is_null(row.count)""",
    "row.count is not None": """\
feature 'f', line 1, column 18: a comparison with None is always null
    row.count is not None
                     ^^^^
    write not is_null(row.count)""",
    "row.origin in ['EWR', None]": """\
feature 'f', line 1, column 23: null is not a member of a list
    row.origin in ['EWR', None]
                          ^^^^
    write is_null(…)""",
    "row.origin in [1]": """\
feature 'f', line 1, column 1: the list holds int, but the value is str
    row.origin in [1]
    ^^^^^^^^^^^^^^^^^""",
    "None": """\
feature 'f', line 1, column 1: the value is always null, so it has no type
    None
    ^^^^""",
    "normalize(1 + normalize(row.distance))": """\
feature 'f', line 1, column 1: normalize cannot be fitted to the result of another fitted function
    normalize(1 + normalize(row.distance))
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^""",
    "9223372036854775808": """\
feature 'f', line 1, column 1: the number does not fit in 64 bits
    9223372036854775808
    ^^^^^^^^^^^^^^^^^^^
    write it as a float, such as 1e19""",
    "[x for x in row]": """\
feature 'f', line 1, column 1: comprehensions are not part of the language
    [x for x in row]
    ^^^^^^^^^^^^^^^^""",
    "[]": """\
feature 'f', line 1, column 1: the list is empty, so it has no type
    []
    ^^""",
    "length([1, 'a'])": """\
feature 'f', line 1, column 8: a list holds values of one type, not int and str
    length([1, 'a'])
           ^^^^^^^^""",
    "length([1, row.count])": """\
feature 'f', line 1, column 12: only literals can be listed
    length([1, row.count])
               ^^^^^^^^^""",
    "length([[1]])": """\
feature 'f', line 1, column 9: a list holds no lists
    length([[1]])
            ^^^""",
    "1 in row.origin": """\
feature 'f', line 1, column 6: `in` needs a list
    1 in row.origin
         ^^^^^^^^^^
    write value in [a, b], or contains(text, part)""",
    "[1] == [2]": """\
feature 'f', line 1, column 1: == needs values of one type (any type but a list), not list[int] and list[int]
    [1] == [2]
    ^^^^^^^^^^""",
    "split(row.origin, ',')[0]": """\
feature 'f', line 1, column 1: square brackets do not select
    split(row.origin, ',')[0]
    ^^^^^^^^^^^^^^^^^^^^^^^^^
    write row.name, store.group.feature or element(list, 0)""",
    "lower('é') + row.zzz": """\
feature 'f', line 1, column 14: the row has no column 'zzz'
    lower('é') + row.zzz
                 ^^^^^^^
    it has count, dest, distance, late, origin, t""",
    "1 +\n  row.zzz": """\
feature 'f', line 2, column 3: the row has no column 'zzz'
      row.zzz
      ^^^^^^^
    it has count, dest, distance, late, origin, t""",
}


def mistakes(features):
    """The errors of some features."""
    with pytest.raises(LanguageErrors) as caught:
        compile_features(features, SCHEMA)
    return caught.value


@pytest.mark.parametrize("written", MESSAGES)
def test_message(written):
    assert str(mistakes({"f": written})) == MESSAGES[written]


def test_all_mistakes_of_all_features_are_reported_at_once():
    found = mistakes(
        {"a": "row.a1 + row.a2", "fine": "row.distance", "b": "lower(row.b1)", "c": "1 +"}
    ).errors
    assert [(error.feature, error.column) for error in found] == [("a", 1), ("a", 10), ("b", 7), ("c", 4)]


def test_a_mistake_is_reported_once_and_not_again_by_what_contains_it():
    found = mistakes({"f": "abs(lower(row.zzz) + 1) and True"}).errors
    assert [error.message for error in found] == ["the row has no column 'zzz'"]


def test_a_key_of_another_type_is_an_error():
    schema = Schema({"origin": "int"}, {"weather": GroupSchema({"origin": "str"}, {"wind": "float"})})
    with pytest.raises(LanguageErrors, match=r"row.origin of type str, but it has row.origin of type int"):
        compile_features({"f": "store.weather.wind"}, schema)


def test_the_age_of_a_groups_row_is_no_feature():
    with pytest.raises(SchemaError, match=r"store\.weather\.event_age cannot be a feature"):
        Schema({}, {"weather": GroupSchema({"origin": "str"}, {"event_age": "float"})})


def test_a_feature_group_holds_no_lists():
    with pytest.raises(SchemaError, match=r"store\.g\.x is list\[int\]: a feature group holds no lists"):
        Schema({}, {"g": GroupSchema({"origin": "str"}, {"x": "list[int]"})})


def test_a_schema_with_an_unknown_type_is_an_error():
    with pytest.raises(SchemaError, match=r"row.x has type 'flaot'.*did you mean 'float'"):
        Schema({"x": "flaot"})


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("1 + 2", "int"),
        ("1 + 2.0", "float"),
        ("1 / 2", "float"),
        ("2 ** 2", "float"),
        ("7 // 2", "int"),
        ("min(1, 2.0)", "float"),
        ("coalesce(row.count, 0)", "int"),
        ("coalesce(row.count, 0.5)", "float"),
        ("None if row.late else row.t", "timestamp"),
        ("row.count > 1", "bool"),
        ("round(row.distance)", "int"),
        ("round(row.distance, 1)", "float"),
        ("normalize(row.count)", "float"),
        ("vocabulary(row.origin)", "int"),
    ],
)
def test_types(written, kind):
    assert compile_features({"f": written}, SCHEMA).types == {"f": kind}
