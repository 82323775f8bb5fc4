"""The server's connection to the online feature store: made when a model first needs it, for all models.

A server whose models need no features never asks for Cassandra. One that starts before Cassandra keeps
trying, and serves what it can meanwhile; once connected, the driver finds a restarted Cassandra by itself.
"""

import logging
import threading
from collections.abc import Callable
from time import perf_counter
from weakref import WeakKeyDictionary

from cassandra.cluster import Session

from giornata.errors import GiornataError, StoreError
from giornata.serving.metrics import Metrics
from giornata.serving.model import ServedModel
from giornata.serving.requests import PredictRequest
from giornata.stores.features import OnlineFeatures

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
        self._lock = threading.Lock()
        self._tried = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def need(self) -> None:
        """Begin to connect, unless that has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_connecting, name="online-store", daemon=True)
            self._thread.start()

    @property
    def is_settled(self) -> bool:
        """Whether no model needs the store, or a first attempt to connect has ended, well or not."""
        return self._thread is None or self._tried.is_set()

    def add_features(self, model: ServedModel, request: PredictRequest) -> None:
        """Add the model's store features, as of each row's moment, to a request's rows. Raises StoreError."""
        started = perf_counter()
        try:
            found = self._reader(model).read(model.inputs, request.rows, request.at)
        except StoreError:
            self._metrics.feature_reads.labels(model.name, "failed").inc()
            raise
        self._metrics.feature_seconds.labels(model.name).observe(perf_counter() - started)
        self._metrics.feature_reads.labels(model.name, "ok").inc()
        for row, features in zip(request.rows, found, strict=True):
            row.update(features)

    def stop(self) -> None:
        """Close the connection."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        if self._session is not None:
            self._session.cluster.shutdown()

    def _reader(self, model: ServedModel) -> OnlineFeatures:
        if self._session is None:
            raise StoreError(f"{model.name} needs the feature store, which cannot be reached: {self._reason}")
        with self._lock:
            reader = self._readers.get(model)
            if reader is None:
                reader = OnlineFeatures(self._session, model.project, model.groups)
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
