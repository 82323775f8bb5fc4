"""The repository on the real Cassandra: what is saved comes back, whole or as an error."""

import uuid
from datetime import timedelta

import pytest

from giornata.bundle import digest
from giornata.errors import BundleError, NotFoundError
from giornata.stores import repository as module
from giornata.stores.repository import Repository


@pytest.fixture
def repository(repository_session):
    return Repository(repository_session)


@pytest.fixture
def version(trained):
    """A record of its own model and uuid."""
    name = f"e_{uuid.uuid4().hex[:10]}/minutes"
    return trained.bundle.version.model_copy(update={"uuid": str(uuid.uuid4()), "model": name})


def test_what_is_saved_comes_back(repository, version, trained_bundle):
    repository.save(version, trained_bundle)
    assert repository.get(version.uuid) == version
    assert repository.bundle(version.uuid) == trained_bundle
    assert repository.bundle_digest(version.uuid) == digest(trained_bundle)


def test_large_bundles_are_kept_in_chunks(repository, repository_session, version, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_BYTES", 1000)
    content = bytes(range(256)) * 20
    repository.save(version, content)
    rows = repository_session.execute(
        "SELECT chunk, data FROM giornata.model_files WHERE uuid = %s AND sha256 = %s",
        (version.uuid, digest(content)),
    )
    assert [(row.chunk, len(row.data)) for row in rows] == [
        *((number, 1000) for number in range(5)),
        (5, 120),
    ]
    assert repository.bundle(version.uuid) == content


def test_saving_again_replaces(repository, version):
    repository.save(version, b"first" * 100)
    repository.save(version.model_copy(update={"trained_by": "berta"}), b"second")
    assert repository.get(version.uuid).trained_by == "berta"
    assert repository.bundle(version.uuid) == b"second"
    assert len(repository.list(version.model)) == 1


def test_lists_newest_first(repository, version):
    older = version.model_copy(
        update={
            "uuid": str(uuid.uuid4()),
            "finished_at": version.finished_at - timedelta(days=1),
            "metrics": {"rmse": 2.5, "r2": None},
        }
    )
    for each in (version, older):
        repository.save(each, b"bundle")
    found = repository.list(version.model)
    assert [summary.uuid for summary in found] == [version.uuid, older.uuid]
    assert found[0].finished_at == version.finished_at
    assert found[0].metrics == version.metrics
    assert found[1].metrics == {"rmse": 2.5}
    assert {version.uuid, older.uuid} <= {summary.uuid for summary in repository.list()}
    assert repository.list("e_nobody/knows") == []


def test_unknown_version(repository):
    for ask in (repository.get, repository.bundle):
        with pytest.raises(NotFoundError, match="no model version 11111111"):
            ask("11111111-1111-1111-1111-111111111111")


@pytest.mark.parametrize("statement", ["DELETE FROM", "UPDATE"])
def test_a_damaged_bundle_is_refused(repository, repository_session, version, statement, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_BYTES", 10)
    content = b"a bundle of some length"
    repository.save(version, content)
    where = "WHERE uuid = %s AND sha256 = %s AND chunk = 1"
    if statement == "UPDATE":
        repository_session.execute(
            f"UPDATE giornata.model_files SET data = 0x00 {where}", (version.uuid, digest(content))
        )
    else:
        repository_session.execute(
            f"DELETE FROM giornata.model_files {where}", (version.uuid, digest(content))
        )
    with pytest.raises(BundleError, match="incomplete or damaged"):
        repository.bundle(version.uuid)
