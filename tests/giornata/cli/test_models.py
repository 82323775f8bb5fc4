"""The commands about models, run as a person runs them, on the real Cassandra."""

import uuid
from datetime import timedelta

import pytest
import typer
import yaml
from typer.testing import CliRunner

from giornata.cli import runs as cli_runs
from giornata.cli.models import app
from giornata.errors import GateError, InvalidNameError, NotFoundError
from giornata.records.model_version import RecordedWindow
from giornata.removal import StillThereError
from giornata.stores import cassandra
from giornata.stores.repository import Repository


@pytest.fixture
def versions(stores, schema, trained, tmp_path, monkeypatch):
    """Two versions of a model of the test's own, the second better; commands find the test's stack."""
    for name, value in {**stores.variables, "GIORNATA_BUNDLES": str(tmp_path / "bundles")}.items():
        monkeypatch.setenv(name, value)
    model = f"e_{uuid.uuid4().hex[:10]}/minutes"
    base = trained.bundle.version
    saved = [
        base.model_copy(
            update={
                "uuid": str(uuid.uuid4()),
                "model": model,
                "metrics": {"rmse": rmse, "r2": None},
                "finished_at": base.finished_at + timedelta(days=day),
            }
        )
        for day, rmse in enumerate((21.5, 14.5, 99.0))
    ]
    with cassandra.session(stores) as opened:
        cassandra.apply(opened, schema)
        for version in saved:
            Repository(opened).save(version, b"bundle of " + version.uuid.encode())
        yield saved
        for tag in ("production", "canary"):
            opened.execute("DELETE FROM giornata.deployments WHERE model = %s AND tag = %s", (model, tag))


commands = typer.Typer()
commands.add_typer(app)
commands.add_typer(cli_runs.app)


def run(*arguments):
    result = CliRunner().invoke(commands, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_deploy_list_roll_back(versions, tmp_path):
    first, second, _ = versions
    model = first.model
    said = run("deploy", model, "--uuid", first.uuid, "--reason", "first", "--by", "anna")
    assert said == f"{model}: version {first.uuid} is live under production (batch, online)\n"
    run("deploy", model, "--uuid", second.uuid, "--tag", "production", "--reason", "better", "--by", "berta")
    listed = run("models", model).splitlines()[1:]
    assert [(second.uuid in line, "production" in line) for line in listed[1:]] == [
        (True, True),
        (False, False),
    ]
    assert "rmse 14.5" in listed[1]
    assert "rmse 99" in listed[0]
    rolled = run("rollback", model, "production", "--reason", "mails", "--by", "carl")
    assert first.uuid in rolled
    lines = run("timeline", model, "production").splitlines()[1:]
    assert [line.split()[-1] for line in lines] == ["mails", "better", "first"]
    assert ["rolled back" in line for line in lines] == [True, False, False]
    assert [
        uuid_ in line for uuid_, line in zip((first.uuid, second.uuid, first.uuid), lines, strict=True)
    ] == [
        True,
        True,
        True,
    ]
    assert (tmp_path / "bundles" / f"{first.uuid}.zip").exists()


def test_what_is_live_already_is_told_as_that_and_nothing_changes(versions):
    first = versions[0]
    run("deploy", first.model, "--uuid", first.uuid, "--reason", "first", "--by", "anna")
    said = run("deploy", first.model, "--uuid", first.uuid, "--reason", "again", "--by", "berta")
    assert f"version {first.uuid} is live under production (batch, online) already, since" in said
    assert "by anna: nothing has changed" in said
    run("deploy", first.model, "--uuid", first.uuid, "--reason", "nightly", "--modes", "batch")
    lines = run("timeline", first.model, "production").splitlines()[1:]
    assert [line.split()[-1] for line in lines] == ["nightly", "first"]


def test_a_version_trained_without_deploy_is_deployed_by_tag_and_modes(stores, versions):
    bare = versions[0].configuration.model_copy(update={"deploy": None})
    version = versions[0].model_copy(update={"uuid": str(uuid.uuid4()), "configuration": bare})
    with cassandra.session(stores) as opened:
        Repository(opened).save(version, b"bundle of " + version.uuid.encode())
    command = ("deploy", version.model, "--uuid", version.uuid, "--reason", "by hand")
    with pytest.raises(
        NotFoundError, match="keeps the document it was trained with: name a tag and the modes"
    ):
        run(*command, "--tag", "canary")
    with pytest.raises(InvalidNameError):
        run(*command, "--tag", "Canary!", "--modes", "batch")
    wrong = CliRunner().invoke(app, [*command, "--tag", "canary", "--modes", "batch,nightly"])
    assert wrong.exit_code == 2
    assert "is not batch, online or batch,online" in " ".join(wrong.output.replace("│", "").split())
    assert run(*command, "--tag", "canary", "--modes", "online, batch") == (
        f"{version.model}: version {version.uuid} is live under canary (batch, online)\n"
    )
    (line,) = run("timeline", version.model, "canary").splitlines()[1:]
    assert "batch, online" in line


DOCUMENTS = {
    "project.yaml": {"description": "Rides", "owner": "tests", "start_date": "2013-01-01"},
    "tables/rides.yaml": {
        "description": "Rides",
        "key": ["ride"],
        "event_time": "begun_at",
        "columns": {"ride": "int", "begun_at": "timestamp", "distance": "float", "minutes": "float"},
    },
    "models/minutes.yaml": {
        "description": "Minutes",
        "owner": "tests",
        "type": "xgboost",
        "task": "regression",
        "data": {"table": "rides", "key": ["ride"], "event_time": "begun_at"},
        "label": {"table": "rides", "value": "minutes", "event_time": "begun_at"},
        "split": {"train": "30d", "validation": 0.2, "test": "7d"},
        "features": {"distance": "row.distance"},
        "deploy": {"tag": "nightly", "modes": ["batch"]},
    },
}


@pytest.fixture
def documents(versions, tmp_path, monkeypatch):
    """A project of the model `versions` belongs to, which its document means for batches."""
    monkeypatch.setenv("GIORNATA_PROJECTS", str(tmp_path / "projects"))
    project, _ = versions[0].model.split("/")
    for path, document in DOCUMENTS.items():
        file = tmp_path / "projects" / project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(document))
    return project


def test_modes_that_no_dag_of_the_project_serves_are_told(stores, versions, documents):
    alone = versions[0].signature.model_copy(update={"store": {}})  # the project has no feature groups
    version = versions[0].model_copy(update={"uuid": str(uuid.uuid4()), "signature": alone})
    with cassandra.session(stores) as opened:
        Repository(opened).save(version, b"bundle of " + version.uuid.encode())
    command = ("deploy", version.model, "--uuid", version.uuid, "--reason", "first")
    said = " ".join(run(*command).split())
    assert "WARNING: no DAG brings what it answers into Hive, as no document of the project" in said
    assert "no DAG scores it" not in said
    assert "WARNING" not in run(*command, "--modes", "batch")


def test_a_uuid_may_be_short(stores, versions):
    """As the digits that begin it, with or without dashes, as long as they begin no other."""
    first, second, _ = versions
    with cassandra.session(stores) as opened:
        repository = Repository(opened)
        alike = [f"{first.uuid[:-1]}{digit}" for digit in "0123456789abcdef" if first.uuid[-1] != digit]
        for uuid_ in alike[:11]:
            repository.save(first.model_copy(update={"uuid": uuid_}), b"bundle")
    assert first.uuid in run("show", first.uuid.upper())
    assert second.uuid in run("show", second.uuid[:8])
    assert second.uuid in run("show", second.uuid.replace("-", "")[:17].upper())
    said = run("deploy", second.model, "--uuid", second.uuid[:11], "--reason", "first", "--by", "anna")
    assert f"version {second.uuid} is live" in said
    with pytest.raises(NotFoundError, match=f"^12 versions begin with {first.uuid[:9]}") as caught:
        run("show", first.uuid[:9])
    lines = str(caught.value).splitlines()
    assert len(lines) == 12
    assert lines[1].split() == [lines[1].split()[0], first.model]
    assert lines[-1] == "  and 2 more"
    for wrong in ("12345", "production", first.uuid + "0", ""):
        with pytest.raises(NotFoundError, match="6 or more of its first hex digits"):
            run("show", wrong)


def test_the_versions_of_a_project_are_listed(versions):
    project, name = versions[0].model.split("/")
    listed = run("models", project)
    assert [each.uuid in listed for each in versions] == [True] * 3
    assert name in listed
    with pytest.raises(NotFoundError, match="there is no project e_nobody"):
        run("models", "e_nobody")


def test_by_is_the_user_unless_said(versions, monkeypatch):
    monkeypatch.setenv("LOGNAME", "dora")
    run("deploy", versions[0].model, "--uuid", versions[0].uuid, "--reason", "first")
    assert "dora" in run("timeline", versions[0].model, "production")


def test_show(versions):
    shown = run("show", versions[0].uuid)
    for text in (
        versions[0].uuid,
        "whole model",
        "21.5",
        "without parts",
        "n_estimators 12",
        "the document's own parameters, with validation rmse 3.5",
        "distance",
        "rmse",
    ):
        assert text in shown


def test_show_says_how_many_rows_had_no_label_and_what_learned_from_the_test_period(stores, versions):
    plain = versions[0]
    test = plain.windows["test"]
    windows = {**plain.windows, "test": test.model_copy(update={"unlabelled": 482})}
    refit = RecordedWindow(start=plain.windows["train"].start, end=test.end, rows=333)
    told = plain.model_copy(update={"uuid": str(uuid.uuid4()), "windows": windows, "refit": refit})
    with cassandra.session(stores) as opened:
        Repository(opened).save(told, b"bundle of " + told.uuid.encode())
    shown = " ".join(run("show", told.uuid).split())
    assert f"{test.rows} rows, 482 more without a label in time" in shown
    assert "333 rows; the metrics are those of the first fit" in shown
    assert shown.count("without a label") == 1
    assert "those of the first fit" not in run("show", plain.uuid)


def test_show_says_what_a_part_has_found_for_itself(stores, versions):
    root = versions[0].parts[0]
    own = {**versions[0].parameters, "max_depth": 9, "learning_rate": 0.0123456789}
    part = root.model_copy(update={"name": "city=Rome", "key": ["Rome"], "parameters": own, "tried": 6})
    searched = versions[0].model_copy(update={"uuid": str(uuid.uuid4()), "parts": [root, part]})
    with cassandra.session(stores) as opened:
        Repository(opened).save(searched, b"bundle of " + searched.uuid.encode())
    shown = " ".join(run("show", searched.uuid).split())
    assert shown.count("the best of") == 1
    assert "with max_depth 9, learning_rate 0.0123457, the best of 6 tried" in shown


def test_warnings_are_seen_where_a_version_is_looked_at_and_deployed(stores, versions):
    sentences = [
        "feature paid: it equals the label",
        "column came_at lies after asked_at, in 7 of the 9 rows " * 4,
    ]
    warned = versions[0].model_copy(update={"uuid": str(uuid.uuid4()), "warnings": sentences})
    with cassandra.session(stores) as opened:
        Repository(opened).save(warned, b"bundle of " + warned.uuid.encode())
    shown = run("show", warned.uuid)
    lines = [line.split() for line in shown.splitlines()]
    heads = [
        line[0] for line in lines if line and line[0] in ("version", "trained", "WARNING", "train", "Test")
    ]
    assert heads == ["version", "trained", "WARNING", "WARNING", "train", "Test"]
    words = " ".join(shown.split())
    for sentence in sentences:
        assert " ".join(sentence.split()) in words
    assert "WARNING" not in run("show", versions[0].uuid)
    said = run(
        "deploy", warned.model, "--uuid", warned.uuid, "--reason", "first", "--by", "anna"
    ).splitlines()
    assert said[:2] == [f"WARNING: {sentence}" for sentence in sentences]
    assert said[2].startswith(f"{warned.model}: version {warned.uuid} is live under production")


def test_errors_are_for_people(versions):
    first, _, bad = versions
    with pytest.raises(GateError, match="rmse is 99, more than 40"):
        run("deploy", bad.model, "--uuid", bad.uuid, "--reason", "why not")
    with pytest.raises(NotFoundError, match=f"is one of {first.model}, not of trips/other"):
        run("deploy", "trips/other", "--uuid", first.uuid, "--reason", "oops")
    with pytest.raises(NotFoundError, match="nothing was ever deployed"):
        run("timeline", first.model, "canary")
    with pytest.raises(NotFoundError, match="no model version"):
        run("show", str(uuid.uuid4()))
    with pytest.raises(NotFoundError, match="there is no project e_no"):
        run("models", "e_no/nobody")


def test_a_model_that_is_not_there_is_told_from_one_that_is_not_trained(documents, tmp_path):
    (tmp_path / "projects" / documents / "models/hours.yaml").write_text("in disorder: [")
    for command in ("models", "runs"):
        with pytest.raises(
            NotFoundError, match=f"there is no model {documents}/minuets .*did you mean 'minutes'"
        ):
            run(command, f"{documents}/minuets")
        with pytest.raises(
            NotFoundError, match=f"there is no project {documents}x .*did you mean '{documents}'"
        ):
            run(command, f"{documents}x/minutes")
    with pytest.raises(NotFoundError, match=f"no version of {documents}/hours has been trained yet"):
        run("models", f"{documents}/hours")
    with pytest.raises(NotFoundError, match=f"no training of {documents}/hours was started yet"):
        run("runs", f"{documents}/hours")
    with pytest.raises(NotFoundError, match=f"there is no model {documents}/minuets"):
        run("timeline", f"{documents}/minuets", "production")


def test_a_project_that_is_not_there_cannot_be_removed_and_nothing_is_asked(versions):
    project = versions[0].model.partition("/")[0]
    result = CliRunner().invoke(app, ["remove", f"{project}x", "--yes"])
    assert isinstance(result.exception, NotFoundError)
    assert f"there is no project {project}x" in str(result.exception)
    assert f"did you mean '{project}'" in str(result.exception)
    assert "removed" not in result.output
    asked = CliRunner().invoke(app, ["remove", f"{project}x"], input="y\n")
    assert isinstance(asked.exception, NotFoundError)
    assert "for good?" not in asked.output


def test_a_project_whose_folder_is_there_is_refused_before_anything_is_asked(documents):
    result = CliRunner().invoke(app, ["remove", documents], input="y\n")
    assert isinstance(result.exception, StillThereError)
    assert "for good?" not in result.output


def test_a_removal_says_that_airflow_could_not_be_asked(versions, monkeypatch):
    monkeypatch.setenv("GIORNATA_AIRFLOW", "http://127.0.0.1:9")
    monkeypatch.setenv("GIORNATA_AIRFLOW_USER", "admin")
    monkeypatch.setenv("GIORNATA_AIRFLOW_PASSWORD", "admin")
    project = versions[0].model.partition("/")[0]
    result = CliRunner().invoke(app, ["remove", project, "--yes"])
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "WARNING: Airflow is not asked: Airflow at http://127.0.0.1:9 does not answer" in said
    assert "removed 3 model versions" in said
    assert f"Runs of {project} in Airflow that were not finished are so still." in said


def test_without_a_deployment_nothing_is_listed_as_live(versions):
    listed = run("models", versions[0].model)
    assert "production" not in listed
    assert all(version.uuid in listed for version in versions)
