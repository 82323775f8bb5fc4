import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cassandra.cluster import Session

from giornata.records.model_version import TrialRecord
from giornata.stores import cassandra
from giornata.stores.training_runs import TrainingRun, TrainingRuns

AT = datetime(2013, 11, 2, 6, 30, 15, 250_000, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def runs(repository_session: Session) -> TrainingRuns:
    cassandra.apply_schema(repository_session)
    return TrainingRuns(repository_session)


@pytest.fixture
def run() -> TrainingRun:
    """A run that has just begun, of a model that no other test uses."""
    model = f"t_{uuid.uuid4().hex[:10]}/late"
    return TrainingRun(model, str(uuid.uuid4()), "running", "begun", "", "ann", '{"trials": 2}', AT, AT)


def trial(number: int, value: float | None) -> TrialRecord:
    state = "failed" if value is None else "complete"
    return TrialRecord(
        number=number,
        state=state,
        parameters={"max_depth": 4, "eta": 0.125, "booster": "gbtree"},
        value=value,
        rounds=7,
        seconds=1.5,
        reason="" if value else "a “reason”",
    )


def test_a_run_is_noted_until_its_end(runs: TrainingRuns, run: TrainingRun) -> None:
    assert runs.list(run.model) == []
    runs.put(run)
    assert runs.list(run.model) == [run]
    runs.note(run.model, run.uuid, "trial 1 of 2", AT + MINUTE)
    later = replace(run, stage="trial 1 of 2", updated_at=AT + MINUTE)
    assert runs.list(run.model) == [later]
    runs.note(run.model, run.uuid, "trial 1 of 2", AT + 2 * MINUTE, "failed", "no rows")
    assert runs.list(run.model) == [
        replace(later, state="failed", reason="no rows", updated_at=AT + 2 * MINUTE)
    ]
    runs.put(run)
    assert runs.list(run.model) == [run]


def test_runs_are_listed_newest_first(runs: TrainingRuns, run: TrainingRun) -> None:
    others = [replace(run, uuid=str(uuid.uuid4()), started_at=AT + place * MINUTE) for place in (2, -1)]
    for one in (run, *others):
        runs.put(one)
    assert runs.list(run.model) == [others[0], run, others[1]]
    elsewhere = replace(run, model=f"{run.model}r", uuid=str(uuid.uuid4()), started_at=AT + MINUTE)
    runs.put(elsewhere)
    assert [one for one in runs.list() if one.model.startswith(run.model)] == [
        others[0],
        elsewhere,
        run,
        others[1],
    ]


def test_trials_are_kept_for_the_search_they_were_part_of(runs: TrainingRuns, run: TrainingRun) -> None:
    first, second = trial(0, 0.25), trial(1, None)
    for one in (second, first):
        runs.keep(run.model, run.uuid, "a1", one)
    runs.keep(run.model, run.uuid, "b2", trial(0, 0.5))
    assert runs.kept(run.model, run.uuid, "a1") == {0: first, 1: second}
    assert runs.kept(run.model, run.uuid, "b2") == {0: trial(0, 0.5)}
    assert runs.kept(run.model, str(uuid.uuid4()), "a1") == {}
    assert runs.kept(f"{run.model}r", run.uuid, "a1") == {}
