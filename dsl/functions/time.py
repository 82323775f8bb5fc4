"""Functions of timestamps: what the clock of a zone shows, and time that passes."""

from datetime import UTC, datetime, timedelta

from dsl.functions.expressions import choose, to_float, to_int
from dsl.functions.limits import always
from dsl.signature import Example, Function

TIME = datetime(2013, 3, 10, 7, 30, tzinfo=UTC)
"""An instant for examples, half an hour after the clocks of New York went forward from 02:00 to 03:00."""

TIME_FUNCTIONS = (
    Function(
        signature="hour(time: timestamp, zone: zone = 'UTC') -> int",
        section="time",
        doc="Hour on the clock of the zone, 0 to 23.",
        examples=(
            Example("hour(row.t)", 7, {"t": TIME}),
            Example("hour(row.t, 'America/New_York')", 3, {"t": TIME}),
            Example("hour(row.t, zone='Asia/Kolkata')", 13, {"t": TIME}),
        ),
        definition="_hour(_local(time, zone))",
    ),
    Function(
        signature="minute_of_day(time: timestamp, zone: zone = 'UTC') -> int",
        section="time",
        doc="Minutes on the clock of the zone since 00:00, 0 to 1439 (on days of 23 or 25 hours too).",
        examples=(
            Example("minute_of_day(row.t)", 450, {"t": TIME}),
            Example("minute_of_day(row.t, 'America/New_York')", 210, {"t": TIME}),
        ),
        definition="_hour(_local(time, zone)) * 60 + _minute(_local(time, zone))",
    ),
    Function(
        signature="day_of_week(time: timestamp, zone: zone = 'UTC') -> int",
        section="time",
        doc="Day of the week on the calendar of the zone: Monday is 0, Sunday is 6.",
        examples=(
            Example("day_of_week(row.t)", 6, {"t": TIME}),
            Example("day_of_week(row.t, 'Pacific/Honolulu')", 5, {"t": TIME}),
        ),
        definition="_day_of_week(_local(time, zone))",
    ),
    Function(
        signature="minutes_between(start: timestamp, end: timestamp) -> float",
        section="time",
        doc="Minutes that pass from start to end, negative when end is earlier; no clock change enters.",
        examples=(
            Example("minutes_between(row.a, row.b)", 90.5, {"a": TIME, "b": TIME + timedelta(seconds=5430)}),
            Example("minutes_between(row.b, row.a)", -90.5, {"a": TIME, "b": TIME + timedelta(seconds=5430)}),
        ),
        row="(({end} - {start}) / MICROSECOND / 60000000.0)",
        columns=lambda start, end, minute: to_float((end - start).dt.total_microseconds()) / minute,
        bind=lambda: {"minute": 60000000.0},
        full=("minute",),
    ),
)

PARTS = (
    Function(
        signature="_local(time: timestamp, zone: zone) -> timestamp",
        section="parts",
        doc="The clock of a zone at an instant from 1970 to 2099, for the functions below only.",
        examples=(),
        row="({time}.astimezone({zone}) if 1970 <= {time}.year <= 2099 else None)",
        columns=lambda time, zone: choose(
            (time.dt.year().is_between(1970, 2099), time.dt.convert_time_zone(zone))
        ),
        partial=always,
        repeats=True,
    ),
    Function(
        signature="_hour(local: timestamp) -> int",
        section="parts",
        doc="Hour of a clock.",
        examples=(),
        row="{local}.hour",
        columns=lambda local: to_int(local.dt.hour()),
        bounds=lambda local: (0, 23),
    ),
    Function(
        signature="_minute(local: timestamp) -> int",
        section="parts",
        doc="Minute of a clock.",
        examples=(),
        row="{local}.minute",
        columns=lambda local: to_int(local.dt.minute()),
        bounds=lambda local: (0, 59),
    ),
    Function(
        signature="_day_of_week(local: timestamp) -> int",
        section="parts",
        doc="Day of the week of a clock, Monday is 0.",
        examples=(),
        row="{local}.weekday()",
        columns=lambda local: to_int(local.dt.weekday()) - 1,
        bounds=lambda local: (0, 6),
    ),
)
"""What definitions are made of and expressions cannot call; each is computed once for all that use it."""
