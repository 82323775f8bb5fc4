"""The loader: what becomes of the routing table as files come, change, break and go."""

import json
import logging
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

from giornata.errors import BundleError, NotFoundError
from giornata.serving.loader import Loader

FIRST, SECOND, THIRD = (str(uuid.UUID(int=number)) for number in (1, 2, 3))
MODEL = "flights/late"


class Served(SimpleNamespace):
    """A model as far as the loader looks at it: its name and UUID. Each is equal to itself alone."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def open_file(path):
    content = json.loads(path.read_text()) if path.exists() else None
    if content is None or "broken" in content:
        raise BundleError(f"{path.name} is damaged")
    return Served(name=content["model"], uuid=content["uuid"])


class Folder:
    """A folder of bundles and a loader that follows it."""

    def __init__(self, path: Path):
        self.path = path
        self.tables = []
        self.loader = Loader(path, open_file, self.tables.append)

    def put(self, version, model=MODEL, **content):
        new = self.path / f"{version}.new"
        new.write_text(json.dumps({"model": model, "uuid": version, **content}))
        new.rename(self.path / f"{version}.zip")

    def deploy(self, tags, uuids=(), model=MODEL):
        (self.path / "new").write_text(json.dumps({model: {"tags": tags, "uuids": [*uuids]}}))
        (self.path / "new").rename(self.path / "deployments.json")

    def answers(self, reference, model=MODEL):
        return self.loader.table.route(f"/models/{model}/{reference}/predict").model.uuid


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_a_tag_and_a_uuid_lead_to_the_same_version_and_the_route_says_which_it_was(folder):
    folder.put(FIRST)
    folder.deploy({"production": FIRST}, [FIRST])
    folder.loader.look()
    assert folder.answers("production") == folder.answers(FIRST) == FIRST
    route = folder.loader.table.route
    assert route(f"/models/{MODEL}/production/predict").tag == "production"
    assert route(f"/models/{MODEL}/{FIRST}/predict").tag is None


def test_a_tag_follows_a_deployment_and_a_removed_version_is_dropped(folder):
    folder.put(FIRST)
    folder.deploy({"production": FIRST}, [FIRST])
    folder.loader.look()
    old = folder.loader.table
    folder.put(SECOND)
    folder.deploy({"production": SECOND}, [SECOND])
    folder.loader.look()
    assert folder.answers("production") == SECOND
    with pytest.raises(NotFoundError):
        folder.answers(FIRST)
    assert old.route(f"/models/{MODEL}/production/predict").model.uuid == FIRST


def test_what_has_not_changed_is_neither_opened_nor_published_again(folder):
    folder.put(FIRST)
    folder.deploy({"production": FIRST}, [FIRST])
    folder.loader.look()
    model = folder.loader.table.models[0]
    folder.loader.look()
    folder.put(SECOND)
    folder.deploy({"production": FIRST}, [FIRST, SECOND])
    folder.loader.look()
    assert len(folder.tables) == 2
    assert folder.loader.table.models[0] is model


def test_a_damaged_version_is_refused_once_and_the_tag_keeps_the_one_it_had(folder, caplog):
    folder.put(FIRST)
    folder.deploy({"production": FIRST}, [FIRST])
    folder.loader.look()
    folder.put(SECOND, broken=True)
    folder.deploy({"production": SECOND}, [SECOND])
    with caplog.at_level(logging.INFO):
        folder.loader.look()
        folder.loader.look()
    assert folder.answers("production") == folder.answers(FIRST) == FIRST
    assert caplog.text.count("refused a bundle") == 1
    (refusal,) = folder.loader.table.refusals
    assert (refusal.uuid, refusal.tags) == (SECOND, ("production",))
    assert "damaged" in refusal.reason
    with pytest.raises(NotFoundError, match=r"cannot be loaded: .* damaged"):
        folder.answers(SECOND)
    folder.put(SECOND)
    folder.loader.look()
    assert folder.answers("production") == SECOND
    assert folder.loader.table.refusals == ()
    with pytest.raises(NotFoundError):
        folder.answers(FIRST)


def test_a_loaded_version_whose_file_is_then_damaged_keeps_answering(folder):
    folder.put(FIRST)
    folder.deploy({"production": FIRST}, [FIRST])
    folder.loader.look()
    folder.put(FIRST, broken=True)
    folder.loader.look()
    assert folder.answers("production") == FIRST
    assert [refusal.uuid for refusal in folder.loader.table.refusals] == [FIRST]


def test_versions_that_are_missing_or_not_what_their_name_says_are_refused(folder):
    folder.put(FIRST, model="flights/trip_minutes")
    folder.deploy({"production": FIRST, "next": SECOND, "odd": "../../etc/passwd"}, [THIRD])
    folder.put(THIRD)
    folder.loader.look()
    reasons = {refusal.uuid: refusal.reason for refusal in folder.loader.table.refusals}
    assert "holds version" in reasons[FIRST]
    assert "damaged" in reasons[SECOND]
    assert "not a UUID" in reasons["../../etc/passwd"]
    assert folder.answers(THIRD) == THIRD


def test_an_unreadable_list_of_deployments_leaves_everything_as_it_is(folder, caplog):
    folder.loader.look()
    assert folder.loader.table.problem is None
    folder.put(FIRST)
    folder.deploy({"production": FIRST}, [FIRST])
    folder.loader.look()
    for content in ("{", "[]", '{"flights/late": {"tags": {"production": 7}}}'):
        (folder.path / "deployments.json").write_text(content)
        folder.loader.look()
        assert folder.answers("production") == FIRST
        assert "cannot be read" in folder.loader.table.problem
    (folder.path / "deployments.json").unlink()
    folder.loader.look()
    assert folder.answers("production") == FIRST
    assert "is gone" in folder.loader.table.problem
    folder.deploy({}, [])
    folder.loader.look()
    assert folder.loader.table.problem is None
    assert folder.loader.table.models == ()


def test_what_is_not_there_is_named_beside_what_is(folder):
    folder.put(FIRST)
    folder.deploy({"production": FIRST}, [FIRST])
    folder.loader.look()
    with pytest.raises(NotFoundError, match=r"no model 'flights/latte' .* there are: flights/late"):
        folder.answers("production", model="flights/latte")
    with pytest.raises(NotFoundError, match=r"no tag or UUID 'prod' .* its tags are: production"):
        folder.answers("prod")
