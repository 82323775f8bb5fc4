"""The loader: what becomes of the routing table as files come, change, break and go."""

import json
import logging
import lzma
import math
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from giornata.errors import BundleError, NotFoundError
from giornata.serving import loader as module
from giornata.serving.loader import Loader

# Whatever opening a bundle may raise: the last is what Polars and other libraries in Rust make of a panic.
RAISED = {
    type(error).__name__: error
    for error in (
        KeyError("sched_dep"),
        TypeError("unhashable"),
        AttributeError("level"),
        RecursionError("too deep"),
        lzma.LZMAError("corrupt"),
        IndexError("out of bounds"),
        ZeroDivisionError(),
        SystemExit(1),
        type("PanicException", (BaseException,), {})("index out of bounds"),
        ImportError("no module named foo"),
        SyntaxError("invalid syntax"),
        MemoryError(),
        OSError(24, "Too many open files"),
    )
}

FIRST, SECOND, THIRD = (str(uuid.UUID(int=number)) for number in (1, 2, 3))
MODEL = "flights/late"


class Served(SimpleNamespace):
    """A model as far as the loader looks at it: its name and UUID. Each is equal to itself alone."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def open_content(text):
    content = json.loads(text)
    if "broken" in content:
        raise BundleError("it is damaged")
    if raised := RAISED.get(content.get("raises")):
        raise raised
    return Served(name=content["model"], uuid=content["uuid"], runs_code=False)


class Folder:
    """A folder of bundles and a loader that follows it."""

    def __init__(self, path: Path):
        self.path = path
        self.tables = []
        self.loader = Loader(path, open_content, self.tables.append)

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
    assert "is missing" in reasons[SECOND]
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


@pytest.mark.parametrize("raised", RAISED)
def test_whatever_a_bundle_raises_it_is_refused_and_the_others_serve(folder, raised):
    folder.put(FIRST, raises=raised)
    folder.put(SECOND)
    folder.deploy({"production": SECOND, "next": FIRST})
    folder.loader.look()
    assert folder.answers("production") == SECOND
    (refusal,) = folder.loader.table.refusals
    assert (refusal.uuid, refusal.tags) == (FIRST, ("next",))
    assert raised in refusal.reason
    assert str(RAISED[raised]) in refusal.reason
    folder.put(FIRST)
    folder.loader.look()
    assert folder.answers("next") == FIRST


def test_what_may_pass_is_tried_again_though_the_file_is_the_same(folder, monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", math.inf)
    folder.put(FIRST)
    folder.deploy({"production": FIRST})
    path = folder.path / f"{FIRST}.zip"
    held = path.with_suffix(".held")
    path.rename(held)
    path.symlink_to(path)  # a file that nobody can open: a loop, to which root is no exception
    folder.loader.look()
    assert "symbolic links" in folder.loader.table.refusals[0].reason
    path.unlink()
    held.rename(path)
    folder.loader.look()
    assert folder.answers("production") == FIRST

    folder.put(SECOND, raises="OSError")
    folder.deploy({"production": SECOND})
    folder.loader.look()
    monkeypatch.setitem(RAISED, "OSError", None)
    folder.loader.look()
    assert folder.answers("production") == FIRST  # it is not time yet

    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    monkeypatch.setitem(RAISED, "OSError", OSError(24, "Too many open files"))
    folder.put(SECOND, raises="OSError")
    folder.loader.look()
    monkeypatch.setitem(RAISED, "OSError", None)
    folder.loader.look()
    assert folder.answers("production") == SECOND


def until(is_so):
    """Ask again and again until it is so, at most 30 s."""
    for attempt in Retrying(
        wait=wait_fixed(0.02),
        stop=stop_after_delay(30),
        retry=retry_if_exception_type(AssertionError),
        reraise=True,
    ):
        with attempt:
            assert is_so()


def test_the_loader_outlives_its_folder_and_whatever_a_look_raises(folder, monkeypatch):
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)
    loader, problems = folder.loader, []

    def follow(table):
        if problems:
            raise problems[0]

    loader._on_change = follow
    folder.put(FIRST)
    folder.deploy({"production": FIRST})
    loader.start()
    until(lambda: loader.has_looked)
    away = folder.path.with_name("away")
    folder.path.rename(away)
    folder.path.write_text("not a folder")
    until(lambda: loader.table.problem and "cannot be read" in loader.table.problem)
    assert folder.answers("production") == FIRST
    folder.path.unlink()
    away.rename(folder.path)
    until(lambda: loader.table.problem is None)

    problems.append(RuntimeError("can't start new thread"))
    folder.put(SECOND)
    folder.deploy({"production": SECOND})
    until(lambda: loader.table.problem and "can't start new thread" in loader.table.problem)
    assert folder.answers("production") == FIRST
    problems.clear()
    until(lambda: folder.answers("production") == SECOND)
    assert loader.table.problem is None
    assert loader.is_alive()
    loader.stop()
    assert not loader.is_alive()


def test_a_server_whose_list_cannot_be_read_has_not_looked(folder):
    (folder.path / "deployments.json").write_text("[")
    folder.loader.start()
    until(lambda: folder.loader.table.problem)
    assert not folder.loader.has_looked
    folder.deploy({})
    until(lambda: folder.loader.has_looked)
    folder.loader.stop()
