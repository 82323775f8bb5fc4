"""Opening a bundle for serving: what a version is, and which bundles are refused."""

import dataclasses
import gc
import json
import uuid
import weakref

import numpy as np
import pytest
import xgboost

from giornata.bundle import open_bundle, write_bundle
from giornata.errors import BundleError
from giornata.serving.loader import Loader
from giornata.serving.model import needs_event_time, open_model

pytestmark = pytest.mark.processes


@pytest.fixture
def put(tmp_path):
    def write(content):
        path = tmp_path / "model.zip"
        path.write_bytes(content)
        return path

    return write


def test_a_version_knows_what_it_reads(put, versions, windy):
    model = open_model(put(versions[0].content))
    assert (model.name, model.project, model.uuid) == ("flights/minutes", "flights", versions[0].uuid)
    assert not model.reads_store
    model = open_model(put(windy.content))
    assert model.reads_store
    assert model.inputs.row == {"distance": "float", "origin": "str"}
    assert model.inputs.store["weather"].keys == {"origin": "origin"}
    assert model.groups["weather"].ttl.total_seconds() == 3 * 3600


def test_a_version_says_what_a_request_has_to_carry(put, versions, windy, rooted):
    request = open_model(put(versions[0].content)).describe()["request"]
    assert request == {
        "inputs": {
            "distance": {"type": "float", "required": True},
            "seats": {"type": "int", "required": False},
            "sched_dep": {"type": "timestamp", "required": False},
            "pushed_back_at": {"type": "timestamp", "required": True},
        },
        "key": {"flight_id": "str"},
        "event_time": {"name": "pushed_back_at", "required": True},
        "logged": 1.0,
    }
    assert open_model(put(windy.content)).describe()["request"]["event_time"]["required"], "by the store"
    assert not open_model(put(rooted.content)).describe()["request"]["event_time"]["required"]


@pytest.mark.parametrize("stated", ["required", "optional"])
def test_the_document_says_whether_a_request_names_its_moment(put, windy, rooted, stated):
    for version in (windy, rooted):
        bundle = open_bundle(version.content)
        online = bundle.version.configuration.online.model_copy(update={"event_time": stated})
        configuration = bundle.version.configuration.model_copy(update={"online": online})
        record = bundle.version.model_copy(update={"configuration": configuration})
        assert needs_event_time(record) == (stated == "required")


def test_a_version_may_read_one_group_by_several_keys(put, windy_there):
    model = open_model(put(windy_there.content))
    assert model.inputs.row == {"origin": "str", "dest": "str"}
    assert {use: (read.group, read.keys) for use, read in model.inputs.store.items()} == {
        "weather": ("weather", {"origin": "origin"}),
        "weather__dest": ("weather", {"origin": "dest"}),
    }
    assert model.scorer.inputs.keys() == {
        "origin", "dest", "weather__wind", "weather__dest__wind", "weather__dest__event_age"
    }  # fmt: skip
    row = {"weather__wind": 5.0, "weather__dest__wind": 9.0, "weather__dest__event_age": 1800.0}
    (answer,) = model.scorer.rows([row])
    assert [answer.value] == windy_there.answers([[5.0, 9.0, 1800.0]])


def test_a_bundle_without_the_documents_of_its_feature_groups_is_refused(put, windy):
    bundle = open_bundle(windy.content)
    version = bundle.version.model_copy(update={"groups": {}})
    with pytest.raises(BundleError, match="feature groups weather are missing"):
        open_model(put(write_bundle(dataclasses.replace(bundle, version=version))))


def test_a_version_that_answers_otherwise_than_when_it_was_trained_is_refused(put, versions):
    bundle = open_bundle(versions[0].content)
    wrong = dataclasses.replace(bundle.self_test[0], prediction=bundle.self_test[0].prediction + 1e-9)
    with pytest.raises(BundleError, match="self-test"):
        open_model(put(write_bundle(dataclasses.replace(bundle, self_test=(wrong,)))))


def test_trees_that_do_not_fit_the_features_are_refused_and_the_loader_goes_on(tmp_path, versions):
    bundle = open_bundle(versions[0].content)
    trees = xgboost.train({}, xgboost.DMatrix(np.eye(9, dtype=np.float32), np.arange(9)), 1)
    root = dataclasses.replace(bundle.parts[0], files={"model.ubj": bytes(trees.save_raw("ubj"))})
    odd = write_bundle(dataclasses.replace(bundle, parts=(root,)))
    (tmp_path / f"{versions[0].uuid}.zip").write_bytes(odd)
    (tmp_path / f"{versions[1].uuid}.zip").write_bytes(versions[1].content)
    tags = f'{{"odd": "{versions[0].uuid}", "good": "{versions[1].uuid}"}}'
    (tmp_path / "deployments.json").write_text(f'{{"flights/minutes": {{"tags": {tags}, "uuids": []}}}}')
    loader = Loader(tmp_path, open_model, lambda table: None)
    loader.look()
    (refusal,) = loader.table.refusals
    assert refusal.uuid == versions[0].uuid
    assert [model.uuid for model in loader.table.models] == [versions[1].uuid]


RELOADS = 6

CLASS = """
class Odd:
    def fit(self, examples, setting): ...
    def predict(self, matrix): return [self.itself.value] * len(matrix)
    def save(self): return {}
    def load(self, files):
        self.value, self.itself = 1.0, self
"""


@pytest.mark.parametrize("kind", ["trees", "function", "class"])
def test_old_versions_are_gone_once_no_request_holds_them(tmp_path, versions, rooted, of_class, kind):
    """A request that was under way at a reload ends after it."""
    one = {"trees": versions[0].content, "function": rooted.content, "class": of_class(versions[0], CLASS)}[
        kind
    ]
    bundle = open_bundle(one)
    both = [one, write_bundle(other_uuid(bundle))]
    name = bundle.version.model
    opened, tables = [], []

    def opening(content):
        model = open_model(content)
        model.scorer.rows([dict.fromkeys(model.scorer.inputs, None)])
        held = (model, model.scorer, model.scorer._features.row, model.scorer._models[0])
        opened.append([weakref.ref(each) for each in held])
        return model

    loader = Loader(tmp_path, opening, tables.append)
    try:
        for reload in range(RELOADS):
            content = both[reload % 2]
            version = open_bundle(content).version.uuid
            (tmp_path / f"{version}.zip").write_bytes(content)
            (tmp_path / "deployments.json").write_text(
                json.dumps({name: {"tags": {"production": version}, "uuids": []}})
            )
            loader.look()
            del tables[:-1]  # the request under way is answered by the table before
        tables.clear()
        loader.look()
        assert len(opened) == RELOADS
        assert [alive for alive in map(alive_of, opened[:-1]) if alive] == []
        assert len(alive_of(opened[-1])) == 4
    finally:
        gc.unfreeze()


def alive_of(held):
    return [each() for each in held if each() is not None]


def other_uuid(bundle):
    version = bundle.version.model_copy(update={"uuid": str(uuid.UUID(int=77, version=4))})
    return dataclasses.replace(bundle, version=version)
