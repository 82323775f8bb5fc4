"""The consistency of a tag's feature values on its page: the share that equals the recomputed values over time, and the
newest day by feature, with the shares that were null because the group had no row."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from giornata.console.accuracy import EVER, SHOWN_DAYS, bounds
from giornata.console.charts import Chart, chart
from giornata.console.sources import Stores
from giornata.documents import ModelSpec
from giornata.documents.model import CONSISTENCY
from giornata.monitoring.consistency import (
    ABSENT,
    BEFORE_HISTORY,
    DIFFERENT,
    MISSING_OFFLINE,
    MISSING_ONLINE,
    NOT_READ,
    ONLINE,
    SERIES,
)
from giornata.records.alert import ALL_ROWS

WINDOW = "1d"

HINTS = {
    DIFFERENT: "another value was served: an event or a run that came late, or a wrong row in Cassandra",
    MISSING_ONLINE: "null was served: not pushed in time, deleted in Cassandra, or not read before the deadline",
    MISSING_OFFLINE: "Hive no longer has the row that was served: its day was published again without it",
    BEFORE_HISTORY: "asked about a moment before what is online of the group: push more of its past (history)",
    NOT_READ: "the group could not be read: Cassandra did not answer in time, or it was never pushed",
}


@dataclass(frozen=True)
class FeatureShare:
    """A feature of a version on one day: shares of its values, number of predictions, and differences to look at.

    `absent` are the shares that were null because the group had no row, by metric (see `ABSENT`).
    """

    feature: str
    uuid: str
    rows: int
    equal: float
    different: float
    missing_online: float
    missing_offline: float
    absent: Mapping[str, float]
    hints: tuple[str, ...]


@dataclass(frozen=True)
class LiveConsistency:
    """The share of equal values over time, and the features of the newest day, the worst first."""

    drawn: Chart
    day: date
    features: tuple[FeatureShare, ...]


def live_consistency(stores: Stores, model: str, tag: str, spec: ModelSpec | None) -> LiveConsistency | None:
    """The consistency of the feature values served under a tag; None if none were checked."""
    points = stores.series.read(model, tag, ONLINE, CONSISTENCY, WINDOW, *EVER)
    if not points:
        return None
    days = sorted({point.at for point in points})[-SHOWN_DAYS:]
    shown = [point for point in points if days[0] <= point.at]
    drawn = chart(CONSISTENCY, shown, bounds(spec, CONSISTENCY, WINDOW))
    assert drawn is not None  # there are points
    return LiveConsistency(drawn, days[-1], _features(stores, model, tag, days[-1]))


def _features(stores: Stores, model: str, tag: str, day: date) -> tuple[FeatureShare, ...]:
    found: dict[tuple[str, str], dict[str, float]] = {}
    rows: dict[tuple[str, str], int] = {}
    for metric in SERIES:
        for point in stores.series.read_parts(
            model, tag, ONLINE, metric, WINDOW, day, day + timedelta(days=1)
        ):
            if point.part != ALL_ROWS:
                found.setdefault((point.part, point.uuid), {})[metric] = point.value
                rows[point.part, point.uuid] = point.rows
    features = [
        FeatureShare(
            feature=feature,
            uuid=uuid,
            rows=rows[feature, uuid],
            equal=shares.get(CONSISTENCY, 0.0),
            different=shares.get(DIFFERENT, 0.0),
            missing_online=shares.get(MISSING_ONLINE, 0.0),
            missing_offline=shares.get(MISSING_OFFLINE, 0.0),
            absent={metric: shares.get(metric, 0.0) for metric in ABSENT.values()},
            hints=tuple(hint for metric, hint in HINTS.items() if shares.get(metric)),
        )
        for (feature, uuid), shares in found.items()
    ]
    return tuple(sorted(features, key=lambda feature: (feature.equal, feature.feature, feature.uuid)))
