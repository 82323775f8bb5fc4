"""Days of a run are checked where it is asked for, before Airflow's API sees the request."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from giornata.console.day_ranges import DayRanges

RUNS = "/api/v2/dags/flights.features/dagRuns"


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    """Airflow's API as far as it matters here: it tells what body it was sent."""
    (tmp_path / "flights").mkdir()
    (tmp_path / "flights" / "project.yaml").write_text("")
    api = FastAPI()

    @api.post("/api/v2/dags/{dag}/dagRuns")
    async def start(dag: str, request: Request) -> dict[str, Any]:
        return {"dag": dag, "body": (await request.body()).decode()}

    api.add_middleware(DayRanges, projects=tmp_path)
    return TestClient(api)


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("2013-11-05", "2013-11-01", "there is no day"),
        ("2013-11-05", "2013-11-05", "'to' is not included"),
        ("2013-11-31", "2013-12-05", "'2013-11-31' is not a date: write it as"),
    ],
)
def test_a_range_without_a_day_is_refused_with_the_reason(
    client: TestClient, first: str, last: str, told: str
) -> None:
    answer = client.post(RUNS, json={"conf": {"from": first, "to": last}, "logical_date": None})
    assert answer.status_code == 422
    assert told in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"conf": {"from": "2013-11-01", "to": "2013-11-05"}}',
        b'{"conf": {"from": null, "to": null}}',
        b'{"conf": {"as_of": "2013-11-01"}}',
        b'{"conf": []}',
        b"[]",
        b"not JSON",
        b"",
        b'{"conf": {"from": "2013-11-01", "to": "2013-11-05", "more": "' + b"x" * 2_000_000 + b'"}}',
    ],
)
def test_every_other_body_reaches_airflow_as_it_was_sent(client: TestClient, body: bytes) -> None:
    answer = client.post(RUNS, content=body)
    assert answer.json() == {"dag": "flights.features", "body": body.decode()}


def test_dags_of_others_may_mean_something_else_by_from_and_to(client: TestClient) -> None:
    body = {"conf": {"from": "2013-11-05", "to": "2013-11-01"}}
    for dag in ("trains.features", "flights.trip_minutes.train", "features"):
        assert client.post(f"/api/v2/dags/{dag}/dagRuns", json=body).status_code == 200
    assert client.post("/api/v2/dags/flights.origin_delays.features/dagRuns", json=body).status_code == 422
