"""`giornata features` and `giornata check` on real stores, run as a person runs them."""

import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from giornata.cli.features import app
from giornata.cli.main import app as cli
from giornata.errors import NotFoundError
from giornata.records.feature_statistics import FeatureStatistics
from giornata.records.validation_result import ExpectationResult, Validation
from giornata.stores import cassandra
from giornata.stores.deployments import Deployments
from giornata.stores.repository import Repository
from giornata.stores.statistics import Statistics
from giornata.stores.validations import Validations

DAY = date(2013, 11, 30)
AT = datetime(2013, 12, 1, tzinfo=UTC)
GROUP = """\
description: Weather where trips begin
owner: weather-team
entity: {origin: str}
ttl: 3h
sla: 6h
features:
  wind_speed: {type: float, description: "Wind, mph"}
  stormy: {type: bool, description: Whether there was a storm}
  colour: {type: str, description: The colour of the sky}
expect:
  - expect_column_values_to_be_between: {column: wind_speed, min_value: 0, max_value: 200}
    policy: warn
"""
QUERY = "SELECT origin, observed_at AS event_time, wind_speed, stormy, colour\nFROM raw.w WHERE a >= :from AND a < :to"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a project of the test's own with one group and no model."""
    name = f"f_{uuid.uuid4().hex[:10]}"
    folder = tmp_path / "projects" / name
    (folder / "features").mkdir(parents=True)
    (folder / "project.yaml").write_text("description: d\nowner: o\nstart_date: 2013-01-01\n")
    (folder / "features" / "origin_weather.yaml").write_text(GROUP)
    (folder / "features" / "origin_weather.sql").write_text(QUERY)
    monkeypatch.setenv("GIORNATA_PROJECTS", str(folder.parent))
    return name


@pytest.fixture
def version(stores, schema, trained, project, monkeypatch):
    """A version that reads wind_speed, live as production, and the statistics of a day; commands find the stack."""
    monkeypatch.setenv("GIORNATA_CASSANDRA", stores.cassandra)
    found = trained.bundle.version.model_copy(
        update={"uuid": str(uuid.uuid4()), "model": f"{project}/minutes"}
    )
    with cassandra.session(stores) as opened:
        cassandra.apply_schema(opened)
        measured = [
            FeatureStatistics("wind_speed", "float", DAY, 72, 0.25, 0.5, 8.5, 31.0, 1, 4, 8, 12, 25.5),
            FeatureStatistics("stormy", "bool", DAY, 72, 0.0, true_share=0.125),
            FeatureStatistics("colour", "str", DAY, 72, 0.0, distinct=3),
        ]
        Statistics(opened).replace(project, "origin_weather", DAY, measured, "/a", AT)
        warned = ExpectationResult(
            "expect_column_values_to_be_between",
            '{"column": "wind_speed", "max_value": 200, "min_value": 0}',
            "wind_speed",
            "warn",
            "warned",
            144,
            2,
            "201.5, 300.0",
        )
        days = Validation(DAY - timedelta(days=1), DAY + timedelta(days=1), AT, (warned,))
        Validations(opened).replace(project, "origin_weather", days, "/a")
        Repository(opened).save(found, b"bundle")
        Deployments(opened).append(found.model, "production", found.uuid, "anna", "first", ["online"], AT)
        yield found
        opened.execute(
            "DELETE FROM giornata.deployments WHERE model = %s AND tag = 'production'", (found.model,)
        )


def run(*arguments, application=app, code=0):
    result = CliRunner().invoke(application, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_all_groups_in_80_columns(project, version):
    said = lines(run(project).stdout)
    assert said == [
        f"{project}/origin_weather",
        "  Weather where trips begin",
        "  owner weather-team · entity origin (str) · ttl 3h",
        "  computed with the project's data, on request · each day due 6h after its end",
        "  newest day 2013-11-30: 72 rows",
        "  late since 2013-12-02 06:00 UTC: the next day is not published",
        "  Feature     Type   Missing  Meaning                  Used by",
        "  wind_speed  float    25.0%  Wind, mph                minutes (live as",
        "                                                       production; no longer in",
        "                                                       its document)",
        "  stormy      bool        0%  Whether there was a      -",
        "                              storm",
        "  colour      str         0%  The colour of the sky    -",
    ]
    assert run().stdout == run(project).stdout


def test_one_group_in_full(project, version):
    said = lines(run(f"{project}/origin_weather").stdout)
    values = said.index("Values on 2013-11-30")
    assert [line.split() for line in said[values + 1 : values + 5]] == [
        ["Feature", "Least", "5%", "Median", "Mean", "95%", "Greatest"],
        ["wind_speed", "0.5", "1", "8", "8.5", "25.5", "31"],
        ["stormy", "true:", "12.5%"],
        ["colour", "3", "values"],
    ]
    expected = said.index("  warn: expect_column_values_to_be_between {column: wind_speed, min_value: 0,")
    assert said[expected + 1 : expected + 4] == [
        "  max_value: 200}",
        "      warned on 2013-11-29 to 2013-11-30: 2 of 144 rows do not meet it, such as",
        "      201.5, 300.0; in the last 30 days 2 days warned",
    ]
    assert said[-3:] == ["Computed by SQL", *(f"  {line}" for line in QUERY.splitlines())]
    with pytest.raises(NotFoundError, match="did you mean 'origin_weather'"):
        run(f"{project}/origin_wether")


def test_search(project, version):
    said = run(project, "--search", "STORM weather").stdout
    assert "stormy" in said
    assert "wind_speed" not in said
    said = run(project, "--search", "tide").stdout
    assert said == f"There is no feature group in which all of 'tide' is found in project {project}.\n"


def test_without_cassandra_the_documents_are_shown(project, monkeypatch):
    monkeypatch.setenv("GIORNATA_CASSANDRA", "127.0.0.1:9")
    done = run(project)
    said = lines(done.stdout)
    assert "  Feature     Type   Meaning                    Used by" in said
    assert not any("newest day" in line or "late" in line or "no day" in line for line in said)
    assert done.stderr.startswith(
        "\nPublished days and live versions are not shown: Cassandra at 127.0.0.1:9 does not answer"
    )
    assert done.stderr.count("\n") == 2


def test_a_feature_that_a_live_version_reads_cannot_go_or_change_its_type(project, version, tmp_path):
    folder = tmp_path / "projects" / project
    done = run("check", folder, application=cli)
    assert (done.stdout, done.stderr) == (f"{project}: ok (0 tables, 1 feature group, 0 models)\n", "")
    file = folder / "features" / "origin_weather.yaml"
    start = f"version {version.uuid} of minutes, live as production, reads origin_weather.wind_speed"

    file.write_text(GROUP.replace("wind_speed: {type: float", "wind_speed: {type: int"))
    done = run("check", folder, application=cli, code=1)
    assert done.stdout == (
        f"{project}: 1 problem\n\n{start} as float, which the documents now have as int: leave "
        "features/origin_weather.yaml as it is and write what changes as a new version of the group, "
        "features/origin_weather.v2.yaml\n\n"
    )
    file.write_text(GROUP.replace("wind_speed", "wind"))
    done = run("check", folder, application=cli, code=1)
    assert done.stdout == (
        f"{project}: 1 problem\n\n{start} (float), which the documents no longer have: put it back until a "
        "version that does not read it is live in its place\n\n"
    )
