"""What MLflow holds of a training run."""

import pytest
from mlflow.tracking import MlflowClient

from giornata.documents.record import TrialRecord
from giornata.errors import DataError, StoreError
from jobs.tracking import Tracking


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
    assert runs["trial 0"].data.metrics == {"validation_auc": 0.75, "seconds": 1.5, "rounds": 9.0}
    assert runs["trial 1"].info.status == "FAILED"
    assert runs["trial 1"].data.tags["reason"] == "too deep"
    for name in ("trial 0", "trial 1"):
        assert runs[name].data.tags["mlflow.parentRunId"] == tracking.run_id


def test_failed_run(uri):
    with pytest.raises(DataError), Tracking(uri, "flights/late", "another", "anna") as tracking:
        raise DataError("no rows")
    run = MlflowClient(tracking_uri=uri).get_run(tracking.run_id)
    assert (run.info.status, run.data.tags["reason"]) == ("FAILED", "no rows")


def test_a_store_that_cannot_be_used():
    with pytest.raises(StoreError, match="Check GIORNATA_MLFLOW"):
        Tracking("nosuch://x", "flights/late", "u", "anna")
