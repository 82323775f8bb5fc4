"""Which later days are to be computed again when days of a group of windows are, since events may have come late."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from jobs.session import days_between

__all__ = ["reopened"]

_DAY = timedelta(days=1)


def reopened(end: datetime, reach: timedelta, published: Iterable[str]) -> list[tuple[datetime, datetime]]:
    """The spans of `published` days from `end` on in which a window of length `reach` holds events before `end`.

    Days are written `YYYY-MM-DD`. A row counts events that are up to `reach` older, itself less than that after `end`.
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
