"""Builds the spark-submit command of a job, the same for DAGs and the command line."""

import sys
from collections.abc import Sequence
from pathlib import Path

from giornata.errors import SettingsError

__all__ = ["CONFIGURATION", "JOBS", "LOG4J", "SHORT_LIVED_JVM", "check_program", "command", "job_file"]

JOBS = Path(__file__).resolve().parents[1] / "jobs"
LOG4J = JOBS / "runtime" / "log4j2.properties"

SHORT_LIVED_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError"
"""JVM options for a process that lives for a minute or two and shares a few cores: Java's second compiler and the
threads of its collector cost more than they gain (training flights/trip_minutes on two cores: 158 s with, 121 s
without). When memory is full, the JVM exits: by itself it would only lose the thread that met it, and wait for that for
ever."""

CONFIGURATION = {
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={LOG4J} -Duser.timezone=UTC",
}
"""What the driver's JVM must know when it is submitted, before a job can configure logging and time zone."""

PROGRAM = Path(sys.executable).parent / "spark-submit"


def job_file(job: str) -> Path:
    """The file of a job. Raises SettingsError if jobs are not installed."""
    file = JOBS / f"{job}.py"
    if not file.is_file():
        raise SettingsError(f"there is no {file}: this installation of Giornata lacks its jobs")
    return file


def check_program() -> None:
    """Raise SettingsError where Spark is not installed beside this Python."""
    if not Path(PROGRAM).is_file():
        raise SettingsError(
            f"there is no {PROGRAM}: jobs need Spark and what they train with, `pip install 'giornata[jobs]'`"
        )


def command(job: str, arguments: Sequence[str], name: str) -> list[str]:
    """The command that runs a job as an application called `name`, and exits with its exit code.

    Raises SettingsError if jobs are not installed.
    """
    options = [part for key, value in CONFIGURATION.items() for part in ("--conf", f"{key}={value}")]
    return [str(PROGRAM), *options, "--name", name, str(job_file(job)), *arguments]
