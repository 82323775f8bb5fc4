"""The catalogue's pages and API over real Cassandra: a group with three weeks of days, and one never computed."""

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from giornata.records.feature_statistics import FeatureStatistics
from giornata.records.validation_result import ExpectationResult, Validation, Verdict
from giornata.stores import cassandra
from giornata.stores.statistics import Statistics
from giornata.stores.validations import Validations
from tests.giornata.console.reading import get, row, text

FIRST = date(2013, 11, 1)
WEATHER = {
    "description": "The <latest> weather at the airport of departure",
    "owner": "weather-team",
    "entity": {"origin": "str"},
    "ttl": "3h",
    "sla": "6h",
    "features": {
        "wind_speed": {"type": "float", "description": "Wind, mph"},
        "stormy": {"type": "bool", "description": "Whether there was a storm"},
        "colour": {"type": "str", "description": "The colour of the sky"},
        "seen_at": {"type": "timestamp", "description": "When it was seen"},
    },
    "expect": [{"expect_column_values_to_not_be_null": {"column": "origin"}, "policy": "quarantine"}],
}
PLANES = {
    "description": "What is known of a plane",
    "owner": "flights-team",
    "entity": {"tailnum": "str"},
    "schedule": "@weekly",
    "features": {"seats": {"type": "int", "description": "Number of seats"}},
}


@pytest.fixture
def groups(world: Any) -> Any:
    """The project with both groups; of the first, 21 days but the eleventh, and on the last no row has a value."""
    folder = world.settings.projects / world.project / "features"
    folder.mkdir()
    for name, document in (("origin_weather", WEATHER), ("planes", PLANES)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        (folder / f"{name}.sql").write_text(f"SELECT '<{name}>' WHERE a >= :from AND a < :to\n")
    cassandra.apply_schema(world.session)
    statistics = Statistics(world.session)
    for number in range(21):
        day = FIRST + timedelta(days=number)
        mean = 10.0 + number
        found = [
            FeatureStatistics(
                "wind_speed", "float", day, 72, 0.25, 0.0, mean, 40.0, mean - 5, 9, 10, 11, mean + 5
            ),
            FeatureStatistics("stormy", "bool", day, 72, 0.0, true_share=0.125),
            FeatureStatistics("colour", "str", day, 72, 0.5, distinct=3),
            FeatureStatistics("seen_at", "timestamp", day, 72, 0.0),
        ]
        if number == 20:
            found[0] = FeatureStatistics("wind_speed", "float", day, 72, 1.0)
        if number != 10:
            at = datetime(2013, 12, 1, tzinfo=UTC)
            statistics.replace(world.project, "origin_weather", day, found, "/a", at)
    return world


def test_the_list_says_how_fresh_a_group_is_and_who_uses_a_feature(groups: Any, client: TestClient) -> None:
    groups.deploy(groups.train(15.0), datetime(2013, 11, 1, tzinfo=UTC))
    page = get(client, "/features")
    shown = text(page)
    assert f"{groups.project}/origin_weather" in shown
    assert (
        "newest day 2013-11-21, 72 rows late since 2013-11-23 06:00 UTC · computed with the project's data, "
        "on request · ttl 3h · entity origin (str) · owner weather-team"
    ) in shown
    assert "no day is published yet · computed by its own schedule, @weekly" in shown
    assert row(page, "wind_speed") == (
        "wind_speed float 100.0% Wind, mph trip_minutes production no longer in its document"
    )
    assert row(page, "colour") == "colour str 50.0% The colour of the sky no model"
    assert row(page, "seats") == "seats int – Number of seats no model"
    assert "The &lt;latest&gt; weather" in page


def test_searching(groups: Any, client: TestClient) -> None:
    project = groups.project
    page = get(client, f"/features?search={project}+WEATHER-team+storm")
    assert "stormy" in page
    assert "wind_speed" not in page
    assert "planes" not in page
    assert f'value="{project} WEATHER-team storm"' in page
    nothing = text(get(client, f"/features?search={project}+%3Cscript%3E"))
    assert "Nothing matches “" in nothing


def test_models_and_features_lead_to_each_other(groups: Any, client: TestClient) -> None:
    assert '<a href="/features">Features</a>' in get(client, "/")
    assert '<a href="/">Models</a>' in get(client, "/features")


def test_a_group(groups: Any, client: TestClient) -> None:
    groups.deploy(groups.train(15.0), datetime(2013, 11, 1, tzinfo=UTC))
    page = get(client, f"/features/{groups.project}/origin_weather")
    assert "Late since 2013-11-23 06:00 UTC: the day after 2013-11-21 is not published." in text(page)
    assert row(page, "Newest day") == "Newest day 2013-11-21, 72 rows"
    assert row(page, "Computed") == (
        "Computed with the project's data, on request; each day due 6h after its end"
    )
    assert row(page, "Used by") == "Used by trip_minutes production no longer in its document"
    assert row(page, "expect_column_values_to_not_be_null").endswith(
        "{column: origin} such rows are set aside not checked yet in its present form – –"
    )
    assert "SELECT &#39;&lt;origin_weather&gt;&#39; WHERE" in page
    # Rows; then for each feature what is missing, and of all but the timestamp its values.
    assert page.count('<figure class="chart">') == 1 + 4 + 3
    assert page.count('class="band"') == 2, "the band of wind_speed breaks where a day is missing"
    for said in (
        "2013-11-01: mean 10.00, from 0 to 40.00, quantiles 5 25 50 75 95 %: 5.000 9.000 10.00 11.00 15.00",
        "2013-11-01: 12.5% true",
        "2013-11-01: 3 values",
        "2013-11-21: 100.0% of 72 rows",
        "2013-11-20: 72 rows",
    ):
        assert f"<title>{said}</title>" in page
    assert "<title>2013-11-11: 72 rows</title>" not in page
    assert "2013-11-21: mean" not in page


def found(verdict: Verdict, unexpected: int, policy: str = "quarantine") -> ExpectationResult:
    name, arguments = "expect_column_values_to_not_be_null", '{"column": "origin"}'
    return ExpectationResult(name, arguments, "origin", policy, verdict, 2000, unexpected, "<None>")


def test_what_expectations_found(groups: Any, client: TestClient) -> None:
    page = f"/features/{groups.project}/origin_weather"
    name = "expect_column_values_to_not_be_null"
    assert row(get(client, page), name) == (
        f"{name} {{column: origin}} such rows are set aside not checked yet in its present form – –"
    )
    store = Validations(groups.session)

    def say(first: int, last: int, hour: int, result: ExpectationResult) -> None:
        start, end = (FIRST + timedelta(days=number - 1) for number in (first, last + 1))
        at = datetime(2013, 12, 1, hour, tzinfo=UTC)
        store.replace(groups.project, "origin_weather", Validation(start, end, at, (result,)), f"/{at}")

    say(1, 20, 8, found("quarantined", 2))
    say(11, 20, 9, found("met", 0))
    assert row(get(client, page), name).endswith(
        "met 0 of 2,000 rows do not meet it, such as <None> 2013-11-11 to 2013-11-20 10 days quarantined"
    )
    assert "were not published" not in get(client, page)
    say(21, 21, 10, found("failed", 1500))
    shown = get(client, page)
    assert row(shown, name).endswith(
        "failed 1,500 of 2,000 rows do not meet it, such as <None> 2013-11-21 "
        "1 day failed, 10 days quarantined"
    )
    assert (
        f"The rows of 2013-11-21 were not published at 2013-12-01 10:00 UTC: {name} failed, "
        "1,500 of 2,000 rows do not meet it, such as <None>."
    ) in text(shown)

    path = f"/api{page}"
    (judged,) = client.get(path).json()["expectations"]
    assert judged == {
        "expectation": {name: {"column": "origin"}, "policy": "quarantine"},
        "result": asdict(found("failed", 1500)),
        "first_day": "2013-11-21",
        "last_day": "2013-11-21",
        "at": "2013-12-01T10:00:00Z",
        "days": {"quarantined": 10, "met": 10, "failed": 1},
    }
    days = client.get(f"{path}/validations", params={"start": "2013-11-15", "end": "2013-11-21"}).json()
    assert [(one["start"], one["end"]) for one in days] == [
        ("2013-11-01", "2013-11-21"),
        ("2013-11-11", "2013-11-21"),
    ]
    assert days[1]["results"] == [asdict(found("met", 0))]


def test_a_group_that_was_never_computed(groups: Any, client: TestClient) -> None:
    page = get(client, f"/features/{groups.project}/planes")
    assert (
        row(page, "Newest day")
        == f"Newest day none is published yet: {groups.project}.features in Airflow computes it"
    )
    assert "<figure" not in page
    assert "It has no expectations" in text(page)
    assert "late since" not in page


def test_no_groups_at_all(world: Any, client: TestClient) -> None:
    cassandra.apply_schema(world.session)
    assert "There is no feature group yet." in text(get(client, "/features"))


@pytest.mark.parametrize("path", ["no/group", "{project}/no_group"])
def test_a_group_that_is_not_there(groups: Any, client: TestClient, path: str) -> None:
    path = path.format(project=groups.project)
    assert "Not found" in get(client, f"/features/{path}", 404)
    assert client.get(f"/api/features/{path}").status_code == 404
    assert client.get(f"/api/features/{path}/statistics").status_code == 404
    assert client.get(f"/api/features/{path}/validations").status_code == 404


def test_the_api_says_the_same(groups: Any, client: TestClient) -> None:
    groups.deploy(groups.train(15.0), datetime(2013, 11, 1, tzinfo=UTC))
    found = client.get("/api/features", params={"search": f"{groups.project} mph"}).json()
    (group,) = found
    assert {key: group[key] for key in ("group", "owner", "newest_day", "rows", "late_since", "entity")} == {
        "group": f"{groups.project}/origin_weather",
        "owner": "weather-team",
        "newest_day": "2013-11-21",
        "rows": 72,
        "late_since": "2013-11-23T06:00:00Z",
        "entity": {"origin": "str"},
    }
    (feature,) = group["features"]
    assert feature["statistics"]["null_share"] == 1.0
    assert feature["uses"] == [{"model": "trip_minutes", "documented": False, "tags": ["production"]}]
    path = f"/api/features/{groups.project}/origin_weather"
    whole = client.get(path).json()
    assert [feature["name"] for feature in whole["features"]] == list(WEATHER["features"])  # type: ignore[arg-type]
    assert (whole["document"]["sla"], whole["document"]["ttl"]) == ("6h", "3h")
    days = client.get(f"{path}/statistics", params={"start": "2013-11-10", "end": "2013-11-13"}).json()
    winds = [(one["day"], one["mean"]) for one in days if one["feature"] == "wind_speed"]
    assert winds == [("2013-11-10", 19.0), ("2013-11-12", 21.0)]
