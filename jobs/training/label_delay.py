"""Finds the ends of training periods such that few of their rows still wait for a label.

The rows of the last days that already have labels are not representative: whatever takes longer is missing from them.
So a period in which more than the share AWAITED waits ends at the last midnight (UTC) before which no more do. A row
waits as long as it has no label and is younger than the delay within which the share TOLD of the training labels came.
Older rows show how many never get a label: as large a share of the younger ones does not count as waiting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.documents.model import ModelSpec
from jobs.training.dataset import LABEL, WINDOW, Windows, label_delay

__all__ = ["AWAITED", "TOLD", "complete"]

TOLD = 0.99
"""The share of the training labels that came within the delay."""

AWAITED = 0.01
"""The share of a period's rows that may wait for their labels."""

_PRECISION = 10_000  # of the share of the delays, as Spark's percentile_approx takes it


@dataclass(frozen=True)
class DayCounts:
    """Number of rows with an event time on a day (UTC), and how many of them have no label."""

    day: date
    rows: int
    missing: int


def complete(rows: DataFrame, spec: ModelSpec, when: Windows) -> tuple[Windows, list[str]]:
    """`when` with periods that end where labels are complete, and a warning for each period with too many waiting rows.

    `rows` are those of `asked_rows`. Training and validation end together, and validation stays the same share of both.
    A period without such an end stays as it is.
    """
    if spec.label is None:
        return when, []
    days = _days(rows, spec)
    validation = days.get("validation", [])
    learned = [*days.get("train", ()), *validation]
    periods = {
        "validation": (learned, when.test, _rows(validation) / max(_rows(learned), 1)),
        "test": (days.get("test", []), when.end, 1.0),
    }
    # Of the oldest rows every label has come that ever will.
    old = learned[: max(len(learned) // 2, 1)]
    never = _missing(old) / max(_rows(old), 1)
    if not any(_last(own, own, never, share) < len(own) for own, _, share in periods.values()):
        return when, []
    delay = _delay(rows, spec)
    if delay is None:
        return when, []
    found, said = when, []
    for name, (own, known, share) in periods.items():
        waiting = [day for day in own if day.day >= (known - delay).date()]
        kept = _last(own, waiting, never, share)
        if kept == len(own):
            continue
        end = datetime.combine(own[kept].day, time(), UTC)
        cut = _cut(found, spec, name, end)
        found = cut or found
        said.append(_sentence(name, days[name], known, delay, end if cut else None))
    return found, said


def _days(rows: DataFrame, spec: ModelSpec) -> Mapping[str, list[DayCounts]]:
    """The days of each window, in order."""
    counted = rows.groupBy(WINDOW, F.to_date(spec.data.event_time).alias("day")).agg(
        F.count("*").alias("rows"), F.count_if(F.col(LABEL).isNull()).alias("missing")
    )
    found: dict[str, list[DayCounts]] = {}
    for row in sorted(counted.collect(), key=lambda row: row["day"]):
        found.setdefault(row[WINDOW], []).append(DayCounts(row["day"], row["rows"], row["missing"]))
    return found


def _delay(rows: DataFrame, spec: ModelSpec) -> timedelta | None:
    """The delay after the event time within which TOLD of the training labels were known; None without labels."""
    delays = rows.where(F.col(WINDOW) == "train").select(label_delay(spec).alias("delay"))
    (row,) = delays.agg(F.percentile_approx("delay", TOLD, _PRECISION).alias("delay")).collect()
    return None if row["delay"] is None else timedelta(microseconds=row["delay"])


def _rows(days: Sequence[DayCounts]) -> int:
    return sum(day.rows for day in days)


def _missing(days: Sequence[DayCounts]) -> int:
    return sum(day.missing for day in days)


def _last(days: Sequence[DayCounts], waiting: Sequence[DayCounts], never: float, share: float) -> int:
    """The number of first days such that no more than the share AWAITED of their rows waits.

    Rows without a label wait on the days `waiting`, the last of `days`; the share `never` of all rows gets no label.
    """
    kept, rows, waits = 0, 0, 0.0
    for place, day in enumerate(days):
        rows += day.rows
        if place >= len(days) - len(waiting):
            waits += day.missing - never * day.rows
        if waits <= AWAITED * share * rows:
            kept = place + 1
    return kept


def _cut(when: Windows, spec: ModelSpec, name: str, end: datetime) -> Windows | None:
    """The windows with one that ends earlier; None if nothing would be left."""
    if name == "test":
        return replace(when, end=end) if end > when.test else None
    length = end - when.train
    if length < timedelta(days=1):
        return None
    return replace(when, validation=end - length * spec.split.validation, learned=end)


def _sentence(
    name: str, days: Sequence[DayCounts], known: datetime, delay: timedelta, end: datetime | None
) -> str:
    told = (
        f"{_missing(days):,} of the {_rows(days):,} rows of the {name} period had no label yet on {known:%Y-%m-%d} "
        f"({TOLD:.0%} of labels come within {_length(delay)}): "
    )
    if end is None:
        return told + (
            "it is too short to end where labels are complete, and the rows whose labels come late are left out of it. "
            "Train as of a later day, or make it longer"
        )
    ends = "it ends" if name == "test" else "training and validation end"
    return told + f"{ends} on {end:%Y-%m-%d}, up to which labels are complete"


def _length(delay: timedelta) -> str:
    """A duration in words: 40 minutes, 5 hours, 30 days."""
    minutes = delay / timedelta(minutes=1)
    for unit, length in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * length:
            return f"{minutes / length:.1f}".removesuffix(".0") + f" {unit}"
    return f"{minutes:.0f} minutes"
