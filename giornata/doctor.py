"""Examines an installation: whether each server, folder and clock that the settings name is as Giornata needs it."""

import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path

import httpx
from cassandra import InvalidRequest, Unauthorized

from giornata.airflow_api import AirflowApi
from giornata.errors import GiornataError
from giornata.monitoring.mail import MailServer
from giornata.settings import Settings
from giornata.stores import hive
from giornata.stores.cassandra import CASSANDRA_FAULTS, session

__all__ = ["Finding", "UnhealthyError", "examine"]

GOOD, WRONG, UNUSED = "ok", "wrong", "unused"
MOST_SKEW = 1.0
"""Seconds by which a server's clock may differ: features are joined by the moments that servers write."""

_SECONDS = 5.0
_LEAST_FREE = 5 * 2**30
_JAVA = 17


@dataclass(frozen=True)
class Finding:
    """The result of one check: `state` is ok, wrong, or unused if the setting is missing.

    `told` is the version and address, or the fault; `remedy` is what to do about the fault.
    """

    what: str
    state: str
    told: str
    remedy: str = ""


class UnhealthyError(GiornataError):
    """Something answers and is not as it should be."""


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (OSError, httpx.HTTPError, *CASSANDRA_FAULTS) as fault:
        raise UnhealthyError(f"{type(fault).__name__}: {fault}") from fault


def examine(settings: Settings) -> Iterator[Finding]:
    """Examine everything, one thing after the other; each takes some seconds at most."""
    yield _found("Python", lambda: _python(), "install Python 3.11, and Giornata with it")
    if importlib.util.find_spec("pyspark"):
        yield _found("Java for Spark", _java, f"install a JDK {_JAVA} and put it on PATH, or set JAVA_HOME")
    for what, variable, check, remedy in (
        ("Cassandra", "GIORNATA_CASSANDRA", _cassandra, "start it, or mend GIORNATA_CASSANDRA and its login"),
        ("Cassandra's tables", "GIORNATA_CASSANDRA", _tables, "`giornata schema` makes them"),
        ("Hive metastore", "GIORNATA_METASTORE", _metastore, "start it, or mend GIORNATA_METASTORE"),
        ("Hive's SQL", "GIORNATA_HIVESERVER", _sql, "start it, or mend GIORNATA_HIVESERVER and its login"),
        ("Mail server", "GIORNATA_SMTP", _mail, "start it, or mend GIORNATA_SMTP and its login"),
        ("Prediction server", "GIORNATA_SERVING", _serving, "start it, or mend GIORNATA_SERVING"),
        ("Airflow", "GIORNATA_AIRFLOW", _airflow, "start it, or mend GIORNATA_AIRFLOW and its login"),
        ("Projects", "GIORNATA_PROJECTS", _projects, "make the folder, or mend GIORNATA_PROJECTS"),
        ("Bundles", "GIORNATA_BUNDLES", lambda of: _writable(of.bundles), "make the folder writable"),
        (
            "Prediction log",
            "GIORNATA_PREDICTION_LOG",
            lambda of: _writable(of.prediction_log),
            "make the folder writable",
        ),
    ):
        if not settings.variables.get(variable):
            yield Finding(what, UNUSED, f"{variable} is not set")
            continue
        yield _found(what, lambda check=check: check(settings), remedy)  # type: ignore[misc]
    yield _found("Disk", lambda: _disk(settings.home), "free some of it, or set GIORNATA_HOME elsewhere")


def _found(what: str, check: Callable[[], str], remedy: str) -> Finding:
    try:
        with _faults():
            return Finding(what, GOOD, check())
    except GiornataError as error:
        return Finding(what, WRONG, " ".join(str(error).split()), remedy)


def _python() -> str:
    version = platform.python_version()
    if not version.startswith("3.11."):
        raise UnhealthyError(f"this is Python {version}")
    return f"{version}, Giornata {metadata.version('giornata')}"


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if java is None:
        raise UnhealthyError("there is no `java` on PATH, and JAVA_HOME is not set")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    if found is None or int(found[1]) != _JAVA:
        raise UnhealthyError(f"{java} is Java {found[1] if found else 'of no known version'}, not {_JAVA}")
    return f"Java {found[1]}, Spark {metadata.version('pyspark')}"


def _cassandra(settings: Settings) -> str:
    with session(settings) as opened:
        before = datetime.now(UTC)
        row = opened.execute("SELECT release_version, toTimestamp(now()) AS now FROM system.local").one()
        skew = _skew(row.now.replace(tzinfo=UTC), before)
        nodes = opened.cluster.metadata.all_hosts()
    down = sorted(str(node.address) for node in nodes if not node.is_up)
    if down:
        raise UnhealthyError(f"of its {len(nodes)} nodes these do not answer: {', '.join(down)}")
    return f"{row.release_version} at {settings.cassandra}, nodes: {len(nodes)}{skew}"


def _tables(settings: Settings) -> str:
    with session(settings) as opened:
        try:
            opened.execute("SELECT uuid FROM giornata.model_versions LIMIT 1")
            opened.execute("SELECT kind FROM giornata.deployments LIMIT 1")
        except InvalidRequest as fault:
            raise UnhealthyError(f"they are not there, or of an earlier release: {fault}") from fault
        except Unauthorized as fault:
            raise UnhealthyError(f"{settings.cassandra_user} may not read them: {fault}") from fault
    return "can be read"


def _metastore(settings: Settings) -> str:
    host, _, port = settings.metastore.removeprefix("thrift://").rpartition(":")
    socket.create_connection((host, int(port)), timeout=_SECONDS).close()
    return f"listens at {settings.metastore}; the warehouse is {settings.warehouse}"


def _sql(settings: Settings) -> str:
    before = datetime.now(UTC)
    (row,) = hive.query(settings, "SELECT version() AS version, current_timestamp() AS moment")
    moment = row["moment"]
    assert isinstance(moment, datetime)
    return f"Spark {str(row['version']).split()[0]} at {settings.hiveserver}{_skew(moment, before)}"


def _mail(settings: Settings) -> str:
    server = MailServer.of(settings)
    with server.connected() as smtp:
        code, said = smtp.noop()
    if code >= 400:
        raise UnhealthyError(f"it answers {code} {said!r}")
    login = f", as {server.user}" if server.user else ""
    return f"answers at {server.address}, encryption: {server.encryption}{login}"


def _serving(settings: Settings) -> str:
    before = datetime.now(UTC)
    answer = httpx.get(f"{settings.serving}/health/ready", timeout=_SECONDS)
    if answer.status_code != 200 or answer.json().get("problem"):
        raise UnhealthyError(f"it answers {answer.status_code}: {answer.text[:300]}")
    date = answer.headers.get("date")
    # The header has whole seconds.
    return f"ready at {settings.serving}{_skew(parsedate_to_datetime(date), before, 1.0) if date else ''}"


def _airflow(settings: Settings) -> str:
    airflow = AirflowApi.of(settings)
    try:
        version = airflow.call("GET", "/version")["version"]
        errors = airflow.import_errors()
    finally:
        airflow.close()
    if errors:
        raise UnhealthyError(f"{errors[0]['filename']} cannot be read: {errors[0]['stack_trace'][:300]}")
    return f"{version} at {settings.airflow}, as {settings.airflow_user}"


def _projects(settings: Settings) -> str:
    if not settings.projects.is_dir():
        raise UnhealthyError(f"there is no folder {settings.projects}")
    names = sorted(document.parent.name for document in settings.projects.glob("*/project.yaml"))
    return f"{', '.join(names) or 'none yet'} in {settings.projects}"


def _writable(folder: Path) -> str:
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UnhealthyError(f"{folder} is no folder that can be written to")
    return str(folder)


def _disk(home: Path) -> str:
    place = next(each for each in (home, *home.parents) if each.exists())
    free = shutil.disk_usage(place).free
    if free < _LEAST_FREE:
        raise UnhealthyError(
            f"{free / 2**30:.1f} GB are free at {place}, fewer than {_LEAST_FREE / 2**30:.0f}"
        )
    return f"{free / 2**30:.0f} GB are free at {place}"


def _skew(theirs: datetime, before: datetime, blur: float = 0.0) -> str:
    """The difference between a server's clock and ours, in words. Raises UnhealthyError if it exceeds MOST_SKEW.

    `before` is when it was asked; it answered between then and now. `blur` is the resolution of its time, seconds.
    """
    after = datetime.now(UTC)
    early = (before - theirs).total_seconds() - blur
    late = (theirs - after).total_seconds()
    skew = max(early, late, 0.0)
    if skew > MOST_SKEW:
        raise UnhealthyError(
            f"its clock is {skew:.1f} s {'behind' if early > late else 'ahead of'} this machine's: let both follow a "
            "time server"
        )
    return f", clock within {skew:.1f} s"
