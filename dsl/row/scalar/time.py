"""Time: Python implementations for one row. A local time is a datetime in a ZoneInfo."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dsl.time_formats import pattern, spans, template

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MICROSECOND, _END_MICROSECOND = -62135596800e6, 253402300800e6


def day_of_year(local: datetime) -> int:
    """1 for the first of January."""
    return local.toordinal() - datetime(local.year, 1, 1).toordinal() + 1


def start_of_hour(local: datetime) -> datetime:
    """The instant less the minutes and seconds on the clock."""
    return local.astimezone(UTC) - timedelta(0, local.minute * 60 + local.second, local.microsecond)


def start_of_day(local: datetime) -> datetime:
    """The first instant of the day."""
    return _instant(local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0))


def start_of_week(local: datetime) -> datetime:
    """The first instant of Monday."""
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return _instant(day - timedelta(local.weekday()))


def start_of_month(local: datetime) -> datetime:
    """The first instant of the month."""
    return _instant(local.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0))


def start_of_year(local: datetime) -> datetime:
    """The first instant of the year."""
    return _instant(local.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0, fold=0))


def _instant(local: datetime) -> datetime:
    """The first instant at which the clock shows a time, or a later one if the clock skips it."""
    return local.astimezone(UTC)


def from_epoch(seconds: float) -> datetime | None:
    """The instant that many seconds after 1970, to the microsecond; None outside the years 1 to 9999."""
    microseconds = seconds * 1e6
    if not _FIRST_MICROSECOND <= microseconds < _END_MICROSECOND:
        return None
    return EPOCH + timedelta(microseconds=round(microseconds))


def formatter(written: str) -> Callable[[datetime], str]:
    """The function that writes a local time in a format."""
    return template(written).format


def reader(written: str) -> Callable[[str], datetime | None]:
    """The function from text in a format to the time on the clock, without zone; None for other text."""
    is_written = re.compile(pattern(written)).fullmatch
    places = spans(written)
    year, month, day = (slice(*places[code]) for code in "Ymd")
    clock = [slice(*places[code]) if code in places else None for code in "HMSf"]

    def read(text: str) -> datetime | None:
        if not is_written(text):
            return None
        try:
            hour, minute, second, microsecond = (int(text[place]) if place else 0 for place in clock)
            return datetime(
                int(text[year]), int(text[month]), int(text[day]), hour, minute, second, microsecond
            )
        except ValueError:
            return None

    return read


def parsed(read: Callable[[str], datetime | None], zone: ZoneInfo, text: str) -> datetime | None:
    """The first instant at which the clock of the zone shows a written time, or None far outside 1970 to 2099."""
    clock = read(text)
    if clock is None or not 1969 <= clock.year <= 2100:
        return None
    instant = clock.replace(tzinfo=zone).astimezone(UTC)
    return instant if instant.astimezone(zone).replace(tzinfo=None) == clock else None
