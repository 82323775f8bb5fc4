"""The range of days of a DAG run: from its trigger form, from the DAG before, or its data interval."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from giornata.days import Days, DaysError, days, days_of_key


class Run(Protocol):
    """The fields of Airflow's DAG run that are used here."""

    @property
    def partition_key(self) -> str | None: ...
    @property
    def data_interval_start(self) -> datetime | None: ...
    @property
    def data_interval_end(self) -> datetime | None: ...


def days_of(params: Mapping[str, object], run: Run) -> Days:
    """The days of a run.

    Dates of the trigger form (`from`, `to`) come first, then the partition key from the DAG before, then the data
    interval of a scheduled run, widened to whole days. Raises DaysError.
    """
    first, last = params.get("from"), params.get("to")
    if first and last:
        return days(str(first), str(last))
    if first or last:
        raise DaysError("a range needs both dates: 'from' and 'to' ('to' is not included)")
    if run.partition_key:
        return days_of_key(run.partition_key)
    start, end = run.data_interval_start, run.data_interval_end
    if start is None or end is None or start == end:
        raise DaysError(
            "this run has no range of days: trigger it with the dates 'from' and 'to' ('to' is not "
            "included) or with a partition key such as 2013-11-01/2013-11-04"
        )
    return Days(start.astimezone(UTC).date(), _next_midnight(end))


def _next_midnight(moment: datetime) -> date:
    moment = moment.astimezone(UTC)
    return moment.date() + timedelta(days=moment.timetz() != time(tzinfo=UTC))
