"""Missing inputs of a run, and the DAG to trigger."""

import pytest
from pyspark.sql import SparkSession

from giornata.errors import StoreError
from giornata.settings import Settings
from jobs.hive.prerequisites import check_groups, check_tables
from jobs.hive.publish import ensure_table, publish

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def test_what_is_not_there_is_named_with_its_dag(spark: SparkSession, stores: Settings, project: str) -> None:
    for name in ("tides", "waves", "asked"):
        ensure_table(spark, f"{project}.{name}", {"number": "int"})
    check_tables(spark, project, ["asked", "asked"])
    with pytest.raises(StoreError) as refused:
        check_tables(spark, project, ["asked", "told", "known"])
    assert str(refused.value) == (
        f"nothing has been loaded yet for told, known: trigger {project}.ingest with a range of days first, "
        "or let whatever fills it load it"
    )
    # The table of a group is there before its first day.
    with pytest.raises(StoreError) as refused:
        check_groups(spark, project, ["tides", "waves", "winds"])
    assert str(refused.value) == (
        f"no day is published yet of the feature groups tides, waves, winds: trigger {project}.features with a range "
        "of days first"
    )
    rows = spark.createDataFrame([], "number bigint, day string")
    for name in ("tides", "waves"):
        publish(spark, rows, f"{project}.{name}", settings=stores, expected=[{"day": "2013-01-01"}])
    check_groups(spark, project, ["tides", "waves"])
