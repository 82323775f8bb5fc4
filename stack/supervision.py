"""Talks to the supervisor of one stack: starts it, starts and stops its programs, reads their states."""

import http.client
import os
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from typing import Any

import psutil
from supervisor.xmlrpc import Faults, SupervisorTransport

from stack.errors import StackError
from stack.installation import Installation
from stack.notes import Notes

ALIVE = {"STARTING", "RUNNING", "STOPPING"}
_SECONDS_TO_START = 30
_SECONDS_TO_END = 30


class SupervisorRefusedError(StackError):
    """The supervisor refuses a call; `code` is one of `supervisor.xmlrpc.Faults`."""

    def __init__(self, method: str, arguments: tuple[Any, ...], fault: xmlrpc.client.Fault):
        self.code = fault.faultCode
        asked = " ".join([method, *(str(argument) for argument in arguments if argument is not True)])
        super().__init__(
            f"the supervisor refuses `{asked}` ({fault.faultString}); if the services have changed since it "
            "started, `make down` and `make up` start it anew"
        )


@dataclass(frozen=True)
class ProgramState:
    """The supervisor's state of a program. `started` is Unix time, 0 if it never ran."""

    name: str
    state: str
    pid: int
    started: int
    exit_status: int


class Supervisor:
    """The supervisor of one installation, running or not."""

    def __init__(self, installation: Installation):
        self.installation = installation
        self._notes = Notes(installation.home)

    def is_running(self) -> bool:
        """Whether the supervisor answers."""
        try:
            self._call("getState")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def start(self) -> None:
        """Start the supervisor itself, as a daemon. Raises `StackError` if it does not answer in time."""
        self.installation.supervisor_socket.unlink(missing_ok=True)
        command = [sys.executable, "-m", "supervisor.supervisord"]
        started = subprocess.run(
            [*command, "-c", str(self.installation.home / "supervisord.conf")],
            env=self.installation.environment(),
            cwd=self.installation.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_START,
            check=False,
        )
        if started.returncode != 0:
            raise StackError(f"the supervisor does not start: {started.stderr or started.stdout}")
        deadline = time.monotonic() + _SECONDS_TO_START
        while not self.is_running():
            if time.monotonic() > deadline:
                raise StackError(
                    f"the supervisor does not answer at {self.installation.supervisor_url} after "
                    f"{_SECONDS_TO_START} s; its log is {self.installation.logs / 'supervisor.log'}"
                )
            time.sleep(0.05)

    def states(self) -> dict[str, ProgramState]:
        """The state of every program by name; empty when the supervisor is not running."""
        if not self.is_running():
            return {}
        return {info["name"]: _state(info) for info in self._call("getAllProcessInfo")}

    def state(self, name: str) -> ProgramState:
        """The state of one program."""
        return _state(self._call("getProcessInfo", name))

    def start_program(self, name: str) -> None:
        """Start a program without waiting for it."""
        self._call("startProcess", name, False)

    def stop_program(self, name: str) -> None:
        """Stop a program and wait until it has ended; one that is not running is left alone."""
        try:
            self._call("stopProcess", name, True)
        except SupervisorRefusedError as refusal:
            if refusal.code != Faults.NOT_RUNNING:
                raise

    def stop(self) -> None:
        """End the supervisor and wait until it is gone."""
        pid = self._call("getPID")
        self._call("shutdown")
        try:
            psutil.Process(pid).wait(_SECONDS_TO_END)
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired as problem:
            raise StackError(
                f"the supervisor (process {pid}) does not end within {_SECONDS_TO_END} s"
            ) from problem

    def note(self) -> None:
        """Record the supervisor's processes, to recognise them when it is gone."""
        try:
            supervisor = psutil.Process(self._call("getPID"))
            self._notes.add([supervisor, *supervisor.children(recursive=True)])
        except (OSError, http.client.HTTPException, psutil.NoSuchProcess):
            return  # it has just ended

    def forget(self) -> None:
        """Clear the record: no process is left."""
        self._notes.forget()

    def processes(self) -> list[psutil.Process]:
        """Every process that descends from this installation's supervisor, even if that no longer runs."""
        noted = self._notes.read()
        return [process for process in psutil.process_iter() if self._is_ours(process, noted)]

    def _is_ours(self, process: psutil.Process, noted: dict[int, float]) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                return False
            if self._notes.know(process, noted):
                return True
            return process.environ().get("SUPERVISOR_SERVER_URL") == self.installation.supervisor_url
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess, OSError):
            return False  # another user's process, or one that has just ended

    def _call(self, method: str, *arguments: Any) -> Any:
        # A connection of its own for each call: the transport cannot be shared between threads.
        transport = SupervisorTransport(None, None, serverurl=self.installation.supervisor_url)
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            try:
                return getattr(proxy.supervisor, method)(*arguments)
            except xmlrpc.client.Fault as fault:
                raise SupervisorRefusedError(method, arguments, fault) from fault


def _state(info: dict[str, Any]) -> ProgramState:
    return ProgramState(info["name"], info["statename"], info["pid"], info["start"], info["exitstatus"])
