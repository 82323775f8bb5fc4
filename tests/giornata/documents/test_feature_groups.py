"""Documents of feature groups: sources, sliding windows, versions, expectations; each mistake at its place."""

import json
from datetime import timedelta

import pytest

from giornata.documents import compile_model, load_project
from giornata.errors import DocumentErrors
from tests.giornata.documents.conftest import WINDOWS
from tests.giornata.documents.problems import marked


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
