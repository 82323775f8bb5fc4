"""Turns a model's metric points into observations for an alert rule: one per day, for closed days only.

A day is closed once its labels are in: CLOSED_COVERAGE of its predictions are labelled, or LABEL_WAIT has passed since
its end (some predictions never get a label). Before that, its metrics are published and updated by every run but not
evaluated: labels that arrive first are not representative (short flights land before long ones). Days are evaluated in
order, so a day that is still open also delays those after it, by LABEL_WAIT at most.

If several versions answered under one tag on the same day, the one deployed last is evaluated.

Metrics without labels do not wait: for served features, each checked day is closed; for a task without labels, each day
with predictions.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from giornata.documents.model import SERVED, ModelSpec
from giornata.records.alert import ALL_ROWS, Observation, Rule
from giornata.records.metric_point import Point
from giornata.tasks import TASKS

LABEL_COVERAGE = "label_coverage"
"""Share of the predictions that have a label so far."""

ROWS = "rows"
"""Number of predictions, for tasks without labels."""

LABEL_WAIT = timedelta(days=3)
CLOSED_COVERAGE = 0.9
DAY = "1d"

WITHOUT_LABELS = frozenset(
    {*SERVED, *(name for task in TASKS.values() if not task.label for name in task.metrics)}
)
"""The metrics that need no labels."""


def observations(
    rule: Rule, points: Iterable[Point], deployed: Sequence[str], end: date
) -> list[Observation]:
    """The observations for `rule`: one for each closed day before `end` that its points cover.

    `points` are those of the rule's model, `deployed` the uuids of the rule's tag, newest deployment first, `end` the
    day the monitor has reached (exclusive).
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
    """The metrics of served feature values that alerts of a model watch, with their windows in days."""
    return {(alert.metric, alert.over.days) for alert in spec.monitor.alerts if alert.metric in SERVED}


def _watched(rule: Rule, point: Point) -> bool:
    return (point.model, point.tag, point.mode, point.part) == (rule.model, rule.tag, rule.mode, ALL_ROWS)


def _place(deployed: Sequence[str], uuid: str) -> int:
    return deployed.index(uuid) if uuid in deployed else len(deployed)


def _closed(day: date, coverage: float, end: date) -> bool:
    return coverage >= CLOSED_COVERAGE or day + timedelta(days=1) + LABEL_WAIT <= end
