"""The ASGI application: HTTP in, JSON out. It knows routes, limits and status codes, nothing about models.

    POST /models/{project}/{model}/{tag or uuid}/predict      predictions
    GET  /models        loaded versions with their tags; refused ones with the reason
    GET  /metrics       Prometheus' text format
    GET  /health/live   200 while the server's threads live
    GET  /health/ready  200 once the deployed bundles were loaded for the first time; why they cannot be followed now

It is a bare callable, because a web framework in front of the predict path costs more than a small model. A small
request for a model without store features is answered on the event loop itself, since handing so little work to a
thread costs as much again. Reads of the feature store wait on the network, and big batches compute for milliseconds:
both run in bounded pools of threads, one each, so that a store that does not answer only delays the models that need
it. (The driver's callbacks would save a thread per read; with threads, `OnlineFeatures.read`, the one function that
implements point-in-time reads, can be used here too.) A model that runs a project's own code has threads of its own,
which wait for its process (see workers.py), since nothing limits how long that code takes.

A request that finds its pool's queue full, or so full that its deadline would pass there, is refused at once (503). The
deadline is the caller's: the header `x-timeout-ms`, counted from the arrival of the request.

A request that a page of another site makes a browser send is refused (403): a server on a user's own machine or network
answers programs, not pages.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from giornata.errors import GiornataError, NotFoundError, StoreError
from giornata.serving.loader import Loader
from giornata.serving.metrics import CONTENT_TYPE, Metrics
from giornata.serving.model import ServedModel
from giornata.serving.online_store import OnlineStore
from giornata.serving.pool import BusyError, Deadline, Pool
from giornata.serving.prediction_log import PredictionLog
from giornata.serving.predictor import Predictor
from giornata.serving.requests import MAX_BODY_BYTES, RefusedError
from giornata.serving.routing import Route
from giornata.serving.workers import Workers

INLINE_BYTES = 8 * 1024  # a body up to this size is some tens of rows: well below a millisecond of work
BODY_SECONDS = 10.0  # for a caller to send its body
MAX_TIMEOUT_MS = 60_000
STORE_THREADS = 16
BATCH_THREADS = 2
OWN_CODE_THREADS = 4  # of each model that runs a project's own code; its process answers one at a time

_JSON = b"application/json"
_PREDICT = ("/models/", "/predict")
_OWN_SITES = (b"same-origin", b"none")
_CONTROL = ("/health/live", "/health/ready", "/models", "/metrics")

Headers = tuple[tuple[bytes, bytes], ...]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class WrongMethodError(RefusedError):
    """A path that exists, requested with a method that it does not support."""

    def __init__(self, method: str, allowed: str):
        super().__init__(405, "wrong_method", f"this path takes {allowed}, not {method[:20]}")
        self.allowed = allowed


class Application:
    """The server's ASGI callable; ASGI's lifespan starts and stops its threads."""

    def __init__(
        self,
        loader: Loader,
        predictor: Predictor,
        store: OnlineStore,
        log: PredictionLog,
        workers: Workers,
        metrics: Metrics,
        seconds: float,
    ):
        """`seconds` is the deadline of a request that states none."""
        self._loader = loader
        self._predictor = predictor
        self._store = store
        self._log = log
        self._workers = workers
        self._metrics = metrics
        self._seconds = seconds
        self._store_pool = Pool("features", STORE_THREADS)
        self._batch_pool = Pool("batch", BATCH_THREADS)
        self._own_pools: WeakKeyDictionary[ServedModel, Pool] = WeakKeyDictionary()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or run the server's lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        path = scope["path"]
        kind = _JSON
        headers: Headers = ()
        try:
            if path.startswith(_PREDICT[0]) and path.endswith(_PREDICT[1]):
                status, body = 200, await self._predict(scope, receive)
            else:
                status, kind, body = self._control(scope["method"], path)
        except RefusedError as error:
            status, body, headers = self._refuse(error)
        except asyncio.CancelledError:  # the server stops, and has waited for this task as long as it may
            status, body, headers = self._refuse(RefusedError(503, "stopping", "the server stops"))
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *headers],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def _predict(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        if scope["method"] != "POST":
            raise WrongMethodError(scope["method"], "POST")
        seconds = _read_head(scope["headers"])
        try:
            route = self._loader.table.route(scope["path"])
        except NotFoundError as error:
            raise RefusedError(404, "unknown_model", str(error)) from None
        body = await _body(receive)
        started = perf_counter()
        try:
            return await self._answer(route, body, datetime.now(UTC), seconds or self._seconds)
        except RefusedError:
            raise
        except StoreError as error:
            raise RefusedError(503, "store", str(error)) from error
        except GiornataError as error:
            raise RefusedError(500, "model", f"{route.model.name} cannot answer: {error}") from error
        finally:
            self._metrics.seconds.labels(route.model.name).observe(perf_counter() - started)

    async def _answer(self, route: Route, body: bytes, now: datetime, seconds: float) -> bytes:
        model = route.model
        if not model.waits and len(body) <= INLINE_BYTES:
            return self._predictor.answer(route, body, now)
        deadline = Deadline.after(seconds)
        call = partial(self._predictor.answer, route, body, now, deadline)
        # What is left to the store after the queue must be worth asking with.
        begin = deadline.within(model.online.deadline.total_seconds()) if model.reads_store else deadline
        return await self._pool(model).run(call, begin)

    def _pool(self, model: ServedModel) -> Pool:
        if not model.own_code:
            return self._store_pool if model.reads_store else self._batch_pool
        pool = self._own_pools.get(model)
        if pool is None:
            pool = self._own_pools[model] = Pool(model.name, OWN_CODE_THREADS)
        return pool

    def _control(self, method: str, path: str) -> tuple[int, bytes, bytes]:
        if path not in _CONTROL:
            raise RefusedError(
                404,
                "unknown_path",
                "there is nothing at this path; there are "
                f"POST /models/{{project}}/{{model}}/{{tag or uuid}}/predict and GET {', '.join(_CONTROL)}",
            )
        if method != "GET":
            raise WrongMethodError(method, "GET")
        if path == "/metrics":
            return 200, CONTENT_TYPE, self._metrics.page()
        if path == "/models":
            return 200, _JSON, orjson.dumps(self._loader.table.describe())
        if path == "/health/live":
            live = self._loader.is_alive() and self._log.is_alive()
            return (200 if live else 503), _JSON, orjson.dumps({"live": live})
        ready = self._loader.has_looked and self._store.is_settled
        # Models that are loaded serve on while the deployments cannot be followed.
        health = {"ready": ready, "problem": self._loader.table.problem}
        return (200 if ready else 503), _JSON, orjson.dumps(health)

    def _refuse(self, error: RefusedError) -> tuple[int, bytes, Headers]:
        self._metrics.errors.labels(error.kind).inc()
        headers: Headers = ()
        if isinstance(error, WrongMethodError):
            headers = ((b"allow", error.allowed.encode()),)
        elif error.status == 503:
            seconds = error.retry_after if isinstance(error, BusyError) else 1
            headers = ((b"retry-after", b"%d" % seconds),)
        elif error.status == 408:
            headers = ((b"connection", b"close"),)
        return error.status, orjson.dumps(error.document()), headers

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._log.start()
        self._loader.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        loop = asyncio.get_running_loop()
        for stop in (self._workers.stop, self._loader.stop, self._log.stop, self._store.stop):
            await loop.run_in_executor(None, stop)
        for pool in (self._store_pool, self._batch_pool, *self._own_pools.values()):
            pool.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _read_head(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """The deadline that a request states, in seconds. Raises RefusedError for a request that must not be read
    further."""
    seconds = site = origin = host = None
    for name, value in headers:
        if name == b"content-length":
            # What the parser of HTTP has let pass is a number; another server's may not have looked.
            if not value.isdigit():
                raise RefusedError(400, "malformed", "Content-Length is not a number")
            if len(value) > 18 or int(value) > MAX_BODY_BYTES:
                raise _too_large()
        elif name == b"x-timeout-ms":
            seconds = _seconds(value)
        elif name == b"host":
            host = value
        elif name == b"origin":
            origin = value
        elif name == b"sec-fetch-site":
            site = value
    # Browsers say where a request comes from, and scripts of pages cannot forge it; programs say nothing.
    if site not in _OWN_SITES if site is not None else origin is not None and _host(origin) != host:
        raise RefusedError(
            403, "cross_site", "a page of another site sent this request; predictions are for programs"
        )
    return seconds


def _seconds(value: bytes) -> float:
    if value.isdigit() and len(value) < 10 and 1 <= int(value) <= MAX_TIMEOUT_MS:
        return int(value) / 1000
    raise RefusedError(
        400, "malformed", f"x-timeout-ms is a deadline in whole milliseconds from 1 to {MAX_TIMEOUT_MS}"
    )


def _host(origin: bytes) -> bytes:
    return origin.partition(b"://")[2]


async def _body(receive: Receive) -> bytes:
    """The body of a request. Raises RefusedError: 413 if it is too large, 408 if it does not arrive in time."""
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RefusedError(400, "disconnected", "the caller went away during its request")
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                if not message.get("more_body"):
                    return b"".join(chunks)
    except TimeoutError:
        raise RefusedError(408, "slow", f"the request did not arrive within {BODY_SECONDS:.0f} s") from None


def _too_large() -> RefusedError:
    return RefusedError(
        413, "too_large", f"a body may have {MAX_BODY_BYTES} bytes; send the rows in several requests"
    )
