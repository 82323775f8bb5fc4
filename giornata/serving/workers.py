"""Runs models with a project's own code (functions, a class) in processes of their own that can be killed.

Code that loops in a thread cannot be stopped, and code may exit the process that runs it. So the server sends rows to a
process with a time limit, kills it when that has passed, answers 503 with the name of the running function, and has the
process replaced while everything else goes on.
"""

import itertools
import logging
import os
import re
import select
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic

import orjson

from dsl import parse_udfs
from giornata.bundle import Bundle
from giornata.errors import BundleError, GiornataError
from giornata.models import model_type
from giornata.models.base import PredictionError
from giornata.scorer import Prediction, input_columns
from giornata.serving.metrics import Metrics
from giornata.serving.pool import BusyError, Deadline
from giornata.serving.requests import RefusedError
from giornata.serving.worker import bytes_of, receive, send
from giornata.tasks import TASKS

logger = logging.getLogger(__name__)

START_SECONDS = 120.0  # for the base to import what every model needs
OPEN_SECONDS = 30.0  # for a process to open and try a small bundle
SECONDS_PER_MIB = 1.0
END_SECONDS = 1.0  # for the base to end all processes
TELL_SECONDS = 0.2  # for a process to say where it is
RETRY_SECONDS = (0.0, 1.0, 5.0, 30.0)  # before a process is started again

_FRAME = re.compile(r'File "(udfs\.py|<models/\S+ [0-9a-f]+>)", line (\d+) in (\S+)')
_DUMP_BYTES = 65536


class CodeError(RefusedError):
    """A request that a project's own code did not answer: it took too long, or its process ended."""

    def __init__(self, message: str):
        super().__init__(503, "own_code", message)


def own_code(bundle: Bundle) -> tuple[str, ...]:
    """The project's functions and class that predictions of a bundle run; nothing of them is run here."""
    names: list[str] = []
    for stored in (bundle.features, bundle.partition or {}):
        if "udfs" in stored:
            functions = parse_udfs(str(stored["udfs"]["source"])).functions
            names += [f"udfs.{name}" for name in functions]
    if model_type(bundle.version.configuration.type).has_class:
        names.append(f"class {bundle.version.configuration.class_}")
    return tuple(dict.fromkeys(names))


class Workers:
    """Starts processes of models as forks of a base process, which is started when first needed and again when it is
    gone."""

    def __init__(self, metrics: Metrics, patience: float):
        """`patience`: seconds that code may take for a request, unless the caller waits longer."""
        self.metrics = metrics
        self.patience = patience
        self._lock = threading.Lock()
        self._base: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._is_stopped = False

    def scorer(self, content: bytes, bundle: Bundle) -> "IsolatedScorer":
        """The scorer for a bundle, given with its bytes, once it is ready. Raises BundleError, or OSError if no process
        can be started."""
        return IsolatedScorer(self, content, bundle)

    def start(self, content: bytes) -> "Worker":
        """Start a process that has opened and tested a bundle. Raises BundleError, OSError."""
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        try:
            process = int(self._say(b"fork", [theirs.fileno(), writing]))
        except OSError:
            ours.close()
            os.close(reading)
            raise
        finally:
            theirs.close()
            os.close(writing)
        worker = Worker(self, process, ours, reading)
        seconds = OPEN_SECONDS + len(content) / 2**20 * SECONDS_PER_MIB
        try:
            answer = orjson.loads(worker.ask(content, monotonic() + seconds))
        except TimeoutError:
            ran = worker.end(tell=True)
            raise BundleError(f"opening it takes longer than {seconds:.0f} s{_while(ran)}") from None
        except EOFError:
            ran = worker.end()
            raise BundleError(f"opening it ends its process{_while(ran)}") from None
        if "refused" in answer:
            worker.end()
            raise BundleError(str(answer["refused"]))
        return worker

    def tell(self, process: int) -> None:
        """Make a process write its stack."""
        self._say(b"tell %d" % process)

    def kill(self, process: int) -> None:
        """Kill a process."""
        self._say(b"kill %d" % process)

    @property
    def is_stopped(self) -> bool:
        """Whether all processes have ended for good."""
        return self._is_stopped

    def stop(self) -> None:
        """End all processes; callers that wait for one get an error that it has ended."""
        self._is_stopped = True
        self._end_base()  # without the lock, whose holder may wait for the base

    def _say(self, line: bytes, given: Sequence[int] = ()) -> bytes:
        """The answer of the base process to a command. Raises OSError."""
        with self._lock:
            if self._is_stopped:
                raise OSError("the server is stopping")
            control = self._running() if given else self._control
            if control is None:
                return b""
            try:
                socket.send_fds(control, [line], given)
                answer = control.recv(100)
            except OSError:
                self._forget()
                raise
            if not answer:
                self._forget()
                raise OSError("the process from which those of models are made has ended")
            return answer

    def _running(self) -> socket.socket:
        if self._base is not None and self._base.poll() is not None:
            self._forget()
        if self._control is None:
            ours, theirs = socket.socketpair()
            try:
                self._base = subprocess.Popen(
                    [sys.executable, "-m", "giornata.serving.worker", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                    process_group=0,
                )
            except OSError:
                ours.close()
                raise
            finally:
                theirs.close()
            ours.settimeout(START_SECONDS)
            self._control = ours
        return self._control

    def _forget(self) -> None:
        self._end_base()
        if self._control is not None:
            self._control.close()
        self._base = self._control = None

    def _end_base(self) -> None:
        """Make the base process kill the others, then end it."""
        base, control = self._base, self._control
        if base is None or control is None:
            return
        with suppress(OSError):
            control.shutdown(socket.SHUT_RDWR)
        try:
            base.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            base.kill()  # it still imports, and has made no others
            base.wait()


class Worker:
    """The process of one model."""

    def __init__(self, workers: Workers, process: int, connection: socket.socket, reports: int):
        self._workers = workers
        self._process = process
        self._connection = connection
        self._reports = reports

    def ask(self, message: bytes, until: float) -> bytes:
        """The answer to a message. Raises TimeoutError if it does not arrive by the deadline, EOFError if the process
        ends."""
        try:
            self._connection.settimeout(max(0.001, until - monotonic()))
            send(self._connection, message)
            return self.receive(until)
        except TimeoutError:
            raise
        except OSError as error:
            raise EOFError(str(error)) from None

    def receive(self, until: float) -> bytes:
        """The answer that is still to come. Raises like `ask`."""
        try:
            self._connection.settimeout(max(0.001, until - monotonic()))
            answer = receive(self._connection)
        except TimeoutError:
            raise
        except OSError as error:
            raise EOFError(str(error)) from None
        if not answer:
            raise EOFError("the process has ended")
        return answer

    def where(self) -> str:
        """The project's code that the process is running, such as `udfs.slow (udfs.py, line 3)`; empty if unknown."""
        try:
            self._workers.tell(self._process)
        except OSError:
            return ""
        return self._reported()

    def end(self, tell: bool = False) -> str:
        """Kill the process; returns the code that it was running, if it can report it or did so when it crashed."""
        ran = self.where() if tell else self._reported(0.0)
        try:
            self._workers.kill(self._process)
        except OSError:
            logger.debug("the base of the models' processes has gone, and they with it")
        self._connection.close()
        os.close(self._reports)
        return ran

    def _reported(self, seconds: float = TELL_SECONDS) -> str:
        dump = b""
        until = monotonic() + seconds
        while select.select([self._reports], [], [], max(0.0, until - monotonic()))[0]:
            chunk = os.read(self._reports, _DUMP_BYTES)
            dump += chunk
            if not chunk or len(dump) >= _DUMP_BYTES:
                break
            until = min(until, monotonic() + 0.02)  # what is written lies in one piece, or follows at once
        return ran(dump.decode(errors="replace"))


def ran(dump: str) -> str:
    """The project's code in a dump of stacks, the newest call first."""
    frames = _FRAME.findall(dump)
    if not frames:
        return ""
    file, line, _ = frames[0]
    first = next((place for place, (other, _, _) in enumerate(frames) if other != file), len(frames))
    file, function = file.strip("<>").partition(" ")[0], frames[first - 1][2]
    name = f"udfs.{function}" if file == "udfs.py" else function
    return f"{name} ({file}, line {line})"


def _while(ran: str) -> str:
    return f", in {ran}" if ran else ""


class _Process:
    """The process of one model, and its replacements. Handles one request at a time."""

    def __init__(self, workers: Workers, content: bytes, model: str, own: tuple[str, ...]):
        self._workers = workers
        self._content = content
        self._model = model
        self._own = own
        self._worker: Worker | None = workers.start(content)
        self._closed = threading.Event()
        self._free = threading.Lock()

    def ask(self, message: bytes, deadline: Deadline) -> bytes:
        """The answer. Raises CodeError, and BusyError while other requests are before this one or there is no
        process."""
        if not self._free.acquire(timeout=deadline.left()):
            raise BusyError(
                f"other requests to {self._model} were before this one until its deadline; try again"
            )
        worker, until = self._worker, monotonic() + self._workers.patience
        is_given_back = False
        try:
            if worker is None:
                raise BusyError(f"the process of {self._model} is being replaced; try again")
            return worker.ask(message, deadline.until)
        except TimeoutError:
            assert worker
            if monotonic() >= until:
                ran = self._replace(worker, "late", tell=True)
                raise CodeError(
                    f"{ran} did not answer in time; the process of {self._model} is replaced"
                ) from None
            # The caller is in a hurry, which is no fault of the code's.
            ran = self._named(worker.where())
            is_given_back = True
            threading.Thread(target=self._settle, args=(worker, until), daemon=True).start()
            raise CodeError(f"{ran} did not answer in time") from None
        except EOFError:
            assert worker
            ran = self._replace(worker, "ended", tell=False)
            raise CodeError(f"{ran} ended the process of {self._model}, which is replaced") from None
        finally:
            if not is_given_back:
                self._free.release()

    def close(self) -> None:
        """Kill the process for good."""
        self._closed.set()
        worker, self._worker = self._worker, None
        if worker and not self._workers.is_stopped:
            # Whoever dropped the last request to a model need not wait for this.
            threading.Thread(target=worker.end, daemon=True).start()

    def _settle(self, worker: Worker, until: float) -> None:
        """Wait for the answer to a request whose caller has gone, so that it is not taken for the next one's."""
        try:
            worker.receive(until)
        except TimeoutError:
            self._replace(worker, "late", tell=True)
        except EOFError:
            self._replace(worker, "ended", tell=False)
        finally:
            self._free.release()

    def _replace(self, worker: Worker, reason: str, tell: bool) -> str:
        """Kill a process and start another; returns the code that it was running."""
        self._worker = None
        ran = self._named(worker.end(tell))
        if not self._workers.is_stopped:
            self._workers.metrics.replaced.labels(self._model, reason).inc()
            logger.error(
                "a model's process is replaced: model=%s reason=%s code=%s", self._model, reason, ran
            )
            threading.Thread(target=self._start, daemon=True).start()
        return ran

    def _start(self) -> None:
        for place in itertools.count():
            if (
                self._closed.wait(RETRY_SECONDS[min(place, len(RETRY_SECONDS) - 1)])
                or self._workers.is_stopped
            ):
                return
            try:
                worker = self._workers.start(self._content)
            except (GiornataError, OSError, ValueError) as error:
                logger.error("a model's process does not start: model=%s reason=%s", self._model, error)
                continue
            self._worker = worker
            if self._closed.is_set():
                self.close()
            return

    def _named(self, ran: str) -> str:
        """The code that was running, or else all that may have run."""
        if ran.startswith("udfs."):
            return ran
        own = self._own[0] if len(self._own) == 1 else f"one of {', '.join(self._own)}"
        return f"{own}, in {ran}" if ran else own


class IsolatedScorer:
    """Predicts like a `Scorer`, in a process of its own, which ends when this object is gone."""

    def __init__(self, workers: Workers, content: bytes, bundle: Bundle):
        self.version = bundle.version
        self._columns = input_columns(bundle.version.signature)
        self._has_classes = TASKS[bundle.version.signature.task].label == "class"
        self._patience = workers.patience
        self._process = _Process(workers, content, bundle.version.model, own_code(bundle))
        weakref.finalize(self, self._process.close).atexit = False

    def before(self, deadline: Deadline | None) -> "BeforeDeadline":
        """A scorer with a deadline (None: the usual time limit)."""
        return BeforeDeadline(self, deadline or Deadline.after(self._patience))

    def rows(self, rows: Sequence[Mapping[str, object]], deadline: Deadline) -> list[Prediction]:
        """Like `Scorer.rows`. Raises PredictionError if the code fails for a row, CodeError if it does not answer by
        the deadline."""
        answer = orjson.loads(self._process.ask(bytes_of(self._columns, rows), deadline))
        if "failed" in answer:
            raise PredictionError(answer["failed"])
        if "broken" in answer:
            raise GiornataError(answer["broken"])
        return [
            Prediction(
                value if self._has_classes else float(value),
                part,
                level,
                outputs and {name: float(number) for name, number in outputs.items()},
            )
            for value, part, level, outputs in answer["answers"]
        ]


class BeforeDeadline:
    """A scorer for one request."""

    def __init__(self, scorer: IsolatedScorer, deadline: Deadline):
        self._scorer = scorer
        self._deadline = deadline

    def rows(self, rows: Sequence[Mapping[str, object]]) -> list[Prediction]:
        """Like `IsolatedScorer.rows`."""
        return self._scorer.rows(rows, self._deadline)
