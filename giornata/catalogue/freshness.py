"""When the next day of a group must be published, and whether it is late."""

from datetime import UTC, date, datetime, time, timedelta

from giornata.documents import FeatureGroup

_DAY = timedelta(days=1)


def due(group: FeatureGroup, newest: date | None, start: date) -> datetime | None:
    """When the day after `newest` must be there, by the group's `sla`; None where the group has none.

    `newest` is the newest day published, `start` the first day of the project's data: due first where none is.
    """
    if group.sla is None:
        return None
    awaited = newest + _DAY if newest else start
    return datetime.combine(awaited, time(), UTC) + _DAY + group.sla


def late_since(group: FeatureGroup, newest: date | None, start: date, now: datetime) -> datetime | None:
    """Since when the day after `newest` is late at the moment `now`; None where it is not."""
    moment = due(group, newest, start)
    return moment if moment and now > moment else None
