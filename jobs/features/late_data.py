"""Which later days are to be computed again when days of a group are, since events may have come late."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from giornata.documents import ProjectDocuments
from jobs.runtime.session import days_between

__all__ = ["reach", "reopened"]

_DAY = timedelta(days=1)


def reach(documents: ProjectDocuments, name: str) -> timedelta:
    """How long after the days of a run a row of a group may still depend on what is filed under them.

    Of windows that is the longest one, and before it the time that an event may be filed ahead.
    """
    group = documents.group(name)
    if group.events is None:
        return group.looks_back or timedelta()
    if group.events.event_time == documents.table(group.events.table).event_time:
        return group.longest_window
    return group.longest_window + group.events.filed_ahead


def reopened(end: datetime, reach: timedelta, published: Iterable[str]) -> list[tuple[datetime, datetime]]:
    """The spans of `published` days from `end` on in which a row that looks back for `reach` sees events before `end`.

    Days are written `YYYY-MM-DD`. A row is about events up to `reach` older, itself less than that after `end`.
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
