"""The online half of the rule of time, on the real Cassandra, by cases worked out by hand."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cassandra.cluster import Session

from dsl.schema import AGE, Inputs, StoreInput
from giornata import names
from giornata.absence import Reason
from giornata.documents import Feature, FeatureGroup
from giornata.errors import NotFoundError, StoreError
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.features import OnlineFeatures, ensure_feature_table, milliseconds
from giornata.stores.online_history import Covered, complete_from, record_covered

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def group(entity: dict[str, str], features: dict[str, str], ttl: timedelta | None = None) -> FeatureGroup:
    typed: dict[str, Any] = {name: Feature(type=type_, description=name) for name, type_ in features.items()}
    return FeatureGroup(description="d", owner="o", entity=entity, ttl=ttl, features=typed)


GROUPS = {
    "weather": group({"origin": "str"}, {"wind": "float", "rain": "bool"}, ttl=3 * HOUR),
    "route": group(
        {"origin": "str", "number": "int"}, {"flights": "int", "since": "timestamp", "kind": "str"}
    ),
}
INPUTS = Inputs(
    row={"airport": "str", "flight": "int"},
    store={
        "weather": StoreInput(
            "weather", keys={"origin": "airport"}, features={"wind": "float", "rain": "bool"}
        ),
        "route": StoreInput(
            "route",
            keys={"number": "flight", "origin": "airport"},
            features={"flights": "int", "since": "timestamp", "kind": "str"},
        ),
    },
)
NOTHING = {
    "weather__wind": None,
    "weather__rain": None,
    "route__flights": None,
    "route__since": None,
    "route__kind": None,
}


@pytest.fixture(scope="module")
def session(stores: Settings) -> Iterator[Session]:
    with cassandra.session(stores) as opened:
        yield opened


@pytest.fixture(scope="module")
def project(session: Session) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:10]}"
    for group_name, document in GROUPS.items():
        ensure_feature_table(session, name, group_name, document)
    weather = (
        f"INSERT INTO {names.keyspace(name)}.weather (origin, event_time, wind, rain) VALUES (%s, %s, %s, %s)"
    )
    session.execute(weather, ("EWR", NOON - HOUR, 10.0, True))
    session.execute(weather, ("EWR", NOON, 20.0, None))
    session.execute(weather, ("JFK", NOON, 30.0, False))
    route = (
        f"INSERT INTO {names.keyspace(name)}.route (origin, number, event_time, flights, since, kind) "
        "VALUES (%s, %s, %s, %s, %s, %s)"
    )
    session.execute(route, ("EWR", 7, NOON - timedelta(days=400), 70, NOON, "x"))
    yield name
    session.execute(f"DROP KEYSPACE {names.keyspace(name)}", timeout=30.0)


@pytest.fixture
def online(session: Session, project: str) -> OnlineFeatures:
    return OnlineFeatures(session, project, GROUPS, deadline=10.0)


def wind(online: OnlineFeatures, at: datetime, airport: str | None = "EWR") -> object:
    (answer,) = online.read(INPUTS, [{"airport": airport, "flight": 7}], [at])
    return answer["weather__wind"]


def test_values_come_back_typed_for_every_row(online: OnlineFeatures) -> None:
    rows = [
        {"airport": "EWR", "flight": 7},
        {"airport": "JFK", "flight": 8},
        {"airport": "LGA", "flight": None},
    ]
    assert online.read(INPUTS, rows, [NOON + HOUR] * 3) == [
        {
            "weather__wind": 20.0,
            "weather__rain": None,
            "route__flights": 70,
            "route__since": NOON,
            "route__kind": "x",
        },
        {**NOTHING, "weather__wind": 30.0, "weather__rain": False},
        NOTHING,
    ]


def test_the_past_is_replayed(online: OnlineFeatures) -> None:
    assert wind(online, NOON + HOUR) == 20.0
    assert wind(online, NOON - HOUR / 2) == 10.0
    assert wind(online, NOON - 2 * HOUR) is None


def test_what_becomes_known_in_an_instant_is_not_yet_known_in_it(online: OnlineFeatures) -> None:
    assert wind(online, NOON) == 10.0
    assert wind(online, NOON + timedelta(microseconds=1)) == 20.0
    assert wind(online, NOON - timedelta(microseconds=1)) == 10.0


def test_a_row_is_visible_until_it_is_older_than_the_ttl(online: OnlineFeatures) -> None:
    assert wind(online, NOON + 3 * HOUR) == 20.0
    assert wind(online, NOON + 3 * HOUR + timedelta(microseconds=1)) is None


def test_the_moment_is_an_instant_in_any_zone(online: OnlineFeatures) -> None:
    assert wind(online, datetime(2013, 6, 1, 8, 30, tzinfo=ZoneInfo("America/New_York"))) == 20.0
    with pytest.raises(StoreError, match="has no time zone"):
        wind(online, datetime(2013, 6, 1, 12, 30))


def test_a_null_key_and_an_unknown_one_have_nothing(online: OnlineFeatures) -> None:
    assert wind(online, NOON + HOUR, None) is None
    assert wind(online, NOON + HOUR, "SFO") is None


@pytest.mark.parametrize("airport", ["", "x" * 65_535, "x" * 65_536, "é" * 40_000, "\ud800"])
def test_a_key_that_cassandra_cannot_hold_has_nothing(online: OnlineFeatures, airport: str) -> None:
    (answer,) = online.read(INPUTS, [{"airport": airport, "flight": 7}], [NOON + HOUR])
    assert answer == NOTHING


def absent(online: OnlineFeatures, at: datetime, airport: str | None = "EWR") -> dict[str, Reason]:
    """Why which groups have nothing."""
    found = online.read_what_there_is(INPUTS, [{"airport": airport, "flight": 7}], [at])
    assert not found.missing
    missing = found.absent.get(0, [])
    nothing = {
        name: value for one in missing for name, value in NOTHING.items() if name.startswith(f"{one.use}__")
    }
    assert nothing.items() <= found.rows[0].items(), "what is missing is null"
    return {one.group: one.reason for one in missing}


def test_it_is_said_why_a_row_has_nothing_of_a_group(online: OnlineFeatures) -> None:
    assert absent(online, NOON + HOUR) == {}
    assert absent(online, NOON + 3 * HOUR + timedelta(milliseconds=1)) == {"weather": Reason.TOO_OLD}
    assert absent(online, NOON - 2 * HOUR) == {"weather": Reason.NO_ROW}
    assert absent(online, NOON, "SFO") == {"weather": Reason.NO_ROW, "route": Reason.NO_ROW}
    assert absent(online, NOON, None) == {"weather": Reason.NO_ROW, "route": Reason.NO_ROW}


@pytest.fixture
def begun(session: Session, project: str) -> Iterator[OnlineFeatures]:
    """The weather is online from midnight of the day on, the day before was published and never pushed."""
    cassandra.apply_schema(session)
    record_covered(session, project, "weather", Covered(NOON.date(), NOON.date()))
    record_covered(session, project, "route", Covered(None, NOON.date()))
    yield OnlineFeatures(session, project, GROUPS, deadline=10.0)
    session.execute("DELETE FROM giornata.online_history WHERE project = %s", (project,))


def test_a_moment_that_sees_days_that_are_not_online_is_told(
    session: Session, project: str, begun: OnlineFeatures
) -> None:
    midnight, old = (
        NOON - 12 * HOUR,
        f"INSERT INTO {names.keyspace(project)}.weather (origin, event_time, wind)",
    )
    session.execute(f"{old} VALUES ('BOS', %s, 1.0)", (midnight - HOUR,))
    session.execute(f"{old} VALUES ('BOS', %s, 2.0)", (midnight + HOUR,))
    early, ttl = {"weather": Reason.BEFORE_HISTORY}, 3 * HOUR
    assert absent(begun, midnight - HOUR / 2, "BOS").items() >= early.items(), (
        "the row found may not be the newest"
    )
    assert absent(begun, midnight + HOUR / 2, "BOS").items() >= early.items()
    assert "weather" not in absent(begun, midnight + 2 * HOUR, "BOS"), "its newest row is online"
    assert absent(begun, midnight + 2 * HOUR, "SFO").items() >= early.items()
    assert absent(begun, midnight + ttl, "SFO") == dict.fromkeys(("weather", "route"), Reason.NO_ROW)
    assert absent(begun, midnight - HOUR, None) == dict.fromkeys(("weather", "route"), Reason.NO_ROW)
    assert absent(begun, midnight + 5 * HOUR, "BOS")["weather"] == Reason.TOO_OLD
    assert wind(begun, midnight - HOUR / 2, "BOS") is None


def test_the_day_from_which_all_that_is_published_is_online() -> None:
    published = {f"2013-01-{day:02}": f"/{day}" for day in (1, 2, 5, 6)}
    assert complete_from(published, published) is None
    assert complete_from({}, {}) is None
    assert complete_from(published, {"2013-01-05": "/5", "2013-01-06": "/6"}) == date(2013, 1, 3)
    again = published | {"2013-01-05": "/5b"}
    assert complete_from(again, published) == date(2013, 1, 6), "published again since it was pushed"


BOTH_ENDS = Inputs(
    row={"airport": "str", "other": "str"},
    store={
        "weather__airport": StoreInput("weather", {"origin": "airport"}, {"wind": "float", AGE: "float"}),
        "weather__other": StoreInput("weather", {"origin": "other"}, {AGE: "float", "wind": "float"}),
    },
)


def test_one_group_by_two_keys(online: OnlineFeatures) -> None:
    moment = NOON + HOUR
    rows = [{"airport": "EWR", "other": "JFK"}, {"airport": "JFK", "other": "LGA"}]
    hour = 3600.0
    assert online.read(BOTH_ENDS, rows, [moment] * 2) == [
        {
            "weather__airport__wind": 20.0,
            "weather__airport__event_age": hour,
            "weather__other__wind": 30.0,
            "weather__other__event_age": hour,
        },
        {
            "weather__airport__wind": 30.0,
            "weather__airport__event_age": hour,
            "weather__other__wind": None,
            "weather__other__event_age": None,
        },
    ]


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (timedelta(0), 3600.0),
        (timedelta(microseconds=1), 0.000001),
        (timedelta(seconds=90, microseconds=123_457), 90.123457),
        (3 * HOUR, 10_800.0),
        (3 * HOUR + timedelta(microseconds=1), None),
    ],
)
def test_the_age_of_the_row_found(online: OnlineFeatures, after: timedelta, seconds: float | None) -> None:
    """Moments within one millisecond share a read, and each has its own age."""
    rows = [{"airport": "EWR", "other": None}] * 2
    first, second = online.read(BOTH_ENDS, rows, [NOON + after, NOON + timedelta(microseconds=300)])
    assert first["weather__airport__event_age"] == seconds
    assert second["weather__airport__event_age"] == 0.0003
    assert first["weather__other__event_age"] is None


def test_the_age_alone(online: OnlineFeatures) -> None:
    inputs = Inputs(
        {}, {"route": StoreInput("route", {"origin": "airport", "number": "flight"}, {AGE: "float"})}
    )
    (answer,) = online.read(inputs, [{"airport": "EWR", "flight": 7}], [NOON])
    assert answer == {"route__event_age": 400 * 86_400.0}


class CountingSession:
    """Passes everything on to a real session and counts the reads."""

    def __init__(self, session: Session):
        self._session = session
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def execute_async(self, *arguments: Any, **options: Any) -> Any:
        self.reads += 1
        return self._session.execute_async(*arguments, **options)


def test_equal_keys_are_read_once(session: Session, project: str) -> None:
    counting = CountingSession(session)
    online = OnlineFeatures(counting, project, GROUPS, deadline=10.0)  # type: ignore[arg-type]
    rows = [{"airport": "EWR", "flight": number % 2} for number in range(1200)]
    answers = online.read(INPUTS, rows, [NOON + HOUR] * 1200)
    assert counting.reads == 2, "one airport, and two of its routes together"
    assert [answer["weather__wind"] for answer in answers] == [20.0] * 1200


def test_many_keys_are_read_together_and_find_their_own_rows(session: Session, project: str) -> None:
    """By two columns and by one; of entities without rows, with a row too old, and of keys twice; at two moments."""
    keyspace = names.keyspace(project)
    for number in range(0, 100, 2):
        session.execute(
            f"INSERT INTO {keyspace}.route (origin, number, event_time, flights) VALUES (%s, %s, %s, %s)",
            ("LGA" if number % 3 else "HPN", number, NOON, number * 10),
        )
        for hours in (0, 1):
            session.execute(
                f"INSERT INTO {keyspace}.weather (origin, event_time, wind) VALUES (%s, %s, %s)",
                (f"field {number}", NOON - number * HOUR / 10 + hours * HOUR, float(number + hours)),
            )
    rows = [{"airport": f"field {number % 120}", "flight": number % 100} for number in range(130)]
    routes = [{"airport": "LGA" if number % 3 else "HPN", "flight": number} for number in range(100)]
    moments = [NOON + HOUR + (number % 2) * HOUR for number in range(230)]
    counting = CountingSession(session)
    online = OnlineFeatures(counting, project, GROUPS, deadline=10.0)  # type: ignore[arg-type]
    answers = online.read(INPUTS, [*rows, *routes], moments)
    assert counting.reads < 140, "routes of 120 airports are alone, the 220 other keys go together"

    def wind_of(number: int, at: datetime) -> float | None:
        events = [NOON - number * HOUR / 10 + hours * HOUR for hours in (0, 1)]
        seen = [place for place, event in enumerate(events) if at - 3 * HOUR <= event < at]
        return float(number + seen[-1]) if seen and number % 2 == 0 and number < 100 else None

    for row, at, answer in zip(rows, moments, answers, strict=False):
        assert answer["weather__wind"] == wind_of(int(row["airport"].split()[1]), at), (row, at)  # type: ignore[attr-defined]
    for row, answer in zip(routes, answers[130:], strict=True):
        assert answer["route__flights"] == (None if row["flight"] % 2 else row["flight"] * 10)  # type: ignore[operator]


def test_more_keys_than_may_be_under_way_at_once(online: OnlineFeatures) -> None:
    rows = [{"airport": "EWR", "flight": 7}] * 1500
    moments = [NOON - HOUR + timedelta(minutes=place) for place in range(1500)]
    answers = online.read(INPUTS, rows, moments)
    expected = [None] + [10.0] * 60 + [20.0] * 180 + [None] * 1259
    assert [answer["weather__wind"] for answer in answers] == expected


def test_a_group_that_was_never_pushed(session: Session, project: str) -> None:
    groups = {"tides": group({"origin": "str"}, {"height": "float"})}
    inputs = Inputs(row={}, store={"tides": StoreInput("tides", {"origin": "origin"}, {"height": "float"})})
    online = OnlineFeatures(session, project, groups)
    with pytest.raises(StoreError, match="materialize the feature group tides first"):
        online.read(inputs, [{"origin": "EWR"}], [NOON])
    with pytest.raises(NotFoundError, match=f"project {project} has no feature group tides"):
        OnlineFeatures(session, project, GROUPS).read(inputs, [{"origin": "EWR"}], [NOON])


def test_cassandra_too_slow_for_the_deadline(stores: Settings, project: str, cassandra_proxy: Any) -> None:
    variables = {**stores.variables, "GIORNATA_CASSANDRA": cassandra_proxy.address}
    with cassandra.session(replace(stores, variables=variables)) as session:
        online = OnlineFeatures(session, project, GROUPS, deadline=0.2)
        assert wind(online, NOON + HOUR) == 20.0
        cassandra_proxy.stall()
        with pytest.raises(
            StoreError, match=r"does not answer a read of the feature group weather of .* within 0.2 s"
        ):
            wind(online, NOON + HOUR)
        # A request that has waited leaves the store less time, never more.
        for seconds, told in ((0.05, "0.05"), (0.0, "0"), (60.0, "0.2")):
            started = monotonic()
            found = online.read_what_there_is(INPUTS, [{"airport": "EWR", "flight": 7}], [NOON], seconds)
            assert monotonic() - started < 5
            assert set(found.missing) == {"weather", "route"}
            assert all(f"within {told} s" in reason for reason in found.missing.values())


def test_a_new_feature_gets_a_column_and_old_rows_stay(session: Session, project: str) -> None:
    wider = group({"origin": "str"}, {"wind": "float", "rain": "bool", "fog": "bool"}, ttl=3 * HOUR)
    ensure_feature_table(session, project, "weather", wider)
    inputs = Inputs(
        row={},
        store={"weather": StoreInput("weather", {"origin": "origin"}, {"wind": "float", "fog": "bool"})},
    )
    online = OnlineFeatures(session, project, {"weather": wider})
    answers = online.read(inputs, [{"origin": "EWR"}], [NOON + HOUR])
    assert answers == [{"weather__wind": 20.0, "weather__fog": None}]


def test_a_changed_type_or_key_is_refused(session: Session, project: str) -> None:
    with pytest.raises(StoreError, match="has wind as double, the document says text"):
        ensure_feature_table(session, project, "weather", group({"origin": "str"}, {"wind": "str"}))
    with pytest.raises(StoreError, match="has the key origin, the group's entity is dest"):
        ensure_feature_table(session, project, "weather", group({"dest": "str"}, {"wind": "float"}))


def test_moments_are_rounded_up_to_milliseconds() -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert milliseconds(epoch + timedelta(milliseconds=5)) == 5
    assert milliseconds(epoch + timedelta(milliseconds=5, microseconds=1)) == 6
    assert milliseconds(epoch - timedelta(microseconds=1)) == 0
