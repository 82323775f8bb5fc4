"""The bounds of connections, on real sockets, with times short enough to wait for."""

import resource
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import uvicorn

from giornata.serving import connections
from giornata.serving.connections import HEAD_BYTES, OWN_DESCRIPTORS, Connections, raise_descriptors, shares

pytestmark = pytest.mark.processes

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SECONDS = 20


async def hello(scope, receive, send):
    """Answers with the length of the body, once it has it."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Bounded:
    """A server of `hello` in a thread."""

    def __init__(self, most):
        self.ended = []
        self.connections = Connections(most, self.ended.append)
        configuration = uvicorn.Config(
            hello,
            port=0,
            loop="uvloop",
            http=self.connections.protocol,
            ws="none",
            lifespan="off",
            log_config=None,
        )
        self.server = uvicorn.Server(configuration)
        self.thread = threading.Thread(target=self.server.run)

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), SECONDS)
        connection.settimeout(SECONDS)
        return connection

    def ask(self):
        with self.connect() as connection:
            connection.sendall(GET)
            return connection.recv(1000)


@contextmanager
def bounded(most=100):
    server = Bounded(most)
    server.thread.start()
    until(lambda: server.server.started)
    server.port = server.server.servers[0].sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.server.should_exit = True
        server.thread.join(SECONDS)


def until(is_so):
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(connections, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.2)


def all_of(connection):
    """The bytes received until the other end closes."""
    chunks = []
    while chunk := connection.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


def drip(connection, piece, pause):
    """Send pieces until the other end has cut the connection."""
    end = time.monotonic() + SECONDS
    with suppress(OSError):
        while time.monotonic() < end:
            connection.sendall(piece)
            time.sleep(pause)
    assert time.monotonic() < end


@pytest.mark.parametrize("part", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", GET + b"GET / HT"])
def test_a_head_that_does_not_arrive_is_given_up(impatient, part):
    with bounded() as server, server.connect() as connection:
        connection.sendall(part)
        said = all_of(connection)
        assert said.count(b"HTTP/1.1 200 OK") == part.count(b"\r\n\r\n")
        assert b"HTTP/1.1 408 Request Timeout" in said
        assert b"did not arrive within" in said
        assert server.ended == ["slow_head"]


def test_a_head_in_small_pieces_is_given_up_too(impatient):
    with bounded() as server, server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        drip(connection, b"a: b\r\n", 0.01)
        assert server.ended == ["slow_head"]
        assert server.ask().startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("size", [HEAD_BYTES + 1, 32 * 2**20])
@pytest.mark.parametrize("shape", ["one header", "many headers", "path"])
def test_a_head_that_is_too_large_is_refused(size, shape):
    head = {
        "one header": b"GET / HTTP/1.1\r\na: " + b"x" * size + b"\r\n\r\n",
        "many headers": b"GET / HTTP/1.1\r\n" + b"a: bc\r\n" * (size // 3 + 1) + b"\r\n",
        "path": b"GET /" + b"x" * size + b" HTTP/1.1\r\n\r\n",
    }[shape]
    with bounded() as server, server.connect() as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        assert all_of(connection).startswith(b"HTTP/1.1 431 Request Header Fields Too Large")
        assert server.ended == ["head_too_large"]
        assert server.ask().startswith(b"HTTP/1.1 200 OK")


def test_a_small_head_before_a_large_body_is_no_large_head():
    with bounded() as server, server.connect() as connection:
        size = 4 * HEAD_BYTES
        head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        connection.sendall(head % size + b"x" * size)
        assert all_of(connection).endswith(b"\r\n\r\n%d" % size)


def test_what_follows_a_body_in_chunks_is_bounded(monkeypatch):
    monkeypatch.setattr(connections, "BODY_BYTES", 2**20)
    with bounded() as server, server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        drip(connection, b"trailer: " + b"x" * 10_000 + b"\r\n", 0)
        assert server.ended == ["too_large"]


def test_silent_connections_give_way_and_busy_ones_do_not():
    with bounded(10) as server:
        uploading = server.connect()
        uploading.sendall(GET + b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n1")
        assert uploading.recv(1000)
        silent = [server.connect() for _ in range(30)]
        for _ in range(30):
            assert server.ask().startswith(b"HTTP/1.1 200 OK")
        assert set(server.ended) == {"connection_evicted"}
        assert len(server.connections) <= 10
        # It has sent a whole request once, so that those that have not go first.
        uploading.sendall(b"2")
        assert uploading.recv(1000).endswith(b"2")
        for connection in (uploading, *silent):
            connection.close()
        until(lambda: not len(server.connections))


def test_where_all_are_busy_a_new_one_is_told_to_come_back():
    with bounded(2) as server:
        taken = [server.connect(), server.connect()]
        for connection in taken:
            connection.sendall(GET)
            assert connection.recv(1000)
        for connection in server.connections._known:
            connection.cycle.response_complete = connection.cycle.more_body = False  # as if at work
        with server.connect() as connection:
            said = all_of(connection)
        assert said.startswith(b"HTTP/1.1 503 Service Unavailable")
        assert b"retry-after: 1" in said
        assert server.ended == ["connections_full"]
        for connection in server.connections._known:
            connection.cycle.response_complete = True
        assert server.ask().startswith(b"HTTP/1.1 200 OK")
        for connection in taken:
            connection.close()


def test_an_answer_that_nobody_takes_is_given_up(monkeypatch, impatient):
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
    with bounded() as server, server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n1")
        assert all_of(connection) == b""
        assert server.ended == ["connection_stuck"]


@pytest.mark.parametrize("descriptors", [64, 96, 256, 1024, 4096, 2**20])
def test_connections_leave_descriptors_for_the_server(descriptors):
    most, waiting = shares(descriptors)
    assert min(most, waiting) >= 4
    assert most + waiting <= max(descriptors - OWN_DESCRIPTORS, 16)


def test_descriptors_are_raised_to_what_is_allowed():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert raise_descriptors() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
