"""Deployments on the real Cassandra: a timeline per tag, newest first."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

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
    # An entry that arrives late does not become the newest.
    middle = deployments.append(model, "production", "u3", "carl", "", ["batch"], AT + timedelta(hours=1))
    assert deployments.timeline(model, "production") == [second, middle, first]
    assert deployments.timeline(model, "production", limit=2) == [second, middle]
    assert deployments.current(model, "production") == second
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
