"""One prediction, from the body of a request to the body of its answer: read, fetch features, score, log."""

import math
import uuid
from datetime import datetime

import orjson

from dsl import UdfError
from giornata.errors import GiornataError
from giornata.models.base import PredictionError
from giornata.scorer import Prediction, Scorer
from giornata.serving.metrics import Metrics
from giornata.serving.online_store import OnlineStore
from giornata.serving.pool import Deadline
from giornata.serving.prediction_log import Entry, PredictionLog
from giornata.serving.requests import PredictRequest, RefusedError
from giornata.serving.routing import Route
from giornata.serving.workers import BeforeDeadline

_FAILURES = (UdfError, PredictionError)
"""What code of the project raises about a row."""


class Predictor:
    """Answers requests by the models that routes lead to; safe to use from many threads."""

    def __init__(self, store: OnlineStore, log: PredictionLog, metrics: Metrics):
        self._store = store
        self._log = log
        self._metrics = metrics

    def answer(self, route: Route, body: bytes, now: datetime, deadline: Deadline | None = None) -> bytes:
        """The answer to `body`, with one prediction per row, in their order.

        A row for which a function of the project (UDF) fails, or the model's own class (type custom), has an error
        instead, and the others their predictions.

        A feature group that could not be read, and whose features are null because the model's document wants that,
        is named in `missing_groups`, which other answers do not have.

        `now` is the moment of prediction where the request names none. Raises RefusedError, and StoreError
        when the model needs features and the store does not give them.
        """
        model = route.model
        request = model.reader.read(body, now)
        missing = self._store.add_features(model, request, deadline) if model.reads_store else []
        failed: dict[int, GiornataError] = {}
        scorer = model.answering(deadline)
        try:
            predictions = scorer.rows(request.rows)
        except _FAILURES:
            request, predictions, failed = _one_by_one(scorer, request)
        identities = [str(uuid.uuid4()) for _ in predictions]
        for index, prediction in enumerate(predictions):
            if not _is_finite(prediction):
                raise RefusedError(
                    500,
                    "not_finite",
                    f"the model answers {prediction.outputs or prediction.value}, which JSON cannot carry",
                    row=index,
                )
        if model.log_share:
            self._log.append(
                Entry(
                    model=model.name,
                    uuid=model.uuid,
                    tag=route.tag,
                    share=model.log_share,
                    predicted_at=now,
                    request=request,
                    identities=identities,
                    predictions=predictions,
                    size=len(body),
                )
            )
        self._metrics.requests.labels(model.name, model.uuid).inc()
        self._metrics.predictions.labels(model.name, model.uuid).inc(len(predictions))
        answers: list[dict[str, object]] = [
            {
                "prediction_id": identity,
                "prediction": prediction.value,
                "part": prediction.part,
                "level": prediction.level,
                **({"outputs": prediction.outputs} if prediction.outputs else {}),
            }
            for identity, prediction in zip(identities, predictions, strict=True)
        ]
        for index, error in failed.items():
            self._metrics.errors.labels("function_failed").inc()
            answers.insert(index, {"error": str(error), "status": 500})
        document: dict[str, object] = {
            "model": model.name,
            "uuid": model.uuid,
            "tag": route.tag,
            "predictions": answers,
        }
        if missing:
            document["missing_groups"] = missing
        return orjson.dumps(document)


def _is_finite(prediction: Prediction) -> bool:
    if prediction.outputs:
        return all(map(math.isfinite, prediction.outputs.values()))
    return isinstance(prediction.value, float) and math.isfinite(prediction.value)


def _one_by_one(
    scorer: Scorer | BeforeDeadline, request: PredictRequest
) -> tuple[PredictRequest, list[Prediction], dict[int, GiornataError]]:
    """The rows that can be answered, their answers, and by place the rows for which code of the project fails.

    Raises RefusedError when no row can be answered.
    """
    sound, predictions = PredictRequest([], [], []), []
    failed: dict[int, GiornataError] = {}
    for index, row in enumerate(request.rows):
        try:
            predictions += scorer.rows([row])
        except _FAILURES as error:
            failed[index] = error
            continue
        sound.rows.append(row)
        sound.keys.append(request.keys[index])
        sound.at.append(request.at[index])
    if not predictions:
        raise RefusedError(500, "function_failed", str(failed[0]), row=0)
    return sound, predictions, failed
