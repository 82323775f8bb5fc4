"""The console while Cassandra goes away and comes back, with its connection open."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from tenacity import Retrying, stop_after_delay, wait_fixed

from giornata.console import create_app
from giornata.settings import load_settings
from giornata.stores import cassandra


def test_cassandra_goes_and_comes_back(
    start_stack: Callable[..., Any], schema: Path, projects: Callable[..., str], tmp_path: Path
) -> None:
    projects()
    stack = start_stack(["cassandra"])
    settings = load_settings({"GIORNATA_HOME": str(stack.installation.home)})
    settings = replace(
        settings, variables={**settings.variables, "GIORNATA_PROJECTS": str(tmp_path / "projects")}
    )
    with cassandra.session(settings) as session:
        cassandra.apply(session, schema)
    client = TestClient(create_app(settings, lambda: "victor", lambda: "victor"))
    assert client.get("/").status_code == 200
    stack.down()
    answer = client.get("/")
    assert answer.status_code == 503
    assert "Cassandra" in answer.text
    assert "Traceback" not in answer.text
    assert client.get("/api/models").status_code == 503
    stack.up(["cassandra"])
    for attempt in Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.5), reraise=True):
        with attempt:
            assert client.get("/").status_code == 200
    client.app.state.sources.close()
