"""Documents of models: serving, alerts, searches, tuning of parts and shares."""

import json
from datetime import timedelta

import pytest

from giornata.documents import FeatureGroup, ModelSpec, load_project
from giornata.errors import DocumentErrors
from tests.giornata.documents.problems import marked


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
