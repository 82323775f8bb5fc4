"""The prediction log: writes predictions as JSON lines, outside the path of requests.

A request puts its entry into a queue, bounded in rows and bytes, and continues; one thread turns entries into lines and
closes each model's segment about once a second (`giornata.prediction_log` names the files). If the queue, the disk or
the folder's byte limit is full, the newest rows are dropped and counted: the log never delays or fails a prediction.
Whatever fails, the thread goes on with the next entry. A server that is killed loses what it had not yet written, at
most the last POLL_SECONDS; one that is stopped loses nothing.

A line holds what the collecting job and the later join with labels need:

    prediction_id, model, uuid, tag (null if requested by UUID), part, level, prediction,
    event_time (the moment of the prediction), predicted_at (when it was computed),
    key {column: value}, inputs (row columns and store features, as JSON text; if a row lacked a feature group,
    also LOGGED: the reason, by use of the group)
"""

import hashlib
import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from giornata.absence import LOGGED
from giornata.errors import StoreError
from giornata.prediction_log import OpenSegment, close_abandoned, model_folder, waiting_bytes
from giornata.scorer import Prediction
from giornata.serving.metrics import Metrics
from giornata.serving.requests import PredictRequest

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
CLOSE_AFTER_SECONDS = 1.0
CLOSE_AT_BYTES = 16 * 1024 * 1024
QUEUE_ROWS = 100_000
QUEUE_BYTES = 64 * 1024 * 1024
FOLDER_BYTES = 10 * 1024**3
MEASURE_SECONDS = 300.0  # how old the known size of the folder may get: others write to it too
MEASURE_FULL_SECONDS = 5.0  # how old it may get when the folder seems full: others empty it
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Entry:
    """The predictions of one request; `identities` and `predictions` are in the order of its rows.

    `size` is that of the request's body in bytes.
    """

    model: str
    uuid: str
    tag: str | None
    share: float
    predicted_at: datetime
    request: PredictRequest
    identities: list[str]
    predictions: list[Prediction]
    size: int


class LogSpace:
    """How many bytes of segments the log folder may still take; measured now and then."""

    def __init__(self, root: Path, most_bytes: int):
        """`most_bytes` may wait there to be collected."""
        self._root = root
        self._most = most_bytes
        self._used = 0
        self._measured = float("-inf")

    def take(self, size: int, now: float) -> bool:
        """Whether there is room for `size` more bytes, which are then reserved; `now` is monotonic, in seconds."""
        age = now - self._measured
        if age >= MEASURE_SECONDS or (self._used + size > self._most and age >= MEASURE_FULL_SECONDS):
            self._used, self._measured = waiting_bytes(self._root), now
        if self._used + size > self._most:
            return False
        self._used += size
        return True


class PredictionLog:
    """Writes entries to the log folder from a thread of its own."""

    def __init__(
        self,
        root: Path,
        metrics: Metrics,
        queue_rows: int = QUEUE_ROWS,
        queue_bytes: int = QUEUE_BYTES,
        folder_bytes: int = FOLDER_BYTES,
    ):
        """`queue_rows` and `queue_bytes` (of requests) limit the queue, `folder_bytes` the segments that wait to be
        collected."""
        self._root = root
        self._metrics = metrics
        self._queue_rows = queue_rows
        self._queue_bytes = queue_bytes
        self._room = LogSpace(root, folder_bytes)
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._waiting = 0
        self._waiting_bytes = 0
        self._stopping = threading.Event()
        self._segments: dict[str, tuple[OpenSegment, float]] = {}
        self._failing = False
        self._thread = threading.Thread(target=self._work, name="prediction-log", daemon=True)

    def start(self) -> None:
        """Close segments that dead servers left open, then start to write."""
        for folder in sorted(self._root.glob("*/*/")):
            try:
                for path in close_abandoned(folder):
                    logger.warning("closed the segment of a server that died: path=%s", path)
            except StoreError as error:
                logger.error("%s", error)
        self._thread.start()

    def append(self, entry: Entry) -> None:
        """Queue an entry for writing; never waits. An entry that does not fit is counted as dropped."""
        rows = len(entry.identities)
        with self._lock:
            fits = (
                self._waiting + rows <= self._queue_rows
                and self._waiting_bytes + entry.size <= self._queue_bytes
            )
            if fits:
                self._entries.append(entry)
                self._waiting += rows
                self._waiting_bytes += entry.size
        if not fits:
            self._metrics.dropped.labels("full").inc(rows)

    def is_alive(self) -> bool:
        """Whether the writing thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Write everything in the queue, close all segments and end the thread."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            logger.error(
                "the prediction log could not be written within %s s: rows may be lost", STOP_SECONDS
            )

    def _work(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(POLL_SECONDS)
            try:
                self._write_waiting()
                self._close_due(float("inf") if stopping else time.monotonic())
            except Exception:  # a thread that ends would log nothing ever after
                logger.exception("the prediction log goes on after an error of its own")

    def _write_waiting(self) -> None:
        with self._lock:
            entries, self._entries = self._entries, []
            self._waiting = self._waiting_bytes = 0
        lines: dict[str, list[bytes]] = {}
        for entry in entries:
            try:
                lines.setdefault(entry.model, []).extend(log_lines(entry))
            except Exception as error:  # noqa: BLE001 (of what one request holds, the others lose nothing)
                self._drop("unwritable", len(entry.identities), error)
        for model, texts in lines.items():
            if texts:
                self._write(model, texts)

    def _write(self, model: str, lines: list[bytes]) -> None:
        content = b"".join(lines)
        try:
            if not self._room.take(len(content), time.monotonic()):
                self._drop("bound", len(lines), f"{self._root} holds as many bytes as it may: collect them")
                return
            if model not in self._segments:
                self._segments[model] = OpenSegment(model_folder(self._root, model)), time.monotonic()
            self._segments[model][0].write(content)
        except Exception as error:  # noqa: BLE001 (whatever keeps one model from being logged, the others are)
            self._drop("disk", len(lines), error)
            if model in self._segments and self._segments[model][0].is_torn:
                _close(self._segments.pop(model)[0])
            return
        self._metrics.logged.inc(len(lines))
        self._failing = False

    def _drop(self, reason: str, rows: int, error: object) -> None:
        """Count rows that are not logged, and log the reason if the rows before them were logged."""
        self._metrics.dropped.labels(reason).inc(rows)
        if not self._failing:
            logger.error("predictions are not logged until this is mended: %s", error)
        self._failing = True

    def _close_due(self, now: float) -> None:
        for model, (segment, opened) in list(self._segments.items()):
            if now - opened >= CLOSE_AFTER_SECONDS or segment.size >= CLOSE_AT_BYTES:
                del self._segments[model]
                _close(segment)


def _close(segment: OpenSegment) -> None:
    """Close a segment, or remove it if no line could be written."""
    try:
        if segment.size or segment.is_torn:
            segment.close()
        else:
            segment.discard()
    except StoreError as error:
        logger.error("a segment stays open until the next collection: %s", error)


def log_lines(entry: Entry) -> list[bytes]:
    """The lines of an entry's rows, without those that the model's logged share leaves out."""
    lines = []
    request = entry.request
    for position, (identity, prediction, inputs, key, at) in enumerate(
        zip(entry.identities, entry.predictions, request.rows, request.keys, request.at, strict=True)
    ):
        if not is_logged(key, identity, entry.share):
            continue
        if request.missing and (found := request.missing.get(request.places[position])):
            inputs = {**inputs, LOGGED: {missing.use: missing.reason for missing in found}}
        line = {
            "prediction_id": identity,
            "model": entry.model,
            "uuid": entry.uuid,
            "tag": entry.tag,
            "part": prediction.part,
            "level": prediction.level,
            "prediction": prediction.value,
            "event_time": at,
            "predicted_at": entry.predicted_at,
            "key": key,
            # Text, in the form that the inputs of batch predictions have in Hive.
            "inputs": orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS).decode(),
        }
        if prediction.outputs:
            line["outputs"] = orjson.dumps(prediction.outputs).decode()
        lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    return lines


def is_logged(key: dict[str, object], identity: str, share: float) -> bool:
    """Whether a row belongs to the logged share of its model.

    Decided by a hash of the key, so that all predictions about one key are logged or none; for a row without a key, by
    the prediction's identity.
    """
    if share >= 1:
        return True
    sampled = (
        orjson.dumps(key, option=orjson.OPT_SORT_KEYS) if None not in key.values() else identity.encode()
    )
    digest = hashlib.blake2b(sampled, digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64
