"""The stack starts, fails with the end of a log, stops without leaving a process, and keeps its data."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from cassandra.cluster import Cluster
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from stack.control import Stack
from stack.errors import StackError
from stack.installation import Installation
from stack.notes import Notes
from stack.ports import free_ports
from stack.service import Service
from stack.services import services

pytestmark = pytest.mark.processes


@pytest.fixture
def here(homes: Path) -> Iterator[Installation]:
    home = Path(tempfile.mkdtemp(dir=homes))
    installation = Installation(home, free_ports())
    yield installation
    Stack(installation, tell=lambda line: None).down()
    shutil.rmtree(home)


@pytest.fixture
def lines() -> list[str]:
    return []


def stack_of(here: Installation, lines: list[str], *known: Service) -> Stack:
    return Stack(here, tell=lines.append, known={service.name: service for service in known})


def mail_after(here: Installation, script: str, **changes: object) -> Service:
    """The mail service, started by a shell that runs a script first."""
    mail = services(here)["mail"]
    return replace(mail, command=["/bin/sh", "-c", f'{script} exec "$0" "$@"', *mail.command], **changes)


def test_a_service_that_ends_shows_its_exit_status_and_the_end_of_its_log(
    here: Installation, lines: list[str]
) -> None:
    script = "for n in $(seq 1 40); do echo said $n; done; echo the disk is full; exit 3;"
    stack = stack_of(here, lines, mail_after(here, script))
    with pytest.raises(StackError) as problem:
        stack.up()
    message = str(problem.value).splitlines()
    assert (
        message[0]
        == f"mail ended with exit status 3 while it started. The end of its log, {here.logs}/mail.log:"
    )
    assert message[1:] == [*(f"    said {number}" for number in range(12, 41)), "    the disk is full"]


def test_a_service_that_does_not_answer_in_time_shows_the_reason(
    here: Installation, lines: list[str]
) -> None:
    stack = stack_of(here, lines, mail_after(here, "echo waiting for nothing; exec sleep 600;", timeout=2))
    with pytest.raises(StackError) as problem:
        stack.up()
    assert "mail does not answer after 2 s (" in str(problem.value)
    assert "Connection refused" in str(problem.value)
    assert str(problem.value).endswith("\n    waiting for nothing")


def test_what_needs_a_failed_service_is_not_started(here: Installation, lines: list[str]) -> None:
    failing = mail_after(here, "exit 1;")
    after_it = Service("serving", ["/bin/sleep", "600"], ports=("serving",), needs=("mail",))
    with pytest.raises(StackError, match="mail ended with exit status 1") as problem:
        stack_of(here, lines, failing, after_it).up()
    assert "serving" not in str(problem.value)
    assert not any("serving" in line for line in lines)


def test_a_taken_port_is_found_before_anything_starts(here: Installation, lines: list[str]) -> None:
    stack = stack_of(here, lines, mail_after(here, ""))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", here.ports.mail))
        listener.listen()
        with pytest.raises(StackError, match=f"wanted by mail, is taken by process {os.getpid()}"):
            stack.up()
    assert not stack.supervisor.is_running()


def test_down_leaves_no_process_even_one_that_left_its_group(here: Installation, lines: list[str]) -> None:
    stack = stack_of(here, lines, mail_after(here, "setsid sleep 600 &"))
    stack.up()
    running = stack.supervisor.processes()
    assert any("sleep" in process.cmdline() for process in running)
    stack.down()
    assert not any(process.is_running() for process in running)
    assert stack.supervisor.processes() == []
    assert not here.supervisor_socket.exists()


def test_down_ends_what_a_killed_supervisor_left(here: Installation, lines: list[str]) -> None:
    stack = stack_of(here, lines, mail_after(here, ""))
    stack.up()
    pid = int((here.home / "supervisor.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    assert len(stack.supervisor.processes()) == 1
    stack.down()
    assert stack.supervisor.processes() == []
    stack.up()
    assert lines[-1].endswith("everything answers")


# Changes its title, by which it loses its environment, as Airflow's servers do; forks when it is asked to.
TITLED = """
import os, pathlib, signal, sys, setproctitle
signal.signal(signal.SIGUSR1, lambda *_: os.fork() or forked())
def forked():
    setproctitle.setproctitle("another worker")
    pathlib.Path(sys.argv[1], "forked").write_text(str(os.getpid()))
setproctitle.setproctitle("some worker: " + "x" * 4000)
pathlib.Path(sys.argv[1], "titled").write_text(str(os.getpid()))
while True: signal.pause()
"""


@pytest.mark.parametrize("again", ["up", "down"])
def test_processes_without_their_environment_end_when_the_supervisor_was_killed(
    here: Installation, lines: list[str], tmp_path: Path, again: str
) -> None:
    script = tmp_path / "titled.py"
    script.write_text(TITLED)
    start = f"{sys.executable} {script} {tmp_path} & while [ ! -s {tmp_path}/titled ]; do sleep 0.05; done;"
    stack = stack_of(here, lines, mail_after(here, start))
    stack.up()
    titled = psutil.Process(int((tmp_path / "titled").read_text()))
    assert "SUPERVISOR_SERVER_URL" not in titled.environ()
    titled.send_signal(signal.SIGUSR1)
    forked = psutil.Process(pid_in(tmp_path / "forked"))
    mail = psutil.Process(stack.supervisor.state("mail").pid)
    supervisor = psutil.Process(int((here.home / "supervisor.pid").read_text()))
    supervisor.kill()
    psutil.wait_procs([supervisor], timeout=10)
    left = [mail, titled, forked]
    assert {process.pid for process in stack.supervisor.processes()} >= {process.pid for process in left}
    getattr(stack, again)()
    assert not [process for process in left if is_alive(process)]
    if again == "up":
        assert lines[-1].endswith("everything answers")
        assert stack.status()[0].is_ready


def pid_in(file: Path) -> int:
    for attempt in Retrying(
        wait=wait_fixed(0.05),
        stop=stop_after_delay(30),
        retry=retry_if_exception_type((OSError, ValueError)),
        reraise=True,
    ):
        with attempt:
            return int(file.read_text())
    raise AssertionError(file)


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_process_that_has_the_number_of_one_that_ended_is_left_alone(
    here: Installation, lines: list[str]
) -> None:
    notes = Notes(here.home)
    with subprocess.Popen(["/bin/sleep", "600"], process_group=0) as other:
        notes.add([psutil.Process(other.pid)])
        noted = {pid: began - 3600 for pid, began in notes.read().items()}
        (here.home / "processes.json").write_text(json.dumps(noted))
        stack_of(here, lines, mail_after(here, "")).down()
        assert other.poll() is None
        other.kill()


def test_what_servers_write_is_their_users_alone(here: Installation, lines: list[str]) -> None:
    here.mails.mkdir(mode=0o755)
    stack = stack_of(here, lines, mail_after(here, "touch made;"))
    stack.up()
    for folder in (here.logs, here.mails, here.configuration, here.home / "run"):
        assert folder.stat().st_mode & 0o777 == 0o700, folder
    made = [here.home / "run" / "mail" / "made", here.logs / "mail.log"]
    assert [file.stat().st_mode & 0o077 for file in made] == [0, 0]


def test_up_when_running_leaves_the_servers_alone_and_says_so(here: Installation, lines: list[str]) -> None:
    stack = stack_of(here, lines, mail_after(here, ""))
    stack.up()
    before = stack.supervisor.state("mail").pid
    stack.up()
    assert stack.supervisor.state("mail").pid == before
    assert lines[-1].endswith("already running, and everything answers")


def test_status_tells_what_answers(here: Installation, lines: list[str]) -> None:
    other = Service("serving", [sys.executable, "-c", "input()"], ports=("serving",))
    stack = stack_of(here, lines, mail_after(here, ""), other)
    assert [(line.state, line.is_ready) for line in stack.status()] == [("STOPPED", False)] * 2
    stack.up(["mail"])
    mail, serving = stack.status()
    assert (mail.state, mail.is_ready, mail.address) == ("RUNNING", True, f"127.0.0.1:{here.ports.mail}")
    assert mail.memory > 2**20
    assert (serving.state, serving.is_ready) == ("STOPPED", False)
    stack.stop("mail")
    assert stack.status()[0].state == "STOPPED"
    stack.start("mail")
    assert stack.status()[0].is_ready


def test_a_service_that_the_running_supervisor_does_not_know_is_refused_with_what_to_do(
    here: Installation, lines: list[str]
) -> None:
    stack_of(here, lines, mail_after(here, "")).up()
    newer = Service("serving", ["/bin/sleep", "600"], ports=("serving",))
    with pytest.raises(StackError, match=r"refuses `startProcess serving.*BAD_NAME.*make down"):
        stack_of(here, lines, newer).up()


def test_two_calls_do_not_meet(here: Installation, lines: list[str]) -> None:
    stack = stack_of(here, lines, mail_after(here, ""))
    with (here.home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StackError, match="another process is starting or stopping the stack"):
            stack.up()


def test_down_and_up_again_keep_the_data(start_stack: Callable[..., Stack]) -> None:
    stack = start_stack(["cassandra"])
    port = stack.installation.ports.cassandra
    with Cluster(["127.0.0.1"], port=port) as cluster:
        session = cluster.connect()
        session.execute(
            "CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
        )
        session.execute("CREATE TABLE kept.flights (number int PRIMARY KEY, carrier text)")
        session.execute("INSERT INTO kept.flights (number, carrier) VALUES (1545, 'UA')")
    stack.down()
    assert stack.supervisor.processes() == []
    stack.up(["cassandra"])
    with Cluster(["127.0.0.1"], port=port) as cluster:
        row = cluster.connect().execute("SELECT carrier FROM kept.flights WHERE number = 1545").one()
    assert row.carrier == "UA"
