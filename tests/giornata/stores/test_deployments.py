"""Deployments on the real Cassandra: a timeline per tag, newest first."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from giornata.stores import cassandra
from giornata.stores.deployments import Deployment, Deployments

AT = datetime(2013, 11, 1, 6, 30, 0, 123456, tzinfo=UTC)
KEPT = AT.replace(microsecond=123000)


@pytest.fixture
def deployments(repository_session):
    return Deployments(repository_session)


@pytest.fixture
def model():
    return f"e_{uuid.uuid4().hex[:10]}/minutes"


def test_timeline(deployments, model):
    assert deployments.current(model, "production") is None
    first = deployments.append(model, "production", "u1", "anna", "first", ["online", "batch"], AT)
    assert first == Deployment(model, "production", KEPT, "u1", "anna", "first", ("batch", "online"))
    second = deployments.append(
        model, "production", "u2", "berta", "better", ["batch"], AT + timedelta(days=1)
    )
    # Whose clock is behind deploys after the others all the same.
    third = deployments.append(model, "production", "u3", "carl", "", ["batch"], AT + timedelta(hours=1))
    assert third.at == second.at + timedelta(milliseconds=1)
    assert deployments.timeline(model, "production") == [third, second, first]
    assert [entry.number for entry in deployments.timeline(model, "production")] == [3, 2, 1]
    assert deployments.timeline(model, "production", limit=2) == [third, second]
    assert deployments.current(model, "production") == third
    assert deployments.timeline(model, "canary") == []


def test_the_same_again_changes_nothing(deployments, model):
    for _ in range(2):
        deployments.append(model, "production", "u1", "anna", "first", ["batch"], AT)
    assert len(deployments.timeline(model, "production")) == 1


def test_other_zones_are_the_same_moment(deployments, model):
    local = AT.astimezone(timezone(timedelta(hours=-5)))
    assert deployments.append(model, "production", "u1", "anna", "", ["batch"], local).at == KEPT
    assert deployments.current(model, "production").at == KEPT


def test_all_current(deployments, model):
    deployments.append(model, "production", "u1", "anna", "", ["batch"], AT)
    deployments.append(model, "production", "u2", "anna", "", ["batch"], AT + timedelta(days=1))
    deployments.append(model, "canary", "u1", "anna", "", ["online"], AT)
    own = [entry for entry in deployments.all_current() if entry.model == model]
    assert [(entry.tag, entry.uuid) for entry in own] == [("canary", "u1"), ("production", "u2")]


def test_two_deployments_in_one_millisecond_are_ordered(deployments, model):
    for version in ("u9", "u1", "u5"):
        deployments.append(model, "production", version, "anna", "", ["batch"], AT)
        assert deployments.current(model, "production").uuid == version
    assert [entry.uuid for entry in deployments.timeline(model, "production")] == ["u5", "u1", "u9"]


def test_deployers_at_once_with_clocks_that_differ_are_ordered(deployments, model):
    """Each sees its own deployment live, then is followed by the next: all are in the timeline, in one order."""
    clocks = [AT + timedelta(seconds=offset) for offset in (-3600, 0, 0, 7200)]

    def deploy(place):
        made = []
        for number in range(5):
            uuid_ = f"u{place}-{number}"
            made.append(
                deployments.append(model, "production", uuid_, str(place), "", ["batch"], clocks[place])
            )
        return made

    with ThreadPoolExecutor(len(clocks)) as threads:
        made = [entry for entries in threads.map(deploy, range(len(clocks))) for entry in entries]
    timeline = deployments.timeline(model, "production")
    assert [entry.number for entry in timeline] == list(range(20, 0, -1))
    assert len({entry.at for entry in timeline}) == 20
    assert {(entry.number, entry.uuid) for entry in timeline} == {
        (entry.number, entry.uuid) for entry in made
    }
    for place in range(len(clocks)):
        own = [entry.uuid for entry in reversed(timeline) if entry.by == str(place)]
        assert own == [f"u{place}-{number}" for number in range(5)]


def test_what_took_the_place_of_the_live_one_is_not_overtaken(deployments, model):
    live = deployments.append(model, "production", "u1", "anna", "", ["batch"], AT)
    deployments.append(model, "production", "u2", "berta", "", ["batch"], AT)
    late = ("u3", "carl", "", ["batch"], AT + timedelta(days=1))
    assert deployments.append_after(live, model, "production", *late) is None
    assert deployments.current(model, "production").uuid == "u2"
    assert deployments.append_after(deployments.current(model, "production"), model, "production", *late)


def test_rows_of_a_release_that_did_not_count_are_read_and_followed(deployments, repository_session, model):
    repository_session.execute(
        "INSERT INTO giornata.deployments (model, tag, at, uuid, deployed_by, reason, modes) "
        "VALUES (%s, 'production', %s, 'u1', 'anna', 'first', ['batch'])",
        (model, KEPT),
    )
    old = Deployment(model, "production", KEPT, "u1", "anna", "first", ("batch",))
    assert deployments.current(model, "production") == old
    assert old in deployments.all_current()
    new = deployments.append(model, "production", "u2", "berta", "", ["batch"], AT - timedelta(days=1))
    assert deployments.timeline(model, "production") == [new, old]
    assert [entry.number for entry in (new, old)] == [1, 0]
    assert new.at > old.at


def test_a_table_of_an_earlier_release_gets_the_columns_it_lacks(repository_session):
    """As `make up` does it: the statements that follow the table's definition add them."""
    text = (cassandra.SCHEMA / "giornata.cql").read_text()
    repository_session.execute(
        "CREATE TABLE giornata.deployments_before (model text, tag text, at timestamp, uuid text, "
        "PRIMARY KEY ((model, tag), at, uuid))"
    )
    try:
        for statement in text.split(";"):
            if "ALTER TABLE giornata.deployments " in statement:
                statement = statement[statement.index("ALTER") :].replace(
                    "deployments ", "deployments_before "
                )
                for _ in range(2):
                    repository_session.execute(statement)
        repository_session.execute("SELECT number, newest FROM giornata.deployments_before")
    finally:
        repository_session.execute("DROP TABLE giornata.deployments_before")
