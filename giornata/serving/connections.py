"""Limits on a client before its request is read: size and time of the head, and number of connections.

uvicorn limits none of this. A connection whose request is being answered is left alone. Among those that wait (for a
head, a body, or the next request) the one that has waited longest is closed for a new one when there are too many;
those that never sent a whole request go first.
"""

import asyncio
import itertools
import resource
from collections.abc import Callable
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from giornata.serving.requests import MAX_BODY_BYTES

HEAD_BYTES = 64 * 1024
BODY_BYTES = (
    8 * MAX_BODY_BYTES
)  # with all that chunks may add; what is read of a body is bounded by the application
HEAD_SECONDS = 10.0  # from the connection, or from the first byte of a later head, to the head's end
IDLE_SECONDS = 75.0  # longer than the idle time of common client pools, so that the client closes first
REQUEST_SECONDS = (
    90.0  # from the end of the head to the end of the answer: more than a body and a deadline may take
)
LINGER_SECONDS = 2.0  # for a refused client to read why
LOOK_SECONDS = 1.0

MOST_CONNECTIONS = 10_000
OWN_DESCRIPTORS = 48  # bundles, the log, stores, processes of models; connections have what is beyond
MOST_WAITING = 2048


def raise_descriptors() -> int:
    """Raise this process's limit of file descriptors as far as allowed, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, MOST_CONNECTIONS + MOST_WAITING + OWN_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def shares(descriptors: int) -> tuple[int, int]:
    """How many connections there may be with so many descriptors, and how many more may wait to be accepted.

    All that wait are accepted at once, before any of the others is closed.
    """
    free = max(16, descriptors - OWN_DESCRIPTORS)
    waiting = min(MOST_WAITING, free // 4)
    return min(MOST_CONNECTIONS, free - waiting), waiting


class Connections:
    """The connections of one server, at most `most`; `count` is called with the kind of each that is refused or
    closed."""

    def __init__(self, most: int, count: Callable[[str], None]):
        self._most = most
        self.count = count
        # Those that have sent no whole request, and the others; the longest waiting first.
        self._new: dict[BoundedProtocol, None] = {}
        self._known: dict[BoundedProtocol, None] = {}
        self._looking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._new) + len(self._known)

    def protocol(self, **arguments: Any) -> "BoundedProtocol":
        """The protocol object for a new connection."""
        return BoundedProtocol(self, **arguments)

    def admit(self, connection: "BoundedProtocol") -> bool:
        """Register a new connection, closing a waiting one if there are too many; False if there is no room."""
        while len(self) >= self._most:
            longest = next(
                (other for other in itertools.chain(self._new, self._known) if other.is_waiting), None
            )
            if longest is None:
                return False
            self.count("connection_evicted")
            longest.end()
        self._new[connection] = None
        if self._looking is None:
            self._looking = connection.loop.call_later(LOOK_SECONDS, self._look, connection.loop)
        return True

    def answered(self, connection: "BoundedProtocol") -> None:
        """Note that a request of a connection has been answered."""
        self._new.pop(connection, None)
        self._known.pop(connection, None)
        self._known[connection] = None

    def gone(self, connection: "BoundedProtocol") -> None:
        """Forget a connection."""
        self._new.pop(connection, None)
        self._known.pop(connection, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close connections that are too slow; repeats as long as there are connections."""
        now = loop.time()
        for connection in [*self._new, *self._known]:
            connection.end_if_late(now)
        self._looking = loop.call_later(LOOK_SECONDS, self._look, loop) if len(self) else None


class _Unheard(list[tuple[bytes, bytes]]):
    """Receives headers that follow a body, which nobody reads."""

    def append(self, header: tuple[bytes, bytes]) -> None:
        """Nothing."""


_UNHEARD = _Unheard()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's connection with limits."""

    def __init__(self, connections: Connections, **arguments: Any):
        super().__init__(**arguments)
        self._connections = connections
        self._since = self.loop.time()  # the last step of this connection
        self._head_bytes = 0  # of a head that has begun and not ended
        self._body_bytes = 0  # after the read that ended the head
        self._reads_head = False
        self._may_be_large = False
        self._is_too_large = False
        self._is_refused = False
        self._at_work: RequestResponseCycle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it is the client's turn, not the server's."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        if not self._connections.admit(self):
            self._refuse(503, "connections_full", "the server has too many connections; try again")

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.gone(self)
        super().connection_lost(exc)
        # uvicorn tells the newest request alone, and the one at work may be an earlier one.
        self.pipeline.clear()
        if self._at_work is not None:
            self._at_work.disconnected = True
            self._at_work.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._at_work = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        if self._is_refused or self.transport.is_closing():
            return
        self._may_be_large = len(data) > HEAD_BYTES
        super().data_received(data)
        if self._is_refused:
            return
        if self._reads_head:
            if not self._head_bytes:
                self._since = self.loop.time()
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse_large()
        elif self.cycle is not None and self.cycle.more_body:
            self._body_bytes += len(data)
            if self._body_bytes > BODY_BYTES:
                self._refuse(413, "too_large", f"a body may have {MAX_BODY_BYTES} bytes")

    def on_message_begin(self) -> None:
        self._reads_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._may_be_large and self._size() > HEAD_BYTES:
            self._is_too_large = True
            raise ValueError("the head is too large")  # ends the parsing, which ends in send_400_response
        self._reads_head = False
        self._body_bytes = 0
        self._since = self.loop.time()
        super().on_headers_complete()
        self.headers = _UNHEARD

    def send_400_response(self, msg: str) -> None:
        if self._is_too_large:
            self._refuse_large()
        elif not self.transport.is_closing():
            self._refuse(400, "malformed", "this is not a request of HTTP/1.1")

    def on_response_complete(self) -> None:
        # As uvicorn's own, without its timer for each request: `end_if_late` does that work.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._since = self.loop.time()
        self._connections.answered(self)
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def end(self) -> None:
        """Close the connection, whatever is still to be sent."""
        self._connections.gone(self)
        self.transport.abort()

    def end_if_late(self, now: float) -> None:
        """Close the connection if its current step takes too long."""
        waited = now - self._since
        if self._is_refused:
            if waited > LINGER_SECONDS:
                self.end()
        elif self.cycle is not None and not self.cycle.response_complete:
            if waited > REQUEST_SECONDS:
                self._connections.count("connection_stuck")
                self.end()
        elif self._reads_head or self.cycle is None:
            if waited > HEAD_SECONDS:
                self._refuse(408, "slow_head", f"the head did not arrive within {HEAD_SECONDS:.0f} s")
        elif waited > IDLE_SECONDS:
            self.end()

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse_large(self) -> None:
        self._refuse(431, "head_too_large", f"the head of a request may have {HEAD_BYTES} bytes")

    def _refuse(self, status: int, kind: str, message: str) -> None:
        """Send the reason why no more is read. The connection stays open for a moment: closing it while the client
        still sends would discard the answer before the client has read it."""
        self._connections.count(kind)
        if self.cycle is not None and not self.cycle.response_complete:
            self.end()  # nothing can be said amid another answer
            return
        self._is_refused = True
        self._since = self.loop.time()
        if self.cycle is not None and self.cycle.more_body and not self._reads_head:
            return  # it has been told already, and goes on sending its body
        body = orjson.dumps({"error": message})
        lines = [
            STATUS_LINE[status],
            b"content-type: application/json\r\n",
            b"content-length: %d\r\n" % len(body),
            b"connection: close\r\n",
            b"retry-after: 1\r\n" if status == 503 else b"",
            b"\r\n",
            body,
        ]
        self.transport.write(b"".join(lines))
        self.transport.write_eof()
