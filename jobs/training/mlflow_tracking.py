"""Records a training run and its trials in MLflow."""

import os

# MLflow reports its use over the network unless it is told not to before its import.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"

import logging
import time
from collections.abc import Mapping
from typing import Self

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from giornata.errors import StoreError
from giornata.records.model_version import TrialRecord
from giornata.schema import Scalar
from jobs.runtime.session import say

__all__ = ["Tracking"]

logging.getLogger("alembic").setLevel(logging.WARNING)

_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


class Tracking:
    """One MLflow run for a training, in the experiment with the model's name, and one nested run for each trial."""

    def __init__(self, uri: str, model: str, uuid: str, trained_by: str):
        """Open the run. Raises StoreError if MLflow's store at `uri` cannot be used."""
        self._uri = uri
        try:
            self._client = MlflowClient(tracking_uri=uri)
            known = self._client.get_experiment_by_name(model)
            self._experiment = known.experiment_id if known else self._client.create_experiment(model)
            self._end_interrupted(uuid)
            tags = {MLFLOW_RUN_NAME: uuid, "giornata.uuid": uuid, "giornata.trained_by": trained_by}
            self.run_id: str = self._client.create_run(self._experiment, tags=tags).info.run_id
        except MlflowException as error:
            raise self._fault(error) from error

    def trial(self, trial: TrialRecord, metric: str, what: str = "") -> None:
        """Record a trial as a nested run: its parameters, and its metric or the reason of its failure; `what` is a
        description, if there is more to say than its number."""
        name = f"trial {trial.place}"
        tags = {MLFLOW_PARENT_RUN_ID: self.run_id, MLFLOW_RUN_NAME: f"{name}: {what}" if what else name}
        values = {"seconds": trial.seconds}
        if trial.value is not None:
            values[f"validation_{metric}"] = trial.value
        if trial.rounds is not None:
            values["rounds"] = trial.rounds
        # MLflow's own duration is that of the trial, not of writing it down.
        began = int((time.time() - trial.seconds) * 1000)
        try:
            run = self._client.create_run(self._experiment, start_time=began, tags=tags).info.run_id
            self._log(run, trial.parameters, values, {"reason": trial.reason} if trial.reason else {})
            # A point of the curve is at its round: MLflow draws it as it was learned.
            curve = [Metric("validation_loss", loss, 0, round_) for round_, loss in trial.curve]
            self._client.log_batch(run, metrics=curve)
            self._client.set_terminated(run, _STATUS[trial.state])
        except MlflowException as error:
            raise self._fault(error) from error

    def finish(self, parameters: Mapping[str, Scalar], metrics: Mapping[str, float | None]) -> None:
        """Record the parameters that were used and the test metrics, and end the run."""
        values = {f"test_{name}": value for name, value in metrics.items() if value is not None}
        try:
            self._log(self.run_id, parameters, values, {})
            self._client.set_terminated(self.run_id, "FINISHED")
        except MlflowException as error:
            raise self._fault(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Close the run; if an error ends it, it has failed, with the error as its reason."""
        if error is None:
            return
        try:
            self._client.set_tag(self.run_id, "reason", str(error))
            self._client.set_terminated(
                self.run_id, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            )
        except MlflowException as fault:
            # The run ends by its own error, whether or not that could be recorded.
            say("train", str(self._fault(fault)))

    def _end_interrupted(self, uuid: str) -> None:
        """End a run of this uuid that is still open because it was killed."""
        asked = f"tags.`giornata.uuid` = '{uuid}' AND attributes.status = 'RUNNING'"
        for run in self._client.search_runs([self._experiment], asked):
            self._client.set_tag(run.info.run_id, "reason", "interrupted; another run of the uuid goes on")
            self._client.set_terminated(run.info.run_id, "KILLED")

    def _log(
        self, run: str, parameters: Mapping[str, Scalar], values: Mapping[str, float], tags: Mapping[str, str]
    ) -> None:
        self._client.log_batch(
            run,
            metrics=[Metric(name, float(value), 0, 0) for name, value in values.items()],
            params=[Param(name, str(value)) for name, value in parameters.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )

    def _fault(self, error: MlflowException) -> StoreError:
        return StoreError(f"MLflow at {self._uri} refuses: {error}. Check GIORNATA_MLFLOW")
