"""One prediction, from the body of a request to the body of its answer: read, fetch features, score, log."""

import math
import uuid
from datetime import datetime

import orjson

from giornata.serving.metrics import Metrics
from giornata.serving.online_store import OnlineStore
from giornata.serving.prediction_log import Entry, PredictionLog
from giornata.serving.requests import RefusedError
from giornata.serving.routing import Route


class Predictor:
    """Answers requests by the models that routes lead to; safe to use from many threads."""

    def __init__(self, store: OnlineStore, log: PredictionLog, metrics: Metrics):
        self._store = store
        self._log = log
        self._metrics = metrics

    def answer(self, route: Route, body: bytes, now: datetime) -> bytes:
        """The answer to `body`, with one prediction per row, in their order.

        `now` is the moment of prediction where the request names none. Raises RefusedError, and StoreError
        when the model needs features and the store does not give them.
        """
        model = route.model
        request = model.reader.read(body, now)
        if model.reads_store:
            self._store.add_features(model, request)
        predictions = model.scorer.rows(request.rows)
        identities = [str(uuid.uuid4()) for _ in predictions]
        for index, prediction in enumerate(predictions):
            if not math.isfinite(prediction.value):
                raise RefusedError(
                    500,
                    "not_finite",
                    f"the model answers {prediction.value}, which JSON cannot carry",
                    row=index,
                )
        if model.log_share:
            self._log.append(
                Entry(
                    model.name, model.uuid, route.tag, model.log_share, now, request, identities, predictions
                )
            )
        self._metrics.requests.labels(model.name, model.uuid).inc()
        self._metrics.predictions.labels(model.name, model.uuid).inc(len(predictions))
        return orjson.dumps(
            {
                "model": model.name,
                "uuid": model.uuid,
                "tag": route.tag,
                "predictions": [
                    {
                        "prediction_id": identity,
                        "prediction": prediction.value,
                        "part": prediction.part,
                        "level": prediction.level,
                    }
                    for identity, prediction in zip(identities, predictions, strict=True)
                ],
            }
        )
