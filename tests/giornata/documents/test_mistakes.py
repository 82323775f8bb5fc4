"""Each mistake in the documents of a project is reported at its place, with its message and suggestion."""

import pytest

from giornata.models import MODEL_TYPES, types_for
from tests.giornata.documents.problems import marked

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
