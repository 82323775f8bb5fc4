"""Rows are found in partitions up to `filed_ahead` before their event time; the others are counted and reported."""

from datetime import UTC, datetime

import pytest

from giornata.documents.model import Data
from jobs.hive.scan import PARTITION_DAY, scan_partitions

BEGIN, END = datetime(2013, 4, 7, tzinfo=UTC), datetime(2013, 4, 9, tzinfo=UTC)
ROWS = {  # id: partition, event time
    1: ("2013-04-03", "2013-04-07 10:00:00"),
    2: ("2013-04-04", "2013-04-07 10:00:00"),
    3: ("2013-04-05", "2013-04-07 23:59:59"),
    4: ("2013-04-05", "2013-04-08 00:00:00"),
    5: ("2013-04-08", "2013-04-07 23:30:00"),
    6: ("2013-04-09", "2013-04-08 23:30:00"),
    7: ("2013-04-10", "2013-04-08 23:30:00"),
    8: ("2013-04-08", None),
    9: ("2013-04-07", "2013-04-12 00:00:00"),
}


@pytest.mark.parametrize(
    ("ahead", "found", "said"),
    [
        ("3d", {2, 3, 4, 5, 6, 8, 9}, "1 rows of trips have their left_at more than 3d after the day"),
        ("4d", {1, 2, 3, 4, 5, 6, 8, 9}, "1 rows of trips have their left_at more than 4d after the day"),
        ("7d", {1, 2, 3, 4, 5, 6, 8, 9}, ""),
    ],
)
def test_rows_filed_ahead(spark, project, capsys, ahead, found, said):
    values = ", ".join(
        f"({key}, {f'timestamp {at!r}' if at else 'null'}, {day!r})" for key, (day, at) in ROWS.items()
    )
    spark.sql(
        f"CREATE TABLE {project}.trips USING parquet PARTITIONED BY (day) AS "
        f"SELECT * FROM VALUES {values} AS t(id, left_at, day)"
    )
    data = Data(table="trips", key=["id"], event_time="left_at", filed_ahead=ahead)
    rows = scan_partitions(spark, project, data, ["id"], BEGIN, END)
    assert rows.columns == [PARTITION_DAY, "left_at", "id"]
    assert {row.id for row in rows.collect()} == found
    printed = capsys.readouterr().out
    assert said in printed if said else printed == ""
