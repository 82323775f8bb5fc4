"""Which versions are scored. That they are scored right is shown with the trained model, in test_train."""

from datetime import UTC, datetime
from types import SimpleNamespace

from giornata.stores.deployments import Deployment
from jobs.score import Live, live_versions

AT = datetime(2013, 11, 1, tzinfo=UTC)
REPOSITORY = SimpleNamespace(bundle=lambda uuid: f"bundle of {uuid}".encode())


def entry(model, tag, uuid, *modes):
    return Deployment(model, tag, AT, uuid, "anna", "", modes)


def test_each_version_once_with_its_tags():
    current = [
        entry("flights/late", "production", "u1", "batch", "online"),
        entry("flights/late", "canary", "u1", "batch"),
        entry("flights/late", "next", "u2", "batch"),
        entry("flights/late", "live", "u3", "online"),
        entry("flights_two/late", "production", "u4", "batch"),
        entry("flights/arrival", "production", "u5", "batch"),
    ]
    assert live_versions(REPOSITORY, current, "flights") == [
        Live("flights/arrival", "u5", ("production",), b"bundle of u5"),
        Live("flights/late", "u1", ("canary", "production"), b"bundle of u1"),
        Live("flights/late", "u2", ("next",), b"bundle of u2"),
    ]
