"""Functions of timestamps: the clock of a time zone, and elapsed time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dsl.functions.limits import always
from dsl.polars.expressions import choose, to_float, to_int
from dsl.row.scalar.time import formatter, reader
from dsl.signature import Example, Function
from dsl.time_formats import chrono, pattern, read_problem, spans, write_problem

if TYPE_CHECKING:
    import polars as pl

TIME = datetime(2013, 3, 10, 7, 30, tzinfo=UTC)
"""An instant for examples, half an hour after the clocks of New York went forward from 02:00 to 03:00."""
NEW_YEAR = datetime(2013, 1, 1, tzinfo=UTC)
"""An instant for examples, still 2012 in New York."""
LONGEST_GAP = timedelta(hours=3)
"""The most by which a clock is put forward, except where a whole day is left out, and no such day begins a week or
month."""


def _calendar(name: str, doc: str, values: tuple[int, int], in_new_york: int, in_utc: int) -> Function:
    """A part of the calendar; values are those for TIME."""
    return Function(
        signature=f"{name}(time: timestamp, zone: zone = 'UTC') -> int",
        section="time",
        doc=doc,
        examples=(
            Example(f"{name}(row.t)", values[0], {"t": TIME}),
            Example(f"{name}(row.t, 'America/New_York')", values[1], {"t": TIME}),
            Example(f"{name}(row.t)", in_utc, {"t": NEW_YEAR}),
            Example(f"{name}(row.t, 'America/New_York')", in_new_york, {"t": NEW_YEAR}),
            Example(f"{name}(row.t)", None, {"t": None}),
        ),
        definition=f"_{name}(_local(time, zone))",
    )


def _passed(unit: str, microseconds: float, value: float, doc: str) -> Function:
    """Time that passes; value is that of an hour and a half and 30 seconds."""
    later = TIME + timedelta(seconds=5430)
    return Function(
        signature=f"{unit}_between(start: timestamp, end: timestamp) -> float",
        section="time",
        doc=doc,
        examples=(
            Example(f"{unit}_between(row.a, row.b)", value, {"a": TIME, "b": later}),
            Example(f"{unit}_between(row.b, row.a)", -value, {"a": TIME, "b": later}),
            Example(f"{unit}_between(row.a, row.b)", None, {"a": TIME, "b": None}),
        ),
        row=f"(({{end}} - {{start}}) / MICROSECOND / {microseconds!r})",
        columns=lambda start, end, unit: to_float((end - start).dt.total_microseconds()) / unit,
        bind=lambda: {"unit": microseconds},
        full=("unit",),
    )


def _start(unit: str, doc: str, in_utc: datetime, in_new_york: datetime) -> Function:
    """The beginning of a unit; values are those for TIME."""
    return Function(
        signature=f"start_of_{unit}(time: timestamp, zone: zone = 'UTC') -> timestamp",
        section="time",
        doc=doc,
        examples=(
            Example(f"start_of_{unit}(row.t)", in_utc, {"t": TIME}),
            Example(f"start_of_{unit}(row.t, 'America/New_York')", in_new_york, {"t": TIME}),
            Example(f"start_of_{unit}(row.t)", None, {"t": None}),
        ),
        definition=f"_start_of_{unit}(_local(time, zone), zone)"
        if unit == "hour"
        else f"_since_1970(_start_of_{unit}(_local(time, zone), zone))",
    )


def _wave(name: str, wave: str, doc: str, definition: str, *examples: Example) -> Function:
    return Function(
        signature=f"{name}_{wave}(time: timestamp, zone: zone = 'UTC') -> float",
        section="time",
        doc=doc,
        examples=(*examples, Example(f"{name}_{wave}(row.t)", None, {"t": None})),
        definition=f"{wave}({definition} * 6.283185307179586)",
    )


def _from_epoch(seconds: "pl.Expr") -> "pl.Expr":
    import polars as pl

    microseconds = seconds * 1e6
    instant = to_int(microseconds.round(0, mode="half_to_even")).cast(pl.Datetime("us", "UTC"))
    return choose(((microseconds >= -62135596800e6) & (microseconds < 253402300800e6), instant))


def _parse_time(text: "pl.Expr", format: str, zone: str, read: object) -> "pl.Expr":
    import polars as pl

    places = spans(format)
    fields = {code: text.str.slice(start, end - start) for code, (start, end) in places.items()}
    zeros = {"H": pl.lit("00"), "M": pl.lit("00"), "S": pl.lit("00"), "f": pl.lit("000000")}
    iso = pl.format("{}-{}-{}T{}:{}:{}.{}", *[fields.get(code, zeros.get(code)) for code in "YmdHMSf"])
    written = choose((text.str.contains(rf"\A{pattern(format)}\z"), iso))
    clock = written.str.to_datetime("%Y-%m-%dT%H:%M:%S%.6f", time_unit="us", strict=False)
    return clock.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone(
        "UTC"
    )


def _started(unit: str) -> Callable[..., "pl.Expr"]:
    """The first instant at which a clock shows the beginning of a unit, or the next one if it never shows that."""

    def columns(local: "pl.Expr", zone: str) -> "pl.Expr":
        clock = local.dt.replace_time_zone(None).dt.truncate(unit)
        exact, before = (
            start.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone(
                "UTC"
            )
            for start in (clock, clock - LONGEST_GAP)
        )
        return exact.fill_null(before + LONGEST_GAP)

    return columns


def _started_hour(local: "pl.Expr", zone: str) -> "pl.Expr":
    import polars as pl

    passed = pl.duration(
        minutes=local.dt.minute(),
        seconds=local.dt.second(),
        microseconds=local.dt.microsecond(),
        time_unit="us",
    )
    return (local - passed).dt.convert_time_zone("UTC")


def _part(
    name: str, doc: str, row: str, columns: Callable[["pl.Expr"], "pl.Expr"], values: tuple[int, int]
) -> Function:
    return Function(
        signature=f"{name}(local: timestamp) -> int",
        section="parts",
        doc=doc,
        examples=(),
        row=f"{{local}}{row}",
        columns=lambda local: to_int(columns(local)),
        bounds=lambda local: values,
    )


TIME_FUNCTIONS = (
    _calendar("year", "Year on the calendar of the zone.", (2013, 2013), 2012, 2013),
    _calendar("month", "Month on the calendar of the zone, 1 to 12.", (3, 3), 12, 1),
    _calendar("day", "Day of the month on the calendar of the zone, 1 to 31.", (10, 10), 31, 1),
    _calendar("day_of_year", "Day of the year on the calendar of the zone, 1 to 366.", (69, 69), 366, 1),
    _calendar(
        "week",
        "Week by ISO 8601 on the calendar of the zone, 1 to 53: weeks begin on Monday, and week 1 "
        "has the first Thursday "
        "of the year, so the first days of January can be in week 52 or 53, the last of December in week 1.",
        (10, 10),
        1,
        1,
    ),
    Function(
        signature="quarter(time: timestamp, zone: zone = 'UTC') -> int",
        section="time",
        doc="Quarter of the year on the calendar of the zone, 1 to 4.",
        examples=(
            Example("quarter(row.t)", 1, {"t": TIME}),
            Example("quarter(row.t, 'America/New_York')", 4, {"t": NEW_YEAR}),
        ),
        definition="(_month(_local(time, zone)) + 2) // 3",
    ),
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
        signature="minute(time: timestamp, zone: zone = 'UTC') -> int",
        section="time",
        doc="Minute on the clock of the zone, 0 to 59.",
        examples=(
            Example("minute(row.t)", 30, {"t": TIME}),
            Example("minute(row.t, 'Asia/Kolkata')", 0, {"t": TIME}),
        ),
        definition="_minute(_local(time, zone))",
    ),
    Function(
        signature="second(time: timestamp) -> int",
        section="time",
        doc="Second on the clock, 0 to 59, without its fraction. Every zone's clock shows the same one since 1972.",
        examples=(
            Example("second(row.t)", 7, {"t": TIME + timedelta(seconds=7.9)}),
            Example("second(row.t)", None, {"t": None}),
        ),
        definition="_second(_local(time, 'UTC'))",
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
        signature="is_weekend(time: timestamp, zone: zone = 'UTC') -> bool",
        section="time",
        doc="Whether it is Saturday or Sunday on the calendar of the zone.",
        examples=(
            Example("is_weekend(row.t)", True, {"t": TIME}),
            Example("is_weekend(row.t)", False, {"t": NEW_YEAR}),
            Example("is_weekend(row.t)", None, {"t": None}),
        ),
        definition="_day_of_week(_local(time, zone)) >= 5",
    ),
    _start(
        "hour",
        "The instant less the minutes and seconds that the clock of the zone shows.",
        datetime(2013, 3, 10, 7, tzinfo=UTC),
        datetime(2013, 3, 10, 7, tzinfo=UTC),
    ),
    _start(
        "day",
        "The first instant of the day on the calendar of the zone.",
        datetime(2013, 3, 10, tzinfo=UTC),
        datetime(2013, 3, 10, 5, tzinfo=UTC),
    ),
    _start(
        "week",
        "The first instant of the last Monday on the calendar of the zone; null before 1970.",
        datetime(2013, 3, 4, tzinfo=UTC),
        datetime(2013, 3, 4, 5, tzinfo=UTC),
    ),
    _start(
        "month",
        "The first instant of the month on the calendar of the zone; null before 1970.",
        datetime(2013, 3, 1, tzinfo=UTC),
        datetime(2013, 3, 1, 5, tzinfo=UTC),
    ),
    _start(
        "year",
        "The first instant of the year on the calendar of the zone; null before 1970.",
        datetime(2013, 1, 1, tzinfo=UTC),
        datetime(2013, 1, 1, 5, tzinfo=UTC),
    ),
    _passed(
        "seconds",
        1e6,
        5430.0,
        "Seconds that pass from start to end, negative when end is earlier; no clock change enters.",
    ),
    _passed(
        "minutes",
        6e7,
        90.5,
        "Minutes that pass from start to end, negative when end is earlier; no clock change enters.",
    ),
    _passed(
        "hours",
        3.6e9,
        1.5083333333333333,
        "Hours that pass from start to end, negative when end is earlier; no clock change enters.",
    ),
    _passed(
        "days",
        8.64e10,
        0.06284722222222222,
        "Days of 24 hours that pass from start to end, negative when end is earlier; no clock change enters.",
    ),
    Function(
        signature="to_epoch(time: timestamp) -> float",
        section="time",
        doc="Seconds since 1970-01-01T00:00:00Z, negative before.",
        examples=(
            Example("to_epoch(row.t)", 1362900600.0, {"t": TIME}),
            Example("to_epoch(row.t)", -0.5, {"t": datetime(1969, 12, 31, 23, 59, 59, 500000, tzinfo=UTC)}),
        ),
        row="(({time} - EPOCH) / MICROSECOND / 1000000.0)",
        columns=lambda time, second: to_float(time.dt.epoch("us")) / second,
        bind=lambda: {"second": 1e6},
        full=("second",),
    ),
    Function(
        signature="from_epoch(seconds: float) -> timestamp",
        section="time",
        doc=(
            "The instant that many seconds after 1970-01-01T00:00:00Z, to the microsecond; null "
            "outside the years 1 to 9999."
        ),
        examples=(
            Example("from_epoch(1362900600)", TIME),
            Example("from_epoch(row.x)", TIME + timedelta(microseconds=500000), {"x": 1362900600.5}),
            Example("from_epoch(1e15)", None),
        ),
        row="from_epoch({seconds})",
        columns=_from_epoch,
        full=("seconds",),
        partial=always,
        repeats=True,
    ),
    Function(
        signature="format_time(time: timestamp, format: constant[str], zone: zone = 'UTC') -> str",
        section="time",
        doc="Clock and calendar of the zone as text in the format (see above).",
        examples=(
            Example("format_time(row.t, '%Y-%m-%d')", "2013-03-10", {"t": TIME}),
            Example(
                "format_time(row.t, '%d.%m.%Y %H:%M', 'America/New_York')", "10.03.2013 03:30", {"t": TIME}
            ),
            Example("format_time(row.t, '%Y')", None, {"t": None}),
        ),
        definition="_format_time(_local(time, zone), format)",
        checks={"format": write_problem},
    ),
    Function(
        signature="parse_time(text: str, format: constant[str], zone: zone = 'UTC') -> timestamp",
        section="time",
        doc=(
            "The instant, from 1970 to 2099, at which the clock of the zone shows what text writes in the format (see "
            "above). Null for any other text and for a time that a change of clocks leaves out; of one that the clock "
            "shows twice the first. The format has %Y, %m and %d."
        ),
        examples=(
            Example("parse_time('2013-03-10 07:30', '%Y-%m-%d %H:%M')", TIME),
            Example("parse_time('10.3.2013', '%d.%m.%Y')", None),
            Example("parse_time('20130310 0330', '%Y%m%d %H%M', 'America/New_York')", TIME),
            Example("parse_time('20130310 0230', '%Y%m%d %H%M', 'America/New_York')", None),
        ),
        definition="_until_2099(_parse_time(text, format, zone))",
        checks={"format": read_problem},
    ),
    *(
        _wave(
            "hour",
            wave,
            f"{word} of the time of day on the clock of the zone, to the minute, as an angle: 24 hours "
            "are a full circle, "
            "so that 23:59 and 00:00 are neighbours.",
            "_minute_of_day(_local(time, zone)) / 1440",
            Example(f"hour_{wave}(row.t)", value, {"t": datetime(2013, 1, 1, 6, tzinfo=UTC)}),
        )
        for wave, word, value in (("sin", "Sine", 1.0), ("cos", "Cosine", 6.123233995736766e-17))
    ),
    *(
        _wave(
            "weekday",
            wave,
            f"{word} of the day of the week on the calendar of the zone as an angle: Monday is 0, 7 "
            "days are a full circle.",
            "_day_of_week(_local(time, zone)) / 7",
            Example(f"weekday_{wave}(row.t)", value, {"t": datetime(2013, 3, 11, tzinfo=UTC)}),
        )
        for wave, word, value in (("sin", "Sine", 0.0), ("cos", "Cosine", 1.0))
    ),
    *(
        _wave(
            "day_of_year",
            wave,
            f"{word} of the day of the year on the calendar of the zone as an angle: the first of January is 0, 365.25 "
            "days are a full circle.",
            "(_day_of_year(_local(time, zone)) - 1) / 365.25",
            Example(f"day_of_year_{wave}(row.t)", value, {"t": NEW_YEAR}),
        )
        for wave, word, value in (("sin", "Sine", 0.0), ("cos", "Cosine", 1.0))
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
    _part("_year", "Year of a calendar.", ".year", lambda local: local.dt.year(), (1969, 2100)),
    _part("_month", "Month of a calendar.", ".month", lambda local: local.dt.month(), (1, 12)),
    _part("_day", "Day of the month of a calendar.", ".day", lambda local: local.dt.day(), (1, 31)),
    _part("_second", "Second of a clock.", ".second", lambda local: local.dt.second(), (0, 59)),
    _part("_week", "ISO week of a calendar.", ".isocalendar()[1]", lambda local: local.dt.week(), (1, 53)),
    Function(
        signature="_day_of_year(local: timestamp) -> int",
        section="parts",
        doc="Day of the year of a calendar.",
        examples=(),
        row="day_of_year({local})",
        columns=lambda local: to_int(local.dt.ordinal_day()),
        bounds=lambda local: (1, 366),
    ),
    Function(
        signature="_minute_of_day(local: timestamp) -> int",
        section="parts",
        doc="Minutes of a clock since 00:00.",
        examples=(),
        definition="_hour(local) * 60 + _minute(local)",
    ),
    Function(
        signature="_start_of_hour(local: timestamp, zone: zone) -> timestamp",
        section="parts",
        doc="The instant less minutes and seconds of a clock.",
        examples=(),
        row="start_of_hour({local})",
        columns=_started_hour,
    ),
    *(
        Function(
            signature=f"_start_of_{unit}(local: timestamp, zone: zone) -> timestamp",
            section="parts",
            doc=f"The first instant of the {unit} of a calendar.",
            examples=(),
            row=f"start_of_{unit}({{local}})",
            columns=_started(f"1{letter}"),
        )
        for unit, letter in (("day", "d"), ("week", "w"), ("month", "mo"), ("year", "y"))
    ),
    Function(
        signature="_format_time(local: timestamp, format: constant[str]) -> str",
        section="parts",
        doc="Clock and calendar as text.",
        examples=(),
        row="{write}({local})",
        columns=lambda local, format, write: local.dt.strftime(chrono(format)),
        bind=lambda format: {"write": formatter(format)},
    ),
    Function(
        signature="_since_1970(time: timestamp) -> timestamp",
        section="parts",
        doc="The instant, null before 1970.",
        examples=(),
        row="({time} if {time}.year >= 1970 else None)",
        columns=lambda time: choose((time.dt.year() >= 1970, time)),
        partial=always,
        repeats=True,
    ),
    Function(
        signature="_parse_time(text: str, format: constant[str], zone: zone) -> timestamp",
        section="parts",
        doc="The instant that text writes.",
        examples=(),
        row="parsed({read}, {zone}, {text})",
        columns=_parse_time,
        bind=lambda format: {"read": reader(format)},
        full=("text",),
        partial=always,
        repeats=True,
    ),
    Function(
        signature="_until_2099(time: timestamp) -> timestamp",
        section="parts",
        doc="The instant, null before 1970 and after 2099.",
        examples=(),
        row="({time} if 1970 <= {time}.year <= 2099 else None)",
        columns=lambda time: choose((time.dt.year().is_between(1970, 2099), time)),
        partial=always,
        repeats=True,
    ),
)
"""Internal functions that definitions use and expressions cannot call; each is computed once for all its users."""
