"""The start of a job: Spark session, progress lines and exit code."""

import argparse
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TextIO

from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dsl.errors import GiornataError
from giornata.days import parse_date
from giornata.errors import FINAL_EXIT, DataError, SettingsError, StoreError
from giornata.settings import Settings
from giornata.spark_submit import CONFIGURATION, SHORT_LIVED_JVM, with_shared_classes
from jobs.runtime.cancellation import Cancelled, hearing_signals, stopping_jobs_of, waiting_for_the_end
from jobs.runtime.cluster import ExecutorResources, check_resources, is_local, sizes
from jobs.runtime.code_archive import write_code_archive
from jobs.runtime.executors import python_of, starting, wait_for_one
from jobs.runtime.spark_errors import may_pass

ROOT = Path(__file__).resolve().parents[2]
SMALL_MASTER = "local[2]"
METASTORE_TIMEOUT = 5.0

# Every time is UTC, whatever zone the machine is in; a timestamp has microseconds in memory and in Parquet.
MEANING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
"""Settings on which the rows themselves depend: they are the same everywhere."""

# Of a table with a partition a day the files are listed by the driver, and by a few tasks when it has years of
# them: Spark's own setting is a task for each partition as soon as there are 33.
# A side of a join goes through the driver to every executor only where its rows were seen to be this few bytes. By
# itself Spark also goes by the size of files, of which the rows take many times as much: 10 MB of Parquet with three
# million labels fill the driver's memory.
# The metastore's database gives up on a condition that names hundreds of days: it is asked for their span instead, and
# for all partitions of the table where a condition is too much for it in another way.
USUAL = {
    "spark.driver.memory": "1g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.adaptive.autoBroadcastJoinThreshold": "10m",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "16",
    "spark.sql.hive.metastorePartitionPruningInSetThreshold": "100",
    "spark.sql.hive.metastorePartitionPruningFallbackOnException": "true",
}
"""Settings on which only time and memory depend: where the cluster's spark-defaults.conf states one, it holds."""

SMALL_SHUFFLE = 4
"""The fewest partitions that rows are shuffled into, and all on one machine."""

_TASKS_PER_SLOT = 3

# Executors on this machine need no open port; on a cluster Spark finds the driver's address by itself.
LOOPBACK = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}

# On this machine's file system Hadoop starts a process, `chmod`, for every file and folder that it makes, and twice as
# many where it keeps a checksum beside each file: with a partition a day that is what a publication waits for.
# (Spark on YARN does not start with it.)
LOCAL_FILES = "org.apache.hadoop.fs.RawLocalFileSystem"


def start(
    settings: Settings,
    name: str,
    master: str | None = None,
    resources: ExecutorResources | None = None,
    *,
    elastic: bool = False,
) -> SparkSession:
    """A Spark session on the stack's metastore and warehouse, in UTC, quiet, with our code on its executors.

    `master` defaults to two threads on this machine, enough for the small jobs. `resources` sizes the executors (see
    `jobs.runtime.cluster`); where the job is `elastic` and the cluster's spark-defaults.conf enables dynamic
    allocation, they are the most that it gets. Executors on other machines get our code as an archive; Python itself
    and its libraries must be there, or come as an archive, too (see `jobs.runtime.executors`).

    Raises SettingsError, before anything is started, if the cluster cannot provide the resources, and StoreError if it
    provides no executor within the time that the settings allow.
    """
    master = master or SMALL_MASTER
    if resources is not None:
        check_resources(master, resources, settings)
    _check_metastore(settings.metastore)
    if is_local(master):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    else:
        os.environ["PYSPARK_PYTHON"], _ = python_of(settings, master)
    os.environ["TZ"] = "UTC"
    time.tzset()
    builder = SparkSession.builder.appName(name).enableHiveSupport()
    for key, value in _configuration(settings, master, resources, _stated(), elastic=elastic).items():
        builder = builder.config(key, value)
    if is_local(master):
        return _ready(builder.getOrCreate())
    with starting(master, settings.executor_wait):
        spark = _ready(builder.getOrCreate())
        spark.sparkContext.addPyFile(str(write_code_archive(ROOT)))
        wait_for_one(spark, master)
    return spark


def _ready(spark: SparkSession) -> SparkSession:
    stopping_jobs_of(spark)
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _check_metastore(address: str) -> None:
    """Raise StoreError if nobody listens there: Spark itself would report it late and in a hundred lines."""
    host, _, port = address.removeprefix("thrift://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=METASTORE_TIMEOUT).close()
    except OSError as fault:
        raise StoreError(
            f"the Hive metastore at {address} does not answer ({fault}). Is the stack up? Start it with `make up`."
        ) from fault


def _stated() -> dict[str, str]:
    """Spark's settings that this job was submitted with: by spark-defaults.conf, Airflow's connection or options."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return {}
    SparkContext._ensure_initialized()  # connects to the JVM that runs the job
    return dict(SparkConf().getAll())


def _shuffle_partitions(master: str, resources: ExecutorResources | None) -> int:
    """Partitions that rows are shuffled into; adaptive execution joins those that turn out to be small."""
    if resources is None or is_local(master):
        return SMALL_SHUFFLE
    return max(SMALL_SHUFFLE, _TASKS_PER_SLOT * resources.executors * resources.cores)


def _configuration(
    settings: Settings,
    master: str,
    resources: ExecutorResources | None,
    stated: Mapping[str, str] | None = None,
    *,
    elastic: bool = False,
) -> dict[str, str]:
    stated = stated or {}
    driver = CONFIGURATION["spark.driver.extraJavaOptions"]
    if is_local(master):
        driver += f" {with_shared_classes(SHORT_LIVED_JVM)}"
        python = os.environ.get("PYSPARK_PYTHON", sys.executable)
        placed = {
            **LOOPBACK,
            "spark.hadoop.fs.file.impl": LOCAL_FILES,
            "spark.python.unix.domain.socket.enabled": "true",
            "spark.executorEnv.PYTHONPATH": str(ROOT),
            "spark.executor.extraJavaOptions": driver,
        }
    else:
        # The file that says how to log is not there.
        python, placed = python_of(settings, master)
        options = f"{stated.get('spark.executor.extraJavaOptions', '')} -Duser.timezone=UTC".strip()
        placed = {**placed, "spark.executor.extraJavaOptions": options}
    usual = {**USUAL, "spark.sql.shuffle.partitions": str(_shuffle_partitions(master, resources))}
    return {
        **{key: value for key, value in usual.items() if key not in stated},
        **MEANING,
        "spark.driver.extraJavaOptions": driver,
        "spark.executorEnv.PYSPARK_PYTHON": python,
        "spark.executorEnv.TZ": "UTC",
        "spark.sql.warehouse.dir": settings.warehouse,
        "spark.hadoop.hive.metastore.uris": settings.metastore,
        **placed,
        **sizes(master, resources, settings),
        **_allocation(resources, stated, elastic=elastic),
    }


def _allocation(
    resources: ExecutorResources | None, stated: Mapping[str, str], *, elastic: bool
) -> dict[str, str]:
    """Whether executors come and go with the work, where the cluster is set up for it: a training holds its own, since
    those that learn together all begin together."""
    if resources is None or stated.get("spark.dynamicAllocation.enabled", "false").lower() != "true":
        return {}
    if not elastic:
        return {"spark.dynamicAllocation.enabled": "false"}
    return {
        "spark.executor.instances": "1",
        "spark.dynamicAllocation.minExecutors": "1",
        "spark.dynamicAllocation.maxExecutors": str(resources.executors),
    }


def say(job: str, line: str) -> None:
    """Print one step of a job's progress, without buffering also to a file: `[materialize] …`."""
    _print(f"[{job}] {line}", sys.stdout)


def _print(line: str, stream: TextIO) -> None:
    try:
        print(f"{line}\n", end="", file=stream, flush=True)  # in one piece, whichever thread says it
    except BrokenPipeError:
        # Who started the job is gone, and reads no more: that is no reason for it not to end in good order.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def parse_day(text: str) -> datetime:
    """Midnight UTC of a day written `YYYY-MM-DD`. Raises ArgumentTypeError, in words."""
    try:
        day = parse_date(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def parse_moment(text: str) -> datetime:
    """An instant written as ISO 8601 with its offset from UTC. Raises ValueError, as argparse expects."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} names no time zone")
    return moment


def add_range(parser: argparse.ArgumentParser) -> None:
    """Add `--from` and `--to` (UTC days, the second exclusive) as `start` and `end` to a job's arguments."""
    parser.add_argument(
        "--from", dest="start", type=parse_day, required=True, metavar="DAY", help="first day, UTC"
    )
    parser.add_argument(
        "--to", dest="end", type=parse_day, required=True, metavar="DAY", help="day after the last"
    )


def job_main(main: Callable[[list[str] | None], int | None], argv: list[str] | None = None) -> int:
    """Run a job's `main` and return its exit code; an expected error is printed as it is and gives 1 if a retry may
    succeed, else FINAL_EXIT.

    A cancelled job (see `jobs.runtime.cancellation`) gives 130 for Ctrl-C and 143 for SIGTERM. Every job module ends
    with `sys.exit(job_main(main))`.
    """
    # What the driver would log with a stack trace is in the error that people are told.
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    try:
        with hearing_signals(), waiting_for_the_end():
            return main(argv) or 0
    except GiornataError as error:
        _print(f"error: {error}", sys.stderr)
        return 1 if may_pass(error) else FINAL_EXIT
    except Cancelled as end:
        _print(f"cancelled: {end}", sys.stderr)
        return end.code


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Raise Spark's error about a query as DataError, in one line that begins with `what`."""
    try:
        yield
    except PySparkException as error:
        # Of an error in Python on an executor, the end of its traceback says what it is.
        remote = (error.getMessageParameters() or {}).get("traceback", "").strip()
        line = remote.splitlines()[-1] if remote else str(error).splitlines()[0]
        raise DataError(f"{what} fails: {line}") from error


def days_between(start: datetime, end: datetime) -> list[str]:
    """The UTC days of [start, end) as `YYYY-MM-DD`. Raises SettingsError when there is none."""
    first, last = start.astimezone(UTC).date(), end.astimezone(UTC).date()
    days = [date.fromordinal(number).isoformat() for number in range(first.toordinal(), last.toordinal())]
    if not days:
        raise SettingsError(
            f"the range from {first} to {last} holds no day: --to is exclusive and must be later."
        )
    return days
