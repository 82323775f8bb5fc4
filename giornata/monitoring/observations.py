"""From a model's measured points to what an alert rule is judged on: one observation a day, of closed days
only.

A day is closed once its labels are in: CLOSED_COVERAGE of its predictions are labelled, or LABEL_WAIT has
passed since its end (some predictions never get a label). Before that its metrics are published and grow with
every run, but they are not judged: the labels that come first are not like the rest (short flights land
before long ones). Days are judged in order, so a day that is still open also holds back those after it, for
LABEL_WAIT at most.

When several versions answered under one tag on the same day, the one deployed last is judged.

What needs no label waits for none: of what was served of features each day that was checked is closed, of a task
without labels each day on which anything was answered.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from giornata.documents.model import SERVED, ModelSpec
from giornata.records.alert import ALL_ROWS, Observation, Rule
from giornata.records.metric_point import Point
from giornata.tasks import TASKS

LABEL_COVERAGE = "label_coverage"
"""Share of the predictions that have a label by now."""

ROWS = "rows"
"""How many predictions there are, where none ever has a label."""

LABEL_WAIT = timedelta(days=3)
CLOSED_COVERAGE = 0.9
DAY = "1d"

WITHOUT_LABELS = frozenset(
    {*SERVED, *(name for task in TASKS.values() if not task.label for name in task.metrics)}
)
"""The metrics of answers alone."""


def observations(
    rule: Rule, points: Iterable[Point], deployed: Sequence[str], end: date
) -> list[Observation]:
    """What `rule` is judged on: an observation for each closed day before `end` that its points cover.

    `points` are those of the rule's model, `deployed` the uuids of the rule's tag, newest deployment first,
    `end` the day the monitor has come to (exclusive).
    """
    own = [point for point in points if _watched(rule, point) and point.at < end]
    if rule.metric in SERVED:
        return _of_checked_days(rule, own, deployed)
    answered: dict[date, dict[str, float]] = {}
    for point in own:
        if point.window == DAY and point.metric in (LABEL_COVERAGE, ROWS):
            coverage = point.value if point.metric == LABEL_COVERAGE else 1.0
            answered.setdefault(point.at, {})[point.uuid] = coverage
    values = {
        (point.at, point.uuid): point
        for point in own
        if (point.metric, point.window) == (rule.metric, rule.window)
    }
    seen = []
    for day in sorted(answered):
        uuid = min(answered[day], key=lambda uuid: (_place(deployed, uuid), uuid))
        if not _closed(day, answered[day][uuid], end):
            break
        value = values.get((day, uuid))
        if value:
            seen.append(Observation(day, value.value, value.rows, uuid))
    return seen


def _of_checked_days(rule: Rule, points: Iterable[Point], deployed: Sequence[str]) -> list[Observation]:
    checked: dict[date, list[Point]] = {}
    for point in points:
        if (point.metric, point.window) == (rule.metric, rule.window):
            checked.setdefault(point.at, []).append(point)
    last = {
        day: min(own, key=lambda point: (_place(deployed, point.uuid), point.uuid))
        for day, own in checked.items()
    }
    return [Observation(day, point.value, point.rows, point.uuid) for day, point in sorted(last.items())]


def served_windows(spec: ModelSpec) -> set[tuple[str, int]]:
    """What alerts of a model watch of the feature values that it was served: metrics, and over how many days."""
    return {(alert.metric, alert.over.days) for alert in spec.monitor.alerts if alert.metric in SERVED}


def _watched(rule: Rule, point: Point) -> bool:
    return (point.model, point.tag, point.mode, point.part) == (rule.model, rule.tag, rule.mode, ALL_ROWS)


def _place(deployed: Sequence[str], uuid: str) -> int:
    return deployed.index(uuid) if uuid in deployed else len(deployed)


def _closed(day: date, coverage: float, end: date) -> bool:
    return coverage >= CLOSED_COVERAGE or day + timedelta(days=1) + LABEL_WAIT <= end
