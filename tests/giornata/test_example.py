"""The example of a request: in the types of the signature, about a moment that is online, from the command line."""

import ast
import json
import shlex
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from typer.testing import CliRunner

from giornata.bundle import open_bundle, write_bundle
from giornata.cli.example import app
from giornata.errors import NotFoundError
from giornata.example import example
from giornata.serving.model import open_model
from giornata.stores import cassandra
from giornata.stores.deployments import Deployments
from giornata.stores.online_history import Covered
from giornata.stores.repository import Repository
from tests.giornata.conftest import MOMENT

NOW = MOMENT + timedelta(days=20, seconds=1, microseconds=5)
ADDRESS = "http://127.0.0.1:8090"


@pytest.fixture
def reader(tmp_path, trained_bundle):
    """Reads requests as the server does for the version."""
    path = tmp_path / "bundle.zip"
    path.write_bytes(trained_bundle)
    return open_model(path).reader


def test_an_example_is_the_fullest_row_with_a_key_and_a_moment(trained, trained_bundle, reader):
    bundle = open_bundle(trained_bundle)
    covered = {"origin_weather": Covered(None, date(2013, 6, 11))}
    request = example(bundle, covered, ADDRESS, "production", NOW)
    row = request.body["row"]
    assert request.url == f"{ADDRESS}/models/trips/minutes/production/predict"
    assert all(row[name] is not None for name in bundle.version.signature.inputs)
    assert row["trip_id"] == 1
    assert row["left_at"] == "2013-06-11T18:00:00Z", "on the newest day that is online"
    sample = next(found.inputs for found in bundle.self_test if found.inputs["distance"] == row["distance"])
    moved = datetime.fromisoformat(row["sched_dep"]) - datetime.fromisoformat(sample["sched_dep"])
    assert moved % timedelta(days=1) == timedelta(), "at its time of day"
    before = datetime.fromisoformat(row["sched_dep"]) - datetime(2013, 6, 11, 18, tzinfo=UTC)
    assert timedelta() <= before < timedelta(days=1), "asked before what the row tells the time of"
    read = reader.read(json.dumps(request.body).encode(), NOW)
    assert (read.keys, read.at) == ([{"trip_id": 1}], [datetime(2013, 6, 11, 18, tzinfo=UTC)])
    (python,) = [line for line in request.python.splitlines() if line.startswith("url = ")]
    assert python == f'url = "{request.url}"'
    assert json.loads(shlex.split(request.curl)[-1]) == request.body


def test_without_anything_online_an_example_is_about_now(trained_bundle, reader):
    bundle = open_bundle(trained_bundle)
    for covered in (
        {},
        {"other": Covered(None, date(2013, 6, 5))},
        {"origin_weather": Covered(None, date(2012, 1, 1))},
    ):
        body = example(bundle, covered, ADDRESS, None, NOW).body
        assert reader.read(json.dumps(body).encode(), NOW).at == [NOW.replace(microsecond=0)]


@pytest.mark.stack
@pytest.mark.timeout(200)
def test_the_command_prints_a_request_to_what_is_live(stores, trained, monkeypatch, reader):
    for name, value in stores.variables.items():
        monkeypatch.setenv(name, value)
    model, identity = f"e_{uuid.uuid4().hex[:10]}/minutes", str(uuid.uuid4())
    version = trained.bundle.version.model_copy(update={"uuid": identity, "model": model})
    bundle = write_bundle(type(trained.bundle)(**{**vars(trained.bundle), "version": version}))

    def run(*arguments):
        result = CliRunner().invoke(app, [model, *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    with cassandra.session(stores) as session:
        cassandra.apply_schema(session)
        Repository(session).save(version, bundle)
        with pytest.raises(NotFoundError, match=r"nothing is deployed to .* under the tag 'canary'"):
            run("--tag", "canary")
        Deployments(session).append(model, "canary", identity, "anna", "a test", ["online"], NOW)
        for arguments, asked in (("--tag", "canary"), "canary"), (("--uuid", identity), identity):
            printed = run(*arguments)
            curl, python = printed.split("\n\n", 1)
            *_, url, _, body = shlex.split(curl)
            assert url == f"{stores.serving}/models/{model}/{asked}/predict"
            ast.parse(python)
            reader.read(body.encode(), datetime.now(UTC))
        session.execute("DELETE FROM giornata.deployments WHERE model = %s AND tag = %s", (model, "canary"))
        session.execute("DELETE FROM giornata.model_versions WHERE uuid = %s", (identity,))
