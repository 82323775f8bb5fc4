"""Deploying: gate, signature, timeline, and the folder that servers watch, on the real Cassandra."""

import dataclasses
import fcntl
import json
import math
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from giornata import deployment as module
from giornata.deployment import check_gate, check_signature, deploy, project_to_disk, rollback
from giornata.errors import BundleError, GateError, NotFoundError, SignatureError, StoreError
from giornata.records.model_version import InputColumn
from giornata.schema import Bounds
from giornata.stores import cassandra
from giornata.stores.deployments import Deployments
from giornata.stores.repository import Repository

AT = datetime(2013, 11, 1, 6, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


@pytest.fixture
def session(stores, schema):
    with cassandra.session(stores) as opened:
        cassandra.apply(opened, schema)
        yield opened


@pytest.fixture
def settings(stores, tmp_path):
    return dataclasses.replace(
        stores, variables={**stores.variables, "GIORNATA_BUNDLES": str(tmp_path / "bundles")}
    )


@pytest.fixture
def train(session, trained):
    """Saves a version of one model of the test's own with changes to its record; returns it."""
    model = f"deploy_test_{uuid.uuid4().hex[:8]}/minutes"

    def save(**changes):
        version = trained.bundle.version.model_copy(
            update={"uuid": str(uuid.uuid4()), "model": model, **changes}
        )
        Repository(session).save(version, version.uuid.encode() * 100)
        return version

    yield save
    # What is live decides what every later deployment writes to disk.
    for tag in ("production", "canary", "next", "trial"):
        session.execute("DELETE FROM giornata.deployments WHERE model = %s AND tag = %s", (model, tag))


def routes(settings, model):
    return json.loads((settings.bundles / "deployments.json").read_text()).get(model)


def test_deploy_and_take_over(settings, session, train):
    first, second = train(), train()
    entry = deploy(settings, session, first.uuid, "anna", "first", AT)
    assert (entry.tag, entry.modes, entry.by) == ("production", ("batch", "online"), "anna")
    assert routes(settings, first.model) == {"tags": {"production": first.uuid}, "uuids": [first.uuid]}
    assert (settings.bundles / f"{first.uuid}.zip").read_bytes() == first.uuid.encode() * 100
    deploy(settings, session, second.uuid, "berta", "canary", AT, tag="canary")
    assert routes(settings, first.model)["uuids"] == sorted([first.uuid, second.uuid])
    deploy(settings, session, second.uuid, "berta", "better", LATER)
    assert routes(settings, first.model) == {
        "tags": {"canary": second.uuid, "production": second.uuid},
        "uuids": [second.uuid],
    }
    assert not (settings.bundles / f"{first.uuid}.zip").exists()
    assert [entry.uuid for entry in Deployments(session).timeline(first.model, "production")] == [
        second.uuid,
        first.uuid,
    ]


def test_the_same_again_changes_nothing(settings, session, train):
    version = train()
    first = deploy(settings, session, version.uuid, "anna", "first", AT)
    assert deploy(settings, session, version.uuid, "anna", "retried", LATER) == first
    assert len(Deployments(session).timeline(version.model, "production")) == 1


def test_rollback(settings, session, train):
    first, second = train(), train()
    deploy(settings, session, first.uuid, "anna", "first", AT)
    with pytest.raises(NotFoundError, match="only version"):
        rollback(settings, session, first.model, "production", "anna", "oh", LATER)
    deploy(settings, session, second.uuid, "anna", "second", LATER)
    entry = rollback(
        settings, session, first.model, "production", "berta", "worse", LATER + timedelta(hours=1)
    )
    assert (entry.uuid, entry.reason) == (first.uuid, "worse")
    assert routes(settings, first.model)["tags"] == {"production": first.uuid}
    assert len(Deployments(session).timeline(first.model, "production")) == 3
    with pytest.raises(NotFoundError, match="nothing was ever deployed"):
        rollback(settings, session, first.model, "nosuch", "anna", "", LATER)


def test_rolling_back_again_goes_further_back_and_not_to_and_fro(settings, session, train):
    first, second, third, fourth = (train() for _ in range(4))
    model, hour = first.model, timedelta(hours=1)
    for number, version in enumerate((first, second, third)):
        deploy(settings, session, version.uuid, "anna", "better", AT + number * hour)
    # Only modes change: not another version to go back to.
    deploy(settings, session, third.uuid, "anna", "nightly", AT + 3 * hour, "production", ["batch"])

    def back(number):
        return rollback(settings, session, model, "production", "berta", "worse", AT + number * hour)

    assert [back(4).uuid, back(5).uuid] == [second.uuid, first.uuid]
    with pytest.raises(NotFoundError, match=f"nothing came before version {first.uuid}"):
        back(6)
    deploy(settings, session, fourth.uuid, "anna", "mended", AT + 7 * hour)
    assert back(8).uuid == first.uuid
    deploy(settings, session, second.uuid, "anna", "after all", AT + 9 * hour)
    deploy(settings, session, third.uuid, "anna", "again", AT + 10 * hour)
    assert [back(11).uuid, back(12).uuid] == [second.uuid, first.uuid]
    kinds = [entry.kind for entry in reversed(Deployments(session).timeline(model, "production"))]
    assert (
        kinds
        == ["deployed"] * 4
        + ["rolled back"] * 2
        + ["deployed", "rolled back"]
        + ["deployed"] * 2
        + ["rolled back"] * 2
    )


def test_a_timeline_from_before_rollbacks_were_marked_is_read_as_deployments(settings, session, train):
    first, second = train(), train()
    deploy(settings, session, first.uuid, "anna", "first", AT)
    deploy(settings, session, second.uuid, "anna", "second", LATER)
    rows = session.execute(
        "SELECT at, uuid FROM giornata.deployments WHERE model = %s AND tag = 'production'", (first.model,)
    )
    for row in list(rows):
        session.execute(
            "UPDATE giornata.deployments SET kind = null "
            "WHERE model = %s AND tag = 'production' AND at = %s AND uuid = %s",
            (first.model, row.at, row.uuid),
        )
    assert {entry.kind for entry in Deployments(session).timeline(first.model, "production")} == {"deployed"}
    back = rollback(settings, session, first.model, "production", "anna", "worse", LATER + timedelta(hours=1))
    assert back.uuid == first.uuid


def test_batch_only_is_not_put_on_disk(settings, session, train):
    version = train()
    deploy(settings, session, version.uuid, "anna", "nightly", AT, modes=["batch"])
    assert routes(settings, version.model) is None
    assert not (settings.bundles / f"{version.uuid}.zip").exists()
    assert Deployments(session).current(version.model, "production").modes == ("batch",)


def test_the_folder_is_mended(settings, session, train):
    version = train()
    deploy(settings, session, version.uuid, "anna", "first", AT)
    path = settings.bundles / f"{version.uuid}.zip"
    stranger = settings.bundles / f"{uuid.uuid4()}.zip"
    path.write_bytes(b"torn")
    stranger.write_bytes(b"of nobody")
    (settings.bundles / "deployments.json").unlink()
    (settings.bundles / ".new-by_a_killed_process").write_bytes(b"half")
    project_to_disk(session, settings.bundles)
    assert path.read_bytes() == version.uuid.encode() * 100
    assert not stranger.exists()
    assert not list(settings.bundles.glob(".new-*"))
    assert routes(settings, version.model)["uuids"] == [version.uuid]


def test_a_damaged_bundle_does_not_keep_the_others_from_being_served(settings, session, train):
    damaged, good = train(), train()
    session.execute(
        "DELETE FROM giornata.model_files WHERE uuid = %s AND sha256 = %s",
        (damaged.uuid, Repository(session).bundle_digest(damaged.uuid)),
    )
    with pytest.raises(
        BundleError, match=f"{damaged.uuid} is in the timeline but cannot be served: .*damaged"
    ):
        deploy(settings, session, damaged.uuid, "anna", "damaged", AT, tag="next")
    deploy(settings, session, good.uuid, "anna", "good", AT)
    assert routes(settings, good.model) == {"tags": {"production": good.uuid}, "uuids": [good.uuid]}


def test_a_folder_that_another_process_writes_is_waited_for_and_then_given_up(
    settings, session, train, monkeypatch
):
    monkeypatch.setattr(module, "LOCK_TIMEOUT", 0.2)
    version = train()
    settings.bundles.mkdir()
    with (settings.bundles / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="cannot write the bundle folder"):
            deploy(settings, session, version.uuid, "anna", "first", AT)
    deploy(settings, session, version.uuid, "anna", "first", AT)
    assert routes(settings, version.model)["uuids"] == [version.uuid]


def test_a_gate_that_is_missed_leaves_everything(settings, session, train):
    good = train(metrics={"rmse": 20.0})
    bad = train(metrics={"rmse": 41.5})
    deploy(settings, session, good.uuid, "anna", "good", AT)
    with pytest.raises(GateError, match=r"rmse is 41\.5, more than 40"):
        deploy(settings, session, bad.uuid, "anna", "bad", LATER)
    assert Deployments(session).current(good.model, "production").uuid == good.uuid
    assert routes(settings, good.model)["tags"] == {"production": good.uuid}


def test_a_signature_that_does_not_fit_leaves_everything(settings, session, train, trained):
    good = train()
    known = trained.bundle.version.signature
    more = known.model_copy(
        update={"inputs": {**known.inputs, "gate": InputColumn(type="str", nullable=False)}}
    )
    needs_more = train(signature=more)
    deploy(settings, session, good.uuid, "anna", "good", AT)
    with pytest.raises(SignatureError, match=r"needs gate \(str\), which callers do not send"):
        deploy(settings, session, needs_more.uuid, "anna", "more", LATER)
    assert Deployments(session).current(good.model, "production").uuid == good.uuid
    assert (
        deploy(settings, session, needs_more.uuid, "anna", "more", LATER, tag="next").uuid == needs_more.uuid
    )


def test_unknown_version_and_undeployable_model(settings, session, train, trained):
    with pytest.raises(NotFoundError, match="no model version"):
        deploy(settings, session, str(uuid.uuid4()), "anna", "", AT)
    spec = trained.bundle.version.configuration.model_copy(update={"deploy": None})
    version = train(configuration=spec)
    with pytest.raises(
        NotFoundError, match=r"was trained when .* had no `deploy`.* name a tag and the modes"
    ):
        deploy(settings, session, version.uuid, "anna", "", AT)
    assert deploy(settings, session, version.uuid, "anna", "", AT, "trial", ["batch"]).tag == "trial"


@pytest.mark.parametrize(
    ("gate", "metrics", "missed"),
    [
        ({"rmse": Bounds(max=16)}, {"rmse": 16.0}, None),
        ({"rmse": Bounds(max=16)}, {"rmse": 16.01}, "rmse is 16.01, more than 16"),
        ({"auc": Bounds(min=0.7)}, {"auc": 0.7}, None),
        ({"auc": Bounds(min=0.7)}, {"auc": 0.69}, "auc is 0.69, less than 0.7"),
        ({"auc": Bounds(min=0.7)}, {"auc": None}, "auc is not defined on .* rows: they are all of one class"),
        (
            {"r2": Bounds(min=0.7)},
            {"r2": None},
            "r2 is not defined on .* rows: their labels are all the same",
        ),
        ({"mae": Bounds(max=7)}, {"mae": None}, "mae is not defined on .* rows: there are none"),
        ({"auc": Bounds(min=0.7)}, {"auc": math.nan}, "auc is nan"),
        ({"rmse": Bounds(max=16)}, {"rmse": math.nan}, "rmse is nan"),
        ({"rmse": Bounds(max=16)}, {}, "rmse is not among"),
        ({"r2": Bounds(min=0.1, max=0.99)}, {"r2": 0.999}, "r2 is 0.999, more than 0.99"),
        ({"r2": Bounds(min=0.1, max=0.99)}, {"r2": 0.01}, "r2 is 0.01, less than 0.1"),
        ({"r2": Bounds(min=0.5), "mae": Bounds(max=1)}, {"r2": 0.1, "mae": 2.0}, "r2 is 0.1.*; mae is 2"),
        ({}, {}, None),
    ],
)
def test_gate(gate, metrics, missed):
    if missed is None:
        check_gate(gate, metrics)
    else:
        with pytest.raises(GateError, match=missed):
            check_gate(gate, metrics)


def test_signatures(trained):
    live = trained.bundle.version.signature

    def changed(**columns):
        inputs = {name: column for name, column in {**live.inputs, **columns}.items() if column}
        return live.model_copy(update={"inputs": inputs})

    check_signature(live, live, "m")
    check_signature(live, changed(carrier=None), "m")  # needs less
    check_signature(live, changed(origin=InputColumn(type="str", nullable=True)), "m")
    check_signature(live, changed(gate=InputColumn(type="str", nullable=True)), "m")
    check_signature(live, live.model_copy(update={"store": {}}), "m")
    with pytest.raises(SignatureError, match="distance is str, not float"):
        check_signature(live, changed(distance=InputColumn(type="str", nullable=True)), "m")
    with pytest.raises(SignatureError, match="needs a value of distance"):
        check_signature(live, changed(distance=InputColumn(type="float", nullable=False)), "m")
    with pytest.raises(SignatureError, match="its task is binary, not regression"):
        check_signature(live, live.model_copy(update={"task": "binary"}), "m")
