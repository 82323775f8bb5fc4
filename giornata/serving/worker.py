"""Processes that run a project's own code: `python -m giornata.serving.worker SOCKET`, started by workers.py.

One process is the base: it imports what every model needs and runs no project code. Commands on SOCKET tell it to fork
a process for a model (`fork`, with a socket and a pipe), to dump a process's stack (`tell`) and to kill one (`kill`). A
forked process opens and tests a bundle, and scores rows until its socket is closed. Whatever the code does there, the
process can be killed from outside.
"""

import faulthandler
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from dsl import UdfError
from giornata.bundle import open_bundle, told
from giornata.models import model_type
from giornata.models.base import PredictionError
from giornata.scorer import Scorer
from giornata.serving.forks import forget_xgboost, import_models, import_xgboost, limit

MEMORY = 4 * 2**30  # bytes that a process of a model may take beyond what the base has
MEMORY_PER_BYTE = 8  # and for each byte of its bundle
LENGTH = struct.Struct(">I")  # what stands before a message: its bytes


def main() -> int:
    """Execute commands until the socket is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the server ends this process, after its requests
    os.dup2(2, 1)  # what code prints is no answer of the server's
    import_xgboost()
    import_models()
    children: set[int] = set()
    while True:
        line, given, _, _ = socket.recv_fds(control, 100, 2)
        _reap(children)
        word, _, process_id = line.decode().partition(" ")
        if word == "fork":
            process = os.fork()
            if not process:
                control.close()
                _serve(socket.socket(fileno=given[0]), given[1])
            for descriptor in given:
                os.close(descriptor)
            children.add(process)
            control.sendall(b"%d" % process)
        elif word in ("tell", "kill"):
            if int(process_id) in children:
                os.kill(int(process_id), signal.SIGUSR1 if word == "tell" else signal.SIGKILL)
            control.sendall(b"0")
        else:
            for child in children:
                os.kill(child, signal.SIGKILL)
            return 0


def _reap(children: set[int]) -> None:
    """Forget processes that have ended; until then, no other process can get their ids."""
    for child in list(children):
        if os.waitpid(child, os.WNOHANG)[0]:
            children.discard(child)


def _serve(questions: socket.socket, report: int) -> None:
    """Serve in this fork, and exit."""
    status = 1
    try:
        # A dump goes out even amid native code, and when the process crashes.
        faulthandler.enable(report)
        faulthandler.register(signal.SIGUSR1, report, all_threads=True)
        content = receive(questions)
        if content:
            limit(MEMORY + MEMORY_PER_BYTE * len(content))
            scorer = _answer_opening(questions, content)
            del content
            while scorer and (asked := receive(questions)):
                send(questions, orjson.dumps(_answered(scorer, asked)))
        status = 0
    except (OSError, EOFError):
        pass  # the server has gone, or wants no more of this process
    finally:
        os._exit(status)


def _answer_opening(questions: socket.socket, content: bytes) -> Scorer | None:
    """The scorer of a bundle that passed its test, after reporting that it is ready, or the reason why it is not."""
    try:
        bundle = open_bundle(content)
        if model_type(bundle.version.configuration.type).has_class:
            forget_xgboost()
        scorer = Scorer(bundle)
        scorer.check_self_test()
    except BaseException as error:  # noqa: BLE001 - whatever code and libraries raise over a bundle is told
        send(questions, orjson.dumps({"refused": told(error)}))
        return None
    send(questions, b"{}")
    return scorer


def _answered(scorer: Scorer, asked: bytes) -> dict[str, Any]:
    try:
        predictions = scorer.rows(rows_of(scorer.inputs, asked))
    except (UdfError, PredictionError) as error:
        return {"failed": str(error)}
    except BaseException as error:  # noqa: BLE001 - code that leaves, for one
        return {"broken": told(error)}
    return {
        "answers": [
            [
                _plain(prediction.value),
                prediction.part,
                prediction.level,
                prediction.outputs and {name: _plain(value) for name, value in prediction.outputs.items()},
            ]
            for prediction in predictions
        ]
    }


def bytes_of(columns: Mapping[str, str], rows: Sequence[Mapping[str, object]]) -> bytes:
    """Rows for sending: JSON of their values in the order of the columns."""
    return orjson.dumps([[_plain(row.get(name)) for name in columns] for row in rows])


def rows_of(columns: Mapping[str, str], sent: bytes) -> list[dict[str, object]]:
    """The rows of `bytes_of`, with values in the types of the columns."""
    readers = [(name, _READERS.get(type_)) for name, type_ in columns.items()]
    return [
        {
            name: value if value is None or reader is None else reader(value)
            for (name, reader), value in zip(readers, row, strict=True)
        }
        for row in orjson.loads(sent)
    ]


def _plain(value: object) -> object:
    """A value for JSON: NaN and infinity, which JSON lacks, become words."""
    return repr(value) if type(value) is float and value - value != 0.0 else value


def _moments(values: Sequence[str | None]) -> list[datetime | None]:
    return [None if value is None else datetime.fromisoformat(value) for value in values]


_READERS: dict[str, Callable[[Any], object]] = {
    "float": float,
    "timestamp": datetime.fromisoformat,
    "list[timestamp]": _moments,
}


def send(connection: socket.socket, message: bytes) -> None:
    """Send a message."""
    connection.sendall(LENGTH.pack(len(message)) + message)


def receive(connection: socket.socket) -> bytes:
    """The next message; empty if the other end has closed."""
    head = _received(connection, LENGTH.size)
    return _received(connection, LENGTH.unpack(head)[0]) if head else b""


def _received(connection: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        chunk = connection.recv(min(size - len(content), 2**20))
        if not chunk:
            if content:
                raise EOFError("the other end was closed amid a message")
            return b""
        content += chunk
    return bytes(content)


if __name__ == "__main__":
    sys.exit(main())
