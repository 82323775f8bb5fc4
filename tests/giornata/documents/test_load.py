"""A good project loads; each mistake is reported at its place; all mistakes are reported together."""

import json
import os
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest

from giornata.documents import FeatureGroup, ModelSpec, compile_model, load, load_project, load_projects
from giornata.errors import DocumentErrors, NotFoundError, Problem
from giornata.models import MODEL_TYPES, types_for


def at(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column


def marked(problem: Problem) -> str:
    """The text that the carets of a problem stand under, after making sure that it really is at its place."""
    if not problem.excerpt:
        return ""
    shown, carets = problem.excerpt.split("\n")
    assert shown == Path(problem.file).read_text(encoding="utf-8").splitlines()[problem.line - 1]
    first, last = carets.index("^"), carets.rindex("^")
    assert first == problem.column - 1
    assert set(carets[first:]) == {"^"}
    return shown[first : last + 1]


def test_a_good_project_loads(shop):
    documents = load_project(shop)
    assert documents.name == "shop"
    assert documents.project.start_date == date(2024, 1, 1)
    assert list(documents.tables) == ["deliveries", "orders"]
    assert documents.tables["orders"].columns["weight"] == "float"
    assert documents.has_loader("orders")
    assert not documents.has_loader("deliveries")
    group = documents.group("shop_load")
    assert (group.ttl, group.schedule) == (timedelta(hours=12), "*/15 * * * *")
    assert group.expect[0].name == "expect_column_values_to_be_between"
    assert group.expect[0].arguments == {"column": "orders_1h", "min_value": 0}
    assert group.expect[0].policy == "quarantine"
    assert documents.query("shop_load") == "SELECT 1 WHERE :from < :to\n"
    model = documents.model("hours")
    assert (model.schedule, model.split.train) == (None, timedelta(days=270))
    assert model.partition.levels == {"shop": "row.shop"}
    assert model.search.space["max_depth"].integers == [2, 8]
    assert model.monitor.log == 0.125
    assert model.monitor.alerts[0].over == timedelta(days=7)


def test_a_document_survives_json(shop):
    (shop / "features/shop_weights.yaml").write_text(WINDOWS)
    documents = load_project(shop)
    for document in (documents.model("hours"), documents.group("shop_load"), documents.group("shop_weights")):
        dumped = json.loads(json.dumps(document.model_dump(mode="json")))
        assert type(document).model_validate(dumped) == document
    dumped = load_project(shop).model("hours").model_dump(mode="json")
    assert dumped["split"] == {"train": "270d", "validation": 0.2, "test": "30d"}
    assert dumped["monitor"]["log"] == 0.125
    assert dumped["search"]["space"]["max_depth"]["int"] == [2, 8]


def test_what_to_do_about_features_that_cannot_be_read(shop):
    file = shop / "models" / "hours.yaml"
    assert load_project(shop).model("hours").online.missing == "error"
    for written, read in (("null", "null"), ("error", "error")):
        text = file.read_text().partition("online:")[0]
        file.write_text(f"{text}online: {{deadline: 200ms, missing: {written}}}\n")
        online = load_project(shop).model("hours").online
        assert (online.deadline, online.missing) == (timedelta(milliseconds=200), read)


def test_what_to_do_about_moments_that_are_not_online_or_not_named(shop):
    file = shop / "models" / "hours.yaml"
    online = load_project(shop).model("hours").online
    assert (online.before_history, online.event_time) == ("refuse", None)
    text = file.read_text().partition("online:")[0]
    file.write_text(f"{text}online: {{before_history: mark, event_time: optional}}\n")
    online = load_project(shop).model("hours").online
    assert (online.before_history, online.event_time) == ("mark", "optional")
    file.write_text(f"{text}online: {{before_history: ignore}}\n")
    with pytest.raises(DocumentErrors, match="'ignore' is not one of refuse, mark"):
        load_project(shop)


@pytest.mark.parametrize("metric", ["consistency", "values_missing_online", "values_no_row"])
def test_an_alert_may_watch_what_was_served_of_features(shop, metric):
    file = shop / "models" / "hours.yaml"
    assert "metric: rmse, above" in file.read_text()
    changed = file.read_text().replace("metric: rmse, above: 18", f"metric: {metric}, below: 0.99")
    file.write_text(changed.replace("modes: [batch]", "modes: [batch, online]"))
    assert load_project(shop).model("hours").monitor.alerts[0].metric == metric


CONSISTENT = "{metric: consistency, below: 0.99, mail: [a@example.org]}"


@pytest.mark.parametrize(
    ("changes", "mark", "said"),
    [
        ({"{metric: rmse, above: 18, over: 7d, mail: [shop-team@example.org]}": CONSISTENT},
         "consistency", "of answers of the server, and deploy.modes has no online"),
        ({"{metric: rmse, above: 18, over: 7d, mail: [shop-team@example.org]}": CONSISTENT,
          "modes: [batch]": "modes: [online]", "log: 12.5%": "log: 0%"},
         "consistency", "of answers of the server, and monitor.log keeps none of them"),
        ({"{metric: rmse, above: 18, over: 7d, mail: [shop-team@example.org]}": CONSISTENT,
          "modes: [batch]": "modes: [online]", "  busy: coalesce(store.shop_load.orders_1h, 0)\n": ""},
         "consistency", "about features of the feature store, and this model reads none"),
        ({"modes: [batch]": "modes: [online]", "log: 12.5%": "log: 0%"},
         "rmse", "the model answers online only, and monitor.log keeps none of them"),
        ({"above: 18": "below: 0"}, "0", "this alert could never fire: rmse is never below 0"),
        ({"metric: rmse, above: 18": "metric: r2, above: 1.0"}, "1.0",
         "this alert could never fire: r2 is never above 1"),
        ({"gate: {rmse: {max: 16}}": "gate: {r2: {min: 95}}"}, "95",
         "no version could pass: r2 is never more than 1"),
        ({"gate: {rmse: {max: 16}}": "gate: {rmse: {max: -1}}"}, "-1",
         "no version could pass: rmse is never less than 0"),
    ],
)  # fmt: skip
def test_what_could_never_be_judged_is_refused(shop, changes, mark, said):
    file = shop / "models/hours.yaml"
    text = file.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    file.write_text(text)
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    (problem,) = caught.value.problems
    assert marked(problem) == mark
    assert said in problem.message


def test_an_alert_of_clusters(shop):
    alerts = "monitor: {{alerts: [{{metric: {metric}, above: 3, mail: [a@example.org]}}]}}\n"
    (shop / "models/kinds.yaml").write_text(KINDS + alerts.format(metric="distance"))
    assert load_project(shop).model("kinds").monitor.alerts[0].metric == "distance"
    (shop / "models/kinds.yaml").write_text(KINDS + alerts.format(metric="rmse"))
    with pytest.raises(DocumentErrors, match="unknown metric of a clustering model 'rmse'"):
        load_project(shop)


def test_a_record_of_what_was_once_accepted_is_read(shop):
    """A version that is live goes on answering, whatever rules have come since it was trained."""
    model, group = (load_project(shop).model("hours"), load_project(shop).group("shop_load"))
    record = model.model_dump(mode="json")
    record["monitor"]["alerts"][0]["mail"] = ["a@example.org.", "a@example.org."]
    record |= {"split": {**record["split"], "train": "99999d"}, "description": "\x07"}
    assert ModelSpec.model_validate(record).split.train == timedelta(days=99_999)
    read = FeatureGroup.model_validate_json(json.dumps(group.model_dump(mode="json") | {"ttl": "99999d"}))
    assert read.ttl == timedelta(days=99_999)


def test_a_document_cannot_change(shop):
    model = load_project(shop).model("hours")
    with pytest.raises(ValueError, match="frozen"):
        model.owner = "somebody"
    assert isinstance(model, ModelSpec)


def test_models_compile_against_their_tables_and_groups(shop):
    compiled = compile_model(load_project(shop), "hours")
    assert compiled.features.names == ("weight", "busy")
    assert compiled.features.inputs.row["weight"] == "float"
    assert compiled.features.inputs.store["shop_load"].keys == {"shop": "shop"}
    assert compiled.partition.names == ("shop",)


WINDOWS = """\
description: What a shop has been sending
owner: shop-team
entity: {shop: str}
ttl: 2d
events: {table: orders, time: packed_at, filed_ahead: 3d}
features:
  orders_6h: {type: int, description: Orders, window: {count: order_id, over: 6h}}
  weight_p90_1d: {type: float, description: Kilograms, window: {quantile: weight, share: 0.9, over: 1d}}
"""


def test_the_source_of_a_group(shop):
    (shop / "features/shop_weights.yaml").write_text(WINDOWS)
    (shop / "features/shop_age.yaml").write_text((shop / "features/shop_load.yaml").read_text())
    (shop / "features/shop_age.py").write_text("def compute(spark, start, end):\n    return None\n")
    documents = load_project(shop)
    sources = {name: documents.source(name) for name in documents.groups}
    assert sources == {"shop_age": "function", "shop_load": "query", "shop_weights": "windows"}
    group = documents.group("shop_weights")
    assert (group.events.table, group.events.event_time) == ("orders", "packed_at")
    assert (group.events.filed_ahead, group.longest_window) == (timedelta(days=3), timedelta(days=1))
    window = group.features["weight_p90_1d"].window
    assert (window.function, window.column, window.share) == ("quantile", "weight", 0.9)
    assert window.over == timedelta(days=1)


def test_expressions_mean_the_newest_version_of_a_group(shop):
    model = shop / "models/hours.yaml"
    model.write_text(
        model.read_text().replace(
            "  weight: row.weight\n",
            "  weight: row.weight\n  far: store.shop_load(shop=row.order_id).orders_1h\n",
        )
    )
    features = compile_model(load_project(shop), "hours").features
    assert set(features.inputs.store) == {"shop_load", "shop_load__order_id"}
    for number in (2, 10):
        (shop / f"features/shop_load.v{number}.yaml").write_text(
            (shop / "features/shop_load.yaml").read_text()
        )
        (shop / f"features/shop_load.v{number}.sql").write_text(f"SELECT {number} WHERE :from < :to\n")
    documents = load_project(shop)
    assert list(documents.groups) == ["shop_load_v10", "shop_load_v2", "shop_load"]
    assert [documents.query(name) for name in ("shop_load_v10", "shop_load_v2")] == [
        "SELECT 10 WHERE :from < :to\n", "SELECT 2 WHERE :from < :to\n",
    ]  # fmt: skip
    features = compile_model(documents, "hours").features
    assert {use: read.group for use, read in features.inputs.store.items()} == {
        "shop_load_v10": "shop_load_v10",
        "shop_load_v10__order_id": "shop_load_v10",
    }
    assert '"store": "shop_load_v10"' in json.dumps(features.to_json())


def test_a_version_of_a_group_has_one_way_to_be_written(shop):
    text = (shop / "features/shop_load.yaml").read_text()
    for stem in ("shop_load.v2", "shop_load_v2", "shop_load.v1", "shop_load.new"):
        (shop / f"features/{stem}.yaml").write_text(text)
        (shop / f"features/{stem}.sql").write_text("SELECT 1 WHERE :from < :to\n")
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    named = [
        (problem.file, problem.message) for problem in caught.value.problems if "name" in problem.message
    ]
    assert [file for file, _ in named] == [
        "shop/features/shop_load.new.yaml", "shop/features/shop_load.v1.yaml", "shop/features/shop_load_v2.yaml",
    ]  # fmt: skip
    assert named[2][1].endswith("names a version of a group: call the file 'shop_load.v2'")


# Every row: what is replaced in WINDOWS, by what; then line and marked text of each problem, and its wording.
WINDOW_MISTAKES = {
    "looks back": (
        "ttl: 2d", "ttl: 2d\nlooks_back: 1d",
        [(5, "looks_back", "the windows say how far this group looks back", "leave looks_back out")],
    ),
    "unknown table": (
        "table: orders", "table: ordes",
        [(5, "ordes", "unknown table 'ordes'", "did you mean 'orders'?")],
    ),
    "unknown time": (
        "time: packed_at", "time: paked_at",
        [(5, "paked_at", "unknown column 'paked_at'", "did you mean 'packed_at'?")],
    ),
    "time that is none": (
        "time: packed_at", "time: weight",
        [(5, "weight", "column 'weight' is float, not timestamp", "")],
    ),
    "unknown column": (
        "quantile: weight", "quantile: wieght",
        [(8, "wieght", "unknown column 'wieght'", "did you mean 'weight'?")],
    ),
    "column that does not suit": (
        "quantile: weight", "quantile: shop",
        [(8, "shop", "quantile takes int or float; column 'shop' is str", "")],
    ),
    "another type": (
        "type: int", "type: float",
        [(7, "float", "the count of 'order_id' is int, not float", "type: int")],
    ),
    "type of the column": (
        "quantile: weight, share: 0.9", "max: items",
        [(8, "float", "the max of 'items' is int, not float", "type: int")],
    ),
    "unknown function": (
        "count: order_id", "cuont: order_id",
        [(7, "cuont", "unknown key 'cuont'", "did you mean 'count'?"),],
    ),
    "function by another name": (
        "count: order_id", "nunique: order_id",
        [(7, "nunique", "unknown key 'nunique'", "did you mean 'distinct'?"),],
    ),
    "two functions": (
        "count: order_id", "count: order_id, sum: weight",
        [(7, "{count: order_id, sum: weight, over: 6h}",
          "write exactly one of count, distinct, last, max, mean, min, quantile, sum, each with a column", "")],
    ),
    "share without quantile": (
        "count: order_id", "count: order_id, share: 0.5",
        [(7, "{count: order_id, share: 0.5, over: 6h}",
          "quantile and share belong together: {quantile: column, share: 0.9, over: 24h}", "")],
    ),
    "share that is none": (
        "share: 0.9", "share: 90",
        [(8, "90", "90 should be less than or equal to 1", "")],
    ),
    "feature without a window": (
        ", window: {count: order_id, over: 6h}", "",
        [(7, "orders_6h", "'orders_6h' has no window, but the group's rows come from events",
          "such as window: {count: column, over: 6h}")],
    ),
    "no events": (
        "events: {table: orders, time: packed_at, filed_ahead: 3d}\n", "",
        [(6, "{count: order_id, over: 6h}", "'orders_6h' has a window, but the group states no events",
          "such as events: {table: orders, time: ordered_at}"),
         (7, "{quantile: weight, share: 0.9, over: 1d}",
          "'weight_p90_1d' has a window, but the group states no events",
          "such as events: {table: orders, time: ordered_at}")],
    ),
    "ttl shorter than a window": (
        "ttl: 2d", "ttl: 12h",
        [(4, "12h", "the longest window reaches back 1d: with this ttl, values would be missing that still hold",
          "ttl: 1d")],
    ),
    "entity that events do not have": (
        "{shop: str}", "{shpo: str}",
        [(3, "shpo", "table 'orders' has no column 'shpo', so its events have no such entity",
          "did you mean 'shop'?")],
    ),
    "entity of another type": (
        "{shop: str}", "{shop: int}",
        [(3, "int", "column 'shop' of table 'orders' is str, not int", "")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WINDOW_MISTAKES)
def test_a_mistake_in_windows_is_reported_at_its_place(mistake, shop, problems_after):
    old, new, expected = WINDOW_MISTAKES[mistake]
    (shop / "features/shop_weights.yaml").write_text(WINDOWS)
    found = problems_after("features/shop_weights.yaml", old, new)
    assert {problem.file for problem in found} == {"shop/features/shop_weights.yaml"}
    assert [
        (problem.line, marked(problem), problem.message, problem.suggestion) for problem in found
    ] == expected


def test_a_group_has_one_source(shop):
    weights = shop / "features/shop_weights.yaml"
    weights.write_text(WINDOWS)
    weights.with_suffix(".sql").write_text("SELECT 1 WHERE :from < :to")
    (shop / "features/shop_load.py").write_text("def compute(spark, start):\n    return None\n")
    (shop / "features/spare.py").write_text("")
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    assert [
        (problem.file, problem.line, problem.message, problem.suggestion) for problem in caught.value.problems
    ] == [
        ("shop/features/shop_load.py", 1, "compute must take the arguments (spark, start, end)", ""),
        ("shop/features/shop_load.yaml", 1, "the rows come from shop_load.sql and shop_load.py",
         "keep one of them"),
        ("shop/features/shop_weights.yaml", 5,
         "the rows come from events, but there is shop_weights.sql as well", "keep one of them"),
        ("shop/features/spare.py", 1, "there is no spare.yaml beside it", ""),
    ]  # fmt: skip


# Every row: file, what is replaced, by what; then file, line and marked text of each problem, and its wording.
MISTAKES = {
    "unknown key": (
        "models/hours.yaml", "owner: shop-team", "onwer: shop-team",
        [("shop/models/hours.yaml", 1, "", "the key 'owner' is missing", ""),
         ("shop/models/hours.yaml", 2, "onwer", "unknown key 'onwer'", "did you mean 'owner'?")],
    ),
    "unknown key inside": (
        "models/hours.yaml", "value: hours", "valeu: hours",
        [("shop/models/hours.yaml", 6, "label", "the key 'value' is missing", ""),
         ("shop/models/hours.yaml", 6, "valeu", "unknown key 'valeu'", "did you mean 'value'?")],
    ),
    "unknown key of a search dimension": (
        "models/hours.yaml", "int: [2, 8]", "int: [2, 8], lgo: true",
        [("shop/models/hours.yaml", 13, "lgo", "unknown key 'lgo'", "did you mean 'log'?")],
    ),
    "wrong type": (
        "models/hours.yaml", "min_rows: 200", "min_rows: many",
        [("shop/models/hours.yaml", 11, "many", "expected a whole number, found 'many'", "")],
    ),
    "a list where text belongs": (
        "tables/orders.yaml", "event_time: ordered_at", "event_time: [ordered_at]",
        [("shop/tables/orders.yaml", 3, "[ordered_at]", "expected text, found a list", "")],
    ),
    "nothing where text belongs": (
        "project.yaml", "owner: shop-team", "owner:",
        [("shop/project.yaml", 2, "owner", "expected text, found nothing", "")],
    ),
    "not one of the values": (
        "tables/orders.yaml", "weight: float", "weight: flaot",
        [("shop/tables/orders.yaml", 7, "flaot", "'flaot' is not one of int, float, bool, str, timestamp, "
        "list[int], list[float], list[bool], list[str], list[timestamp]",
          "did you mean 'float'?")],
    ),
    "YAML's on is text, not true": (
        "models/hours.yaml", "int: [2, 8]", "float: [2, 8], log: on",
        [("shop/models/hours.yaml", 13, "on", "expected true or false, found 'on'", "")],
    ),
    "a bare > is an empty block": (
        "features/shop_load.yaml", "description: How busy a shop is", "description: >",
        [("shop/features/shop_load.yaml", 1, ">",
          "the value is empty, because a bare '>' or '|' begins a block of text", "put it in quotes: '>'")],
    ),
    "bad duration": (
        "features/shop_load.yaml", "ttl: 12h", "ttl: 12 hours",
        [("shop/features/shop_load.yaml", 5, "12 hours",
          "'12 hours' is not a duration: write minutes, hours or days such as 90m, 12h or 3d", "")],
    ),
    "bad schedule": (
        "features/shop_load.yaml", '"*/15 * * * *"', '"61 * * * *"',
        [("shop/features/shop_load.yaml", 4, '"61 * * * *"',
          "'61' is not a minute of a cron line (0 to 59, *, ranges, steps)", "")],
    ),
    "bad schedule of a model": (
        "models/hours.yaml", "owner: shop-team", "owner: shop-team\nschedule: '@fortnightly'",
        [("shop/models/hours.yaml", 3, "'@fortnightly'",
          "'@fortnightly' is not a schedule: use one of @hourly, @daily, @weekly, @monthly, @yearly or a cron line",
          "")],
    ),
    "bad percentage": (
        "models/hours.yaml", "12.5%", "120%",
        [("shop/models/hours.yaml", 16, "120%", "'120%' is not a percentage from 0% to 100%, such as 5%", "")],
    ),
    "bad date": (
        "project.yaml", "2024-01-01", "2024-13-01",
        [("shop/project.yaml", 3, "2024-13-01", "'2024-13-01' is not a date: write it as 2013-10-31", "")],
    ),
    "bad mail address": (
        "models/hours.yaml", "shop-team@example.org", "shop-team",
        [("shop/models/hours.yaml", 18, "shop-team",
          "'shop-team' is not a mail address: An email address must have an @-sign", "")],
    ),
    "out of range": (
        "models/hours.yaml", "validation: 0.2", "validation: 1.5",
        [("shop/models/hours.yaml", 7, "1.5", "1.5 should be less than 1", "")],
    ),
    "bad name of a column": (
        "tables/orders.yaml", "  weight: float", "  Weight: float",
        [("shop/tables/orders.yaml", 7, "Weight",
          "'Weight' is not a legal name: use lower-case letters, digits and single underscores, beginning with a "
          "letter and not ending in an underscore", "")],
    ),
    "reserved name of a feature": (
        "models/hours.yaml", "  weight: row.weight", "  order: row.weight",
        [("shop/models/hours.yaml", 9, "order", "'order' is a reserved word of SQL or CQL: choose another name", "")],
    ),
    "duplicate key": (
        "tables/orders.yaml", "  items: int", "  shop: int",
        [("shop/tables/orders.yaml", 10, "shop", "the key 'shop' appears twice (first in line 6)", ""),
         ("shop/tables/orders.yaml", 11, "items", "unknown column 'items'",
          "known: order_id, ordered_at, packed_at, shop, weight")],
    ),
    "unknown column in a key": (
        "tables/orders.yaml", "key: [order_id]", "key: [oder_id]",
        [("shop/tables/orders.yaml", 2, "oder_id", "unknown column 'oder_id'", "did you mean 'order_id'?")],
    ),
    "unknown column as event time": (
        "tables/orders.yaml", "event_time: ordered_at", "event_time: orderd_at",
        [("shop/tables/orders.yaml", 3, "orderd_at", "unknown column 'orderd_at'", "did you mean 'ordered_at'?")],
    ),
    "event time that is no timestamp": (
        "models/hours.yaml", "event_time: ordered_at", "event_time: weight",
        [("shop/models/hours.yaml", 5, "weight", "column 'weight' is float, not timestamp", "")],
    ),
    "partition column": (
        "tables/orders.yaml", "  items: int", "  items: int\n  day: str",
        [("shop/tables/orders.yaml", 11, "day", "'day' is the partition column that every table has", "")],
    ),
    "unknown table": (
        "models/hours.yaml", "table: orders", "table: ordes",
        [("shop/models/hours.yaml", 5, "ordes", "unknown table 'ordes'", "did you mean 'orders'?")],
    ),
    "unknown table of the label": (
        "models/hours.yaml", "table: deliveries", "table: delivery",
        [("shop/models/hours.yaml", 6, "delivery", "unknown table 'delivery'", "did you mean 'deliveries'?")],
    ),
    "unknown column as label": (
        "models/hours.yaml", "value: hours", "value: hour",
        [("shop/models/hours.yaml", 6, "hour", "unknown column 'hour'", "did you mean 'hours'?")],
    ),
    "label of the wrong type": (
        "models/hours.yaml", "value: hours", "value: damaged",
        [("shop/models/hours.yaml", 6, "damaged",
          "column 'damaged' is bool; the label of a regression model is float or int", "")],
    ),
    "type that the task does not fit": (
        "models/hours.yaml", "type: xgboost", "type: logistic",
        [("shop/models/hours.yaml", 3, "logistic", "type logistic cannot be used for task regression",
          f"use {' or '.join(types_for('regression'))}")],
    ),
    "unknown type": (
        "models/hours.yaml", "type: xgboost", "type: logistics",
        [("shop/models/hours.yaml", 3, "logistics",
          f"'logistics' is not one of {', '.join(MODEL_TYPES)}",
          "did you mean 'logistic'?")],
    ),
    "label that cannot be joined": (
        "tables/deliveries.yaml", "columns: {order_id: str", "columns: {order_id: int",
        [("shop/models/hours.yaml", 5, "order_id",
          "the label is joined by it, but table 'deliveries' has no column 'order_id' of type str", "")],
    ),
    "unknown metric of a search": (
        "models/hours.yaml", "metric: rmse, space", "metric: rsme, space",
        [("shop/models/hours.yaml", 13, "rsme", "unknown metric of a regression model 'rsme'",
          "did you mean 'rmse'?")],
    ),
    "unknown metric of a gate": (
        "models/hours.yaml", "gate: {rmse:", "gate: {auc:",
        [("shop/models/hours.yaml", 14, "auc", "unknown metric of a regression model 'auc'",
          "known: mae, r2, rmse, rmsle")],
    ),
    "unknown metric of an alert": (
        "models/hours.yaml", "metric: rmse, above", "metric: mea, above",
        [("shop/models/hours.yaml", 18, "mea", "unknown metric of a regression model 'mea'",
          "did you mean 'mae'?")],
    ),
    "alert without a bound": (
        "models/hours.yaml", "above: 18, ", "",
        [("shop/models/hours.yaml", 18, "{metric: rmse, over: 7d, mail: [shop-team@example.org]}",
          "an alert needs exactly one of above and below", "")],
    ),
    "alert over part of a day": (
        "models/hours.yaml", "over: 7d", "over: 36h",
        [("shop/models/hours.yaml", 18, "36h",
          "over counts whole days, such as 1d or 7d", "")],
    ),
    "empty range": (
        "models/hours.yaml", "[2, 8]", "[8, 2]",
        [("shop/models/hours.yaml", 13, "{int: [8, 2]}",
          "the range [8, 2] is empty: its first number must be the smaller", "")],
    ),
    "unknown expectation": (
        "features/shop_load.yaml", "expect_column_values_to_be_between", "expect_column_values_to_be_beetween",
        [("shop/features/shop_load.yaml", 9, "expect_column_values_to_be_beetween",
          "unknown expectation 'expect_column_values_to_be_beetween'",
          "did you mean 'expect_column_values_to_be_between'?")],
    ),
    "unknown column of an expectation": (
        "features/shop_load.yaml", "column: orders_1h", "column: orders_2h",
        [("shop/features/shop_load.yaml", 9, "orders_2h", "unknown column 'orders_2h'", "did you mean 'orders_1h'?")],
    ),
    "unknown argument of an expectation": (
        "features/shop_load.yaml", "min_value: 0", "min_value: 0, max_vlaue: 9",
        [("shop/features/shop_load.yaml", 9, "max_vlaue",
          "expect_column_values_to_be_between has no argument 'max_vlaue'", "did you mean 'max_value'?")],
    ),
    "missing argument of an expectation": (
        "features/shop_load.yaml", "column: orders_1h, ", "",
        [("shop/features/shop_load.yaml", 9, "expect_column_values_to_be_between",
          "expect_column_values_to_be_between needs the argument 'column'", "")],
    ),
    "expectation without bounds": (
        "features/shop_load.yaml", ", min_value: 0", "",
        [("shop/features/shop_load.yaml", 9, "expect_column_values_to_be_between",
          "expect_column_values_to_be_between needs min_value or max_value", "")],
    ),
    "unknown policy": (
        "features/shop_load.yaml", "policy: quarantine", "policy: quarantaine",
        [("shop/features/shop_load.yaml", 10, "quarantaine", "'quarantaine' is not one of fail, quarantine, warn",
          "did you mean 'quarantine'?")],
    ),
    "quarantine of what concerns no single row": (
        "features/shop_load.yaml", "expect_column_values_to_be_between", "expect_column_mean_to_be_between",
        [("shop/features/shop_load.yaml", 10, "quarantine",
          "expect_column_mean_to_be_between checks all rows together: single rows cannot be quarantined",
          "use fail or warn")],
    ),
    "two expectations in one item": (
        "features/shop_load.yaml", "    policy: quarantine", "    expect_table_row_count_to_equal: {value: 1}",
        [("shop/features/shop_load.yaml", 9, "expect_column_values_to_be_between: {column: orders_1h, min_value: 0}",
          "write one expectation an item: expect_…: {arguments}, and a policy if needed", "")],
    ),
    "feature that hides an entity column": (
        "features/shop_load.yaml", "  orders_1h:", "  shop: {type: int, description: x}\n  orders_1h:",
        [("shop/features/shop_load.yaml", 7, "shop", "'shop' is already an entity column", "")],
    ),
    "group column that the platform adds": (
        "features/shop_load.yaml", "  orders_1h:", "  event_time: {type: int, description: x}\n  orders_1h:",
        [("shop/features/shop_load.yaml", 7, "event_time",
          "'event_time' is a column that every feature group has", "")],
    ),
    "entity of a bad type": (
        "features/shop_load.yaml", "{shop: str}", "{shop: str, weight: float}",
        [("shop/features/shop_load.yaml", 3, "float", "an entity column is str or int, not float", "")],
    ),
    "query that cannot be run for a day": (
        "features/shop_load.sql", " WHERE :from < :to", "",
        [("shop/features/shop_load.sql", 1, "",
          "the query does not use :from, so that it cannot be run for a day", ""),
         ("shop/features/shop_load.sql", 1, "",
          "the query does not use :to, so that it cannot be run for a day", "")],
    ),
    "loader without load": (
        "tables/orders.py", "def load", "def laod",
        [("shop/tables/orders.py", 1, "", "there is no function load(spark, start, end) in it", "")],
    ),
    "loader that is not Python": (
        "tables/orders.py", "return None", "return (",
        [("shop/tables/orders.py", 2, "(", "not valid Python: '(' was never closed", "")],
    ),
    "tab": (
        "tables/orders.yaml", "  weight: float", "\tweight: float",
        [("shop/tables/orders.yaml", 7, "\t", "YAML does not allow tabs here: indent with spaces", "")],
    ),
    "colon inside a value": (
        "project.yaml", "Parcels", "Parcels: all",
        [("shop/project.yaml", 1, ":",
          "a second ': ' in one value: put the value in quotes, or check the indentation", "")],
    ),
    "recipient without a server": (
        "models/hours.yaml", "shop-team@example.org", "shop-team@example.org.",
        [("shop/models/hours.yaml", 18, "shop-team@example.org.",
          "'shop-team@example.org.' is not a mail address: An email address cannot end with a period", "")],
    ),
    "recipient that swallows the next": (
        "models/hours.yaml", "[shop-team@example.org]", "['a(b@example.org', c@example.org]",
        [("shop/models/hours.yaml", 18, "'a(b@example.org'",
          "'a(b@example.org' is not a mail address: The email address contains invalid characters before the "
          "@-sign: '('", "")],
    ),
    "recipient that appears twice": (
        "models/hours.yaml", "[shop-team@example.org]", "[a@example.org, b@example.org, a@EXAMPLE.org]",
        [("shop/models/hours.yaml", 18, "a@EXAMPLE.org", "a@example.org appears twice", "")],
    ),
    "alert that appears twice": (
        "models/hours.yaml", "alerts:\n    - {metric: rmse, above: 18, over: 7d, mail: [shop-team@example.org]}",
        "alerts:\n    - {metric: rmse, above: 18, over: 7d, mail: [a@example.org, b@example.org]}\n"
        "    - {metric: rmse, above: 18.0, over: 168h, min_rows: 50, mail: [b@example.org, a@example.org]}",
        [("shop/models/hours.yaml", 19,
          "{metric: rmse, above: 18.0, over: 168h, min_rows: 50, mail: [b@example.org, a@example.org]}",
          "this alert appears twice: the first is in line 18, column 7", "change or remove one of them")],
    ),
    "number as a gate": (
        "models/hours.yaml", "{rmse: {max: 16}}", "{r2: 0.6}",
        [("shop/models/hours.yaml", 14, "0.6", "0.6 is not a bound of a metric: write {min: 0.6}", "")],
    ),
    "number as a gate of an error": (
        "models/hours.yaml", "{rmse: {max: 16}}", "{rmse: 16}",
        [("shop/models/hours.yaml", 14, "16", "16 is not a bound of a metric: write {max: 16}", "")],
    ),
    "infinite gate": (
        "models/hours.yaml", "{rmse: {max: 16}}", "{rmse: {max: 1e999}}",
        [("shop/models/hours.yaml", 14, "1e999", "expected a finite number, found inf", "")],
    ),
    "label that is missing": (
        "models/hours.yaml", "label: {table: deliveries, value: hours, event_time: delivered_at}\n", "",
        [("shop/models/hours.yaml", 4, "regression",
          "a regression model needs a label: write label: {table, value, event_time}", "")],
    ),
    "label that is no mapping": (
        "models/hours.yaml", "label: {table: deliveries, value: hours, event_time: delivered_at}", "label: hours",
        [("shop/models/hours.yaml", 6, "hours",
          "expected a mapping (lines of the form 'key: value'), found 'hours'", "")],
    ),
    "quantiles of another task": (
        "models/hours.yaml", "task: regression", "task: regression\nquantiles: [0.5]",
        [("shop/models/hours.yaml", 5, "[0.5]", "quantiles belong to the task quantile, not to regression", "")],
    ),
    "quantiles in disorder": (
        "models/hours.yaml", "task: regression", "task: quantile\nquantiles: [0.9, 50%]",
        [("shop/models/hours.yaml", 5, "[0.9, 50%]",
          "quantiles must be in order and different, such as [0.1, 0.5, 0.9]", "")],
    ),
    "duration beyond the calendar": (
        "features/shop_load.yaml", "ttl: 12h", "ttl: 999999d",
        [("shop/features/shop_load.yaml", 5, "999999d",
          "'999999d' is too long: a duration has 36500d (a century) at most", "")],
    ),
    "date beyond the calendar": (
        "project.yaml", "2024-01-01", "0001-01-01",
        [("shop/project.yaml", 3, "0001-01-01",
          "'0001-01-01' is not a date between 1900-01-01 and 2199-12-31", "")],
    ),
    "control character": (
        "project.yaml", "owner: shop-team", 'owner: "shop\\u0007team"',
        [("shop/project.yaml", 2, '"shop\\u0007team"',
          "the control character '\\x07' does not belong into text", "")],
    ),
    "feature that is called like the age": (
        "features/shop_load.yaml", "  orders_1h:", "  event_age: {type: int, description: x}\n  orders_1h:",
        [("shop/features/shop_load.yaml", 7, "event_age",
          "'event_age' is a column that every feature group has", "")],
    ),
    "memory below what Spark starts with": (
        "models/hours.yaml", "parameters: {max_depth: 3}", "resources: {memory: 465m}",
        [("shop/models/hours.yaml", 12, "465m",
          "465m is too little memory for an executor of Spark: it needs 466m or more", "")],
    ),
    "more executors than any cluster has": (
        "models/hours.yaml", "parameters: {max_depth: 3}", "resources: {executors: 1000000000000}",
        [("shop/models/hours.yaml", 12, "1000000000000",
          "1000000000000 should be less than or equal to 10000", "")],
    ),
    "memory of more digits than any machine has": (
        "models/hours.yaml", "parameters: {max_depth: 3}", "resources: {memory: 12345678g}",
        [("shop/models/hours.yaml", 12, "12345678g",
          "expected an amount of memory such as 600m or 2g, found '12345678g'", "")],
    ),
    "GPUs that no cores can share": (
        "models/hours.yaml", "parameters: {max_depth: 3}", "resources: {cores: 2, gpus: 3}",
        [("shop/models/hours.yaml", 12, "{cores: 2, gpus: 3}",
          "3 gpus cannot be shared by 2 cores, each with as many whole GPUs: ask for gpus: 2 or gpus: 4, "
          "or for cores: 3", "")],
    ),
    "anchor": (
        "project.yaml", "Parcels", "&a Parcels",
        [("shop/project.yaml", 1, "&",
          "anchors and aliases (& and *) are not allowed: write the value out", "")],
    ),
    "tag": (
        "project.yaml", "Parcels", "!!python/object:os.system Parcels",
        [("shop/project.yaml", 1, "!", "tags (!) are not allowed", "")],
    ),
    "two documents in a file": (
        "project.yaml", "owner: shop-team", "---\nowner: shop-team",
        [("shop/project.yaml", 2, "-", "one file holds one document: remove the '---'", "")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_at_its_place(mistake, problems_after):
    name, old, new, expected = MISTAKES[mistake]
    found = problems_after(name, old, new)
    assert [
        (problem.file, problem.line, marked(problem), problem.message, problem.suggestion)
        for problem in found
    ] == expected


# Every row: what is replaced in models/hours.yaml, by what, and the line, the marked text and the suggestion.
LANGUAGE_MISTAKES = {
    "misspelt column": (
        "weight: row.weight", "weight: row.wieght",
        9, "row.wieght", "did you mean row.weight?",
    ),
    "in double quotes": (
        "weight: row.weight", 'weight: "log1p(row.wieght)"',
        9, "row.wieght", "did you mean row.weight?",
    ),
    "behind an escape": (
        "weight: row.weight", 'weight: "\\x6cog1p(\\u0072ow.wieght)"',
        9, "\\u0072ow.wieght", "did you mean row.weight?",
    ),
    "behind doubled quotes": (
        "weight: row.weight", "weight: 'float(length(null_if(row.shop, ''a''))) + row.wieght'",
        9, "row.wieght", "did you mean row.weight?",
    ),
    "in a folded plain value": (
        "weight: row.weight", "weight: row.weight\n    + row.wieght",
        10, "row.wieght", "did you mean row.weight?",
    ),
    "in a block": (
        "weight: row.weight", "weight: |\n    row.weight +\n      row.wieght",
        11, "row.wieght", "did you mean row.weight?",
    ),
    "in a folded block": (
        "weight: row.weight", "weight: >-  # heavy\n    row.weight +\n    row.wieght",
        11, "row.wieght", "did you mean row.weight?",
    ),
    "unknown group": (
        "store.shop_load.orders_1h", "store.shop_laod.orders_1h",
        10, "store.shop_laod", "did you mean store.shop_load?",
    ),
    "partition": (
        "by: [row.shop]", "by: [row.shpo]",
        11, "row.shpo", "did you mean row.shop?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", LANGUAGE_MISTAKES)
def test_a_mistake_in_an_expression_is_reported_at_its_place(mistake, problems_after):
    old, new, line, wrong, suggestion = LANGUAGE_MISTAKES[mistake]
    (problem,) = problems_after("models/hours.yaml", old, new)
    assert (problem.file, problem.line) == ("shop/models/hours.yaml", line)
    assert (marked(problem), problem.suggestion) == (wrong, suggestion)


# What is put before `features:`, in line 8, what of `weight: row.weight` becomes, and the marked text.
DEFINE_MISTAKES = {
    "in a definition": ("define: {heavy: row.wieght > 3}", "int(heavy)", 8, "row.wieght"),
    "in a use of it": ("define: {heavy: row.weight > 3}", "int(haevy)", 9, "haevy"),
    "a cycle": ("define: {heavy: weight > 3}", "int(heavy)", 8, "weight"),
    "a name twice": ("define: {busy: row.weight}", "row.weight", 8, "busy"),
    "sees the future": ("define: {heavy: row.items > 3}", "int(heavy)", 8, "row.items"),
}


@pytest.mark.parametrize("mistake", DEFINE_MISTAKES)
def test_a_mistake_among_named_expressions_is_reported_once_at_its_place(mistake, problems_after):
    define, weight, line, wrong = DEFINE_MISTAKES[mistake]
    old, new = "features:\n  weight: row.weight", f"{define}\nfeatures:\n  weight: {weight}"
    (problem,) = problems_after("models/hours.yaml", old, new)
    assert problem.line == line + (line == 9)
    assert marked(problem) == wrong


def test_features_and_levels_use_named_expressions(shop):
    model = shop / "models/hours.yaml"
    text = model.read_text().replace("by: [row.shop]", "by: [kind, lower(kind), heavy]")
    text = text.replace("features:\n  weight: row.weight", "define: {kind: lower(row.shop)}\n"
                        "features:\n  heavy: weight > 3\n  weight: row.weight")  # fmt: skip
    model.write_text(text)
    compiled = compile_model(load_project(shop), "hours")
    assert compiled.features.names == ("heavy", "weight", "busy")
    assert compiled.partition.names == ("kind", "level_2", "heavy")
    assert compiled.partition.row({"shop": "A", "weight": 4.0}) == ["a", "a", True]


def test_a_level_is_there_twice(problems_after):
    (problem,) = problems_after("models/hours.yaml", "by: [row.shop]", "by: [row.shop, row.shop]")
    assert (marked(problem), problem.message) == ("row.shop", "level 'shop' appears twice")


def test_a_part_is_not_chosen_by_what_is_learned(problems_after):
    (problem,) = problems_after("models/hours.yaml", "by: [row.shop]", "by: [vocabulary(row.shop)]")
    assert marked(problem) == "vocabulary(row.shop)"
    assert problem.message == "a partition cannot use functions that are fitted to the training rows"


UDFS = "def grams(weight: float) -> float:\n    return weight * 1000\n"


def test_expressions_call_the_projects_functions(shop, problems_after):
    (shop / "udfs.py").write_text(UDFS)
    model = shop / "models/hours.yaml"
    model.write_text(model.read_text().replace("weight: row.weight", "weight: udfs.grams(row.weight)"))
    documents = load_project(shop)
    assert list(documents.udfs.functions) == ["grams"]
    assert compile_model(documents, "hours").features.row({"weight": 0.5})[0] == 500.0
    (problem,) = problems_after("models/hours.yaml", "udfs.grams", "udfs.gram")
    assert (problem.line, marked(problem)) == (9, "udfs.gram")
    assert problem.suggestion == "did you mean udfs.grams(…)?"


def test_a_mistake_in_the_projects_functions_is_reported_once_at_its_place(shop, problems_after):
    (shop / "udfs.py").write_text(f"import os\n{UDFS}")
    (problem,) = problems_after("models/hours.yaml", "weight: row.weight", "weight: udfs.grams(row.weight)")
    assert (problem.file, problem.line, marked(problem)) == ("shop/udfs.py", 1, "import os")
    assert problem.message.startswith("os cannot be imported here")


def test_a_type_error_in_an_expression(problems_after):
    (problem,) = problems_after("models/hours.yaml", "weight: row.weight", "weight: row.weight + row.shop")
    assert at(problem)[:2] == ("shop/models/hours.yaml", 9)


def test_a_column_may_be_a_list_and_a_key_may_not(shop, problems_after):
    table, model = shop / "tables/orders.yaml", shop / "models/hours.yaml"
    table.write_text(table.read_text().replace("items: int", "items: int\n  boxes: list[float]"))
    model.write_text(model.read_text().replace("weight: row.weight", "weight: sum(row.boxes)"))
    compiled = compile_model(load_project(shop), "hours")
    assert compiled.features.row({"boxes": [0.5, None, 2.0]})[0] == 2.5
    (problem,) = problems_after("tables/orders.yaml", "key: [order_id]", "key: [order_id, boxes]")
    assert (marked(problem), problem.message) == ("boxes", "column 'boxes' is a list, which cannot be a key")


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("{max_depth: {int: [2, 8]}}", "{gamma: {float: [0, .inf]}}", ".inf", "expected a number"),
        (
            "{max_depth: {int: [2, 8]}}",
            "{gamma: {float: [0, 1e999]}}",
            "1e999",
            "expected a finite number, found inf",
        ),
        (
            "{max_depth: {int: [2, 8]}}",
            "{gamma: {choice: [0.5, 1e999]}}",
            "1e999",
            "expected a finite number, found inf",
        ),
        ("{max_depth: {int: [2, 8]}}", "{max_depth: {choice: [2, 3, 2]}}", "{choice: [2, 3, 2]}", "twice"),
        ("{max_depth: 3}", "{gamma: -1e999}", "-1e999", "expected a finite number, found -inf"),
        ("trials: 3,", "trials: 3, seed: 4294967296,", "4294967296", "less than 4294967296"),
    ],
)
def test_numbers_that_no_search_can_use(problems_after, old, new, place, said):
    (problem,) = problems_after("models/hours.yaml", old, new)
    assert marked(problem) == place
    assert said in problem.message


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("bounds: {min: 0}", "bounds belong to the task forecasting, not to regression"),
        ("bounds: {min: 2, max: 1}", "min is greater than max"),
        ("bounds: {}", "give min, max or both"),
        ("refit: often", "expected true or false, found 'often'"),
    ],
)
def test_keys_about_answers_and_what_goes_live(problems_after, added, said):
    (problem,) = problems_after("models/hours.yaml", "task: regression\n", f"task: regression\n{added}\n")
    assert said in problem.message


def test_forecasts_alone_are_refitted_unless_the_document_says_more(shop):
    hours = load_project(shop).model("hours")
    assert not hours.is_refitted
    assert hours.model_copy(update={"refit": True}).is_refitted
    forecast = hours.model_copy(update={"task": "forecasting"})
    assert forecast.is_refitted
    assert not forecast.model_copy(update={"refit": False}).is_refitted


KINDS = """\
description: Kinds of orders
owner: shop-team
type: k_means
task: clustering
data: {table: orders, key: [order_id], event_time: ordered_at}
split: {train: 270d, validation: 0.2, test: 30d}
features:
  weight: normalize(row.weight)
search: {trials: 3, metric: silhouette, space: {clusters: {int: [2, 8]}}}
"""


@pytest.mark.parametrize("metric", ["silhouette", "distance"])
def test_metrics_that_clusters_are_searched_by(shop, metric):
    (shop / "models/kinds.yaml").write_text(KINDS.replace("silhouette", metric))
    search = load_project(shop).model("kinds").search
    assert search
    assert search.metric == metric


@pytest.mark.parametrize(
    ("new", "message", "suggestion"),
    [
        ("silhuette", "unknown metric of a clustering model 'silhuette'", "did you mean 'silhouette'?"),
        ("rmse", "unknown metric of a clustering model 'rmse'", "known: distance, silhouette"),
        (
            "largest_share",
            "a search cannot optimise largest_share: neither more nor less of it is better",
            "use silhouette or distance",
        ),
    ],
)
def test_metrics_that_clusters_are_not_searched_by(shop, problems_after, new, message, suggestion):
    (shop / "models/kinds.yaml").write_text(KINDS)
    (problem,) = problems_after("models/kinds.yaml", "silhouette", new)
    assert (marked(problem), problem.message, problem.suggestion) == (new, message, suggestion)


def test_a_metric_of_searches_is_none_of_a_gate(shop, problems_after):
    (shop / "models/kinds.yaml").write_text(
        KINDS + "deploy: {tag: production, modes: [batch], gate: {distance: {max: 2}}}"
    )
    (problem,) = problems_after("models/kinds.yaml", "distance: {max", "silhouette: {max")
    assert problem.message == "unknown metric of a clustering model 'silhouette'"


def test_a_feature_must_be_a_number(problems_after):
    (problem,) = problems_after("models/hours.yaml", "weight: row.weight", "weight: row.shop")
    assert at(problem) == ("shop/models/hours.yaml", 9, 11)
    assert problem.message == "'weight' is str; float or int or bool is needed"
    assert problem.suggestion == "wrap it in vocabulary(…)"


def test_a_part_is_not_chosen_by_a_measurement(problems_after):
    (problem,) = problems_after("models/hours.yaml", "by: [row.shop]", "by: [row.shop, row.weight]")
    assert at(problem) == ("shop/models/hours.yaml", 11, 28)
    assert problem.message == "'weight' is float; str or int or bool is needed"


def test_a_model_does_not_see_the_future(problems_after):
    (problem,) = problems_after("models/hours.yaml", "weight: row.weight", "weight: row.weight * row.items")
    assert at(problem) == ("shop/models/hours.yaml", 9, 24)
    assert problem.message == (
        "row.items is known at packed_at, but this model is asked at ordered_at: it would see the future"
    )


FUTURE = "known at packed_at, but this model is asked at ordered_at: it would see the future"


@pytest.mark.parametrize(
    ("written", "line", "column", "shown"),
    [
        ("weight: row . items", 9, 11, "row . items"),
        ("weight: abs(row .items)", 9, 15, "row .items"),
        ("weight: row.ｉtems", 9, 11, "row.ｉtems"),
        ('weight: "row. items + 1"', 9, 12, "row. items"),
        ("weight: |\n    row.weight +\n    row\n    .items", 11, 5, "row"),
        ("weight: >-\n    row.weight\n    + row\n    .items", 11, 7, "row"),
    ],
)
def test_however_it_is_written_a_model_does_not_see_the_future(problems_after, written, line, column, shown):
    (problem,) = problems_after("models/hours.yaml", "weight: row.weight", written)
    assert at(problem) == ("shop/models/hours.yaml", line, column)
    assert (marked(problem), problem.message) == (shown, f"row.items is {FUTURE}")


def test_the_future_seen_through_a_name_is_shown_where_it_is_read(problems_after):
    named = "define:\n  twice: 2 * row . items\n  again: twice + 1\nfeatures:\n  weight: again + row.weight"
    (problem,) = problems_after("models/hours.yaml", "features:\n  weight: row.weight", named)
    assert at(problem) == ("shop/models/hours.yaml", 9, 14)
    assert problem.message == f"row.items is {FUTURE}"


def test_a_part_is_not_chosen_by_the_future(problems_after):
    (problem,) = problems_after("models/hours.yaml", "by: [row.shop]", "by: [row.shop, row . items]")
    assert (at(problem), marked(problem)) == (("shop/models/hours.yaml", 11, 28), "row . items")
    assert problem.message == f"row.items is {FUTURE}"


def test_features_are_not_looked_up_by_the_future(shop, problems_after):
    model = shop / "models/hours.yaml"
    model.write_text(model.read_text().replace("partition: {by: [row.shop], min_rows: 200}\n", ""))
    (problem,) = problems_after("tables/orders.yaml", "{items: packed_at}", "{shop: packed_at}")
    assert (problem.line, marked(problem)) == (10, "store.shop_load.orders_1h")
    assert problem.message == f"feature group 'shop_load' is looked up by row.shop, which is {FUTURE}"
    assert problem.suggestion == "state another column that holds it: store.shop_load(shop=row.…)"


def test_a_model_asked_when_a_column_is_known_may_use_it(shop):
    model = shop / "models/hours.yaml"
    text = model.read_text().replace("event_time: ordered_at", "event_time: packed_at")
    model.write_text(text.replace("weight: row.weight", "weight: row.weight * row.items"))
    assert load_project(shop).model("hours").data.event_time == "packed_at"


@pytest.mark.parametrize(
    ("planned", "shown", "message"),
    [
        ("[packed_a]", "packed_a", "unknown column 'packed_a'"),
        ("[packed_at, weight]", "weight", "column 'weight' is float, not timestamp"),
    ],
)
def test_a_plan_is_a_timestamp_column(problems_after, planned, shown, message):
    text = "known_at: {items: packed_at}"
    (problem,) = problems_after("tables/orders.yaml", text, f"{text}\nplanned: {planned}")
    assert (marked(problem), problem.message) == (shown, message)


def test_a_plan_does_not_come_later(shop, problems_after):
    text = "known_at: {items: packed_at}"
    both = "known_at: {items: packed_at, packed_at: packed_at}\nplanned: [packed_at]"
    (problem,) = problems_after("tables/orders.yaml", text, both)
    assert (problem.line, marked(problem)) == (12, "packed_at")
    assert (
        problem.message
        == "column 'packed_at' is in known_at, too: it is known with the row or it comes later"
    )


def test_the_excerpt_marks_the_offending_text(problems_after):
    (problem,) = problems_after("models/hours.yaml", "table: orders", "table: ordes")
    assert problem.excerpt == (
        "data: {table: ordes, key: [order_id], event_time: ordered_at}\n"
        "              ^^^^^"
    )  # fmt: skip
    assert str(problem) == (
        "shop/models/hours.yaml:5:15: unknown table 'ordes' (did you mean 'orders'?)\n"
        "    data: {table: ordes, key: [order_id], event_time: ordered_at}\n"
        "                  ^^^^^"
    )


def test_all_problems_of_a_project_are_reported_together(shop):
    (shop / "project.yaml").write_text("description: Parcels\n")
    (shop / "tables/deliveries.yaml").write_text("key: [\n")
    (shop / "models/late.yml").write_text("description: x\n")
    text = (shop / "models/hours.yaml").read_text()
    (shop / "models/hours.yaml").write_text(text.replace("key: [order_id]", "key: [id]"))
    (shop / "features/shop_load.sql").unlink()
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    assert [(problem.file, problem.message) for problem in caught.value.problems] == [
        (
            "shop/features/shop_load.yaml",
            "the group has no source of its rows: write shop_load.sql or shop_load.py beside it",
        ),
        ("shop/models/hours.yaml", "unknown column 'id'"),
        ("shop/models/late.yml", "documents end in .yaml"),
        ("shop/project.yaml", "the key 'owner' is missing"),
        ("shop/project.yaml", "the key 'start_date' is missing"),
        (
            "shop/tables/deliveries.yaml",
            "not valid YAML: expected the node content, but found '<stream end>'",
        ),
    ]
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("file", "copy_of", "message"),
    [
        ("models/orders.yaml", "models/hours.yaml",
         "the name 'orders' of this model is already taken by the table 'orders'"),
        ("tables/hours_outcomes.yaml", "tables/deliveries.yaml",
         "the name 'hours_outcomes' of this model is already taken by the table 'hours_outcomes'"),
        ("tables/model_metrics.yaml", "tables/deliveries.yaml",
         "the name 'model_metrics' of this table is already taken by the platform's own tables"),
    ],
)  # fmt: skip
def test_names_do_not_clash(shop, file, copy_of, message):
    (shop / file).write_text((shop / copy_of).read_text())
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    assert [problem.message for problem in caught.value.problems] == [message]


def test_file_names_are_names(shop):
    (shop / "tables/orders.yaml").rename(shop / "tables/Orders.yaml")
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    assert [problem.file for problem in caught.value.problems] == [
        "shop/models/hours.yaml", "shop/tables/Orders.yaml", "shop/tables/orders.py",
    ]  # fmt: skip


def test_a_file_that_is_not_text_is_reported(shop):
    (shop / "project.yaml").write_bytes(b"description: Parcels\nowner: \xff\n")
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    (problem,) = caught.value.problems
    assert (*at(problem), problem.message) == ("shop/project.yaml", 2, 8, "the file is not UTF-8 text")


BYTES = {
    "a query in Windows-1252": ("features/shop_load.sql", b"-- je Geb\xfchr\nSELECT :from < :to\n", 1, 10,
                                "the file is not UTF-8 text"),
    "a loader in Latin-1": ("tables/orders.py", b"# a\n# caf\xe9\n", 2, 6, "the file is not UTF-8 text"),
    "functions in UTF-16": ("udfs.py", "x = 1".encode("utf-16"), 1, 1, "the file is not UTF-8 text"),
    "a class with a NUL": ("models/halves.py", b"# \xc3\xa9\n#\xc3\xa9\0", 2, 3,
                           "the file is not text: it has a NUL character here"),
    "a document with a NUL": ("tables/deliveries.yaml", b"description: a\0b", 1, 15,
                              "the file is not text: it has a NUL character here"),
    "Python as deep as no interpreter goes": ("tables/orders.py", b"x = " + b"-" * 5000 + b"1", 1, 1,
                                              "this Python is nested too deeply"),
    "deeper Python yet": ("tables/orders.py", b"x = " + b"not " * 20_000 + b"1", 1, 1,
                          "this Python is nested too deeply"),
    "a number of 5,000 digits": ("project.yaml", b"description: x\nowner: x\nstart_date: " + b"9" * 5000, 3, 13,
                                 "a whole number lies between -2^63 and 2^63 - 1"),
    "a number of 5,000 digits in Python": ("tables/orders.py", b"x = 1\ny = " + b"9" * 5000, 2, 1, None),
    "a file of a megabyte": ("features/shop_load.sql", b"-" * 1_000_001, 1, 1,
                             "the file is larger than 1,000,000 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", BYTES)
def test_whatever_a_file_holds_is_a_problem_at_its_place_and_of_its_project_alone(shop, case):
    name, content, line, column, message = BYTES[case]
    shutil.copytree(shop, shop.parent / "sound")
    if name.startswith("models/"):
        model = shop / "models/hours.yaml"
        model.write_text(model.read_text().replace("type: xgboost", "type: custom\nclass: halves.Halves"))
    (shop / name).write_bytes(content)
    loaded = load_projects(shop.parent)
    assert loaded["sound"].models.keys() == {"hours"}
    (problem,) = loaded["shop"].problems
    assert at(problem) == (f"shop/{name}", line, column)
    assert message is None or problem.message == message


def test_a_folder_or_a_pipe_where_a_file_belongs_is_a_problem(shop):
    (shop / "tables/orders.yaml").unlink()
    (shop / "tables/orders.yaml").mkdir()
    (shop / "features/shop_load.sql").unlink()
    os.mkfifo(shop / "features/shop_load.sql")
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    assert [(problem.file, problem.message) for problem in caught.value.problems] == [
        ("shop/features/shop_load.sql", "this is no file"),
        ("shop/tables/orders.yaml", "this is no file"),
    ]


def test_a_file_whose_name_is_no_text_is_named_printably(shop):
    Path(os.fsdecode(bytes(shop) + b"/tables/caf\xe9.yml")).write_text("")
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    (problem,) = caught.value.problems
    assert str(problem) == ("shop/tables/caf\\xe9.yml:1:1: documents end in .yaml (rename it caf\\xe9.yaml)")


def test_a_fault_that_no_rule_foresees_is_a_problem_of_its_project_alone(shop, monkeypatch):
    shutil.copytree(shop, shop.parent / "sound")

    def fail(drafts):
        if drafts.folder.name == "shop":
            raise ZeroDivisionError("x")
        return ()

    monkeypatch.setattr(load, "reference_problems", fail)
    loaded = load_projects(shop.parent)
    assert loaded["sound"].models.keys() == {"hours"}
    (problem,) = loaded["shop"].problems
    assert str(problem) == "shop/project.yaml:1:1: the documents cannot be read (ZeroDivisionError: x)"


def test_a_byte_order_mark_is_no_part_of_any_file(shop):
    whole = load_project(shop)
    (shop / "udfs.py").write_text(UDFS)
    for path in [file for file in shop.rglob("*") if file.is_file()]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    documents = load_project(shop)
    assert documents.query("shop_load") == "SELECT 1 WHERE :from < :to\n"
    assert documents.udfs.source == UDFS
    assert (documents.models, documents.tables, documents.groups) == (
        whole.models, whole.tables, whole.groups,
    )  # fmt: skip


def test_an_emoji_written_as_json_does_is_the_emoji(shop):
    model = shop / "models/hours.yaml"
    model.write_text(model.read_text().replace("Hours to delivery", r'"Hours \ud83d\ude80"'))
    spec = load_project(shop).model("hours")
    assert spec.description == "Hours \N{ROCKET}"
    assert ModelSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("old", "as_number", "as_percentage"),
    [
        ("validation: 0.2", "validation: 0.07", "validation: 7%"),
        (
            "task: regression",
            "task: quantile\nquantiles: [0.07, 0.5]",
            "task: quantile\nquantiles: [7%, 50%]",
        ),
        ("log: 12.5%", "log: 0.07", "log: 7%"),
        ("min_rows: 200", "min_rows: 200, margin: 0.07", "min_rows: 200, margin: 7%"),
        ("parameters: {max_depth: 3}", "parameters: {subsample: 0.07}", "parameters: {subsample: 7%}"),
        ("max_depth: {int: [2, 8]}", "gamma: {float: [0.07, 0.7]}", "gamma: {float: [7%, 70%]}"),
        ("max_depth: {int: [2, 8]}", "gamma: {choice: [0.07, 0.7]}", "gamma: {choice: [7%, 70%]}"),
        ("gate: {rmse: {max: 16}}", "gate: {r2: {min: 0.07}}", "gate: {r2: {min: 7%}}"),
        ("metric: rmse, above: 18", "metric: r2, below: 0.07", "metric: r2, below: 7%"),
    ],
)
def test_a_share_is_a_number_or_a_percentage_everywhere(shop, old, as_number, as_percentage):
    file = shop / "models/hours.yaml"
    text = file.read_text()
    if "quantile" in as_number:
        text = text.replace("rmse", "pinball")
    assert text.count(old) == 1
    read = []
    for new in (as_number, as_percentage):
        file.write_text(text.replace(old, new))
        read.append(load_project(shop).model("hours"))
    assert read[0] == read[1]
    assert read[0].model_dump_json() == read[1].model_dump_json()
    assert ModelSpec.model_validate_json(read[0].model_dump_json()) == read[0]


def test_a_share_is_a_number_or_a_percentage_in_groups(shop):
    for percentages in (False, True):
        file = shop / "features/shop_load.yaml"
        text = file.read_text()
        if percentages:
            text = text.replace("mostly: 0.07", "mostly: 7%")
        else:
            text = text.replace("min_value: 0", "min_value: 0, mostly: 0.07")
        file.write_text(text)
        windows = WINDOWS.replace("share: 0.9", "share: 90%") if percentages else WINDOWS
        (shop / "features/shop_weights.yaml").write_text(windows)
        documents = load_project(shop)
        assert documents.group("shop_load").expect[0].arguments["mostly"] == 0.07
        assert documents.group("shop_weights").features["weight_p90_1d"].window.share == 0.9


def test_a_percentage_beyond_all_is_refused_in_expectations(problems_after):
    (problem,) = problems_after("features/shop_load.yaml", "min_value: 0", "min_value: 0, mostly: 950%")
    assert marked(problem) == "950%"
    assert problem.message == "'950%' is not a percentage from 0% to 100%, such as 5%"


def test_deep_nesting_is_refused(shop):
    (shop / "project.yaml").write_text("description: " + "[" * 5000)
    with pytest.raises(DocumentErrors) as caught:
        load_project(shop)
    assert caught.value.problems[0].message == "nested too deeply"


def test_a_broken_project_does_not_hide_its_neighbours(shop):
    broken = shop.parent / "broken"
    broken.mkdir()
    (broken / "project.yaml").write_text("description: x\n")
    (shop.parent / "not_a_project").mkdir()
    loaded = load_projects(shop.parent)
    assert list(loaded) == ["broken", "shop"]
    assert isinstance(loaded["broken"], DocumentErrors)
    assert loaded["shop"].models.keys() == {"hours"}


def test_what_is_not_there_is_named(shop):
    documents = load_project(shop)
    with pytest.raises(NotFoundError, match=r"project shop has no model 'huors' \(did you mean 'hours'\?\)"):
        documents.model("huors")
    with pytest.raises(NotFoundError, match="no project folder"):
        load_project(shop / "nowhere")
    with pytest.raises(NotFoundError, match="no folder of projects"):
        load_projects(Path("nowhere"))


PARTITION = "partition: {by: [row.shop], min_rows: 200}"
TUNED = "partition: {by: [row.shop], min_rows: 200, tune: level, sets: 3, trials: 9}"
TUNE_MISTAKES = {
    "tune: level, sets: 3, trials: 9": (
        "trials: 9",
        "trials is for each level or part: write tune: level or",
    ),
    "trials: 9": ("trials: 2", "of 2 trials 3 cannot be the best sets of all rows: lower sets"),
}


@pytest.mark.parametrize("old", TUNE_MISTAKES)
def test_trials_of_levels_that_cannot_be(shop, problems_after, old):
    new, expected = TUNE_MISTAKES[old]
    (problem,) = problems_after("models/hours.yaml", PARTITION, TUNED.replace(old, new))
    assert (problem.file, problem.line) == ("shop/models/hours.yaml", 11)
    assert problem.message.startswith(expected)


def test_levels_without_a_search_have_nothing_to_tune(shop, problems_after):
    model = shop / "models/hours.yaml"
    search = "search: {trials: 3, metric: rmse, space: {max_depth: {int: [2, 8]}}}\n"
    model.write_text(model.read_text().replace(search, ""))
    (problem,) = problems_after("models/hours.yaml", PARTITION, TUNED)
    assert problem.message == ("tune: level takes parameters from a search: write search, or leave tune out")
