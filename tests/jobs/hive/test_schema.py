"""Frames against what documents say of them."""

import pytest
from pyspark.sql import SparkSession

from giornata.errors import DataError
from jobs.hive.schema import conform

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

COLUMNS = {"count": "int", "share": "float", "name": "str", "at": "timestamp", "on": "bool"}


def test_narrower_numbers_are_widened_and_columns_ordered(spark: SparkSession) -> None:
    frame = spark.sql(
        "SELECT true AS `on`, 'a' AS name, 1.25 AS share, 3 AS count, timestamp '2013-01-01' AS at"
    )
    conformed = conform(frame, COLUMNS, "the query")
    assert conformed.dtypes == [
        ("count", "bigint"), ("share", "double"), ("name", "string"), ("at", "timestamp"), ("on", "boolean")
    ]  # fmt: skip
    row = conformed.first()
    assert row is not None
    assert (row["count"], row["share"]) == (3, 1.25)


def test_everything_wrong_is_named_at_once(spark: SparkSession) -> None:
    frame = spark.sql(
        "SELECT 3000000000 AS share, 1.5D AS count, date '2013-01-01' AS at, 'a' AS other, true AS `on`"
    )
    with pytest.raises(DataError) as error:
        conform(frame, COLUMNS, "the query of feature group tides")
    assert str(error.value) == (
        "the query of feature group tides does not return what its document declares: column name is missing; "
        "column other is not declared; column count is double instead of bigint; "
        "column share is bigint instead of double; column at is date instead of timestamp."
    )
