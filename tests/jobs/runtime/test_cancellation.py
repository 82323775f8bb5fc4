"""Cancellation of jobs in processes of their own; no Spark is started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from giornata.errors import StoreError
from jobs.runtime.cancellation import Cancelled
from jobs.runtime.session import ROOT
from jobs.training.mlflow_tracking import Tracking
from jobs.training.run_status import Progress
from jobs.training.trials import TrialRunner

pytestmark = pytest.mark.processes

# A job that says when it is ready, and waits: as long as a training waits for Spark.
JOB = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from jobs.runtime import cancellation
from jobs.runtime.session import job_main, say

seen = Path(sys.argv[1])

def note(line):
    with seen.open("a") as file:
        print(line, file=file)

def main(argv):
    context = SimpleNamespace(cancelAllJobs=lambda: note("jobs cancelled"))
    cancellation.stopping_jobs_of(SimpleNamespace(sparkContext=context))
    note("ready")
    try:
        WORK
    finally:
        time.sleep(0.3)
        say("train", "recorded")
        note("recorded")

END = job_main(main)
note(f"exit code {END}")
sys.exit(END)
"""
WAIT = "time.sleep(60)"


class Job:
    """The job under way: `seen` is what it noted."""

    def __init__(self, folder: Path, work: str, before: str = "", launcher: bool = False):
        self._notes = folder / "notes"
        (folder / "job.py").write_text(before + JOB.replace("WORK", work))
        command = [sys.executable, str(folder / "job.py"), str(self._notes)]
        if launcher:
            # As spark-submit's JVM does: Python as a child, its output read and printed.
            code = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
            command = [sys.executable, "-c", code, *command]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.wait_for("ready", 60)

    @property
    def seen(self) -> list[str]:
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    def wait_for(self, line: str, seconds: float = 10) -> None:
        ends = time.monotonic() + seconds
        while line not in self.seen:
            assert time.monotonic() < ends, (self.seen, line)
            time.sleep(0.05)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts the job; whatever is left of it in the end is killed."""
    started: list[Job] = []

    def begin(work: str = WAIT, **options: Any) -> Job:
        started.append(Job(tmp_path, work, **options))
        return started[-1]

    yield begin
    for job in started:
        if job.process.poll() is None:
            os.killpg(job.process.pid, signal.SIGKILL)
        job.process.communicate()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_a_job_in_order(start: Any, number: signal.Signals, code: int) -> None:
    job = start()
    job.process.send_signal(number)
    said, complained = job.process.communicate(timeout=10)
    assert job.process.returncode == code
    assert complained == f"cancelled: stopped by {number.name}\n"
    assert said == "[train] recorded\n"
    assert "jobs cancelled" in job.seen
    assert job.seen[-2:] == ["recorded", f"exit code {code}"] or job.seen[-1] == "jobs cancelled"


def test_further_signals_do_not_disturb_the_end(start: Any) -> None:
    job = start()
    job.process.send_signal(signal.SIGTERM)
    job.wait_for("jobs cancelled")
    for number in (signal.SIGINT, signal.SIGTERM):
        job.process.send_signal(number)
    assert job.process.wait(10) == 143
    assert "recorded" in job.seen


def test_a_job_hears_that_its_parent_was_killed(start: Any) -> None:
    """And though nobody reads any more what it says."""
    job = start(launcher=True)
    job.process.kill()
    job.process.stdout.close()
    job.process.stderr.close()
    job.wait_for("exit code 143")
    assert "recorded" in job.seen


def test_a_broken_connection_is_the_end_of_the_parent(start: Any) -> None:
    work = """
        import os
        from jobs.runtime.cancellation import waiting_for_the_end
        try:
            with waiting_for_the_end():
                while os.getppid() == cancelling._parent:
                    pass
                raise ConnectionRefusedError("the JVM is gone")
        except BaseException as end:
            note(f"{type(end).__name__}: {end}")
            raise
    """
    job = start(work=work.strip(), launcher=True)
    job.process.kill()
    job.wait_for("Cancelled: spark-submit, which ran the job, was ended or ran out of memory")
    job.wait_for("exit code 143")


def test_a_broken_connection_while_tidying_up_does_not_hide_the_end(start: Any) -> None:
    work = """
        from jobs.runtime.cancellation import waiting_for_the_end
        try:
            with waiting_for_the_end():
                try:
                    time.sleep(60)
                finally:
                    raise ConnectionRefusedError("the JVM is gone")
        except BaseException as end:
            note(f"{type(end).__name__}: {end}")
            raise
    """
    job = start(work=work.strip())
    job.process.send_signal(signal.SIGTERM)
    job.wait_for("Cancelled: stopped by SIGTERM")
    assert job.process.wait(10) == 143


def test_a_job_that_does_not_end_by_itself_is_ended(start: Any) -> None:
    stuck = """
        try:
            time.sleep(60)
        except BaseException:
            time.sleep(60)
    """
    job = start(
        work=stuck.strip(),
        before="import jobs.runtime.cancellation; jobs.runtime.cancellation.END_SECONDS = 1.0\n",
    )
    job.process.send_signal(signal.SIGTERM)
    assert job.process.wait(10) == 143
    assert "recorded" not in job.seen


def test_what_ends_by_itself_is_left_alone(start: Any) -> None:
    job = start(work="pass")
    assert job.process.wait(10) == 0
    assert job.seen == ["ready", "recorded", "exit code 0"]


class Runs:
    """The store of runs, as far as Progress asks it."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str]] = []

    def put(self, run: object) -> None:
        """Nothing to keep."""

    def note(self, model: str, uuid: str, stage: str, at: datetime, state: str, reason: str) -> None:
        self.ends.append((state, reason))


def test_the_record_of_a_run_says_how_it_ended() -> None:
    runs = Runs()
    for error in (Cancelled("stopped by SIGTERM", 15), KeyboardInterrupt(), StoreError("Hive is away"), None):
        with (
            suppress(KeyboardInterrupt, StoreError),
            Progress(runs, "f/late", "u", "anna", {}, lambda: datetime(2013, 11, 1, tzinfo=UTC)),
        ):
            if error:
                raise error
    assert runs.ends == [
        ("cancelled", "stopped by SIGTERM"),
        ("cancelled", "stopped by a signal"),
        ("failed", "Hive is away"),
        ("trained", ""),
    ]


def test_mlflow_shows_a_cancelled_run_as_killed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with (
        pytest.raises(Cancelled),
        Tracking(uri, "flights/late", "the-uuid", "anna") as tracking,
    ):
        raise Cancelled("stopped by SIGTERM", 15)
    run = MlflowClient(tracking_uri=uri).get_run(tracking.run_id)
    assert (run.info.status, run.data.tags["reason"]) == ("KILLED", "stopped by SIGTERM")


def test_a_trial_that_ends_with_spark_has_not_failed() -> None:
    from pyspark.errors import PySparkException

    ended = PySparkException("Job 3 cancelled because SparkContext was shut down")

    def collect() -> None:
        raise ended

    rows = SimpleNamespace(map=lambda do: SimpleNamespace(collect=collect))
    context = SimpleNamespace(broadcast=lambda data: data, parallelize=lambda rows_, slices: rows)
    runner = TrialRunner(SimpleNamespace(sparkContext=context), *[None] * 6)
    with pytest.raises(PySparkException) as caught:
        runner._run({}, {})
    assert caught.value is ended
