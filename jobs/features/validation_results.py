"""What expectations found, published to Hive by range of days, brought from there to Cassandra.

A range is in Hive before it is known whether its rows may be published, so that people see why they were not. What is
in Cassandra follows Hive by the folders of the partitions, as the features themselves do (see `jobs/online/push.py`).
"""

from collections.abc import Sequence
from datetime import date, timedelta

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from giornata import names
from giornata.records.validation_result import ExpectationResult, Validation
from giornata.settings import Settings
from giornata.stores.cassandra import SCHEMA, apply
from giornata.stores.validations import Validations
from jobs.features.validation import Outcome
from jobs.hive.metastore import metastore
from jobs.hive.publish import publish_records, published_at
from jobs.hive.schema import on_days
from jobs.online.writer import Patience, patient_session
from jobs.runtime.session import ROOT

TABLE = ROOT / "sql" / "hive" / "validation_results.sql"
PARTITIONS = ("day", "until_day", "group_name")

# Ranges that are read from Hive at once: each is a row for every expectation.
RANGES_TOGETHER = 366

_DEFAULT_PATIENCE = Patience()

_Range = tuple[date, date]


def publish_results(
    spark: SparkSession,
    settings: Settings,
    project: str,
    group: str,
    days: Sequence[str],
    outcomes: Sequence[Outcome],
) -> None:
    """Publish what was found in the rows of `days`, replacing what the last run over the same range found.

    The table, TABLE, is there.
    """
    table = names.validation_table(project)
    until = date.fromisoformat(days[-1]) + timedelta(days=1)
    partition = dict(zip(PARTITIONS, (days[0], until.isoformat(), group), strict=True))
    if outcomes or _is_published(spark, settings, table, tuple(partition.values())):
        records = [{**_record(outcome), **partition} for outcome in outcomes]
        publish_records(spark, records, table, PARTITIONS, settings=settings, expected=[partition])


def _is_published(spark: SparkSession, settings: Settings, table: str, values: tuple[str, ...]) -> bool:
    with metastore(spark, settings) as hive:
        return bool(hive.locations_of(table, [values]))


def _record(outcome: Outcome) -> dict[str, object]:
    return {
        "expectation": outcome.expectation.name,
        "about": outcome.columns,
        "arguments": outcome.expectation.arguments_text,
        "policy": outcome.expectation.policy,
        "verdict": outcome.verdict,
        "row_count": outcome.rows,
        "unexpected_count": outcome.unexpected,
        "observed": outcome.observed,
    }


def push_results(
    spark: SparkSession, settings: Settings, project: str, group: str, patience: Patience = _DEFAULT_PATIENCE
) -> int:
    """Bring Cassandra to what Hive has of the expectations of a group; returns how many ranges changed.

    Raises StoreError when Cassandra still does not answer after limited retries.
    """
    table = names.validation_table(project)
    with metastore(spark, settings) as hive:
        published = {
            (date.fromisoformat(day), date.fromisoformat(until)): location
            for (day, until, _), location in hive.locations(table, group_name=group).items()
        }
    with patient_session(settings, patience) as session:
        apply(session, SCHEMA / "validations.cql")
        store = Validations(session)
        there = store.locations(project, group)
        due = {days: at for days, at in sorted(published.items()) if there.get(days) != at}
        ranges = list(due)
        for first in range(0, len(ranges), RANGES_TOGETHER):
            some = ranges[first : first + RANGES_TOGETHER]
            results = _read(spark, table, group, some)
            for days in some:
                validation = Validation(*days, published_at(due[days]), tuple(results.get(days, ())))
                patience.retrying()(store.replace, project, group, validation, due[days])
    return len(due)


def _read(
    spark: SparkSession, table: str, group: str, ranges: Sequence[_Range]
) -> dict[_Range, list[ExpectationResult]]:
    """The results in Hive of a group by range."""
    found: dict[_Range, list[ExpectationResult]] = {}
    rows = spark.table(table).where(F.col("group_name") == group)
    rows = on_days(rows, {start.isoformat() for start, _ in ranges})
    for row in rows.orderBy("expectation", "arguments", "policy").collect():
        days = (date.fromisoformat(row["day"]), date.fromisoformat(row["until_day"]))
        found.setdefault(days, []).append(
            ExpectationResult(
                name=row["expectation"],
                arguments=row["arguments"],
                columns=row["about"],
                policy=row["policy"],
                verdict=row["verdict"],
                rows=row["row_count"],
                unexpected=row["unexpected_count"],
                observed=row["observed"],
            )
        )
    return found
