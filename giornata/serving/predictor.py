"""Answers one prediction request: parses the body, fetches features, scores, logs."""

import math
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson

from dsl import UdfError
from giornata.absence import Missing, Reason
from giornata.errors import GiornataError
from giornata.models.base import PredictionError
from giornata.scorer import Prediction, Scorer
from giornata.serving.metrics import Metrics
from giornata.serving.model import ServedModel
from giornata.serving.online_store import OnlineStore
from giornata.serving.pool import Deadline
from giornata.serving.prediction_log import Entry, PredictionLog
from giornata.serving.requests import MAX_PROBLEMS, Fault, PredictRequest, RefusedError
from giornata.serving.routing import Route
from giornata.serving.workers import BeforeDeadline

_FAILURES = (UdfError, PredictionError)
"""Errors of a project's own code about a row."""


class Predictor:
    """Answers requests with the models that routes lead to; safe to use from many threads."""

    def __init__(self, store: OnlineStore, log: PredictionLog, metrics: Metrics):
        self._store = store
        self._log = log
        self._metrics = metrics

    def answer(self, route: Route, body: bytes, now: datetime, deadline: Deadline | None = None) -> bytes:
        """The answer to `body`, with one prediction per row, in order.

        A wrong row has `status` 422, the first `error` and all `errors` instead; so has a row whose moment lies before
        a feature group's online history, unless the model's document says to mark it. A row for which a function of the
        project (UDF) fails, or the model's own class (type custom), has `status` 500 and `error`. The others have their
        predictions, unless the request is all or nothing.

        A prediction has `missing` if its row lacked a feature group: which, and why. A group that could not be read,
        and whose features are null because the model's document wants that, is also named in `missing_groups` of the
        whole answer. If the model is measured by labels, a prediction that no label can be joined to has `loggable`
        false and `missing_key`, the key columns that the row lacks.

        `now` is the moment of the prediction if the request names none. Raises RefusedError, and StoreError if the
        model needs features and the store does not return them.
        """
        model = route.model
        request = model.reader.read(body, now)
        unread = self._store.add_features(model, request, deadline) if model.reads_store else []
        invalid = len(request.refused)
        if request.missing:
            self._count_missing(model, request)
            if model.online.before_history == "refuse":
                request = _within_history(request)
        failed: dict[int, GiornataError] = {}
        scorer = model.answering(deadline)
        try:
            predictions = scorer.rows(request.rows)
        except _FAILURES:
            request, predictions, failed = _one_by_one(scorer, request)
        if request.refused:
            self._count_refused(model, invalid, len(request.refused) - invalid)
        identities = [str(uuid.uuid4()) for _ in predictions]
        for index, prediction in enumerate(predictions):
            if not _is_finite(prediction):
                raise RefusedError(
                    500,
                    "not_finite",
                    f"the model answers {prediction.outputs or prediction.value}, which JSON cannot carry",
                    row=request.places[index],
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
        if request.missing:
            _tell_missing(model, request, answers)
        if model.joins_labels:
            for answer, key in zip(answers, request.keys, strict=True):
                if None in key.values():
                    answer["loggable"] = False
                    answer["missing_key"] = [name for name, value in key.items() if value is None]
        if failed or request.refused:
            without = {place: _refused(faults) for place, faults in request.refused.items()}
            for place, error in failed.items():
                self._metrics.errors.labels("function_failed").inc()
                self._metrics.refused_rows.labels(model.name, "function_failed").inc()
                without[place] = {"error": str(error), "status": 500}
            for place in sorted(without):
                answers.insert(place, without[place])
        document: dict[str, object] = {
            "model": model.name,
            "uuid": model.uuid,
            "tag": route.tag,
            "predictions": answers,
        }
        if unread:
            document["missing_groups"] = unread
        return orjson.dumps(document)

    def _count_missing(self, model: ServedModel, request: PredictRequest) -> None:
        counts = Counter(
            (missing.group, missing.reason) for found in request.missing.values() for missing in found
        )
        for (group, reason), number in counts.items():
            self._metrics.missing_rows.labels(model.name, group, reason.value).inc(number)

    def _count_refused(self, model: ServedModel, invalid: int, before_history: int) -> None:
        for kind, number in (("invalid", invalid), (Reason.BEFORE_HISTORY.value, before_history)):
            if number:
                self._metrics.refused_rows.labels(model.name, kind).inc(number)


def _is_finite(prediction: Prediction) -> bool:
    if prediction.outputs:
        return all(map(math.isfinite, prediction.outputs.values()))
    return isinstance(prediction.value, float) and math.isfinite(prediction.value)


def _refused(faults: Sequence[Fault]) -> dict[str, object]:
    """The entry of a wrong row in the answer."""
    if not faults:
        return {
            "status": 422,
            "error": f"this row is wrong as well; of a request {MAX_PROBLEMS} errors are told",
        }
    errors = [{"field": fault.field, "error": fault.message} for fault in faults]
    return {"status": 422, "error": faults[0].message, "errors": errors}


def _tell_missing(model: ServedModel, request: PredictRequest, answers: Sequence[dict[str, object]]) -> None:
    """Add to each prediction which feature groups its row lacked, and why."""
    for answer, place in zip(answers, request.places, strict=True):
        if found := request.missing.get(place):
            answer["missing"] = [_missing(missing, model.inputs.store[missing.use].keys) for missing in found]


def _missing(missing: Missing, keys: Mapping[str, str]) -> dict[str, object]:
    told: dict[str, object] = {"group": missing.group, "reason": missing.reason.value}
    if missing.use != missing.group:
        told["by"] = list(keys.values())  # one of several uses of the group
    return told


def _within_history(request: PredictRequest) -> PredictRequest:
    """The request without the rows whose moment lies before the online history, which are refused.

    Raises RefusedError if none is left, or if the request is all or nothing.
    """
    kept = []
    for position, place in enumerate(request.places):
        faults = [
            Fault(_before_history(missing, request.at[position]), None)
            for missing in request.missing.get(place, ())
            if missing.reason is Reason.BEFORE_HISTORY
        ]
        if faults:
            request.refused[place] = faults
        else:
            kept.append(position)
    if len(kept) == len(request.places):
        return request
    if not kept or request.all_or_nothing:
        row = next(place for place in request.places if place in request.refused)
        kind, faults = Reason.BEFORE_HISTORY.value, request.refused[row]
        raise RefusedError(422, kind, faults[0].message, None, row, request.refused)
    return request.only(kept)


def _before_history(missing: Missing, moment: datetime) -> str:
    return (
        f"the moment {moment:%Y-%m-%dT%H:%M:%SZ} is before the online history of the feature group {missing.group}, "
        f"which is complete from {missing.begin:%Y-%m-%d} on: ask about a later moment, or push more of its past "
        "(history in its document). A model whose document says online: {before_history: mark} answers without the "
        "group"
    )


def _one_by_one(
    scorer: Scorer | BeforeDeadline, request: PredictRequest
) -> tuple[PredictRequest, list[Prediction], dict[int, GiornataError]]:
    """The rows that can be scored, their predictions, and by position the rows for which the project's code fails.

    Raises RefusedError if no row can be scored, or not all of them and the request is all or nothing.
    """
    sound: list[int] = []
    predictions: list[Prediction] = []
    failed: dict[int, GiornataError] = {}
    for position, row in enumerate(request.rows):
        try:
            predictions += scorer.rows([row])
        except _FAILURES as failure:
            failed[request.places[position]] = failure
        else:
            sound.append(position)
    if failed and (request.all_or_nothing or not predictions):
        place, error = next(iter(failed.items()))
        raise RefusedError(500, "function_failed", str(error), row=place)
    return request.only(sound), predictions, failed
