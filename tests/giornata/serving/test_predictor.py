"""Answers to requests for which a function of the project fails, without a server around them."""

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from giornata.models.base import PredictionError
from giornata.models.xgboost.boosted_trees import BoostedTrees
from giornata.serving.metrics import Metrics
from giornata.serving.model import open_model
from giornata.serving.online_store import OnlineStore
from giornata.serving.prediction_log import PredictionLog
from giornata.serving.predictor import Predictor
from giornata.serving.requests import RefusedError
from giornata.serving.routing import Route

NOW = datetime(2013, 11, 1, 12, tzinfo=UTC)


class KeptLog(PredictionLog):
    """Keeps the entries that would be written."""

    def append(self, entry):
        self.kept = entry


@pytest.fixture
def ask(tmp_path, rooted):
    """Asks about distances; returns the answer and what is logged of it."""
    path = tmp_path / "model.zip"
    path.write_bytes(rooted.content)
    metrics = Metrics()
    log = KeptLog(tmp_path / "log", metrics)
    predictor = Predictor(OnlineStore(lambda: None, metrics), log, metrics)
    route = Route(open_model(path), "production")

    def answer(*distances, **more):
        rows = [{"distance": distance, "flight_id": str(place)} for place, distance in enumerate(distances)]
        body = predictor.answer(route, json.dumps({"rows": rows, **more}).encode(), NOW)
        return json.loads(body)["predictions"], log.kept, metrics.page().decode()

    return answer


def test_a_function_that_fails_refuses_its_row_alone(ask, rooted):
    predictions, logged, page = ask(4.0, -1.0, None, 9.0)
    assert predictions[1] == {"error": "udfs.root(-1.0): raises ValueError: math domain error", "status": 500}
    truth = rooted.answers([[2.0], [float("nan")], [3.0]])
    assert [answer["prediction"] for place, answer in enumerate(predictions) if place != 1] == truth
    assert [row["distance"] for row in logged.request.rows] == [4.0, None, 9.0]
    assert [key["flight_id"] for key in logged.request.keys] == ["0", "2", "3"]
    assert logged.identities == [predictions[place]["prediction_id"] for place in (0, 2, 3)]
    assert 'kind="function_failed"} 1.0' in page


def test_a_request_none_of_whose_rows_can_be_answered_is_refused(ask):
    for distances in ([-1.0], [-1.0, -2.0]):
        with pytest.raises(RefusedError) as caught:
            ask(*distances)
        assert (caught.value.status, caught.value.kind, caught.value.row) == (500, "function_failed", 0)
        assert str(caught.value) == "udfs.root(-1.0): raises ValueError: math domain error"


def test_wrong_rows_and_rows_that_fail_have_their_errors_in_place(ask, rooted):
    predictions, logged, page = ask(4.0, "far", -1.0, 9.0, True)
    assert predictions[1] == {
        "status": 422,
        "error": "distance is of type float, not the text 'far'",
        "errors": [{"field": "distance", "error": "distance is of type float, not the text 'far'"}],
    }
    assert (predictions[2]["status"], predictions[4]["status"]) == (500, 422)
    answered = [predictions[0], predictions[3]]
    assert [answer["prediction"] for answer in answered] == rooted.answers([[2.0], [3.0]])
    assert [key["flight_id"] for key in logged.request.keys] == ["0", "3"]
    assert logged.identities == [answer["prediction_id"] for answer in answered]
    refused = 'giornata_refused_rows_total{kind="%s",model="flights/rooted"} %.1f'
    assert refused % ("invalid", 2) in page
    assert refused % ("function_failed", 1) in page


def test_all_or_nothing_is_refused_for_a_row_that_is_wrong_or_fails(ask):
    for distances, status, row in (((4.0, "far"), 422, 1), ((4.0, 9.0, -1.0), 500, 2)):
        with pytest.raises(RefusedError) as caught:
            ask(*distances, all_or_nothing=True)
        assert (caught.value.status, caught.value.row) == (status, row)


def test_an_answer_that_no_label_can_find_says_which_key_columns_are_missing(tmp_path, rooted):
    path = tmp_path / "model.zip"
    path.write_bytes(rooted.content)
    model, metrics = open_model(path), Metrics()
    predictor = Predictor(OnlineStore(lambda: None, metrics), KeptLog(tmp_path / "log", metrics), metrics)
    body = json.dumps({"rows": [{"distance": 4.0, "flight_id": "UA-1"}, {"distance": 9.0}]}).encode()
    found, lost = json.loads(predictor.answer(Route(model, None), body, NOW))["predictions"]
    assert not {"loggable", "missing_key"} & found.keys()
    assert (lost["loggable"], lost["missing_key"]) == (False, ["flight_id"])
    unlogged = dataclasses.replace(model, log_share=0.0, joins_labels=False)
    for answer in json.loads(predictor.answer(Route(unlogged, None), body, NOW))["predictions"]:
        assert "loggable" not in answer


def test_a_class_of_the_project_that_fails_refuses_its_row_alone(ask, monkeypatch):
    def predict(self, matrix):
        if (matrix[:, 0] > 2).any():
            raise PredictionError("class Half fails to answer: models/half.py, line 7: KeyError: 9")
        return matrix[:, 0].astype(float)

    monkeypatch.setattr(BoostedTrees, "predict", predict)
    predictions, _, page = ask(4.0, 9.0)
    assert predictions[0]["prediction"] == 2.0
    failed = {"error": "class Half fails to answer: models/half.py, line 7: KeyError: 9", "status": 500}
    assert predictions[1] == failed
    assert 'kind="function_failed"} 1.0' in page
