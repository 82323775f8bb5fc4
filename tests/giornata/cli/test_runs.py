"""`giornata runs`: what is printed of a run, and the runs of the real Cassandra."""

import io
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from giornata.cli import runs as cli_runs
from giornata.errors import NotFoundError
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.training_runs import TrainingRun, TrainingRuns

AT = datetime(2013, 11, 2, 6, 30, tzinfo=UTC)
UUID = "6e1b8f0a-3b52-4c5e-9a8b-2f1f8e3c9d10"
RUN = TrainingRun("flights/late", UUID, "running", "trial 3 of 20: auc 0.7", "", "anna", "{}", AT, AT)


def printed(run: TrainingRun, now: datetime = AT) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    cli_runs.print_run(console, run, now)
    return console.file.getvalue()


def test_a_run_under_way() -> None:
    assert printed(RUN) == (
        f"flights/late  running\n  {UUID}  started 2013-11-02 06:30 UTC by anna\n  trial 3 of 20: auc 0.7\n"
    )


def test_a_run_that_ended() -> None:
    said = printed(replace(RUN, state="failed", reason="there are no labelled rows [in] 2013"))
    assert said.startswith("flights/late  failed\n")
    assert said.endswith("  there are no labelled rows [in] 2013\n"), "no markup"


@pytest.mark.parametrize(
    ("state", "later", "shown"),
    [
        ("running", timedelta(hours=1), "running"),
        ("running", timedelta(hours=1, seconds=1), "running?  no news since 2013-11-02 06:30 UTC"),
        ("cancelled", timedelta(days=9), "cancelled"),
    ],
)
def test_a_run_that_fell_silent(state: str, later: timedelta, shown: str) -> None:
    assert printed(replace(RUN, state=state), AT + later).splitlines()[0] == f"flights/late  {shown}"


def test_everything_fits_into_80_columns_and_nothing_is_cut() -> None:
    long = replace(
        RUN, model=f"{'P' * 48}/{'M' * 48}", stage="S" * 100, reason="X" * 200, trained_by="B" * 90
    )
    said = printed(long, AT + timedelta(days=1))
    assert max(map(len, said.splitlines())) <= 80
    assert UUID in said
    assert [said.count(letter) for letter in "PMSXB"] == [48, 48, 100, 200, 90]


@pytest.fixture
def runs(stores: Settings, monkeypatch: pytest.MonkeyPatch) -> list[TrainingRun]:
    """Two runs of a model of the test's own, and one of another."""
    for name, value in stores.variables.items():
        monkeypatch.setenv(name, value)
    project = f"r_{uuid.uuid4().hex[:10]}"
    made = [
        replace(
            RUN, model=f"{project}/{model}", uuid=str(uuid.uuid4()), started_at=AT + timedelta(hours=hour)
        )
        for model, hour in (("late", 0), ("late", 2), ("minutes", 1))
    ]
    with cassandra.session(stores) as opened:
        cassandra.apply_schema(opened)
        for run in made:
            TrainingRuns(opened).put(run)
    return made


def run(*arguments: Any) -> str:
    result = CliRunner().invoke(cli_runs.app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_the_runs_of_a_model_newest_first(runs: list[TrainingRun]) -> None:
    said = run(runs[0].model)
    assert said.index(runs[1].uuid) < said.index(runs[0].uuid)
    assert runs[2].uuid not in said


def test_the_runs_of_all_models(runs: list[TrainingRun]) -> None:
    said = run()
    assert said.index(runs[1].uuid) < said.index(runs[2].uuid) < said.index(runs[0].uuid)
    with pytest.raises(NotFoundError, match="there is no project nobody"):
        run("nobody/nothing")
