"""`giornata train` with a program in the place of spark-submit: what it is told, and what becomes of us."""

import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from giornata.spark_submit import LOG4J

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[3]

# Notes how it was called; then does what the test wants.
SUBMIT = """\
#!{python}
import json, os, signal, subprocess, sys, time
seen = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
open({notes!r}, "w").write(json.dumps(seen))
print("[train] a line of the job", flush=True)
{then}
"""


@pytest.fixture
def giornata(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the command line in a folder of its own, with the program's last lines."""

    def start(*arguments: str, then: str = "") -> subprocess.Popen[str]:
        submit = tmp_path / "spark-submit"
        submit.write_text(SUBMIT.format(python=sys.executable, notes=str(tmp_path / "notes"), then=then))
        submit.chmod(0o755)
        code = (
            "from giornata import spark_submit; from giornata.cli import main, train; "
            f"spark_submit.PROGRAM = {str(submit)!r}; train.END_SECONDS = 5.0; main.main()"
        )
        environment = {
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
            "GIORNATA_PROJECTS": str(ROOT / "projects"),
            "GIORNATA_SPARK_MASTER": "local-cluster[1,1,512]",
        }
        return subprocess.Popen(
            [sys.executable, "-c", code, "train", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def called(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "notes").read_text())


def test_the_job_as_the_dag_runs_it(giornata: Any, tmp_path: Path) -> None:
    before = datetime.now(UTC).date()
    order = ["--trials", "3", "--parameters", '{"max_depth": 4}', "--executors", "2", "--memory", "600m"]
    process = giornata("flights/trip_minutes", *order, "--by", "anna")
    said, complained = process.communicate(timeout=150)
    assert (process.returncode, complained) == (0, "")
    seen = called(tmp_path)
    options, job, arguments = seen["arguments"][:4], seen["arguments"][4], seen["arguments"][5:]
    assert options[0] == "--conf"
    assert options[1].startswith(f"spark.driver.extraJavaOptions=-Dlog4j2.configurationFile={LOG4J} ")
    assert job == str(ROOT / "jobs" / "train.py")
    told = dict(zip(arguments[::2], arguments[1::2], strict=True))
    version = told.pop("--uuid")
    assert str(uuid.UUID(version)) == version
    assert before.isoformat() <= told.pop("--as-of") <= datetime.now(UTC).date().isoformat()
    assert json.loads(told.pop("--parameters")) == {"max_depth": 4}
    assert json.loads(told.pop("--resources")) == {"executors": 2, "memory": "600m"}
    assert told == {"--model": "flights/trip_minutes", "--trials": "3", "--trained-by": "anna"}
    assert seen["folder"] == str(ROOT)
    environment = seen["environment"]
    assert environment["PYSPARK_PYTHON"] == sys.executable
    assert environment["GIORNATA_HOME"] == str(tmp_path / ".local")
    copy = Path(environment["GIORNATA_PROJECTS"])
    assert copy.parent == tmp_path / ".local" / "documents"
    for document in ("models/trip_minutes.yaml", "features/carrier_delays.yaml", "tables/departures.py"):
        assert (copy / "flights" / document).read_bytes() == (
            ROOT / "projects" / "flights" / document
        ).read_bytes()
    assert said == (
        f"[train] a line of the job\n\nVersion {version} is trained: `giornata show {version}` shows it.\n"
    )


def test_the_exit_code_of_the_job_is_ours(giornata: Any, tmp_path: Path) -> None:
    process = giornata("flights/late", "--as-of", "2013-11-01", then="sys.exit(7)")
    _, complained = process.communicate(timeout=150)
    version = called(tmp_path)["arguments"][called(tmp_path)["arguments"].index("--uuid") + 1]
    assert process.returncode == 7
    assert complained == (f"\nNo version was made by run {version}: `giornata runs flights/late` shows it.\n")


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (["flights/lat"], "did you mean 'late'?"),
        (["flights/late", "--as-of", "2013-02-30"], "--as-of: '2013-02-30' is not a date: write it as"),
        (["flights/late", "--memory", "much"], "memory is 'much', expected an amount such as 600m or 2g"),
        (["flights/late", "--memory", "900g"], "this machine cannot give"),
        (["flights/trip_minutes", "--parameters", '{"max_deph": 3}'], "max_depth"),
    ],
)
def test_a_wrong_order_starts_no_spark(giornata: Any, tmp_path: Path, order: list[str], said: str) -> None:
    process = giornata(*order)
    printed, complained = process.communicate(timeout=150)
    assert (process.returncode, printed) == (65, "")
    assert complained.startswith("error: ")
    assert said in complained
    assert "Traceback" not in complained
    assert not (tmp_path / "notes").exists()


# As spark-submit: a process that keeps what it inherits, and the job as its child that hears SIGINT, though late.
JVM = """
job = '''
import signal, sys, time
time.sleep(1.2)
def end(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGINT, end)
try:
    time.sleep(60)
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep(1.0)
    print("[train] recorded", flush=True)
    sys.exit(130)
'''
sys.exit(subprocess.run([sys.executable, "-c", job]).returncode)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_job_in_order(giornata: Any, tmp_path: Path, number: int, code: int) -> None:
    process = giornata("flights/late", then=JVM)
    ends = time.monotonic() + 150
    while not (tmp_path / "notes").exists():
        assert time.monotonic() < ends
        time.sleep(0.05)
    process.send_signal(number)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == code
    assert said == "[train] a line of the job\n[train] recorded\n"
    assert "Traceback" not in complained


def test_a_job_that_does_not_hear_is_killed(giornata: Any, tmp_path: Path) -> None:
    process = giornata("flights/late", then="time.sleep(60)")
    ends = time.monotonic() + 150
    while not (tmp_path / "notes").exists():
        assert time.monotonic() < ends
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
