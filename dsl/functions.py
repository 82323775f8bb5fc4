"""The one table of operators and functions: name, signature, documentation, examples and both meanings.

A new function is a new row. Its examples run as tests on both back ends, the generator of the equality test draws
calls of it from its signature, and the reference page prints it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from dsl.fit import Frequencies, Moments
from dsl.signature import Bounds, Example, Function

if TYPE_CHECKING:
    import polars as pl

TIME = datetime(2013, 3, 10, 7, 30, tzinfo=UTC)
"""An instant for examples, half an hour after the clocks of New York went forward from 02:00 to 03:00."""


def choose(*cases: tuple["pl.Expr", "pl.Expr"]) -> "pl.Expr":
    """The value of the first case whose condition is true; null when none is."""
    import polars as pl

    (condition, value), *others = cases
    chain: Any = pl.when(condition).then(value)
    for condition, value in others:
        chain = chain.when(condition).then(value)
    expression: pl.Expr = chain
    return expression


def _to_int(x: "pl.Expr") -> "pl.Expr":
    import polars as pl

    return x.cast(pl.Int64, strict=False)


def _to_float(x: "pl.Expr") -> "pl.Expr":
    import polars as pl

    return x.cast(pl.Float64)


def _codes(size: int, words: tuple[str, ...]) -> dict[str, object]:
    return {"codes": {None: 0} | {word: position for position, word in enumerate(words, start=2)}}


def _lookup(text: "pl.Expr", size: int, words: tuple[str, ...], codes: dict[str | None, int]) -> "pl.Expr":
    import polars as pl

    old, new = [None, *words], list(codes.values())
    return text.replace_strict(
        pl.Series(old, dtype=pl.String), pl.Series(new), default=1, return_dtype=pl.Int64
    )


def _quotient_bounds(a: Bounds, b: Bounds) -> Bounds:
    divisors = [d for d in (*b, -1, 1) if d and b[0] <= d <= b[1]]
    corners = [n // d for n in a for d in divisors] or [0]
    return min(corners), max(corners)


def _remainder_bounds(a: Bounds, b: Bounds) -> Bounds:
    return min(b[0] + 1, 0), max(b[1] - 1, 0)


def _spans_zero(a: Bounds, b: Bounds) -> bool:
    return b[0] <= 0 <= b[1]


def _product_bounds(a: Bounds, b: Bounds) -> Bounds:
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def _absolute_bounds(x: Bounds) -> Bounds:
    return (0 if x[0] <= 0 <= x[1] else min(map(abs, x))), max(map(abs, x))


def _always(*_: Bounds | None) -> bool:
    return True


ARITHMETIC = (
    Function(
        operator="+",
        signature="add(a: int, b: int) -> int",
        section="operators",
        doc="Sum. An int beyond 64 bits is null.",
        examples=(Example("2 + 3", 5), Example("9223372036854775807 + 1", None)),
        row="({a} + {b})",
        columns=lambda a, b: a + b,
        bounds=lambda a, b: (a[0] + b[0], a[1] + b[1]),
    ),
    Function(
        operator="+",
        signature="add(a: float, b: float) -> float",
        section="operators",
        doc="Sum.",
        examples=(Example("0.5 + 1", 1.5), Example("1e308 + 1e308", None)),
        row="({a} + {b})",
        columns=lambda a, b: a + b,
        passes=("a", "b"),
        unsettled=True,
    ),
    Function(
        operator="-",
        signature="subtract(a: int, b: int) -> int",
        section="operators",
        doc="Difference. An int beyond 64 bits is null.",
        examples=(Example("2 - 3", -1), Example("-9223372036854775808 - 1", None)),
        row="({a} - {b})",
        columns=lambda a, b: a - b,
        bounds=lambda a, b: (a[0] - b[1], a[1] - b[0]),
    ),
    Function(
        operator="-",
        signature="subtract(a: float, b: float) -> float",
        section="operators",
        doc="Difference.",
        examples=(Example("0.5 - 1", -0.5),),
        row="({a} - {b})",
        columns=lambda a, b: a - b,
        passes=("a", "b"),
        unsettled=True,
    ),
    Function(
        operator="*",
        signature="multiply(a: int, b: int) -> int",
        section="operators",
        doc="Product. An int beyond 64 bits is null.",
        examples=(Example("2 * 3", 6), Example("9223372036854775807 * 2", None)),
        row="({a} * {b})",
        columns=lambda a, b: a * b,
        bounds=_product_bounds,
    ),
    Function(
        operator="*",
        signature="multiply(a: float, b: float) -> float",
        section="operators",
        doc="Product.",
        examples=(Example("0.5 * 3", 1.5), Example("1e200 * 1e200", None)),
        row="({a} * {b})",
        columns=lambda a, b: a * b,
        passes=("a", "b"),
        unsettled=True,
    ),
    Function(
        operator="/",
        signature="divide(a: float, b: float) -> float",
        section="operators",
        doc="Quotient, a float also for two ints. Division by zero is null.",
        examples=(Example("7 / 2", 3.5), Example("1 / 0", None), Example("0 / 0", None)),
        row="({a} / {b} if {b} else NOT_A_NUMBER)",
        columns=lambda a, b: a / b,
        passes=("a",),
        unsettled=True,
        full=("b",),
    ),
    Function(
        operator="//",
        signature="floor_divide(a: int, b: int) -> int",
        section="operators",
        doc="Quotient rounded down, so -7 // 2 is -4. Division by zero is null.",
        examples=(Example("7 // 2", 3), Example("-7 // 2", -4), Example("7 // 0", None)),
        row="({a} // {b} if {b} else None)",
        columns=lambda a, b: a // b,
        partial=_spans_zero,
        bounds=_quotient_bounds,
    ),
    Function(
        operator="//",
        signature="floor_divide(a: float, b: float) -> float",
        section="operators",
        doc="The float a / b rounded down to a whole number. Division by zero is null.",
        examples=(Example("7.5 // 2", 3.0), Example("-7.5 // 2", -4.0), Example("7.5 // 0", None)),
        row="({a} / {b} // 1.0 if {b} else NOT_A_NUMBER)",
        columns=lambda a, b: (a / b).floor(),
        passes=("a",),
        unsettled=True,
        full=("b",),
    ),
    Function(
        operator="%",
        signature="modulo(a: int, b: int) -> int",
        section="operators",
        doc="Remainder of a // b, with the sign of b. Division by zero is null.",
        examples=(Example("7 % 3", 1), Example("-7 % 3", 2), Example("7 % -3", -2), Example("7 % 0", None)),
        row="({a} % {b} if {b} else None)",
        columns=lambda a, b: a % b,
        partial=_spans_zero,
        bounds=_remainder_bounds,
    ),
    Function(
        operator="%",
        signature="modulo(a: float, b: float) -> float",
        section="operators",
        doc="The float a - b * (a // b). Division by zero is null.",
        examples=(Example("7.5 % 2", 1.5), Example("-7.5 % 2", 0.5), Example("7.5 % 0", None)),
        row="({a} - {b} * ({a} / {b} // 1.0) if {b} else NOT_A_NUMBER)",
        columns=lambda a, b: a - b * (a / b).floor(),
        passes=("a",),
        unsettled=True,
        full=("b",),
        repeats=True,
    ),
    Function(
        operator="**",
        signature="power(a: float, b: float) -> float",
        section="operators",
        doc="a to the power b, a float also for two ints; null where there is no finite real answer.",
        examples=(
            Example("2 ** 10", 1024.0),
            Example("2 ** -1", 0.5),
            Example("-8.0 ** 2", -64.0),
            Example("(-8.0) ** 0.5", None),
            Example("0 ** -1", None),
        ),
        row="power({a}, {b})",
        columns=lambda a, b: a**b,
        unsettled=True,
        full=("b",),
    ),
    Function(
        operator="-",
        signature="negate(x: int) -> int",
        section="operators",
        doc="The number with its sign turned. -(-9223372036854775808) is null.",
        examples=(Example("-row.x", -3, {"x": 3}), Example("-row.x", None, {"x": -(2**63)})),
        row="(-{x})",
        columns=lambda x: 0 - x,
        bounds=lambda x: (-x[1], -x[0]),
    ),
    Function(
        operator="-",
        signature="negate(x: float) -> float",
        section="operators",
        doc="The number with its sign turned.",
        examples=(Example("-row.x", -0.5, {"x": 0.5}),),
        row="(-{x})",
        columns=lambda x: -x,
        passes=("x",),
        unsettled=True,
    ),
)


def _comparison(symbol: str, name: str, kind: str, doc: str, *examples: Example) -> Function:
    return Function(
        operator=symbol,
        signature=f"{name}(a: {kind}, b: {kind}) -> bool",
        section="operators",
        doc=doc,
        examples=examples,
        row=f"({{a}} {symbol} {{b}})",
        columns={
            "==": lambda a, b: a == b,
            "!=": lambda a, b: a != b,
            "<": lambda a, b: a < b,
            "<=": lambda a, b: a <= b,
            ">": lambda a, b: a > b,
            ">=": lambda a, b: a >= b,
        }[symbol],
    )


COMPARISON = (
    _comparison(
        "==",
        "equal",
        "value",
        "Equality; text is compared character by character, an int with a float as floats.",
        Example("1 == 1.0", True),
        Example("'a' == 'A'", False),
        Example("row.x == 1", None, {"x": None}),
    ),
    _comparison("!=", "unequal", "value", "The contrary of ==; null where == is.", Example("1 != 2", True)),
    _comparison(
        "<",
        "less",
        "ordered",
        "Order; text by Unicode code points, times by instant. Comparisons chain: 0 < row.x < 10.",
        Example("1 < 2", True),
        Example("'B' < 'a'", True),
        Example("0 < row.x < 10", True, {"x": 5}),
    ),
    _comparison("<=", "less_or_equal", "ordered", "Order or equality.", Example("2 <= 2", True)),
    _comparison(">", "greater", "ordered", "Order.", Example("1 > 2", False)),
    _comparison(">=", "greater_or_equal", "ordered", "Order or equality.", Example("2 >= 3", False)),
)

NUMBERS = (
    Function(
        signature="abs(x: int) -> int",
        section="numbers",
        doc="Distance from zero. abs(-9223372036854775808) is null.",
        examples=(Example("abs(-3)", 3), Example("abs(row.x)", None, {"x": -(2**63)})),
        row="abs({x})",
        columns=lambda x: x.abs(),
        bounds=_absolute_bounds,
    ),
    Function(
        signature="abs(x: float) -> float",
        section="numbers",
        doc="Distance from zero.",
        examples=(Example("abs(-2.5)", 2.5),),
        row="abs({x})",
        columns=lambda x: x.abs(),
        passes=("x",),
        unsettled=True,
    ),
    Function(
        signature="min(first: ordered, *others: ordered) -> ordered",
        section="numbers",
        doc="The least of the values; null when any is null.",
        examples=(
            Example("min(3, 1, 2)", 1),
            Example("min(1, 0.5)", 0.5),
            Example("min(row.x, 2)", None, {"x": None}),
        ),
        row="({first} if {first} <= {others} else {others})",
        columns=lambda first, others: choose((first <= others, first), (others < first, others)),
        repeats=True,
    ),
    Function(
        signature="max(first: ordered, *others: ordered) -> ordered",
        section="numbers",
        doc="The greatest of the values; null when any is null.",
        examples=(Example("max(3, 1, 2)", 3), Example("max('a', 'b')", "b")),
        row="({first} if {first} >= {others} else {others})",
        columns=lambda first, others: choose((first >= others, first), (others > first, others)),
        repeats=True,
    ),
    Function(
        signature="clip(x: number, low: number, high: number) -> number",
        section="numbers",
        doc="x held between low and high: min(max(x, low), high).",
        examples=(
            Example("clip(12, 0, 10)", 10),
            Example("clip(-0.5, 0, 1)", 0.0),
            Example("clip(row.x, 0, 1)", None, {"x": None}),
        ),
        definition="min(max(x, low), high)",
    ),
    Function(
        signature="round(x: float) -> int",
        section="numbers",
        doc="The nearest whole number as an int, halves to the even neighbour; null beyond 64 bits.",
        examples=(Example("round(0.5)", 0), Example("round(2.5)", 2), Example("round(-1.6)", -2)),
        row="round_to_int({x})",
        columns=lambda x: _to_int(x.round(0, mode="half_to_even")),
        partial=_always,
    ),
    Function(
        signature="round(x: float, digits: constant[int]) -> float",
        section="numbers",
        doc=(
            "x rounded to digits (0 to 15) after the point: x * 10**digits, computed in floats, to the nearest whole "
            "number, halves to the even neighbour, divided by 10**digits. From 2**52 on a float has no fraction and "
            "stays as it is."
        ),
        examples=(
            Example("round(1.25, 1)", 1.2),
            Example("round(2.675, 2)", 2.68),
            Example("round(-0.4, 0)", 0.0),
        ),
        row="round_digits({x}, {scale})",
        columns=lambda x, digits, scale, zero: choose(
            (x.abs() < 2.0**52, ((x * 10.0**digits).round(0, mode="half_to_even") + zero) / scale),
            (x.abs() >= 2.0**52, x),
        ),
        bind=lambda digits: {"scale": 10.0**digits, "zero": 0.0},
        ranges={"digits": (0, 15)},
        full=("scale", "zero"),
        repeats=True,
    ),
    Function(
        signature="floor(x: float) -> int",
        section="numbers",
        doc="The greatest whole number not above x, as an int; null beyond 64 bits.",
        examples=(Example("floor(2.7)", 2), Example("floor(-2.1)", -3), Example("floor(1e300)", None)),
        row="floor_to_int({x})",
        columns=lambda x: _to_int(x.floor()),
        partial=_always,
    ),
    Function(
        signature="ceil(x: float) -> int",
        section="numbers",
        doc="The least whole number not below x, as an int; null beyond 64 bits.",
        examples=(Example("ceil(2.1)", 3), Example("ceil(-2.7)", -2)),
        row="ceil_to_int({x})",
        columns=lambda x: _to_int(x.ceil()),
        partial=_always,
    ),
    Function(
        signature="int(x: bool) -> int",
        section="numbers",
        doc="1 for true, 0 for false.",
        examples=(Example("int(row.x > 2)", 1, {"x": 3}),),
        row="({x} + 0)",
        columns=_to_int,
        bounds=lambda x: (0, 1),
    ),
    Function(
        signature="int(x: int) -> int",
        section="numbers",
        doc="The int itself.",
        examples=(Example("int(3)", 3),),
        row="{x}",
        columns=lambda x: x,
        bounds=lambda x: x,
    ),
    Function(
        signature="int(x: float) -> int",
        section="numbers",
        doc="The number without its fraction; null beyond 64 bits.",
        examples=(Example("int(2.9)", 2), Example("int(-2.9)", -2), Example("int(1e19)", None)),
        row="truncate_to_int({x})",
        columns=_to_int,
        partial=_always,
    ),
    Function(
        signature="float(x: bool) -> float",
        section="numbers",
        doc="1.0 for true, 0.0 for false.",
        examples=(Example("float(row.x > 2)", 0.0, {"x": 1}),),
        row="({x} + 0.0)",
        columns=_to_float,
    ),
    Function(
        signature="float(x: int) -> float",
        section="numbers",
        doc="The nearest float; from 2**53 on not every int has its own.",
        examples=(Example("float(3)", 3.0), Example("float(9007199254740993)", 9007199254740992.0)),
        row="({x} + 0.0)",
        columns=_to_float,
    ),
    Function(
        signature="float(x: float) -> float",
        section="numbers",
        doc="The float itself.",
        examples=(Example("float(0.5)", 0.5),),
        row="{x}",
        columns=lambda x: x,
        passes=("x",),
        unsettled=True,
    ),
    Function(
        signature="sqrt(x: float) -> float",
        section="numbers",
        doc="Square root; null below zero.",
        examples=(Example("sqrt(9)", 3.0), Example("sqrt(-1)", None)),
        row="(sqrt({x}) if {x} >= 0.0 else NOT_A_NUMBER)",
        columns=lambda x: x.sqrt(),
        unsettled=True,
    ),
    Function(
        signature="exp(x: float) -> float",
        section="numbers",
        doc="e to the power x; null where that is too large for a float (x above 709.78).",
        examples=(Example("exp(0)", 1.0), Example("exp(1)", 2.718281828459045), Example("exp(1000)", None)),
        row="(exp({x}) if {x} <= 709.782712893384 else NOT_A_NUMBER)",
        columns=lambda x: x.exp(),
        unsettled=True,
    ),
    Function(
        signature="log(x: float) -> float",
        section="numbers",
        doc="Natural logarithm; null for zero and below.",
        examples=(Example("log(1)", 0.0), Example("log(0)", None), Example("log(-1)", None)),
        row="(log({x}) if {x} > 0.0 else NOT_A_NUMBER)",
        columns=lambda x: x.log(),
        unsettled=True,
    ),
    Function(
        signature="log1p(x: float) -> float",
        section="numbers",
        doc="Natural logarithm of 1 + x, exact also near zero; null for -1 and below.",
        examples=(Example("log1p(0)", 0.0), Example("log1p(1e-20)", 1e-20), Example("log1p(-1)", None)),
        row="(log1p({x}) if {x} > -1.0 else NOT_A_NUMBER)",
        columns=lambda x: x.log1p(),
        unsettled=True,
    ),
)

NULLS = (
    Function(
        signature="is_null(x: value) -> bool",
        section="nulls",
        doc="Whether the value is missing; never null itself.",
        examples=(
            Example("is_null(row.x)", True, {"x": None}),
            Example("is_null(row.x / 0)", True, {"x": 1.0}),
            Example("is_null(row.x)", False, {"x": 0}),
        ),
        row="({x} is None)",
        columns=lambda x: x.is_null(),
        handles_null=True,
    ),
    Function(
        signature="coalesce(first: value, *others: value) -> value",
        section="nulls",
        doc="The first value that is not null; null when all are.",
        examples=(Example("coalesce(row.x, 0)", 0, {"x": None}), Example("coalesce(row.x, 0)", 4, {"x": 4})),
        definition="first if not is_null(first) else others",
        handles_null=True,
    ),
    Function(
        signature="null_if(x: value, y: value) -> value",
        section="nulls",
        doc="Null where x equals y, else x.",
        examples=(
            Example("null_if(row.x, -999)", None, {"x": -999}),
            Example("null_if(row.x, -999)", 3, {"x": 3}),
        ),
        definition="None if x == y else x",
        handles_null=True,
    ),
)

TEXT = (
    Function(
        signature="lower(text: str) -> str",
        section="text",
        doc="Lower case by Unicode's full mapping.",
        examples=(Example("lower('Straße A')", "straße a"),),
        row="{text}.lower()",
        columns=lambda text: text.str.to_lowercase(),
    ),
    Function(
        signature="upper(text: str) -> str",
        section="text",
        doc="Upper case by Unicode's full mapping.",
        examples=(Example("upper('straße')", "STRASSE"),),
        row="{text}.upper()",
        columns=lambda text: text.str.to_uppercase(),
    ),
    Function(
        signature="strip(text: str) -> str",
        section="text",
        doc="Without the white space (Unicode's White_Space) at either end.",
        examples=(Example("strip('  a b\\n')", "a b"), Example("strip('\\u3000')", "")),
        row="{text}.strip(WHITESPACE)",
        columns=lambda text: text.str.strip_chars(),
    ),
    Function(
        signature="length(text: str) -> int",
        section="text",
        doc="Number of Unicode characters (code points).",
        examples=(Example("length('né')", 2), Example("length('')", 0)),
        row="len({text})",
        columns=lambda text: _to_int(text.str.len_chars()),
        bounds=lambda text: (0, 2**32),
    ),
    Function(
        signature="contains(text: str, part: str) -> bool",
        section="text",
        doc="Whether part occurs in text, exactly as written; the empty part always does.",
        examples=(Example("contains('Chicago', 'cago')", True), Example("contains('a', '.')", False)),
        row="({part} in {text})",
        columns=lambda text, part: text.str.contains(part, literal=True),
    ),
    Function(
        signature="starts_with(text: str, part: str) -> bool",
        section="text",
        doc="Whether text begins with part.",
        examples=(Example("starts_with('N14228', 'N')", True), Example("starts_with('', 'N')", False)),
        row="{text}.startswith({part})",
        columns=lambda text, part: text.str.starts_with(part),
    ),
    Function(
        signature="ends_with(text: str, part: str) -> bool",
        section="text",
        doc="Whether text ends with part.",
        examples=(Example("ends_with('N142UA', 'UA')", True), Example("ends_with('N142UA', 'ua')", False)),
        row="{text}.endswith({part})",
        columns=lambda text, part: text.str.ends_with(part),
    ),
)

TIMES = (
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
        columns=lambda start, end, minute: _to_float((end - start).dt.total_microseconds()) / minute,
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
        partial=_always,
        repeats=True,
    ),
    Function(
        signature="_hour(local: timestamp) -> int",
        section="parts",
        doc="Hour of a clock.",
        examples=(),
        row="{local}.hour",
        columns=lambda local: _to_int(local.dt.hour()),
        bounds=lambda local: (0, 23),
    ),
    Function(
        signature="_minute(local: timestamp) -> int",
        section="parts",
        doc="Minute of a clock.",
        examples=(),
        row="{local}.minute",
        columns=lambda local: _to_int(local.dt.minute()),
        bounds=lambda local: (0, 59),
    ),
    Function(
        signature="_day_of_week(local: timestamp) -> int",
        section="parts",
        doc="Day of the week of a clock, Monday is 0.",
        examples=(),
        row="{local}.weekday()",
        columns=lambda local: _to_int(local.dt.weekday()) - 1,
        bounds=lambda local: (0, 6),
    ),
)
"""What definitions are made of and expressions cannot call; each is computed once for all that use it."""

FITTED = (
    Function(
        signature="normalize(x: float) -> float",
        section="fitted",
        doc=(
            "(x - mean) / deviation, both over the training rows where x is not null; the deviation is the "
            "population's, and 1 where all values are equal. Null when there was nothing to learn from."
        ),
        examples=(
            Example("normalize(row.x)", 1.0, {"x": 3.0}, ({"x": 1.0}, {"x": 3.0}, {"x": None})),
            Example("normalize(row.x)", 0.0, {"x": 5.0}, ({"x": 5.0}, {"x": 5.0})),
        ),
        definition="(x - mean) / deviation",
        fit=Moments(),
    ),
    Function(
        signature="vocabulary(text: str, size: constant[int] = 1000) -> int",
        section="fitted",
        doc=(
            "Code of the text among the size (1 to 1000000) most frequent ones of the training rows: 0 is null, 1 is a "
            "text not among them, 2 the most frequent, 3 the next; of equally frequent ones the smaller text is first. "
            "Never null."
        ),
        examples=(
            Example("vocabulary(row.x)", 2, {"x": "EWR"}, ({"x": "JFK"}, {"x": "EWR"}, {"x": "EWR"})),
            Example("vocabulary(row.x, size=1)", 1, {"x": "JFK"}, ({"x": "JFK"}, {"x": "EWR"}, {"x": "EWR"})),
            Example("vocabulary(row.x)", 0, {"x": None}, ({"x": "JFK"},)),
        ),
        row="{codes}.get({text}, 1)",
        columns=_lookup,
        bind=_codes,
        ranges={"size": (1, 1_000_000)},
        handles_null=True,
        fit=Frequencies(),
    ),
)

TABLE: tuple[Function, ...] = ARITHMETIC + COMPARISON + NUMBERS + NULLS + TEXT + TIMES + PARTS + FITTED


@cache
def overloads(name: str) -> tuple[Function, ...]:
    """The rows of a name, in the table's order; operators go by their symbol."""
    return tuple(function for function in TABLE if function.name == name)


def names() -> Iterable[str]:
    """The names that expressions can call, in the table's order."""
    return dict.fromkeys(
        function.name for function in TABLE if not (function.is_operator or function.is_part)
    )
