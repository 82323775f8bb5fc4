"""The point-in-time join against a naive oracle on generated data, and against the online read of the same rows.

A Spark job costs seconds, so that many generated cases share one: the number of the case is part of every key.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from dsl.schema import AGE, Inputs, StoreInput
from giornata import names
from giornata.documents import Feature, FeatureGroup
from giornata.errors import NotFoundError, StoreError
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.features import OnlineFeatures
from jobs.features import time_slices
from jobs.features.point_in_time import join
from jobs.hive.publish import ensure_table, publish
from jobs.online.push import push

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

START = datetime(2013, 3, 30, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CASES = 200


def group(entity: dict[str, Any], ttl: timedelta | None) -> FeatureGroup:
    features = {
        "level": Feature(type="float", description="d"),
        "label": Feature(type="str", description="d"),
    }
    return FeatureGroup(description="d", owner="o", entity=entity, ttl=ttl, features=features)


# Two groups with the same keys, one without a ttl; one with keys of its own.
GROUPS = {
    "tides": group({"number": "int", "place": "str"}, timedelta(minutes=90)),
    "places": group({"number": "int", "place": "str"}, None),
    "cases": group({"number": "int"}, timedelta(days=1)),
}
FEATURES = {"level": "float", "label": "str"}
INPUTS = Inputs(
    row={"number": "int", "port": "str", "other": "str"},
    store={
        "tides": StoreInput("tides", keys={"place": "port", "number": "number"}, features=FEATURES),
        "places": StoreInput("places", keys={"number": "number", "place": "port"}, features={"label": "str"}),
        "cases": StoreInput("cases", keys={"number": "number"}, features={"level": "float", AGE: "float"}),
        "tides__number__other": StoreInput(
            "tides", keys={"number": "number", "place": "other"}, features={AGE: "float", "level": "float"}
        ),
    },
)


@dataclass(frozen=True)
class Case:
    """The rows of each group, {(place, time): (level, label)}, and the requesting rows, [(place, other, time)]."""

    known: dict[str, dict[tuple[str, datetime], tuple[float | None, str | None]]]
    asked: list[tuple[str | None, str | None, datetime | None]]


# Few places and few moments, so that ties, gaps and rows at the very edge of a ttl are common; over two days.
places = st.sampled_from(["a", "b"])
moments = st.integers(0, 16).map(lambda steps: START + steps * 30 * MINUTE)
just_beside = st.sampled_from(
    [timedelta(0), timedelta(0), timedelta(microseconds=1), -timedelta(microseconds=1)]
)
values = st.tuples(st.none() | st.sampled_from([0.5, -1.0]), st.none() | st.sampled_from(["x", "y"]))
histories = st.dictionaries(st.tuples(places, moments), values, max_size=8)
asks = st.tuples(
    st.none() | places,
    st.none() | places,
    st.none() | st.tuples(moments, just_beside).map(lambda pair: pair[0] + pair[1]),
)
cases = st.builds(
    Case, st.fixed_dictionaries(dict.fromkeys(GROUPS, histories)), st.lists(asks, min_size=1, max_size=8)
)


def newest(case: Case, name: str, place: str | None, at: datetime | None) -> tuple[Any, Any, Any]:
    """The oracle: look at every row that is known; level, label and age of the newest."""
    best: tuple[datetime, tuple[Any, Any]] | None = None
    ttl = GROUPS[name].ttl
    by_place = "place" in GROUPS[name].entity
    for (known_place, event), row in case.known[name].items():
        if at is None or (by_place and known_place != place):
            continue
        if event < at and (ttl is None or event >= at - ttl) and (best is None or event > best[0]):
            best = (event, row)
    if best is None or at is None:
        return None, None, None
    return *best[1], (at - best[0]) / timedelta(seconds=1)


def expected(case: Case, place: str | None, other: str | None, at: datetime | None) -> dict[str, Any]:
    tides, places_, cases_ = (newest(case, name, place, at) for name in ("tides", "places", "cases"))
    there = newest(case, "tides", other, at)
    return {
        "tides__level": tides[0],
        "tides__label": tides[1],
        "places__label": places_[1],
        "cases__level": cases_[0],
        "cases__event_age": cases_[2],
        "tides__number__other__level": there[0],
        "tides__number__other__event_age": there[2],
    }


def publish_groups(spark: SparkSession, stores: Settings, project: str, generated: list[Case]) -> None:
    for name, document in GROUPS.items():
        table = names.group_table(project, name)
        ensure_table(spark, table, {**document.entity, "event_time": "timestamp", **FEATURES})
        by_place = "place" in document.entity
        rows = [
            (number, *((place,) if by_place else ()), event, level, label, f"{event:%Y-%m-%d}")
            for number, case in enumerate(generated)
            for (place, event), (level, label) in case.known[name].items()
        ]
        key = "number bigint, place string" if by_place else "number bigint"
        schema = f"{key}, event_time timestamp, level double, label string, day string"
        publish(
            spark,
            spark.createDataFrame(rows, schema),
            table,
            settings=stores,
            expected=[{"day": "2013-03-30"}, {"day": "2013-03-31"}],
        )


def one_event_a_moment(case: Case) -> Case:
    """`cases` is keyed without the place: of its rows at one moment keep one, as materialization would demand."""
    kept = {event: (place, row) for (place, event), row in case.known["cases"].items()}
    return Case(
        {**case.known, "cases": {(place, event): row for event, (place, row) in kept.items()}}, case.asked
    )


def generate() -> list[Case]:
    """Hypothesis' cases, gathered so that one Spark job judges them all."""
    generated: list[Case] = []

    @settings(max_examples=CASES, derandomize=True, deadline=None, database=None, phases=[Phase.generate])
    @given(case=cases)
    def gather(case: Case) -> None:
        generated.append(one_event_a_moment(case))

    gather()
    return generated


def test_offline_is_the_oracle_and_online_is_offline(
    spark: SparkSession, stores: Settings, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated = generate()
    publish_groups(spark, stores, project, generated)
    asked = [
        (place, number, port, other, at)
        for number, case in enumerate(generated)
        for place, (port, other, at) in enumerate(case.asked)
    ]
    entities = spark.createDataFrame(
        asked, "place int, number bigint, port string, other string, at timestamp"
    )
    joined = join(spark, entities, "at", INPUTS, GROUPS, project)
    offline = {(row["number"], row["place"]): row.asDict() for row in joined.collect()}
    assert joined.columns == [
        "place", "number", "port", "other", "at", "tides__level", "tides__label", "places__label",
        "cases__level", "cases__event_age", "tides__number__other__event_age", "tides__number__other__level",
    ]  # fmt: skip
    assert len(offline) == len(asked), "no row is dropped"
    assert joined.count() == len(asked), "no row is doubled"
    for place, number, port, other, at in asked:
        row = offline[number, place]
        assert (row["port"], row["other"]) == (port, other)
        wanted = expected(generated[number], port, other, at)
        assert {column: row[column] for column in wanted} == wanted, (generated[number], port, other, at)

    monkeypatch.setattr(time_slices, "ROWS", 4)  # cuts most of the entities, some into many slices
    again = {
        (row["number"], row["place"]): row.asDict()
        for row in join(spark, entities, "at", INPUTS, GROUPS, project).collect()
    }
    assert again == offline

    for name, document in GROUPS.items():
        push(spark, stores, project, name, document)
    timed = [ask for ask in asked if ask[4] is not None]
    with cassandra.session(stores) as session:
        answers = OnlineFeatures(session, project, GROUPS, deadline=10.0).read(
            INPUTS,
            [{"number": number, "port": port, "other": other} for _, number, port, other, _ in timed],
            [ask[4] for ask in timed],
        )
    for (place, number, *_), answer in zip(timed, answers, strict=True):
        assert answer == {column: offline[number, place][column] for column in answer}


def test_the_generated_cases_are_not_all_easy() -> None:
    """Preconditions of the test above: ties, expired rows, hidden ones and found ones are all among the cases."""
    seen = set()
    for case in generate():
        for port, _, at in case.asked:
            events = [event for place, event in case.known["tides"] if place == port]
            if at in events:
                seen.add("tie")
            if newest(case, "tides", port, at) != (None, None, None):
                seen.add("found")
            elif at is not None and any(event < at for event in events):
                seen.add("expired")
            elif events:
                seen.add("not yet known")
    assert seen == {"tie", "found", "expired", "not yet known"}


def test_rows_of_equal_content_all_come_back(spark: SparkSession, stores: Settings, project: str) -> None:
    known = {"tides": {("a", START): (1.0, "x")}, "places": {}, "cases": {}}
    publish_groups(spark, stores, project, [Case(known, [])])
    rows = [(0, "a", "b", START + MINUTE)] * 3
    rows += [(0, None, "a", START + MINUTE), (None, "a", "a", START + MINUTE)]
    entities = spark.createDataFrame(rows, "number bigint, port string, other string, at timestamp")
    levels = [row["tides__level"] for row in join(spark, entities, "at", INPUTS, GROUPS, project).collect()]
    assert sorted(levels, key=str) == [1.0, 1.0, 1.0, None, None]


def test_no_rows_ask_nothing(spark: SparkSession, stores: Settings, project: str) -> None:
    publish_groups(spark, stores, project, [])
    entities = spark.createDataFrame([], "number bigint, port string, other string, at timestamp")
    assert join(spark, entities, "at", INPUTS, GROUPS, project).collect() == []
    assert join(spark, entities, "at", Inputs(row={}, store={}), GROUPS, project).columns == entities.columns


def test_a_group_that_is_not_there(spark: SparkSession, project: str) -> None:
    entities = spark.createDataFrame(
        [(1, "a", "b", START)], "number bigint, port string, other string, at timestamp"
    )
    with pytest.raises(StoreError, match="feature group tides has no table"):
        join(spark, entities, "at", INPUTS, GROUPS, project)
    with pytest.raises(NotFoundError, match=f"project {project} has no feature group tides"):
        join(spark, entities, "at", INPUTS, {}, project)


def test_a_hot_entity_is_sorted_by_many_tasks(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an entity with 30 % of the rows no slice has much more than ROWS; the others stay whole."""
    monkeypatch.setattr(time_slices, "ROWS", 500)
    rows = spark.range(20_000).selectExpr(
        "IF(id % 10 < 3, null, id % 997) AS key",
        "timestamp_micros(id * id * 1000) AS time",
        "1 AS place",
        "IF(id % 2 = 0, id, null) AS answer",
    )
    found = time_slices.sliced(rows, ["key"], "time", "place", ["answer"])
    sizes = found.groupBy("key", time_slices.SLICE).count().collect()
    assert found.where("place = 1").count() == 20_000
    assert {row[time_slices.SLICE] for row in sizes if row["key"] is not None} == {0}
    hot = {row[time_slices.SLICE]: row["count"] for row in sizes if row["key"] is None}
    assert sorted(hot) == list(range(12))
    assert max(hot.values()) < 2 * 500
