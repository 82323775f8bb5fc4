"""Names are legal everywhere, map injectively and back, and illegal ones are refused with the reason."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giornata import names
from giornata.errors import InvalidNameError
from giornata.names import Name

words = st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,9}){0,3}", fullmatch=True).filter(
    lambda word: word not in names.RESERVED | names.SYSTEM_DATABASES
)


@pytest.mark.parametrize("name", ["global_temp", "default", "information_schema", "sys", "spark_catalog"])
def test_a_project_is_no_database_of_the_system(name):
    with pytest.raises(InvalidNameError, match="a database of Hive's or Spark's own"):
        names.check_project_name(name)
    assert name == "default" or names.check_name(name) == name


def test_the_names_of_the_flights_project():
    late = Name("flights", "late")
    assert names.predictions_table(late) == "flights.late_predictions"
    assert names.outcomes_table("flights/late") == "flights.late_outcomes"
    assert names.metrics_table("flights") == "flights.model_metrics"
    assert names.validation_table("flights") == "flights.validation_results"
    assert names.statistics_table("flights") == "flights.feature_statistics"
    assert names.quarantine_table("flights") == "flights.quarantined_rows"
    assert names.data_table("flights", "departures") == "flights.departures"
    assert names.group_table("flights", "origin_weather") == "flights.origin_weather"
    assert names.keyspace("flights") == "features_flights"
    assert names.dag_id("flights", "late", "train") == "flights.late.train"
    assert names.dag_id("flights", "score") == "flights.score"
    assert names.store_column("origin_weather", "wind_speed") == "origin_weather__wind_speed"
    assert names.parse_store_column("origin_weather__wind_speed") == ("origin_weather", "wind_speed")
    assert names.store_column("origin_weather__dest", "wind_speed") == "origin_weather__dest__wind_speed"
    assert names.parse_store_column("weather__dest__via__wind") == ("weather__dest__via", "wind")
    assert names.hive_tables_of_model("late") == ("late_predictions", "late_outcomes")


@given(words, words)
def test_names_round_trip(first, second):
    assert names.parse_model_name(str(Name(first, second))) == Name(first, second)
    assert names.parse_store_column(names.store_column(first, second)) == (first, second)


@given(st.tuples(words, words), st.tuples(words, words))
def test_different_names_never_meet(first, second):
    for mapping in (
        names.store_column,
        names.group_table,
        names.dag_id,
        lambda project, model: names.predictions_table(Name(project, model)),
        lambda project, model: names.outcomes_table(Name(project, model)),
    ):
        assert (mapping(*first) == mapping(*second)) == (first == second)
    assert (names.keyspace(first[0]) == names.keyspace(second[0])) == (first[0] == second[0])


@given(st.lists(words, min_size=1, max_size=4), words)
def test_uses_of_a_group_round_trip(parts, feature):
    use = "__".join(parts)
    assert names.parse_store_column(names.store_column(use, feature)) == (use, feature)


@given(words, words)
def test_mapped_names_are_legal_in_every_system(project, name):
    identifier = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
    for table in (names.predictions_table(Name(project, name)), names.group_table(project, name)):
        database, _, bare = table.partition(".")
        assert identifier.fullmatch(database)
        assert identifier.fullmatch(bare)
        assert len(bare) <= 128  # Hive
    assert len(names.keyspace(project)) <= 48  # Cassandra
    assert re.fullmatch(r"[A-Za-z0-9_.-]{1,250}", names.dag_id(project, name, "train"))  # Airflow


def test_versions_of_a_group():
    assert names.group_version("origin_weather") == ("origin_weather", 1)
    assert names.group_version("origin_weather_v12") == ("origin_weather", 12)
    assert names.group_version("origin_v1") == ("origin_v1", 1)
    assert names.group_file("origin_weather_v2") == "origin_weather.v2"
    assert names.next_version("origin_weather") == "origin_weather_v2"
    assert (
        names.next_version("weather_v2", ["weather", "weather_v2", "weather_v9", "plane_v30"])
        == "weather_v10"
    )
    groups = ["weather_v10", "weather", "weather_v9", "plane", "hub_v3"]
    assert names.newest_versions(groups) == {"hub": "hub_v3", "plane": "plane", "weather": "weather_v10"}


@given(words, st.integers(1, 120))
def test_versions_have_one_name_and_one_file(base, number):
    group = base if number == 1 else f"{names.group_version(base)[0]}_v{number}"
    assert names.group_of_file(names.group_file(group)) == group


@pytest.mark.parametrize(
    "stem", ["weather_v2", "weather.v1", "weather.v02", "weather.v", "weather.v2.v3", ".v2"]
)
def test_a_version_has_no_other_file(stem):
    with pytest.raises(InvalidNameError):
        names.group_of_file(stem)


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_refused(text):
    try:
        names.check_name(text)
    except InvalidNameError:
        return
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,47}", text, re.ASCII)
    assert "__" not in text
    assert not text.endswith("_")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("Flights", "lower-case"),
        ("1st", "lower-case"),
        ("a__b", "single underscores"),
        ("a_", "not ending in an underscore"),
        ("_a", "beginning with a letter"),
        ("a-b", "lower-case"),
        ("a\n", "lower-case"),
        ("é", "lower-case"),
        ("a" * 49, "49 characters; at most 48"),
        ("select", "reserved word"),
        ("token", "reserved word"),
        ("lambda", "syntax"),
    ],
)
def test_illegal_names_are_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidNameError, match=reason):
        names.check_name(text)


def test_a_project_name_leaves_room_for_the_keyspace():
    assert len(names.keyspace("a" * 39)) == 48
    with pytest.raises(InvalidNameError, match="at most 39"):
        names.check_project_name("a" * 40)


@pytest.mark.parametrize("text", ["late", "flights/", "/late", "flights/late/now", "flights.late"])
def test_what_is_no_model_name_is_refused(text):
    with pytest.raises(InvalidNameError):
        names.parse_model_name(text)


def test_what_is_no_store_column_is_refused():
    with pytest.raises(InvalidNameError, match="no '__'"):
        names.parse_store_column("wind_speed")
