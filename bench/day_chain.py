"""Seconds of a day's chain on a day without data, by task, beside bare Spark applications.

    python -m bench.day_chain --from 2014-02-01 --to 2014-02-02

The whole local stack must be up and models of the project deployed (as `make demo` leaves it). The peer is one
application that starts a session of a job's settings and asks one query, as many times as the chain submits jobs.
"""

import argparse
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import ROOT, recorded, show
from giornata.airflow_api import AirflowApi, Run
from giornata.settings import load_settings
from giornata.spark_submit import CONFIGURATION, PROGRAM
from jobs.runtime.session import add_range
from stack.installation import installation

NEEDS = ("stack",)

CHAIN = ("ingest", "features", "score", "monitor")
GOAL = 2.0
SECONDS = 900.0

BARE = """\
from giornata.settings import load_settings
from jobs.runtime.session import start

spark = start(load_settings(), "bare")
spark.sql("SHOW DATABASES").collect()
spark.stop()
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="bench.day_chain", description="Cost of a day's chain without data."
    )
    parser.add_argument("--project", default="flights", help="name of the project")
    add_range(parser)
    arguments = parser.parse_args()
    first, last = f"{arguments.start:%F}", f"{arguments.end:%F}"
    airflow = AirflowApi.of(load_settings())
    with recorded("day_chain"):
        began = time.monotonic()
        tasks = chain(airflow, arguments.project, first, last)
        together = time.monotonic() - began
        for name, seconds in tasks:
            print(f"{name:<36} {seconds:>8.1f} s")
        bare = sorted(bare_seconds() for _ in range(3))[1]
        peer = bare * len(tasks)
        show(
            "a day's chain without data",
            f"{together:.1f} s",
            f"{peer:.1f} s",
            together / peer,
            GOAL,
            at_most=True,
        )
    airflow.close()


def chain(airflow: AirflowApi, project: str, first: str, last: str) -> list[tuple[str, float]]:
    """Run the chain of the days [first, last); the seconds of each task, in order."""
    run = airflow.start(
        f"{project}.ingest", f"bench_{datetime.now(UTC):%Y%m%dT%H%M%S}", {"from": first, "to": last}
    )
    seconds = []
    for part in CHAIN:
        if part != "ingest":
            run = airflow.started_by(run, f"{project}.{part}", f"{first}/{last}")
        seconds += task_seconds(airflow, airflow.wait(run, lambda said: None, SECONDS))
    return seconds


def task_seconds(airflow: AirflowApi, run: Run) -> list[tuple[str, float]]:
    """Name and seconds of each task of a run that has ended, in the order of their start."""
    ended = [task for task in airflow.tasks(run) if task["start_date"] and task["end_date"]]
    return [
        (f"{run.dag_id}: {task['task_id']}", float(task["duration"]))
        for task in sorted(ended, key=lambda task: str(task["start_date"]))
    ]


def bare_seconds() -> float:
    """Seconds of an application that does nothing but start and ask one query."""
    options = [part for key, value in CONFIGURATION.items() for part in ("--conf", f"{key}={value}")]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "bare.py"
        program.write_text(BARE, encoding="utf-8")
        began = time.monotonic()
        subprocess.run(
            [str(PROGRAM), *options, str(program)],
            cwd=ROOT,
            env=installation().environment(),
            check=True,
            capture_output=True,
            timeout=SECONDS,
        )
        return time.monotonic() - began


if __name__ == "__main__":
    main()
