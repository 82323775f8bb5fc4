"""The servers that tests use: started once for the session, on free ports, in a folder of their own."""

import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from pyspark.sql import SparkSession

from giornata.settings import Settings, load_settings
from jobs.runtime import session
from stack.control import Stack
from stack.installation import Installation
from stack.ports import free_ports
from stack.services import STORES

# HYPOTHESIS_PROFILE=long draws many cases, =quick few. A busy machine is no fault of a test, so there is no deadline;
# where a change is judged (CI), every run draws the same cases.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
for _profile, _examples in {"quick": 30, "normal": 300, "long": 20_000}.items():
    settings.register_profile(
        _profile,
        max_examples=_examples,
        deadline=None,
        suppress_health_check=_SLOW,
        derandomize="CI" in os.environ,
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "normal"))

# Names a settings file of a stack that runs already, to be used instead of one of the session's own.
TEST_STACK = "GIORNATA_TEST_STACK_ENV"

# Holds the state folder of every stack of this run, whichever process starts it.
HOMES = pytest.StashKey[Path]()

_NEED_SERVERS = {"stores", "full_stack", "start_stack"}
_NEED_PROCESSES = {"airflow"}


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of the stacks; its path is short, as the supervisor's socket needs."""
    shared = getattr(config, "workerinput", {}).get("homes")
    config.stash[HOMES] = Path(shared or tempfile.mkdtemp(prefix="giornata-test-", dir="/tmp"))
    if shared is None:
        # As after Ctrl-C: who ends the tests ends their servers too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Every Java server and executor of the tests lives for minutes: its second compiler costs more than it gains.
    os.environ["JDK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal the tests to the processes by file, and those of DAGs together: what a real Airflow makes of their projects
    is found once."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "tests/dags" if file.startswith("tests/dags/") else file

    return ByFile(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process that shares the tests of the folder."""
    node.workerinput["homes"] = str(node.config.stash[HOMES])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what still runs: where the tests are interrupted, the processes that share them are killed in seconds."""
    if hasattr(config, "workerinput"):
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    for home in config.stash[HOMES].iterdir():
        Stack(Installation(home, free_ports())).down()
    shutil.rmtree(config.stash[HOMES])
    signal.signal(signal.SIGINT, before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use servers, so that `-m "not stack"` leaves them out; begin with the longest: the demo, then
    the other files with servers, so that two processes that share the tests end at about the same time.

    Files without servers, and the tests of such a file, come in an order drawn anew in each run (pytest-randomly); the
    others, which share servers and a Spark session, by name and as they are written. There a library's warning is
    shown and fails no test.
    """
    for item in items:
        if _NEED_SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.stack)
        if _NEED_PROCESSES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.processes)
    with_servers = {item.path for item in items if _uses_servers(item)}
    for item in items:
        if item.path in with_servers:
            item.add_marker(pytest.mark.filterwarnings("default"))
    drawn = [path for path in dict.fromkeys(item.path for item in items) if path not in with_servers]
    places = {path: place for place, path in enumerate([*sorted(with_servers), *drawn])}
    items.sort(
        key=lambda item: (
            item.get_closest_marker("demo") is None,
            places[item.path],
            item.location[1] or 0 if item.path in with_servers else 0,
        )
    )


def _uses_servers(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("stack", "demo"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how the order in which the tests ran is had again, with `-q` as well."""
    if seed := getattr(config.option, "randomly_seed", None):
        terminalreporter.write_line(f"the order of this run: --randomly-seed={seed}")


@pytest.fixture(scope="session", autouse=True)
def no_stack_of_the_user() -> Iterator[None]:
    """Whatever stack the shell or the repository's `.local` points to: a test does not see it."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as empty:
        for name in [name for name in os.environ if name.startswith("GIORNATA_") and name != TEST_STACK]:
            patch.delenv(name)
        patch.setenv("GIORNATA_HOME", empty)
        yield


@pytest.fixture(scope="session")
def homes(pytestconfig: pytest.Config) -> Path:
    """Where a test makes the state folder of a stack."""
    return pytestconfig.stash[HOMES]


@pytest.fixture(scope="session")
def stack_home(homes: Path) -> Iterator[Path]:
    """State folder of the session's stack."""
    home = Path(tempfile.mkdtemp(dir=homes))
    yield home
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def session_stack(stack_home: Path) -> Iterator[Stack]:
    """The session's stack: nothing of it runs until something asks; all of it is stopped at the end."""
    stack = Stack(Installation(stack_home, free_ports()))
    yield stack
    stack.down()


@pytest.fixture(scope="session")
def stores(request: pytest.FixtureRequest) -> Settings:
    """Cassandra, Hive metastore, Spark Thrift Server and mail sink, running; mails lie in `home / "mail"`."""
    return _running(request, list(STORES))


@pytest.fixture(scope="module")
def full_stack(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Every server: the session's stores, and while a module uses them the prediction server and Airflow."""
    yield _running(request, None)
    if TEST_STACK not in os.environ:
        stack: Stack = request.getfixturevalue("session_stack")
        for service in stack.services.values():
            if not service.optional and service.name not in STORES:
                stack.stop(service.name)


@pytest.fixture(scope="session")
def spark(stores: Settings) -> Iterator[SparkSession]:
    """Spark on two threads of this machine, with the metastore of the test stack."""
    started = session.start(stores, "tests")
    yield started
    started.stop()


@pytest.fixture
def start_stack(homes: Path) -> Iterator[Callable[..., Stack]]:
    """Starts stacks of one test's own, `start_stack(["cassandra"])`: for tests that stop or kill servers.

    More arguments are those of the installation.
    """
    started: list[Stack] = []

    def start(names: list[str], **described: Any) -> Stack:
        home = Path(tempfile.mkdtemp(dir=homes))
        stack = Stack(Installation(home, **{"ports": free_ports(), **described}))
        started.append(stack)
        stack.up(names)
        return stack

    yield start
    for stack in started:
        stack.down()
        shutil.rmtree(stack.installation.home)


def _running(request: pytest.FixtureRequest, names: list[str] | None) -> Settings:
    file = os.environ.get(TEST_STACK)
    if file:
        lines = [line.partition("=") for line in Path(file).read_text(encoding="utf-8").splitlines()]
        return load_settings({name: value for name, _, value in lines})
    stack: Stack = request.getfixturevalue("session_stack")
    stack.up(names)
    return load_settings({"GIORNATA_HOME": str(stack.installation.home)})


class Proxy:
    """A TCP proxy on a port of its own, before a server that tests share: its line can be cut or stalled."""

    def __init__(self, target: str):
        host, _, port = target.partition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0
        self._lines: list[socket.socket] = []
        self._lock = threading.Lock()
        self._bytes_left: int | None = None
        self._refusals_left: int | None = 0
        self._refusals_after_cut: int | None = 0
        self._flowing = threading.Event()
        self._flowing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, size: int, refusals: int | None = None) -> None:
        """Cut all lines when the clients have sent `size` bytes more; then refuse `refusals` (None: all) calls."""
        with self._lock:
            self._bytes_left = size
            self._refusals_after_cut = refusals

    def stall(self) -> None:
        """Keep all lines open and let nothing through."""
        self._flowing.clear()

    def close(self) -> None:
        """Cut everything and give the port back."""
        self._flowing.set()
        with self._lock:
            self._refusals_left = None
            self._cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._refusals_left is None or self._refusals_left > 0:
                    self._refusals_left = self._refusals_left and self._refusals_left - 1
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                self._lines += [client, server]
            threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(65536):
                self._flowing.wait()
                if counted:
                    self._count(len(data))
                sink.sendall(data)
        except OSError:
            return  # the line was cut, here or by one of its ends
        finally:
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)  # wakes the other direction, which a close does not
                end.close()

    def _count(self, size: int) -> None:
        with self._lock:
            if self._bytes_left is None:
                return
            self._bytes_left -= size
            if self._bytes_left < 0:
                self._bytes_left, self._refusals_left = None, self._refusals_after_cut
                self.cuts += 1
                self._cut()

    def _cut(self) -> None:
        for line in self._lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        self._lines.clear()


@pytest.fixture
def cassandra_proxy(stores: Settings) -> Iterator[Proxy]:
    """A proxy before the session's Cassandra, for tests of what happens when it goes away."""
    proxy = Proxy(stores.cassandra)
    yield proxy
    proxy.close()
