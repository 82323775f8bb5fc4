"""SQL files and beeline's errors as people see them."""

from pathlib import Path

import pytest

from giornata.errors import InvalidNameError, StoreError
from giornata.settings import Settings
from stack.errors import StackError
from stack.sql import asked_of, run_file, statements, without_traces

# What beeline 2.3.10 printed of a misspelt table, cut short.
BEELINE = """\
WARNING: Using incubator modules: jdk.incubator.vector
Error: org.apache.hive.service.cli.HiveSQLException: Error running query: [TABLE_OR_VIEW_NOT_FOUND] \
org.apache.spark.sql.AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table or view `a`.`b` cannot be found.
'Project [*]
+- 'UnresolvedRelation [a, b], [], false

\tat org.apache.spark.sql.hive.thriftserver.HiveThriftServerErrors$.runningQueryError(HiveThriftServerErrors.scala:43)
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: org.apache.spark.sql.AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table or view `a`.`b`
'Project [*]

\tat org.apache.spark.sql.errors.QueryCompilationErrors$.tableOrViewNotFoundWithSearchPath(QueryCompilationErrors.scala)
\t... 17 more (state=42P01,code=0)
Error: Syntax error near SELEKT (state=42601,code=0)
"""


def test_of_beelines_errors_what_is_wrong_is_left() -> None:
    assert list(without_traces(BEELINE.splitlines())) == [
        "Error: [TABLE_OR_VIEW_NOT_FOUND] The table or view `a`.`b` cannot be found.",
        "Error: Syntax error near SELEKT (state=42601,code=0)",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", ["SELECT 1"]),
        (
            "-- one; two\nSELECT 'a;b' AS c;\n\nSELECT 2;\n-- the end",
            ["-- one; two\nSELECT 'a;b' AS c", "SELECT 2"],
        ),
        (";;SELECT `x;y` FROM t;", ["SELECT `x;y` FROM t"]),
        ("-- nothing\n", []),
    ],
)
def test_statements_end_at_semicolons_outside_of_texts_and_comments(text: str, expected: list[str]) -> None:
    assert list(statements(text)) == expected


def test_an_open_quote_is_told() -> None:
    with pytest.raises(StackError, match="no SQL"):
        list(statements("SELECT 'abc"))


def test_a_ready_query_is_asked_of_a_project_and_model_of_ones_own() -> None:
    query = "SELECT 'flights/trip_minutes' FROM flights.trip_minutes_outcomes -- flights of trip_minutes"
    assert (
        asked_of(query, "shop", "amount")
        == "SELECT 'shop/amount' FROM shop.amount_outcomes -- flights of amount"
    )
    assert asked_of(query, None, None) == query
    with pytest.raises(InvalidNameError):
        asked_of(query, "shop; DROP TABLE x", None)


def test_a_model_that_a_query_has_no_place_for_is_told() -> None:
    with pytest.raises(
        StackError, match=r"^MODEL=late changes nothing here: the query does not name trip_minutes"
    ):
        asked_of("SELECT * FROM flights.cancelled_predictions", None, "late")
    assert asked_of("SELECT * FROM flights.late_predictions", None, "late").endswith("late_predictions")


@pytest.mark.timeout(600)
def test_a_file_prints_its_rows_and_of_a_misspelt_table_one_sentence(
    stores: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "some.sql"
    file.write_text("SELECT 1 AS one, CAST(NULL AS STRING) AS nothing;\nSELECT 2 AS two WHERE false;")
    run_file(stores, file, None, None)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["one", "nothing"],
        ["1", "null"],
        ["no", "rows"],
    ]
    file.write_text("SELECT * FROM nosuch.table_of_mine")
    with pytest.raises(StoreError) as refusal:
        run_file(stores, file, None, None)
    assert "`nosuch`.`table_of_mine` cannot be found" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "scala" not in str(refusal.value)
