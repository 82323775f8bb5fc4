"""The progress of a training run: printed in the job's log and kept in Cassandra, with the reason if it fails."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Self

from giornata.errors import StoreError
from giornata.records.model_version import TrialRecord
from giornata.stores.training_runs import TrainingRun, TrainingRuns
from jobs.runtime.session import say

__all__ = ["Progress"]


class Progress:
    """A running training as a context: leaving it by an error records the run as failed, by an interruption as
    cancelled."""

    def __init__(
        self,
        runs: TrainingRuns,
        model: str,
        uuid: str,
        trained_by: str,
        asked: Mapping[str, object],
        now: Callable[[], datetime],
    ):
        self._runs, self._model, self._uuid, self._now = runs, model, uuid, now
        moment = now()
        asked_text = json.dumps(asked, sort_keys=True, default=str)
        self._run = TrainingRun(model, uuid, "running", "begun", "", trained_by, asked_text, moment, moment)
        self._stage = self._run.stage

    def __enter__(self) -> Self:
        """Record that the run has begun. Raises StoreError."""
        self._runs.put(self._run)
        return self

    def stage(self, text: str) -> None:
        """Report the current stage. Raises StoreError."""
        say("train", f"{self._model}: {text}")
        self._stage = text
        self._runs.note(self._model, self._uuid, text, self._now())

    def trials(self, search: str) -> Mapping[int, TrialRecord]:
        """The trials that an interrupted run of this uuid finished, for a search with the same hash `search`."""
        return self._runs.kept(self._model, self._uuid, search)

    def keep(self, search: str, trial: TrialRecord) -> None:
        """Keep a finished trial for a run that continues after an interruption."""
        self._runs.keep(self._model, self._uuid, search, trial)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._end("trained", "")
            return
        state = "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
        reason = str(error) or ("stopped by a signal" if state == "cancelled" else type(error).__name__)
        try:
            self._end(state, reason)
        except StoreError as fault:
            # The run ends by its own error, whether or not that could be recorded.
            say("train", f"{self._model}: that the run {state} is not recorded: {fault}")

    def _end(self, state: str, reason: str) -> None:
        self._runs.note(self._model, self._uuid, self._stage, self._now(), state, reason)
