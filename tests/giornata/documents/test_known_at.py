"""No model sees the future: columns that are known later, and plans."""

import pytest

from giornata.documents import load_project
from tests.giornata.documents.problems import at, marked


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
