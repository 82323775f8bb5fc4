"""Which published later days must be recomputed because late data changed the days that they look back on."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from giornata.documents import ProjectDocuments
from jobs.runtime.session import days_between

__all__ = ["reach", "reopened"]

_DAY = timedelta(days=1)


def reach(documents: ProjectDocuments, name: str) -> timedelta:
    """How long after a day the rows of a group may still depend on data in that day's partition.

    For windows, that is the longest one plus `filed_ahead` of the events.
    """
    group = documents.group(name)
    if group.events is None:
        return group.looks_back or timedelta()
    if group.events.event_time == documents.table(group.events.table).event_time:
        return group.longest_window
    return group.longest_window + group.events.filed_ahead


def reopened(end: datetime, reach: timedelta, published: Iterable[str]) -> list[tuple[datetime, datetime]]:
    """The ranges of `published` days from `end` on whose rows, looking back by `reach`, see events before `end`.

    Days are written `YYYY-MM-DD`.
    """
    spans: list[tuple[datetime, datetime]] = []
    known = set(published)
    touched = -(-reach // _DAY)
    for day in days_between(end, end + touched * _DAY) if touched else ():
        begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
        if day not in known:
            continue
        if spans and spans[-1][1] == begin:
            begin, _ = spans.pop()
        spans.append((begin, datetime.fromisoformat(day).replace(tzinfo=UTC) + _DAY))
    return spans
