"""What expectations found, published to Hive by range of days, brought from there to Cassandra.

A range is in Hive before it is known whether its rows may be published, so that people see why they were not. What is
in Cassandra follows Hive by the folders of the partitions, as the features themselves do (see `jobs/online/push.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from types import MappingProxyType

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

# Fields of ExpectationResult that a column in Hive calls otherwise.
_COLUMNS = {
    "name": "expectation",
    "columns": "about",
    "rows": "row_count",
    "unexpected": "unexpected_count",
}

_DEFAULT_PATIENCE = Patience()

_Range = tuple[date, date]


def publish_results(
    spark: SparkSession,
    settings: Settings,
    project: str,
    group: str,
    days: Sequence[str],
    outcomes: Sequence[Outcome],
) -> dict[str, list[ExpectationResult]]:
    """Publish what was found in the rows of `days`, replacing what the last run over the same range found.

    Returns it by its folder in Hive. The table, TABLE, is there.
    """
    results = sorted(map(_result, outcomes), key=lambda found: (found.name, found.arguments, found.policy))
    table = names.validation_table(project)
    until = date.fromisoformat(days[-1]) + timedelta(days=1)
    partition = dict(zip(PARTITIONS, (days[0], until.isoformat(), group), strict=True))
    values = tuple(partition.values())
    if not results and not _is_published(spark, settings, table, values):
        return {}
    records = [{**_record(result), **partition} for result in results]
    published = publish_records(spark, records, table, PARTITIONS, settings=settings, expected=[partition])
    return {published.folders[values]: results}


def _is_published(spark: SparkSession, settings: Settings, table: str, values: tuple[str, ...]) -> bool:
    with metastore(spark, settings) as hive:
        return bool(hive.locations_of(table, [values]))


def _result(outcome: Outcome) -> ExpectationResult:
    return ExpectationResult(
        name=outcome.expectation.name,
        arguments=outcome.expectation.arguments_text,
        columns=outcome.columns,
        policy=outcome.expectation.policy,
        verdict=outcome.verdict,
        rows=outcome.rows,
        unexpected=outcome.unexpected,
        observed=outcome.observed,
    )


def _record(result: ExpectationResult) -> dict[str, object]:
    """A row of the table in Hive."""
    return {_COLUMNS.get(name, name): value for name, value in asdict(result).items()}


def push_results(
    spark: SparkSession,
    settings: Settings,
    project: str,
    group: str,
    known: Mapping[str, Sequence[ExpectationResult]] = MappingProxyType({}),
    patience: Patience = _DEFAULT_PATIENCE,
) -> int:
    """Bring Cassandra to what Hive has of the expectations of a group; returns how many ranges changed.

    `known` is what some of the folders in Hive hold, as `publish_results` gives it; others are read.
    Raises StoreError when Cassandra still does not answer after limited retries.
    """
    table = names.validation_table(project)
    with metastore(spark, settings) as hive:
        published = {
            (date.fromisoformat(day), date.fromisoformat(until)): location
            for (day, until, _), location in hive.locations(table, group_name=group).items()
        }
    with patient_session(settings, patience) as session:
        apply(session, SCHEMA / "validations.cql", settings.cassandra_replicas)
        store = Validations(session)
        there = store.locations(project, group)
        due = {days: at for days, at in sorted(published.items()) if there.get(days) != at}
        ranges = list(due)
        for first in range(0, len(ranges), RANGES_TOGETHER):
            some = ranges[first : first + RANGES_TOGETHER]
            results = {days: known[due[days]] for days in some if due[days] in known}
            unknown = [days for days in some if days not in results]
            results |= _read(spark, table, group, unknown) if unknown else {}
            for days in some:
                validation = Validation(*days, published_at(due[days]), tuple(results.get(days, ())))
                patience.retrying()(store.replace, project, group, validation, due[days])
    return len(due)


def _read(
    spark: SparkSession, table: str, group: str, ranges: Sequence[_Range]
) -> dict[_Range, list[ExpectationResult]]:
    """The results in Hive of a group by range."""
    found: dict[_Range, list[ExpectationResult]] = {}
    of_table = {column: name for name, column in _COLUMNS.items()}
    rows = spark.table(table).where(F.col("group_name") == group)
    rows = on_days(rows, {start.isoformat() for start, _ in ranges})
    for row in rows.orderBy("expectation", "arguments", "policy").collect():
        days = (date.fromisoformat(row["day"]), date.fromisoformat(row["until_day"]))
        values = {of_table.get(name, name): row[name] for name in row.asDict() if name not in PARTITIONS}
        found.setdefault(days, []).append(ExpectationResult(**values))
    return found
