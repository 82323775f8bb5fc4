"""Expressions and rows drawn from the function table for the tests of the language."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import strategies as st

from dsl import GroupSchema, Schema
from dsl.functions import TABLE
from dsl.signature import VARIABLES

POLARS = {
    "int": pl.Int64,
    "float": pl.Float64,
    "bool": pl.Boolean,
    "str": pl.String,
    "timestamp": pl.Datetime("us", "UTC"),
}
POLARS |= {f"list[{kind}]": pl.List(of) for kind, of in POLARS.items()}
COLUMNS = {
    "i": "int",
    "j": "int",
    "x": "float",
    "y": "float",
    "b": "bool",
    "c": "bool",
    "s": "str",
    "r": "str",
    "t": "timestamp",
    "u": "timestamp",
    "li": "list[int]",
    "lx": "list[float]",
    "ly": "list[float]",
    "lb": "list[bool]",
    "ls": "list[str]",
    "lt": "list[timestamp]",
}
SCHEMA = Schema(COLUMNS, {"g": GroupSchema({"s": "str"}, {"x": "float", "n": "int"})})
STORE = {
    "store.g.x": "float",
    "store.g.n": "int",
    "store.g.event_age": "float",
    "store.g(s=row.r).x": "float",
    "store.g(s=row.r).event_age": "float",
}
FRAME = {
    **COLUMNS,
    "g__x": "float",
    "g__n": "int",
    "g__event_age": "float",
    "g__r__x": "float",
    "g__r__event_age": "float",
}
"""Every input of SCHEMA under the name it is handed in by."""

ZONES = (
    "UTC",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Antarctica/Troll",
)
INTS = [
    0,
    1,
    -1,
    2,
    3,
    7,
    60,
    100,
    2**31,
    2**53 - 1,
    2**53 + 1,
    -(2**53) - 1,
    2**62,
    2**63 - 1,
    -(2**63),
    1 - 2**63,
]
FLOATS = [
    *(
        0.0,
        -0.0,
        0.5,
        1.5,
        2.5,
        -0.5,
        -2.5,
        0.1,
        2.675,
        3.0,
        1e-300,
        5e-324,
        1e16,
        4503599627370495.5,
        709.782712893384,
    ),
    *(
        40.6413,
        -73.7781,
        90.0,
        -180.0,
        45.0,
        709.9,
        -710.4758600739439,
        9.223372036854775e18,
        9.223372036854776e18,
        -9.223372036854776e18,
        1e300,
        1.7976931348623157e308,
        -1e308,
    ),
]
STORED_FLOATS = [*FLOATS, float("nan"), float("inf"), float("-inf")]
TEXTS = [
    "",
    " ",
    "a",
    "A",
    "EWR",
    " EWR\n",
    "ß",
    "İ",
    "ΑΣ",
    "é",
    "e\u0301",
    "\u3000x\x1c",
    "😀",
    "\x00",
    "a.b",
    "%",
    "a|b\\\\",
    " -12 ",
    "+007",
    "9223372036854775808",
    "1.5e3",
    ".5",
    "1_0",
    "2013-03-10",
    "10.03.2013 02:30",
    "20131103T013000.000001",
    "20130229T000000.000000",
    "N14228",
]
TIMES = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2012, 2, 29, 23, 59, tzinfo=UTC),
    datetime(2013, 3, 10, 6, 59, 59, 999999, tzinfo=UTC),
    datetime(2013, 3, 10, 7, tzinfo=UTC),
    datetime(2013, 11, 3, 5, 30, tzinfo=UTC),
    datetime(2013, 11, 3, 6, 30, tzinfo=UTC),
    datetime(2000, 2, 29, 12, tzinfo=UTC),
    datetime(2099, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2100, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]
_CHARACTERS = st.characters(
    codec="utf-8", exclude_categories=["Cs", "Cn"], exclude_characters="\u019b\u0264\ua7d3\ua7d5"
)
"""Text of Unicode 14, which Python knows; letters whose case pair came later are a documented difference."""

_TEXT = st.sampled_from(TEXTS) | st.text(_CHARACTERS, max_size=4)
VALUES = {
    "int": st.sampled_from(INTS) | st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5),
    "float": st.sampled_from(STORED_FLOATS) | st.floats() | st.integers(-50, 50).map(lambda n: n / 4),
    "bool": st.booleans(),
    "str": _TEXT,
    "timestamp": st.sampled_from(TIMES)
    | st.datetimes(timezones=st.just(UTC))
    | st.integers(0, 2**31).map(lambda s: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=s)),
}
VALUES |= {
    f"list[{kind}]": st.lists(st.none() | of | of, max_size=3 if kind != "float" else 2)
    for kind, of in VALUES.items()
}
WORDS = st.sampled_from(["a", "é", "EWR", " ", "aa", "$0", "\\", "|", "😀", "\n"])
PATTERNS = st.sampled_from(
    [
        "a",
        "^a",
        "[^a]",
        ".",
        "^.*(a)$",
        "(a|é|EW)",
        "[A-Z]{1,2}",
        r"\W+",
        r"(\s?)$",
        "^(?:a|A)*(.)",
        "[0-9]+|x",
        "é?",
    ]
)
FORMATS = st.sampled_from(["%Y-%m-%d", "%d.%m.%Y %H:%M", "%Y%m%dT%H%M%S.%f", "{%Y}%%%m\"%d'%H"])
CONSTANTS = {
    "part": WORDS,
    "old": WORDS,
    "new": WORDS | st.just(""),
    "fill": st.sampled_from(["a", "é", "0", "😀"]),
    "pattern": PATTERNS,
    "format": FORMATS,
    "boundary": st.sampled_from(FLOATS),
    "others": st.sampled_from(FLOATS),
    "share": st.sampled_from([0.01, 0.25, 0.0, 0.49]),
}
"""Literals for constant parameters without a range, by name."""
LITERALS = {
    "int": VALUES["int"].map(repr),
    "float": (st.sampled_from(FLOATS) | st.floats(allow_nan=False, allow_infinity=False)).map(repr),
    "bool": st.sampled_from(["True", "False"]),
    "str": _TEXT.map(repr),
}
LITERALS |= {
    f"list[{kind}]": st.lists(st.just("None") | of | of, max_size=2).flatmap(
        lambda items, of=of: of.map(lambda last: f"[{', '.join([*items, last])}]")
    )
    for kind, of in LITERALS.items()
}
SCALARS = [kind for kind in LITERALS if not kind.startswith("list")]


def row_values():
    """A row of SCHEMA's inputs, each null one time in four or so."""
    return st.fixed_dictionaries(
        {name: st.none() | VALUES[kind] | VALUES[kind] | VALUES[kind] for name, kind in FRAME.items()}
    )


def leaf(kind):
    """Text of an input or literal of a type."""
    columns = st.sampled_from(
        [f"row.{name}" for name, of in COLUMNS.items() if of == kind]
        + [written for written, of in STORE.items() if of == kind]
    )
    return columns | columns | LITERALS[kind] if kind in LITERALS else columns


def constant(function, parameter):
    """A value for a constant parameter."""
    if parameter.name in CONSTANTS:
        return CONSTANTS[parameter.name]
    low, high = function.ranges[parameter.name]
    return st.integers(max(low, -20), min(high, 20))


@st.composite
def call(draw, function, kind, depth, fitted):
    """Text of a call of one row of the table that gives the type."""
    variable = kind if function.returns in VARIABLES else None
    arguments = []
    for parameter in function.parameters:
        if parameter.kind == "zone":
            arguments.append(repr(draw(st.sampled_from(ZONES))))
            continue
        if parameter.is_constant:
            for _ in range(draw(st.integers(0, 2)) if parameter.is_repeated else 1):
                arguments.append(repr(draw(constant(function, parameter))))
            continue
        if parameter.kind in VARIABLES:
            variable = variable or draw(
                st.sampled_from([str(allowed) for allowed in VARIABLES[parameter.kind]])
            )
            of = variable
        else:
            of = parameter.kind
        count = draw(st.integers(1, 2)) if parameter.is_repeated else 1
        for _ in range(count):
            arguments.append(draw(expression(of, depth - 1, fitted and function.fit is None)))
    if not function.is_operator:
        return f"{function.name}({', '.join(arguments)})"
    return f"(-{arguments[0]})" if len(arguments) == 1 else f"({arguments[0]} {function.name} {arguments[1]})"


@st.composite
def expression(draw, kind, depth=3, fitted=True):
    """Text of an expression of a type, over every row of the table."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(leaf(kind))
    functions = [
        function
        for function in TABLE
        if not function.is_part
        and (function.returns == kind or kind in VARIABLES.get(function.returns, ()))
        and (fitted or not function.fit)
    ]
    forms = [*functions, "if", *(["and", "or", "not", "in", "not in", "chain"] if kind == "bool" else [])]
    form = draw(st.sampled_from(forms))
    if form == "if":
        condition = draw(expression("bool", depth - 1, fitted))
        then, other = draw(expression(kind, depth - 1, fitted)), draw(expression(kind, depth - 1, fitted))
        then = "None" if draw(st.integers(0, 5)) == 0 else then
        return f"({then} if {condition} else {other})"
    if form in ("and", "or"):
        operands = draw(st.lists(expression("bool", depth - 1, fitted), min_size=2, max_size=3))
        return "(" + f" {form} ".join(operands) + ")"
    if form == "not":
        return f"(not {draw(expression('bool', depth - 1, fitted))})"
    if form in ("in", "not in"):
        of = draw(st.sampled_from(SCALARS))
        items = draw(st.lists(LITERALS[of], min_size=1, max_size=3))
        return f"({draw(expression(of, depth - 1, fitted))} {form} [{', '.join(items)}])"
    if form == "chain":
        of = draw(st.sampled_from(["int", "float", "str", "timestamp"]))
        parts = [draw(expression(of, depth - 1, fitted)) for _ in range(3)]
        first, second = draw(st.sampled_from(["<", "<=", "=="])), draw(st.sampled_from(["<", ">=", "!="]))
        return f"({parts[0]} {first} {parts[1]} {second} {parts[2]})"
    return draw(call(form, kind, depth, fitted))


KINDS = st.sampled_from(list(POLARS))


class Language:
    """The inputs of generated expressions, and how to generate them."""

    schema = SCHEMA
    expressions = KINDS.flatmap(expression)
    rows = st.lists(row_values(), min_size=1, max_size=5)

    @staticmethod
    def frame(rows):
        """A frame of rows of the schema's inputs."""
        return pl.DataFrame(rows, schema={name: POLARS[kind] for name, kind in FRAME.items()})

    @classmethod
    def aggregate(cls, features, rows):
        """The state of features fitted to rows whose column x is the label too."""
        frame = cls.frame(rows)
        return features.aggregate(frame, frame["x"])

    @staticmethod
    def row(**values):
        """A row that is null but for some values."""
        return {name: values.get(name) for name in FRAME}


@pytest.fixture(scope="session")
def language():
    """Drawn expressions and rows."""
    return Language()
