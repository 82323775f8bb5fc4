"""A tag's live accuracy on its page: charts of the series, and the state of the alerts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from giornata.console.charts import Chart, chart
from giornata.console.sources import Stores
from giornata.documents import ModelSpec
from giornata.documents.base import format_duration
from giornata.monitoring.consistency import SERIES
from giornata.monitoring.observations import LABEL_COVERAGE
from giornata.stores.alerts import AlertEvent, AlertState
from giornata.tasks import TASKS

EVER = (date(1970, 1, 1), date(9999, 12, 31))
SHOWN_DAYS = 120


@dataclass(frozen=True)
class LiveAccuracy:
    """The charts of a tag for one window, and the windows to choose from."""

    window: str
    windows: tuple[str, ...]
    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class AlertView:
    """An alert rule with its state and latest transitions."""

    alert_state: AlertState
    events: tuple[AlertEvent, ...]


def live_accuracy(
    stores: Stores, model: str, tag: str, spec: ModelSpec | None, window: str | None
) -> LiveAccuracy | None:
    """The accuracy of a tag on the last SHOWN_DAYS days that have any; None if there is none."""
    keys = [key for key in stores.series.keys(model) if key[1] == tag and key[3] not in SERIES]
    windows = sorted({key[4] for key in keys}, key=lambda text: int(text.removesuffix("d")))
    if not windows:
        return None
    window = window if window in windows else windows[-1]
    known = (*(metric for task in TASKS.values() for metric in task.metrics), LABEL_COVERAGE)
    found = {key[3] for key in keys if key[4] == window}
    charts = []
    for metric in sorted(found, key=lambda metric: _place(metric, known)):
        points = [
            point
            for mode in sorted({key[2] for key in keys})
            for point in stores.series.read(model, tag, mode, metric, window, *EVER)
        ]
        days = sorted({point.at for point in points})[-SHOWN_DAYS:]
        shown = [point for point in points if days[0] <= point.at]
        drawn = chart(metric, shown, bounds(spec, metric, window))
        if drawn:
            charts.append(drawn)
    return LiveAccuracy(window, tuple(windows), tuple(charts))


def _place(metric: str, known: Sequence[str]) -> tuple[int, int, str]:
    """Sort key: known metrics in their order, then the others, by the number at the end of their names if they have
    one."""
    number = re.search(r"\d+$", metric)
    place = known.index(metric) if metric in known else len(known)
    return place, int(number[0]) if number else -1, metric


def bounds(spec: ModelSpec | None, metric: str, window: str) -> list[tuple[float, str]]:
    """The bounds of a document's alerts over a metric and window, with their labels."""
    alerts = spec.monitor.alerts if spec else []
    return [
        (bound, f"mail when {word} {bound:g}")
        for alert in alerts
        if alert.metric == metric and format_duration(alert.over) == window
        for word, bound in (("above", alert.above), ("below", alert.below))
        if bound is not None
    ]


def alerts_of(stores: Stores, model: str, tag: str | None = None, latest: int = 5) -> Sequence[AlertView]:
    """The state of a model's alert rules (at one tag): firing ones first, replaced ones last."""
    alert_states = [s for s in stores.alerts.alert_states(model) if tag is None or s.key.tag == tag]
    views = [
        AlertView(alert_state, tuple(stores.alerts.events(alert_state.key)[:latest]))
        for alert_state in alert_states
    ]
    return sorted(
        views, key=lambda view: (view.alert_state.state.judged is None, not view.alert_state.state.firing)
    )
