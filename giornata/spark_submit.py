"""Builds the spark-submit command of a job, the same for DAGs and the command line."""

import sys
from collections.abc import Sequence
from pathlib import Path

from giornata.errors import SettingsError

__all__ = [
    "CLASS_ARCHIVE",
    "CONFIGURATION",
    "JOBS",
    "LOG4J",
    "SHORT_LIVED_JVM",
    "check_program",
    "command",
    "job_file",
    "with_shared_classes",
]

JOBS = Path(__file__).resolve().parents[1] / "jobs"
LOG4J = JOBS / "runtime" / "log4j2.properties"

SHORT_LIVED_JVM = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError"
)
"""JVM options for a process that lives for a minute or two and shares a few cores: Java's second compiler and the
threads of its collector cost more than they gain (training flights/trip_minutes on two cores: 158 s with, 121 s
without). With one compiler alone, Java keeps 48 MB of compiled code, which Spark fills in a few minutes: from then on
code is thrown away and compiled again (172 s of the 572 s of processor in a session of 20 minutes). When memory is
full, the JVM exits: by itself it would only lose the thread that met it, and wait for that for ever."""

CLASS_ARCHIVE = Path(sys.prefix) / "share" / "giornata" / "spark-classes.jsa"
"""Classes of Spark that the JVMs of this machine share, made by `jobs.runtime.shared_classes`."""


def with_shared_classes(options: str) -> str:
    """JVM options with which CLASS_ARCHIVE is used, where it was made; a JVM that it does not fit goes on without."""
    if not CLASS_ARCHIVE.is_file():
        return options
    return f'{options} "-XX:SharedArchiveFile={CLASS_ARCHIVE}" -Xlog:cds=off -Xlog:cds+dynamic=off'


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
