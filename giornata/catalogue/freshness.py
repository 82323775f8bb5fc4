"""When the next day of a group must be published, and whether it is late."""

from datetime import UTC, date, datetime, time, timedelta

from giornata.documents import FeatureGroup

_DAY = timedelta(days=1)


def due(group: FeatureGroup, newest: date | None, start: date) -> datetime | None:
    """When the day after `newest` must be published, by the group's `sla`; None if the group has none.

    `newest` is the newest published day, or None; then `start`, the first day of the project's data, must be first.
    """
    if group.sla is None:
        return None
    awaited = newest + _DAY if newest else start
    return datetime.combine(awaited, time(), UTC) + _DAY + group.sla


def late_since(group: FeatureGroup, newest: date | None, start: date, now: datetime) -> datetime | None:
    """Since when the day after `newest` is late at the moment `now`; None if it is not."""
    moment = due(group, newest, start)
    return moment if moment and now > moment else None
