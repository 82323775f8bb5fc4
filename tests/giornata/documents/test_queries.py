"""The columns that queries name are looked up where they can be; what cannot be read beforehand is a warning."""

import pytest

from giornata.documents import load_project
from giornata.documents.queries import query_findings

DOCUMENTED = (
    "SELECT shop, ordered_at AS event_time, items AS orders_1h FROM orders "
    "WHERE ordered_at >= :from AND ordered_at < :to"
)


def found(shop, query):
    """The findings in the query of the shop's group: certain or not, line, column, message and suggestion."""
    (shop / "features/shop_load.sql").write_text(query, encoding="utf-8")
    return [
        (certain, problem.line, problem.column, problem.message, problem.suggestion)
        for problem, certain in query_findings(load_project(shop))
    ]


@pytest.mark.parametrize(
    "query",
    [
        DOCUMENTED,
        DOCUMENTED.replace("SELECT", "SELECT /*+ BROADCAST(orders) */"),
        DOCUMENTED.replace("shop,", "SHOP, transform(array(1), x -> x + items) AS xs,"),
        DOCUMENTED.replace("FROM orders", "FROM orders LATERAL VIEW explode(array(1)) e AS z"),
        DOCUMENTED.replace("items AS", "max(struct(ordered_at, items)).items AS")
        + " GROUP BY shop, ordered_at",
        f"WITH recent AS ({DOCUMENTED}) SELECT * FROM recent r JOIN deliveries USING (order_id)",
        f"SELECT * FROM ({DOCUMENTED}) PIVOT (count(*) FOR shop IN ('a', 'b'))",
        DOCUMENTED
        + " AND EXISTS (SELECT 1 FROM deliveries d WHERE d.order_id = orders.order_id AND weight > hours)",
        DOCUMENTED.replace("FROM orders", "FROM elsewhere.orders o JOIN orders ON o.whatever = orders.shop"),
        DOCUMENTED.replace(
            "FROM orders", "FROM orders JOIN hours_predictions p ON p.order_id = orders.order_id"
        ),
        f"{DOCUMENTED} UNION ALL SELECT shop, packed_at, items FROM orders WHERE day > date_sub(:from, 1)",
    ],
)
def test_what_spark_takes_is_taken(shop, query):
    assert found(shop, query) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "wrong", "suggestion"),
    [
        ("items AS", "itms AS", 1, 40, "itms", "did you mean 'items'?"),
        ("SELECT shop", "-- é\nSELECT o.shop, o.wieght", 2, 18, "wieght", "did you mean 'weight'?"),
        ("WHERE", "WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.hour > 1) AND", 1, 120, "hour",
         "did you mean 'hours'?"),
        ("SELECT shop", "WITH a AS (SELECT shop AS s FROM orders) SELECT s, sohp AS shop", 1, 52, "sohp",
         "did you mean 'shop'?"),
    ],
)  # fmt: skip
def test_a_column_that_no_table_has_is_a_problem_at_its_place(
    shop, old, new, line, column, wrong, suggestion
):
    query = DOCUMENTED.replace(old, new)
    if "o." in new:
        query = query.replace("FROM orders", "FROM orders o")
    if "a AS" in new:
        query = query.replace("FROM orders WHERE", "FROM a, orders WHERE")
    assert found(shop, query) == [(True, line, column, f"unknown column '{wrong}'", suggestion)]


def test_a_table_that_nothing_declares_is_a_warning_and_its_columns_are_not_judged(shop):
    query = DOCUMENTED.replace("FROM orders", "FROM ordrs").replace("items", "anything")
    message = "no document declares a table 'ordrs'"
    assert found(shop, query) == [(False, 1, 67, message, "did you mean 'orders'?")]


def test_a_declared_column_that_the_query_does_not_give_is_a_warning(shop):
    (warning,) = found(shop, DOCUMENTED.replace("AS orders_1h", "AS orders_2h"))
    assert warning[:4] == (False, 1, 1, "the query gives no column orders_1h, which its document declares")


@pytest.mark.parametrize(
    ("query", "line", "column", "said"),
    [
        ("SELECT shop\nFROM orders WHERE :from < :to AND (", 2, 35, "as sqlglot does not read it here"),
        ("DROP TABLE orders -- :from :to", 1, 1, "this is no query"),
        ("SELECT " + "(" * 3000 + ":from, :to", 1, 1, "RecursionError"),
        ("-- :from :to", 1, 1, "as sqlglot does not read it here"),
    ],
)
def test_what_cannot_be_read_is_a_warning(shop, query, line, column, said):
    (warning,) = found(shop, query)
    assert warning[:3] == (False, line, column)
    assert said in warning[3]
