"""Starts and stops the local stack: each server after those it needs, ready when it really answers."""

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from stack import prerequisites, render
from stack.errors import StackError
from stack.installation import Installation
from stack.ports import check_free
from stack.readiness import NotReadyError
from stack.service import Service
from stack.services import services, with_needed
from stack.supervision import ALIVE, ProgramState, Supervisor

LOG_LINES = 30
_SECONDS_BETWEEN_CHECKS = 0.3
_SECONDS_BETWEEN_REMINDERS = 15
_SECONDS_FOR_LEFTOVERS = 10


@dataclass(frozen=True)
class Status:
    """The state of one service. `answer` says why it does not answer, empty if it does; `memory` is in bytes."""

    service: str
    state: str
    answer: str
    address: str
    memory: int

    @property
    def is_ready(self) -> bool:
        """Whether the service runs and answers."""
        return self.state == "RUNNING" and not self.answer


class NeedFailedError(StackError):
    """A service was not started because one that it needs did not become ready."""


class Stack:
    """The local stack of one installation.

    `tell` gets each line of progress; `known` are the services, by default those of `stack.services`.
    """

    def __init__(
        self,
        installation: Installation,
        tell: Callable[[str], None] = print,
        known: dict[str, Service] | None = None,
    ):
        self.installation = installation
        self.supervisor = Supervisor(installation)
        self.services = services(installation) if known is None else known
        self._tell_line = tell
        self._began = time.monotonic()

    def up(self, names: Iterable[str] | None = None) -> None:
        """Start the named services (default: all that are not optional) and those they need.

        Returns when every one of them answers. Running services are left alone; if the supervisor itself was killed,
        leftover processes are ended first. Raises `StackError` if the machine lacks something, a port is taken, or a
        service does not become ready; then the message shows the end of its log.
        """
        self._began = time.monotonic()
        usual = (name for name, service in self.services.items() if not service.optional)
        wanted = with_needed(usual if names is None else names, self.services)
        missing = prerequisites.problems(self.installation.cassandra_jars)
        if missing:
            raise StackError("\n".join(missing))
        with self._alone():
            alive = {name for name, state in self.supervisor.states().items() if state.state in ALIVE}
            to_start = [name for name in wanted if name not in alive]
            if not self.supervisor.is_running():
                self._end_leftovers()
            if to_start:
                self._prepare(to_start)
            try:
                self._start_in_order(wanted, alive)
            finally:
                self.supervisor.note()
        self._tell("everything answers" if to_start else "already running, and everything answers")

    def down(self) -> None:
        """Stop every service, those first that others do not need, then the supervisor; no process is left.

        Data stays. Raises `StackError` if a process cannot be ended.
        """
        self._began = time.monotonic()
        with self._alone():
            if self.supervisor.is_running():
                self.supervisor.note()
                self._stop_in_order()
                self.supervisor.stop()
            self._end_leftovers()
            self.supervisor.forget()
        self._tell("stopped; the data stays in " + str(self.installation.home))

    def start(self, name: str) -> None:
        """Start one service of a running stack and wait until it answers."""
        self.up([name])

    def stop(self, name: str) -> None:
        """Stop one service of a running stack, also when others need it."""
        self.supervisor.stop_program(name)
        self._tell(f"{name}: stopped")

    def status(self) -> list[Status]:
        """The state of each service, found by talking to it; optional services only if they were started."""
        states = self.supervisor.states()
        if states:
            self.supervisor.note()
        shown = [
            service
            for name, service in self.services.items()
            if not service.optional or (name in states and states[name].state in ALIVE)
        ]
        with ThreadPoolExecutor(len(shown)) as threads:
            return list(threads.map(lambda service: self._status(service, states), shown))

    def log_file(self, name: str) -> Path:
        """The log file of a service."""
        return self.installation.logs / f"{name}.log"

    def _status(self, service: Service, states: dict[str, ProgramState]) -> Status:
        host, port = service.address(self.installation)
        state = states.get(service.name)
        if state is None or state.state not in ALIVE:
            described = "STOPPED" if state is None else state.state
            return Status(service.name, described, "", f"{host}:{port}", 0)
        return Status(
            service.name, state.state, self._complaint(service), f"{host}:{port}", _memory(state.pid)
        )

    def _complaint(self, service: Service) -> str:
        try:
            service.check(self.installation)
        except NotReadyError as problem:
            return str(problem)
        return ""

    def _prepare(self, names: list[str]) -> None:
        wanted = {port: name for name in names for port in self.services[name].ports}
        check_free(self.installation.ports, wanted)
        render.render(self.installation, self.services.values())
        if not self.supervisor.is_running():
            self.supervisor.start()

    def _start_in_order(self, names: list[str], alive: set[str]) -> None:
        with ThreadPoolExecutor(len(names)) as threads:
            futures: dict[str, Future[None]] = {}
            for name in names:
                needed = [futures[need] for need in self.services[name].needs]
                futures[name] = threads.submit(self._start_after, name, needed, name in alive)
            failures = [
                problem for future in as_completed(futures.values()) if (problem := future.exception())
            ]
        own = [problem for problem in failures if not isinstance(problem, NeedFailedError)]
        for problem in own:
            if not isinstance(problem, StackError):
                raise problem
        if own:
            raise StackError("\n\n".join(str(problem) for problem in own))

    def _start_after(self, name: str, needed: list[Future[None]], is_alive: bool) -> None:
        if any(future.exception() for future in needed):
            raise NeedFailedError(f"{name} was not started")
        if not is_alive:
            self._tell(f"{name}: starting")
            self.supervisor.start_program(name)
        self._wait_until_ready(self.services[name])
        prepare = self.services[name].prepare
        if prepare is not None:
            prepare(self.installation)
        if not is_alive:
            host, port = self.services[name].address(self.installation)
            self._tell(f"{name}: ready at {host}:{port}")

    def _wait_until_ready(self, service: Service) -> None:
        since = time.monotonic()
        reminded = since

        def attempt() -> None:
            nonlocal reminded
            state = self.supervisor.state(service.name)
            if state.state not in ALIVE:
                described = f"ended with exit status {state.exit_status} while it started"
                raise StackError(self._failure(service, described))
            if time.monotonic() - reminded > _SECONDS_BETWEEN_REMINDERS:
                reminded = time.monotonic()
                self._tell(f"{service.name}: still starting after {reminded - since:.0f} s")
            service.check(self.installation)

        try:
            Retrying(
                stop=stop_after_delay(service.timeout),
                wait=wait_fixed(_SECONDS_BETWEEN_CHECKS),
                retry=retry_if_exception_type(NotReadyError),
            )(attempt)
        except RetryError as problem:
            reason = problem.last_attempt.exception()
            state = self.supervisor.state(service.name)
            description = f"does not answer after {service.timeout} s ({reason}); it is {state.state}"
            raise StackError(self._failure(service, description)) from problem

    def _failure(self, service: Service, description: str) -> str:
        self.supervisor.stop_program(service.name)
        log = self.log_file(service.name)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
        shown = "\n".join(f"    {line}" for line in lines[-LOG_LINES:]) or "    (empty)"
        return f"{service.name} {description}. The end of its log, {log}:\n{shown}"

    def _stop_in_order(self) -> None:
        running = {name for name, state in self.supervisor.states().items() if state.state in ALIVE}
        while running:
            needed = {need for name in running for need in self.services[name].needs}
            with ThreadPoolExecutor(len(running)) as threads:
                last = sorted(running - needed)
                for name, _ in zip(last, threads.map(self.supervisor.stop_program, last), strict=True):
                    self._tell(f"{name}: stopped")
            running.difference_update(last)

    def _end_leftovers(self) -> None:
        """End leftover processes of a service, or of a supervisor that was itself killed."""
        leftovers = self.supervisor.processes()
        for process in leftovers:
            self._tell(f"ending process {process.pid}, left over from the stack")
            _signal(process, psutil.Process.terminate)
        _, alive = psutil.wait_procs(leftovers, timeout=_SECONDS_FOR_LEFTOVERS)
        for process in alive:
            _signal(process, psutil.Process.kill)
        psutil.wait_procs(alive, timeout=_SECONDS_FOR_LEFTOVERS)
        if remaining := self.supervisor.processes():
            pids = ", ".join(str(process.pid) for process in remaining)
            raise StackError(f"these processes do not end: {pids}")

    def _tell(self, line: str) -> None:
        self._tell_line(f"[{time.monotonic() - self._began:6.1f} s] {line}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the installation's lock, so that two calls do not start and stop the same servers."""
        self.installation.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.installation.home / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as problem:
                raise StackError(
                    f"another process is starting or stopping the stack in {self.installation.home}; "
                    "wait until it is done"
                ) from problem
            yield


def _memory(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        return sum(part.memory_info().rss for part in [process, *process.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0  # it has just ended


def _signal(process: psutil.Process, send: Callable[[psutil.Process], None]) -> None:
    try:
        send(process)
    except psutil.NoSuchProcess:
        return  # it ended by itself
