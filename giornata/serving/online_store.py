"""The server's connection to the online feature store, opened when a model first needs it and shared by all models.

A server whose models need no features never connects to Cassandra. One that starts before Cassandra keeps trying, and
serves other models meanwhile; once connected, the driver finds a restarted Cassandra by itself.

A feature group that cannot be read refuses a request or is null in it, according to the model's document. Either way it
is counted, and logged when it begins and when it ends.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from time import perf_counter
from weakref import WeakKeyDictionary

from cassandra.cluster import Session

from giornata.absence import Missing, Reason
from giornata.errors import GiornataError, StoreError
from giornata.names import store_column
from giornata.serving.metrics import Metrics
from giornata.serving.model import ServedModel
from giornata.serving.pool import Deadline
from giornata.serving.requests import PredictRequest
from giornata.stores.features import Found, OnlineFeatures

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
STOP_SECONDS = 10.0


class OnlineStore:
    """Reads the features of requests; safe to use from many threads."""

    def __init__(self, connect: Callable[[], Session], metrics: Metrics):
        """`connect` opens a session or raises a GiornataError."""
        self._connect = connect
        self._metrics = metrics
        self._session: Session | None = None
        self._reason = "the connection is being made"
        self._readers: WeakKeyDictionary[ServedModel, OnlineFeatures] = WeakKeyDictionary()
        self._missing: WeakKeyDictionary[ServedModel, frozenset[str]] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._tried = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def need(self) -> None:
        """Start to connect, unless that has been done."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_connecting, name="online-store", daemon=True)
            self._thread.start()

    @property
    def is_settled(self) -> bool:
        """Whether no model needs the store, or a first attempt to connect has ended, successfully or not."""
        return self._thread is None or self._tried.is_set()

    def add_features(
        self, model: ServedModel, request: PredictRequest, deadline: Deadline | None = None
    ) -> list[str]:
        """Add the model's store features, as of each row's moment, to a request's rows, and to `missing` the groups
        without values for a row, and why.

        The store has until the request's deadline, and at most as long after the request's arrival as the model's
        document says. Returns the groups that could not be read: their features are null, as the model's document wants
        it (`online: {missing: null}`). Raises StoreError if the document wants an error.
        """
        started = perf_counter()
        found = self._read(model, request, deadline)
        self._metrics.feature_seconds.labels(model.name).observe(perf_counter() - started)
        self._tell_changes(model, found.missing)
        for group in found.missing:
            self._metrics.missing_groups.labels(model.name, group).inc()
        refused = found.missing and model.online.missing == "error"
        outcome = "failed" if refused else "degraded" if found.missing else "ok"
        self._metrics.feature_reads.labels(model.name, outcome).inc()
        if refused:
            raise StoreError("; ".join(dict.fromkeys(found.missing.values())))
        for row, features in zip(request.rows, found.rows, strict=True):
            row.update(features)
        for position, absent in found.absent.items():
            request.missing[request.places[position]] = absent
        if found.missing:
            unread = [
                Missing(use, store.group, Reason.NOT_READ)
                for use, store in model.inputs.store.items()
                if store.group in found.missing
            ]
            for place in request.places:
                request.missing[place] = [*request.missing.get(place, ()), *unread]
        return sorted(found.missing)

    def _read(self, model: ServedModel, request: PredictRequest, deadline: Deadline | None) -> Found:
        reader = self._reader(model)
        if reader is not None:
            own = model.online.deadline.total_seconds()
            seconds = deadline.within(own).left() if deadline else own
            return reader.read_what_there_is(model.inputs, request.rows, request.at, seconds)
        reason = f"{model.name} needs the feature store, which cannot be reached: {self._reason}"
        nothing = {
            store_column(use, feature): None
            for use, store in model.inputs.store.items()
            for feature in store.features
        }
        groups = {store.group for store in model.inputs.store.values()}
        return Found([dict(nothing) for _ in request.rows], dict.fromkeys(sorted(groups), reason), {})

    def _tell_changes(self, model: ServedModel, missing: Mapping[str, str]) -> None:
        """Log which groups can no longer be read, and which can again: once per change."""
        if self._missing.get(model, frozenset()) == missing.keys():
            return
        with self._lock:
            before = self._missing.get(model, frozenset())
            self._missing[model] = frozenset(missing)
        answer = "refused" if model.online.missing == "error" else "answered with its features null"
        for group in sorted(missing.keys() - before):
            logger.warning(
                "a feature group cannot be read, requests are %s: model=%s group=%s reason=%s",
                answer, model.name, group, missing[group],
            )  # fmt: skip
        for group in sorted(before - missing.keys()):
            logger.info("a feature group can be read again: model=%s group=%s", model.name, group)

    def stop(self) -> None:
        """Close the connection."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        if self._session is not None:
            self._session.cluster.shutdown()

    def _reader(self, model: ServedModel) -> OnlineFeatures | None:
        """The reader of a model; None while there is no connection."""
        if self._session is None:
            return None
        with self._lock:
            reader = self._readers.get(model)
            if reader is None:
                deadline = model.online.deadline.total_seconds()
                reader = OnlineFeatures(self._session, model.project, model.groups, deadline)
                self._readers[model] = reader
        return reader

    def _keep_connecting(self) -> None:
        while not self._stopping.is_set():
            try:
                self._session = self._connect()
            except GiornataError as error:
                if str(error) != self._reason:
                    logger.error("the feature store cannot be reached: %s", error)
                self._reason = str(error)
            self._tried.set()
            if self._session is not None:
                logger.info("connected to the feature store")
                return
            self._stopping.wait(RETRY_SECONDS)
