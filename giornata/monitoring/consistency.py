"""Compares feature values that were served with those of the offline join: a verdict per value, and shares over days.

Pure functions over values as JSON carries them. Values are equal if their JSON is, so numbers to the last bit: an int
is not a float, -0.0 is not 0.0, and what JSON cannot carry (NaN) is null on both sides.

Ages are the exception. An age is not stored but computed, by Python online and by Spark offline, and Cassandra keeps
the event time to the millisecond: ages within AGE_TOLERANCE are equal.

A late event, one that reached the stores after the prediction, is seen as different or as missing online: today's join
knows what the server could not. It counts all the same. Models are trained on the join, so a value that regularly
arrives too late to be served is one that the model relies on and does not get.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

import orjson

from dsl.schema import AGE
from giornata.absence import Reason
from giornata.documents.model import CONSISTENCY, SERVED
from giornata.records.alert import ALL_ROWS
from giornata.records.metric_point import Point

AGE_TOLERANCE = 0.001
"""Seconds by which ages may differ: the precision of Cassandra's times."""

DIFFERENT = "values_different"
MISSING_ONLINE = "values_missing_online"
MISSING_OFFLINE = "values_missing_offline"

NO_ROW = "values_no_row"
TOO_OLD = "values_too_old"
BEFORE_HISTORY = "values_before_history"
NOT_READ = "values_not_read"
ABSENT = {
    Reason.NO_ROW: NO_ROW,
    Reason.TOO_OLD: TOO_OLD,
    Reason.BEFORE_HISTORY: BEFORE_HISTORY,
    Reason.NOT_READ: NOT_READ,
}
"""The metric for each reason why null was served."""

SERIES = SERVED
"""The metrics that the check writes: shares of equal values and of each kind of difference, and shares of the values
that were null because their group had no row, by reason, whatever the join has."""

ONLINE = "online"


class Verdict(StrEnum):
    """The result of comparing a served value with the recomputed one; two nulls are equal."""

    EQUAL = "equal"
    DIFFERENT = "different"
    MISSING_ONLINE = "missing_online"
    MISSING_OFFLINE = "missing_offline"


class ComparedValue(NamedTuple):
    """A verdict, with the absolute difference of numbers that differ."""

    verdict: Verdict
    difference: float | None = None


def compare(feature: str, served: object, recomputed: object) -> ComparedValue:
    """The verdict on one value of `feature` (its name in its group); both sides are read from JSON."""
    if orjson.dumps(served) == orjson.dumps(recomputed):
        return ComparedValue(Verdict.EQUAL)
    if served is None:
        return ComparedValue(Verdict.MISSING_ONLINE)
    if recomputed is None:
        return ComparedValue(Verdict.MISSING_OFFLINE)
    difference = _difference(served, recomputed)
    if feature == AGE and difference is not None and difference <= AGE_TOLERANCE:
        return ComparedValue(Verdict.EQUAL)
    return ComparedValue(Verdict.DIFFERENT, difference)


def _difference(served: object, recomputed: object) -> float | None:
    if isinstance(served, bool) or isinstance(recomputed, bool):
        return None
    if isinstance(served, int | float) and isinstance(recomputed, int | float):
        return float(abs(served - recomputed))
    return None


@dataclass(frozen=True)
class Counts:
    """Counts by verdict of the values of one feature (`use.feature`) of a version, under a tag, on one day.

    `absent` counts the values that were null because the group had no row, by reason, whatever the verdict.
    """

    day: date
    uuid: str
    tag: str
    feature: str
    rows: int
    equal: int
    different: int
    missing_online: int
    missing_offline: int
    absent: Mapping[Reason, int] = field(default_factory=dict)


def consistency_points(
    model: str, counts: Iterable[Counts], windows: Iterable[int], days: Sequence[date]
) -> list[Point]:
    """The points of a model for every window (in days) that ends on one of `days`.

    Parts are the features, and `all`: the values of all features together. The rows of a point are predictions, not
    values: a prediction has a value of every feature of its version.
    """
    counts = list(counts)
    points = []
    for length in sorted(set(windows)):
        for day in days:
            first = day - timedelta(days=length - 1)
            inside: dict[tuple[str, str, str], list[Counts]] = defaultdict(list)
            for count in counts:
                if first <= count.day <= day:
                    inside[count.tag, count.uuid, ALL_ROWS].append(count)
                    inside[count.tag, count.uuid, count.feature].append(count)
            for (tag, uuid, part), own in inside.items():
                values = sum(count.rows for count in own)
                rows = values // len({count.feature for count in own})
                found = {
                    CONSISTENCY: sum(count.equal for count in own),
                    DIFFERENT: sum(count.different for count in own),
                    MISSING_ONLINE: sum(count.missing_online for count in own),
                    MISSING_OFFLINE: sum(count.missing_offline for count in own),
                }
                found |= {
                    metric: sum(count.absent.get(reason, 0) for count in own)
                    for reason, metric in ABSENT.items()
                }
                points += [
                    Point(model, tag, ONLINE, metric, f"{length}d", part, day, uuid, number / values, rows)
                    for metric, number in found.items()
                ]
    return points
