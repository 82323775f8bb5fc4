"""Which changes of a group's source are none of its meaning."""

import pytest

from giornata.catalogue.meaning import digest, is_same
from giornata.documents.group_source import GroupSource

QUERY = """
-- Hourly
SELECT /*+ BROADCAST(places) */ place, observed_at AS event_time, level, CAST(waves AS bigint) AS waves
FROM readings JOIN places USING (place)
WHERE observed_at >= :from AND observed_at < :to AND kind = 'Sea'
"""
COLUMNS = {"place", "event_time", "level"}


def query(text: str) -> GroupSource:
    return GroupSource(kind="query", files={"features/tides.sql": text})


def function(text: str, **files: str) -> GroupSource:
    return GroupSource(kind="function", files={"features/tides.py": text, **files})


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("-- Hourly", "/* Every\nhour */"), True),
        (("\nFROM", " from"), True),
        (("/*+ BROADCAST(places) */ ", ""), True),
        (("CAST(waves AS bigint)", "CAST(waves AS bigint) * 2"), True),  # not read
        ((", CAST(waves AS bigint) AS waves", ""), True),
        ((", level,", ", level, -level AS depth,"), True),  # a new feature
        ((", level,", ", level + waves AS level,"), False),
        (("observed_at AS event_time", "observed_at + INTERVAL 1 HOUR AS event_time"), False),
        (("'Sea'", "'sea'"), False),
        (("< :to", "<= :to"), False),
        (("readings", "readings_v2"), False),
        (("SELECT /*+ BROADCAST(places) */", "SELECT DISTINCT"), False),
    ],
)
def test_queries(change: tuple[str, str], same: bool) -> None:
    assert change[0] in QUERY
    assert is_same(query(QUERY), query(QUERY.replace(*change)), COLUMNS) is same
    assert is_same(query(QUERY.replace(*change)), query(QUERY), COLUMNS) is same


def test_what_a_column_is_computed_from_counts_with_it() -> None:
    text = "SELECT place, event_time, high - low AS spread, spread * 2 AS level FROM r WHERE t >= :from AND t < :to"
    assert not is_same(query(text), query(text.replace("high - low", "high + low")), COLUMNS)


def test_a_column_counts_where_it_decides_about_rows() -> None:
    text = "SELECT place, event_time, max(level) AS level, count(*) AS rows FROM r GROUP BY 1, 2"
    assert not is_same(query(text), query(text.replace("count(*)", "count(x)")), COLUMNS)
    text = "SELECT place, event_time, max(level) AS level, count(*) AS rows FROM r GROUP BY place HAVING rows > 1"
    assert not is_same(query(text), query(text.replace("count(*)", "count(x)")), COLUMNS)
    text = "SELECT DISTINCT place, event_time, level, waves FROM r"
    assert not is_same(query(text), query(text.replace(", waves", "")), COLUMNS)


def test_a_query_that_cannot_be_parsed_is_compared_by_its_words() -> None:
    text = "SELECT ((( level FROM r  WHERE :from :to"
    assert is_same(query(text), query(text.replace("  ", "\n")), COLUMNS)
    assert not is_same(query(text), query(text.replace("level", "waves")), COLUMNS)


CODE = '''
"""What the sea does."""
from ..levels import HEIGHTENED

def compute(spark, start, end):
    """Rows."""
    return spark.table("readings").selectExpr(f"level * {HEIGHTENED} AS level")  # metres
'''


def test_functions() -> None:
    then = function(CODE, **{"levels.py": "HEIGHTENED = 10\n"})
    same = function(
        CODE.replace("# metres", "")
        .replace("What the sea", "All that the sea")
        .replace("\n    return", "\n\n    return"),
        **{"levels.py": "HEIGHTENED = 10  # a note\n"},
    )
    assert is_same(then, same, COLUMNS)
    assert digest(then) == digest(same)
    assert not is_same(
        then, function(CODE.replace("level *", "level +"), **{"levels.py": "HEIGHTENED = 10\n"}), COLUMNS
    )
    assert not is_same(then, function(CODE, **{"levels.py": "HEIGHTENED = 11\n"}), COLUMNS)
    assert not is_same(then, query(QUERY), COLUMNS)


def test_digests_are_words() -> None:
    """Nothing that YAML would read as a number, and the same whatever is said beside."""
    assert digest(query(QUERY)).startswith("query-")
    assert digest(query(QUERY)) == digest(query(QUERY.replace("-- Hourly", "")))
    assert digest(query(QUERY)) != digest(query(QUERY.replace("waves AS bigint", "waves AS int")))
    assert digest(GroupSource(kind="windows")) == digest(GroupSource(kind="windows"))
