import re
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from giornata.console import create_app
from giornata.stores.deployments import Deployments

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


def test_models(trained: Any, client: TestClient) -> None:
    found = {entry["model"]: entry for entry in client.get("/api/models").json()}[trained.model]
    new = trained.versions[1]
    assert (found["versions"], found["tags"]) == (2, {"production": new.uuid})
    assert found["latest"]["uuid"] == new.uuid
    assert found["latest"]["metrics"] == new.metrics


def test_versions_of_a_model(trained: Any, client: TestClient) -> None:
    found = client.get(f"/api/models/{trained.model}").json()
    assert [version["uuid"] for version in found["versions"]] == [v.uuid for v in reversed(trained.versions)]
    assert [(entry["tag"], entry["uuid"]) for entry in found["live"]] == [
        ("production", trained.versions[1].uuid)
    ]
    assert client.get("/api/models/no/model").status_code == 404


def test_a_version_is_its_whole_record(trained: Any, client: TestClient) -> None:
    version = trained.versions[0]
    assert client.get(f"/api/versions/{version.uuid}").json() == version.model_dump(mode="json")
    answer = client.get("/api/versions/none")
    assert (answer.status_code, "no model version none" in answer.json()["detail"]) == (404, True)


def test_deployments(trained: Any, client: TestClient) -> None:
    old, new = trained.versions
    timeline = client.get("/api/deployments", params={"model": trained.model, "tag": "production"}).json()
    assert [(entry["uuid"], entry["at"]) for entry in timeline] == [
        (new.uuid, "2013-11-10T07:00:00Z"),
        (old.uuid, "2013-11-01T07:00:00Z"),
    ]
    live = client.get("/api/deployments", params={"model": trained.model}).json()
    assert [entry["uuid"] for entry in live] == [new.uuid]


def test_metrics(trained: Any, client: TestClient) -> None:
    asked = {"model": trained.model, "tag": "production", "metric": "r2", "mode": "online", "window": "7d"}
    points = client.get("/api/metrics", params={**asked, "start": "2013-11-09", "end": "2013-11-11"}).json()
    old, new = trained.versions
    assert [(point["at"], point["uuid"]) for point in points] == [
        ("2013-11-09", old.uuid),
        ("2013-11-10", new.uuid),
    ]
    assert {(point["value"], point["rows"], point["part"]) for point in points} == {(0.97, 6300, "all")}
    assert len(client.get("/api/metrics", params=asked).json()) == 21
    assert client.get("/api/metrics", params={"model": trained.model}).status_code == 422


def test_deploying(trained: Any, client: TestClient) -> None:
    trained.user = "anna"
    old = trained.versions[0]
    wanted = {"uuid": old.uuid, "reason": "by a program", "tag": "shadow", "modes": ["batch"]}
    answer = client.post("/api/deployments", json=wanted, headers={"authorization": "Bearer x"})
    assert answer.status_code == 201
    assert {key: answer.json()[key] for key in ("uuid", "tag", "by", "reason", "modes")} == {
        **wanted,
        "by": "anna",
    }
    live = Deployments(trained.session).current(trained.model, "shadow")
    assert live is not None
    assert live.uuid == old.uuid


def test_a_gate_that_is_not_met_is_a_conflict(trained: Any, client: TestClient) -> None:
    trained.user = "anna"
    worse = trained.train(16.5)
    answer = client.post("/api/deployments", json={"uuid": worse.uuid, "reason": "x"}, headers=SAME_ORIGIN)
    assert answer.status_code == 409
    assert "rmse is 16.5, more than 16" in answer.json()["detail"]


@pytest.mark.parametrize(
    "wrong", [{"reason": ""}, {"modes": []}, {"modes": ["nightly"]}, {"tags": "x"}, {"tag": "a/b"}]
)
def test_a_request_that_is_wrong(trained: Any, client: TestClient, wrong: dict[str, object]) -> None:
    trained.user = "anna"
    body = {"uuid": trained.versions[0].uuid, "reason": "x", **wrong}
    assert client.post("/api/deployments", json=body, headers=SAME_ORIGIN).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        b'{"uuid": NaN, "reason": "x"}',
        b'{"uuid": "UUID", "reason": "x", "tag": -Infinity}',
        b'{"uuid": "UUID", "reason": "x", "modes": [1e400]}',
        b'{"uuid": "UUID", "reason": "\\ud800"}',
        b'{"uuid": "UUID", "reason": "x", "\\ud800": 1}',
        b'{"uuid": "\xff", "reason": "x"}',
        b'{"uuid": "UUID", "reason": ' + b"[" * 100_000,
        b'{"uuid": "UUID", "reason": ' + b"9" * 5000 + b"}",
        b"NaN",
        b"",
    ],
)
def test_a_body_that_is_no_request_is_the_callers_fault(
    trained: Any, client: TestClient, body: bytes
) -> None:
    trained.user = "anna"
    content = body.replace(b"UUID", trained.versions[0].uuid.encode())
    answer = client.post(
        "/api/deployments", content=content, headers={**SAME_ORIGIN, "content-type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


def test_a_metric_that_is_no_number_is_null(trained: Any, client: TestClient) -> None:
    trained.session.execute(
        "INSERT INTO giornata.metric_series (model, tag, mode, metric, time_window, part, at, model_uuid, value, "
        "row_count) VALUES (%s, 'odd', 'batch', 'r2', '1d', 'all', '2013-11-09', 'u', NaN, 1)",
        (trained.model,),
    )
    asked = {"model": trained.model, "tag": "odd", "metric": "r2", "start": "2013-11-09", "end": "2013-11-10"}
    (point,) = client.get("/api/metrics", params=asked).json()
    assert (point["value"], point["rows"]) == (None, 1)


def test_a_viewer_cannot_deploy(trained: Any, client: TestClient) -> None:
    body = {"uuid": trained.versions[0].uuid, "reason": "x"}
    assert client.post("/api/deployments", json=body, headers=SAME_ORIGIN).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 201),
        ({"sec-fetch-site": "none"}, 201),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://testserver"}, 403),
        ({"origin": "http://testserver"}, 201),
        ({"origin": "http://testserver.evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"cookie": "_token=x"}, 403),
        ({}, 201),
    ],
)
def test_where_a_change_may_come_from(
    trained: Any, client: TestClient, headers: dict[str, str], status: int
) -> None:
    trained.user = "anna"
    body = {"uuid": trained.train(15.0).uuid, "reason": "x", "modes": ["batch"]}
    assert client.post("/api/deployments", json=body, headers=headers).status_code == status


def test_no_route_is_open(world: Any) -> None:
    """Every route but the static files asks who it is, and there is no description of the API to read."""
    world.user = None
    app = create_app(world.settings, world.current_user, world.require_editor)
    client = TestClient(app)
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert {route.path for route in app.routes} - {route.path for route in routes} == {"/static"}
    assert len(routes) >= 12
    for route in routes:
        for method in route.methods:
            answer = client.request(method, re.sub("{.*?}", "x", route.path), headers=SAME_ORIGIN)
            assert answer.status_code == 401, f"{method} {route.path}"
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 404
