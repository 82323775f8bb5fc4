import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from giornata.bundle import open_bundle, write_bundle
from giornata.console import create_app
from giornata.documents import Table
from giornata.records.metric_point import Point
from giornata.stores.deployments import ROLLED_BACK, Deployments
from giornata.stores.repository import Repository
from giornata.stores.series import Series
from giornata.stores.training_runs import TrainingRun, TrainingRuns
from tests.giornata.console.reading import get, row, text
from tests.giornata.serving.conftest import make_bundle

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
WHEN = datetime(2013, 11, 1, tzinfo=UTC)


def test_models_lists_what_is_live(trained: Any, client: TestClient) -> None:
    _, new = trained.versions
    line = row(get(client, "/"), trained.model)
    assert line == (
        f"{trained.model} Gate-to-gate minutes of a flight, predicted at push-back production 2 {new.uuid[:8]} "
        "2013-11-10 06:30 UTC, by anna rmse 14.60 mae 10.51 r2 0.9710 rmsle 0.0821"
    )


def test_a_model_without_versions_says_how_to_train_it(world: Any, client: TestClient) -> None:
    wanted = f"No version trained yet: trigger {world.project}.trip_minutes.train in Airflow."
    page = get(client, "/")
    assert wanted in row(page, world.model)
    assert f'href="{world.settings.airflow}/dags/{world.project}.trip_minutes.train"' in page
    assert wanted in text(get(client, f"/models/{world.model}"))


def test_a_broken_project_does_not_hide_its_neighbours(
    world: Any, client: TestClient, projects: Callable[..., str]
) -> None:
    broken = projects(typ="xgboost")
    page = text(get(client, "/"))
    assert f"Project {broken} is left out" in page
    assert "'typ'" in page
    assert world.model in page


def test_model_page(trained: Any, client: TestClient) -> None:
    old, new = trained.versions
    page = get(client, f"/models/{trained.model}")
    assert row(page, f"production {new.uuid[:8]}").endswith("batch, online 2013-11-10 07:00 UTC anna better")
    assert row(page, new.uuid[:8]).endswith("14.60 10.51 0.9710 0.0821 production")
    assert row(page, old.uuid[:8]).endswith("15.30 11.02 0.9710 0.0821 –")
    assert "quiet" in row(page, "rmse above 18 over 7d")


def test_version_page(trained: Any, client: TestClient) -> None:
    _, new = trained.versions
    page = get(client, f"/versions/{new.uuid}")
    assert row(page, "rmse") == "rmse 14.60 15.00 95.87"
    assert row(page, "rmsle") == "rmsle 0.0821 0.0821 –"
    assert row(page, "dest_state") == "dest_state 3,434 14.60 10.51 0.9710 0.0821"
    assert row(page, "train") == "train 2013-02-04 2013-11-01 244,737"
    assert row(page, "distance 81") == "distance 81.0%"
    assert row(page, "dest_city=City 1,").startswith(
        "dest_city=City 1, Illinois dest_city 8,999 no: not better"
    )
    found = "; with max_depth=3 learning_rate=0.0123457 , the best of 9 tried"
    assert row(page, "dest_city=City 3,").startswith(
        f"dest_city=City 3, Illinois dest_city 8,997 kept {found} 13.16"
    )
    assert "15 of 41 parts have a model of their own" in text(page)
    assert row(page, "4 best") == "4 best 14.87 60 2.310 max_depth=6 learning_rate=0.0734"
    assert "failed: ran out of memory" in row(page, "5 failed")
    assert row(page, "1 the document").startswith("1 the document's own 15.20")
    assert "5 trials, the first with the document's own parameters; the best is trial 4" in text(page)
    assert row(page, "flight_id") == "flight_id key str no"
    assert (
        row(page, "store.origin_weather.wind_speed") == "store.origin_weather.wind_speed by origin float yes"
    )
    configuration = unescape(page[page.rindex("<pre>") : page.rindex("</pre>")])
    assert "partition:\n  by:\n  - row.dest_city\n  - row.dest_state\n  min_rows: 2000\n" in configuration
    assert "over: 7d" in configuration


def test_a_version_shows_a_request_that_it_answers(trained: Any, client: TestClient) -> None:
    new = trained.versions[1]
    address = f"/versions/{new.uuid}"
    hint = f"giornata example {new.model} --uuid {new.uuid} prints a request"
    assert hint in text(get(client, address)), "its bundle is none"
    columns = {"flight_id": "str", "pushed_back_at": "timestamp", "distance": "float"}
    table = Table.model_validate(
        {"description": "d", "key": ["flight_id"], "event_time": "pushed_back_at", "columns": columns}
    )
    bundle = open_bundle(make_bundle(new.model, {"far": "row.distance"}, table, {"distance"}, 9).content)
    Repository(trained.session).save(new, write_bundle(replace(bundle, version=new)))
    page = unescape(get(client, address))
    assert f"curl -s {trained.settings.serving}/models/{new.model}/production/predict -d" in page
    assert "urllib.request.urlopen(url, json.dumps(body).encode(), timeout=10)" in page
    assert hint not in text(page)


def test_bars_are_as_long_as_the_importances(trained: Any, client: TestClient) -> None:
    page = get(client, f"/versions/{trained.versions[0].uuid}")
    widths = [float(width) for width in re.findall(r'class="bar" width="([^"]+)"', page)]
    assert widths == [100.0, 8.64, 6.17, 4.94, 3.7]  # 0.81, 0.07, 0.05, 0.04, 0.03 of 0.81


def test_rows_without_a_label_and_a_refit_are_told(world: Any, client: TestClient) -> None:
    plain = world.train(15.0)
    page = text(get(client, f"/versions/{plain.uuid}"))
    assert "Without a label" not in page
    assert "refit" not in page
    test = plain.windows["test"]
    windows = {**plain.windows, "test": test.model_copy(update={"unlabelled": 482})}
    told = world.train(15.0, windows=windows, refit=test.model_copy(update={"rows": 333_000}))
    page = get(client, f"/versions/{told.uuid}")
    assert "Without a label" in text(page)
    assert row(page, "test 2013").endswith(" 28,618 482")
    assert row(page, "refit 2013").endswith(" 333,000")
    assert "The metrics are those of the first fit" in text(page)


def test_tag_page(trained: Any, client: TestClient) -> None:
    old, new = trained.versions
    page = get(client, f"/models/{trained.model}/tags/production")
    assert (
        row(page, "2013-11-10 07:00")
        == f"2013-11-10 07:00 UTC {new.uuid[:8]} deployed batch, online anna better live"
    )
    assert row(page, "2013-11-01 07:00").endswith("the first one Deploy again …")
    assert page.count('<figure class="chart">') == 5
    assert "mail when above 18" in page
    changes = row(page, "rmse above 18 over 7d")
    assert "2013-11-07 fired at 19" in changes
    assert "2013-11-10 recovered at 15" in changes
    # Two versions in two modes are four lines of each metric.
    assert page.count('class="line batch"') == page.count('class="line online"') == 10
    assert f"rows, version {old.uuid[:8]}" in page


def test_the_window_of_the_charts_can_be_chosen(trained: Any, client: TestClient) -> None:
    path = f"/models/{trained.model}/tags/production"
    assert "900 rows" in get(client, f"{path}?window=1d")
    assert "mail when" not in get(client, f"{path}?window=1d"), "the rule is over 7d"
    assert "6300 rows" in get(client, f"{path}?window=no-such-window")


def test_a_tag_that_was_not_measured_says_why(world: Any, client: TestClient) -> None:
    world.deploy(world.train(15.0), WHEN)
    page = text(get(client, f"/models/{world.model}/tags/production"))
    assert "Nothing was measured yet" in page
    assert f"DAG {world.project}.monitor" in page


def test_the_tag_of_a_model_without_labels_shows_its_answers(world: Any, client: TestClient) -> None:
    kinds = world.spec.model_dump(mode="json", include={"description", "owner", "data", "split"})
    kinds |= {"type": "k_means", "task": "clustering", "features": {"distance": "row.distance"}}
    file = world.settings.projects / world.project / "models" / "kinds.yaml"
    file.write_text(yaml.safe_dump(kinds))
    model = f"{world.project}/kinds"
    version = world.train(15.0, model=model)
    world.deploy(version, WHEN)
    page = get(client, f"/models/{model}/tags/production")
    assert "Nothing was measured yet: the monitor looks at predictions" in text(page)
    shares = {f"share_of_cluster_{number}": 0.1 for number in (10, 2, 0)}
    found = {**shares, "rows": 40.0, "largest_share": 0.8, "distance": 1.5}
    Series(world.session).write(
        Point(model, "production", "batch", metric, "1d", "all", date(2013, 11, 12), version.uuid, value, 40)
        for metric, value in found.items()
    )
    page = get(client, f"/models/{model}/tags/production")
    assert "of all predictions, which have no labels" in text(page)
    assert "Accuracy of its predictions" not in page
    drawn = [metric for _, metric in sorted((page.index(f"{metric} over time"), metric) for metric in found)]
    assert drawn == ["distance", "largest_share", "rows", *sorted(shares, key=lambda name: int(name[17:]))]


@pytest.mark.parametrize("path", ["/versions/none", "/models/no/model", "/nowhere"])
def test_what_is_not_there_is_404_in_words(client: TestClient, path: str) -> None:
    assert "Not found" in get(client, path, 404)


def test_an_unknown_tag_is_404(trained: Any, client: TestClient) -> None:
    page = get(client, f"/models/{trained.model}/tags/shadow", 404)
    assert "nothing was ever deployed" in text(page)


def test_runs_of_training(world: Any, client: TestClient) -> None:
    path = f"/models/{world.model}"
    assert "No training of this model was started yet." in text(get(client, path))
    runs = TrainingRuns(world.session)
    now = datetime.now(UTC).replace(microsecond=0)
    evil = "<script>alert(2)</script>"
    begun = TrainingRun(world.model, "0a", "running", "trial 2 of 9", "", "anna", "{}", WHEN, now)
    failed = replace(begun, uuid="0b", state="failed", reason=f"no rows {evil}", stage="", trained_by=evil)
    for run in (
        begun,
        replace(failed, started_at=WHEN + timedelta(hours=2)),
        replace(begun, uuid="0c", started_at=WHEN + timedelta(hours=1), updated_at=WHEN),
    ):
        runs.put(run)
    page = get(client, path)
    assert row(page, "0a") == "0a 2013-11-01 00:00 UTC anna running trial 2 of 9 –"
    assert row(page, "0b").startswith(f"0b 2013-11-01 02:00 UTC {evil} failed")
    assert row(page, "0c") == (
        "0c 2013-11-01 01:00 UTC anna running? no news since 2013-11-01 00:00 UTC trial 2 of 9 –"
    )
    assert page.index(">0b<") < page.index(">0c<") < page.index(">0a<")
    assert evil not in page
    found = client.get(f"/api{path}/runs").json()
    assert [(run["uuid"], run["state"], run["silent"]) for run in found] == [
        ("0b", "failed", False),
        ("0c", "running", True),
        ("0a", "running", False),
    ]
    assert found[2]["started_at"] == "2013-11-01T00:00:00Z"


def test_what_users_wrote_is_escaped(world: Any, client: TestClient) -> None:
    evil = "<script>alert(1)</script>"
    record = world.train(15.0, trained_by=evil)
    world.deploy(record, WHEN, reason=evil)
    for path in (
        "/",
        f"/models/{world.model}",
        f"/models/{world.model}/tags/production",
        f"/versions/{record.uuid}",
    ):
        assert evil not in get(client, path)
    assert "&lt;script&gt;alert(1)" in get(client, f"/models/{world.model}")


def test_a_page_may_load_nothing_from_elsewhere(trained: Any, client: TestClient) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    for path in ("/", f"/models/{trained.model}/tags/production", f"/versions/{trained.versions[0].uuid}"):
        page = get(client, path)
        assert "style=" not in page
        assert 'target="' not in page
        assert set(re.findall(r'(?:src|<link[^>]* href)="([^"]*)"', page)) == {
            "/static/icon.svg",
            "/static/console.css",
            "/static/console.js",
        }
    for name in ("icon.svg", "console.css", "console.js"):
        assert client.get(f"/static/{name}").status_code == 200


def test_links_hold_below_a_prefix(trained: Any, client: TestClient) -> None:
    below = TestClient(client.app, root_path="/giornata")
    page = below.get(f"/models/{trained.model}").text
    assert 'href="/giornata/static/console.css"' in page
    assert f'href="/giornata/versions/{trained.versions[0].uuid}"' in page


def test_cassandra_away_is_a_page_that_says_so(world: Any) -> None:
    settings = replace(
        world.settings, variables={**world.settings.variables, "GIORNATA_CASSANDRA": "127.0.0.1:9"}
    )
    client = TestClient(create_app(settings, world.current_user, world.require_editor))
    page = get(client, "/", 503)
    assert "Cassandra at 127.0.0.1:9 does not answer" in text(page)
    assert "Traceback" not in page
    answer = client.get("/api/models")
    assert (answer.status_code, "Cassandra at 127.0.0.1:9" in answer.json()["detail"]) == (503, True)


def deploy(client: TestClient, uuid: str, headers: dict[str, str] = SAME_ORIGIN, **entries: object):
    form = {"tag": "production", "reason": "a test", "modes": ["batch"], **entries}
    return client.post(f"/versions/{uuid}/deploy", data=form, headers=headers)


def test_deploying_by_the_form(trained: Any, client: TestClient) -> None:
    trained.user = "anna"
    old, _ = trained.versions
    form = get(client, f"/versions/{old.uuid}/deploy")
    assert row(form, "rmse") == "rmse at most 16.00 15.30"
    assert 'value="production"' in form
    before = datetime.now(UTC)
    answer = deploy(client, old.uuid, reason="back to the old one")
    target = f"/models/{trained.model}/tags/production?deployed={old.uuid}"
    assert (answer.status_code, answer.headers["location"]) == (303, target)
    assert f"Version {old.uuid[:8]} is live under production." in text(get(client, target))
    live = Deployments(trained.session).current(trained.model, "production")
    assert live is not None
    assert (live.uuid, live.by, live.reason, live.modes) == (
        old.uuid,
        "anna",
        "back to the old one",
        ("batch",),
    )
    assert live.at >= before.replace(microsecond=0)
    again = deploy(client, old.uuid, reason="and once more")
    target = f"/models/{trained.model}/tags/production?unchanged={old.uuid}"
    assert (again.status_code, again.headers["location"]) == (303, target)
    page = text(get(client, target))
    assert "already: nothing has changed." in page
    assert "and once more" not in page


def test_a_timeline_says_what_was_rolled_back(trained: Any, client: TestClient) -> None:
    trained.user = "anna"
    at = WHEN + timedelta(days=20)
    Deployments(trained.session).append(
        trained.model, "production", trained.versions[0].uuid, "anna", "mails", ["batch"], at, ROLLED_BACK
    )
    page = get(client, f"/models/{trained.model}/tags/production")
    assert "rolled back batch anna mails" in row(page, f"{at:%Y-%m-%d %H:%M}")
    timeline = client.get("/api/deployments", params={"model": trained.model, "tag": "production"}).json()
    assert sorted(entry["kind"] for entry in timeline) == ["deployed", "deployed", "rolled back"]


def test_who_deploys_sees_what_the_version_warns_of(trained: Any, client: TestClient) -> None:
    sentence = "feature paid: it equals the label in 100.0% of the rows. <Is it known?>"
    trained.user = "anna"
    warned = trained.train(14.0, warnings=[sentence])
    for page in (f"/versions/{warned.uuid}", f"/versions/{warned.uuid}/deploy"):
        assert sentence in text(get(client, page))
    assert "<Is it known?>" not in get(client, f"/versions/{warned.uuid}/deploy")


def test_a_gate_that_is_not_met_is_said_and_nothing_changes(trained: Any, client: TestClient) -> None:
    trained.user = "anna"
    worse = trained.train(16.5)
    answer = deploy(client, worse.uuid, reason="why not")
    assert answer.status_code == 409
    assert "Not deployed. the gate of this model is not met: rmse is 16.5, more than 16" in text(answer.text)
    assert 'value="why not"' in answer.text, "what was entered is still there"
    live = Deployments(trained.session).current(trained.model, "production")
    assert live is not None
    assert live.uuid == trained.versions[1].uuid


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"reason": "  "}, "Say why"),
        ({"tag": ""}, "Name the tag"),
        ({"tag": "Production, or so"}, "The tag: 'Production, or so' is not a legal name"),
        ({"modes": []}, "Choose what"),
        ({"modes": ["batch", "nightly"]}, "Choose what"),
    ],
)
def test_a_form_that_is_not_filled_in(
    trained: Any, client: TestClient, entries: dict[str, object], said: str
) -> None:
    trained.user = "anna"
    answer = deploy(client, trained.versions[0].uuid, **entries)
    assert answer.status_code == 409
    assert f"Not deployed. {said}" in text(answer.text)


def test_a_viewer_cannot_deploy(trained: Any, client: TestClient) -> None:
    uuid = trained.versions[0].uuid
    assert "the role that triggers DAG runs" in get(client, f"/versions/{uuid}/deploy", 403)
    assert deploy(client, uuid).status_code == 403
    assert len(Deployments(trained.session).timeline(trained.model, "production")) == 2


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {"cookie": "_token=x"}]
)
def test_another_site_cannot_deploy_in_a_users_name(
    trained: Any, client: TestClient, headers: dict[str, str]
) -> None:
    trained.user = "anna"
    assert deploy(client, trained.versions[0].uuid, headers).status_code == 403
    assert len(Deployments(trained.session).timeline(trained.model, "production")) == 2


def test_nobody_sees_a_page_without_login(world: Any, client: TestClient) -> None:
    world.user = None
    assert "Not signed in" in get(client, "/", 401)


def test_a_model_whose_document_is_gone_is_still_there(world: Any, client: TestClient) -> None:
    gone = f"{world.project}/gone"
    world.train(15.0, model=gone)
    assert "its document is gone" in row(get(client, "/"), gone)
    assert "No document describes this model any more" in text(get(client, f"/models/{gone}"))


def test_what_was_served_and_recomputed(trained: Any, client: TestClient) -> None:
    """A chart of the share, and the features of the newest day, the worst first."""
    address = f"/models/{trained.model}/tags/production"
    assert "Nothing was checked yet" in text(get(client, address))
    version = trained.versions[1].uuid
    days = {
        12: {"weather.wind": 0.5, "all": 0.5},
        13: {"weather.wind": 1.0, "plane.seats": 0.75, "all": 0.875},
    }
    Series(trained.session).write(
        Point(
            trained.model, "production", "online", metric, "1d", part, date(2013, 11, day), version, value, 40
        )
        for day, shares in days.items()
        for part, equal in shares.items()
        for metric, value in {
            "consistency": equal,
            "values_missing_online": 1 - equal,
            "values_no_row": 0.25,
        }.items()
    )
    page = get(client, address)
    assert page.count("consistency over time") == 1, "not among the charts of accuracy as well"
    assert "Feature on 2013-11-13" in text(page)
    assert row(page, "plane.seats") == (
        f"plane.seats {version[:8]} 40 75.0% 0.0% 25.0% 0.0% 25.0% 0.0% 0.0% 0.0% "
        "null was served: not pushed in time, deleted in Cassandra, or not read before the deadline"
    )
    assert row(page, "weather.wind").endswith("100.0% 0.0% 0.0% 0.0% 25.0% 0.0% 0.0% 0.0% –")
    assert page.index("plane.seats") < page.index("weather.wind")
