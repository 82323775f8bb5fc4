"""Training runs in Cassandra: progress, end and reason, and the finished trials of interrupted ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cassandra.cluster import Session

from giornata.errors import StoreError
from giornata.records.model_version import TrialRecord
from giornata.stores.cassandra import CASSANDRA_FAULTS

__all__ = ["SILENCE", "TrainingRun", "TrainingRuns"]

# A run says something at every trial and step: one that said nothing for so long may have been killed.
SILENCE = timedelta(hours=1)


@dataclass(frozen=True)
class TrainingRun:
    """A run: `state` is running, trained, failed or cancelled; `stage` describes its progress in words.

    `asked` is its request, as JSON; times are aware, in UTC.
    """

    model: str
    uuid: str
    state: str
    stage: str
    reason: str
    trained_by: str
    asked: str
    started_at: datetime
    updated_at: datetime

    def silent(self, now: datetime) -> bool:
        """Whether it is recorded as running, but has not reported for longer than SILENCE."""
        return self.state == "running" and now - self.updated_at > SILENCE


_COLUMNS = ("model", "uuid", "state", "stage", "reason", "trained_by", "asked", "started_at", "updated_at")


class TrainingRuns:
    """The tables `giornata.training_runs` and `giornata.training_trials`."""

    def __init__(self, session: Session):
        """Prepare the statements. Raises StoreError, also when the tables are not there yet."""
        self._session = session
        try:
            self._insert = session.prepare(
                f"INSERT INTO giornata.training_runs ({', '.join(_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            )
            self._update = session.prepare(
                "UPDATE giornata.training_runs SET state = ?, stage = ?, reason = ?, updated_at = ? "
                "WHERE model = ? AND uuid = ?"
            )
            self._list = session.prepare(
                f"SELECT {', '.join(_COLUMNS)} FROM giornata.training_runs WHERE model = ?"
            )
            self._list_all = session.prepare(f"SELECT {', '.join(_COLUMNS)} FROM giornata.training_runs")
            self._insert_trial = session.prepare(
                "INSERT INTO giornata.training_trials (model, uuid, search, number, record) VALUES (?, ?, ?, ?, ?)"
            )
            self._trials = session.prepare(
                "SELECT number, record FROM giornata.training_trials WHERE model = ? AND uuid = ? AND search = ?"
            )
        except CASSANDRA_FAULTS as fault:
            raise _fault(fault) from fault

    def put(self, run: TrainingRun) -> None:
        """Record a run, or replace the record with the same model and uuid. Raises StoreError."""
        self._rows(self._insert, tuple(getattr(run, name) for name in _COLUMNS))

    def note(
        self, model: str, uuid: str, stage: str, at: datetime, state: str = "running", reason: str = ""
    ) -> None:
        """Record the progress of a run, or its end. Raises StoreError."""
        self._rows(self._update, (state, stage, reason, at, model, uuid))

    def list(self, model: str | None = None) -> Sequence[TrainingRun]:
        """The runs of a model, or of all models, newest first. Raises StoreError."""
        rows = self._rows(self._list, (model,)) if model else self._rows(self._list_all, ())
        runs = [_run(row) for row in rows]
        return sorted(runs, key=lambda run: (run.started_at, run.uuid), reverse=True)

    def keep(self, model: str, uuid: str, search: str, trial: TrialRecord) -> None:
        """Keep a finished trial of a run, for a month. Raises StoreError."""
        self._rows(self._insert_trial, (model, uuid, search, trial.number, trial.model_dump_json()))

    def kept(self, model: str, uuid: str, search: str) -> Mapping[int, TrialRecord]:
        """The trials of a run that were kept for the same `search`, by number. Raises StoreError."""
        rows = self._rows(self._trials, (model, uuid, search))
        return {row.number: TrialRecord.model_validate_json(row.record) for row in rows}

    def _rows(self, statement: object, values: Sequence[object]) -> Sequence[Any]:
        try:
            return [*self._session.execute(statement, values)]
        except CASSANDRA_FAULTS as fault:
            raise _fault(fault) from fault


def _run(row: Any) -> TrainingRun:
    values = row._asdict()
    for name in ("started_at", "updated_at"):
        values[name] = values[name].replace(tzinfo=UTC)
    return TrainingRun(**values)


def _fault(fault: Exception) -> StoreError:
    return StoreError(
        f"Cassandra cannot read or store runs of training: {type(fault).__name__}: {fault}. "
        "Is the stack up? Start it with `make up`."
    )
