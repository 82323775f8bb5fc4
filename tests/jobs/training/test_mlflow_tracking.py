"""What MLflow holds of a training run."""

import pytest
from mlflow.tracking import MlflowClient

from giornata.errors import DataError, StoreError
from giornata.records.model_version import TrialRecord
from jobs.training.mlflow_tracking import Tracking


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


def test_run_and_trials(uri):
    tracking = Tracking(uri, "flights/late", "the-uuid", "anna")
    tracking.trial(
        TrialRecord(
            number=0, parameters={"max_depth": 3}, state="complete", value=0.75, rounds=9, seconds=1.5
        ),
        "auc",
        "the document's own parameters",
    )
    tracking.trial(
        TrialRecord(number=1, parameters={"max_depth": 99}, state="failed", reason="too deep", seconds=0.0),
        "auc",
    )
    tracking.finish({"max_depth": 3}, {"auc": 0.74, "log_loss": None})
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("flights/late")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs["the-uuid"]
    assert parent.info.run_id == tracking.run_id
    assert (parent.info.status, parent.data.params, parent.data.metrics) == (
        "FINISHED",
        {"max_depth": "3"},
        {"test_auc": 0.74},
    )
    own = "trial 1: the document's own parameters"
    assert runs[own].data.metrics == {"validation_auc": 0.75, "seconds": 1.5, "rounds": 9.0}
    assert runs["trial 2"].info.status == "FAILED"
    assert runs["trial 2"].data.tags["reason"] == "too deep"
    for name in (own, "trial 2"):
        assert runs[name].data.tags["mlflow.parentRunId"] == tracking.run_id


def test_a_trial_has_lasted_as_long_as_it_did(uri):
    """Also one that was pruned; by MLflow's own clock and as a number, to a few milliseconds of writing."""
    tracking = Tracking(uri, "flights/late", "lasting", "anna")
    curve = [(0, 0.7), (1, 0.6)]
    pruned = TrialRecord(
        number=0,
        parameters={"max_depth": 3},
        state="pruned",
        reason="worse",
        rounds=1,
        seconds=90.0,
        curve=curve,
    )
    tracking.trial(pruned, "auc")
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("flights/late").experiment_id
    (run,) = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{tracking.run_id}'")
    assert run.info.end_time - run.info.start_time == pytest.approx(90_000, abs=20_000)
    assert run.data.metrics["seconds"] == 90.0
    assert run.info.status == "KILLED"
    points = client.get_metric_history(run.info.run_id, "validation_loss")
    assert [(point.step, point.value) for point in points] == curve


def test_what_was_interrupted_is_ended_when_its_uuid_comes_again(uri):
    interrupted = Tracking(uri, "flights/late", "twice", "anna")
    other = Tracking(uri, "flights/late", "once", "anna")
    again = Tracking(uri, "flights/late", "twice", "anna")
    client = MlflowClient(tracking_uri=uri)
    states = [client.get_run(tracking.run_id).info.status for tracking in (interrupted, other, again)]
    assert states == ["KILLED", "RUNNING", "RUNNING"]


def test_failed_run(uri):
    with pytest.raises(DataError), Tracking(uri, "flights/late", "another", "anna") as tracking:
        raise DataError("no rows")
    run = MlflowClient(tracking_uri=uri).get_run(tracking.run_id)
    assert (run.info.status, run.data.tags["reason"]) == ("FAILED", "no rows")


def test_a_store_that_cannot_be_used():
    with pytest.raises(StoreError, match="Check GIORNATA_MLFLOW"):
        Tracking("nosuch://x", "flights/late", "u", "anna")
