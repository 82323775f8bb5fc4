"""Every row of the function table: its examples, and values worked out by hand, on both back ends."""

import math
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from dsl.functions import TABLE


@pytest.mark.parametrize(
    ("function", "example"),
    [
        pytest.param(function, example, id=example.expression)
        for function in TABLE
        for example in function.examples
    ],
)
def test_examples_of_the_table(function, example, evaluate):
    training = [dict(row) for row in example.training]
    value = evaluate(example.expression, dict(example.row), training, targets=example.targets)
    assert (type(value), value) == (type(example.value), example.value)


def test_every_callable_row_has_examples_and_a_meaning():
    for function in TABLE:
        assert function.is_part or function.examples, function.signature
        assert bool(function.definition) != bool(function.row and function.columns), function.signature


COLUMNS = {
    "int": (5, "int"),
    "float": (0.5, "float"),
    "bool": (True, "bool"),
    "str": ("a", "str"),
    "timestamp": (datetime(2013, 1, 1, tzinfo=UTC), "timestamp"),
    "number": (0.5, "float"),
    "ordered": ("a", "str"),
    "value": (True, "bool"),
}
COLUMNS |= {f"list[{word}]": ((value,), f"list[{kind}]") for word, (value, kind) in COLUMNS.items()}
COLUMNS["anything"] = COLUMNS["list[float]"]
CONSTANTS = {
    "part": "a",
    "old": "a",
    "new": "b",
    "fill": "-",
    "pattern": "a",
    "format": "%Y-%m-%d",
    "zone": "UTC",
    "boundary": 0.5,
    "others": 1.5,
    "share": 0.1,
    "digits": 1,
    "precision": 5,
    "start": 0,
    "length": 1,
    "weight": 2.0,
    "width": 3,
    "buckets": 10,
    "size": 10,
}


@pytest.mark.parametrize(
    "function",
    [pytest.param(function, id=function.signature) for function in TABLE if not function.is_part],
)
def test_a_function_is_null_when_an_argument_is_unless_it_says_so(function, evaluate):
    inputs = [parameter.name for parameter in function.parameters if not parameter.is_constant]
    given = [
        repr(CONSTANTS[parameter.name]) if parameter.is_constant else f"row.{parameter.name}"
        for parameter in function.parameters
    ]
    if function.is_operator:
        written = f"(-{given[0]})" if len(given) == 1 else f"({given[0]} {function.name} {given[1]})"
    else:
        written = f"{function.name}({', '.join(given)})"
    kinds = {p.name: COLUMNS[p.kind][1] for p in function.parameters if not p.is_constant}
    row = {p.name: COLUMNS[p.kind][0] for p in function.parameters if not p.is_constant}
    training = [{inputs[0]: row[inputs[0]]}, {inputs[0]: None}] if function.fit else ()
    for missing in inputs:
        targets = (1.0, 2.0) if function.learns_target else ()
        value = evaluate(written, {**row, missing: None}, training, kinds, targets)
        assert function.handles_null or value is None


HALVES = [(-2.5, -2), (-1.5, -2), (-0.5, 0), (0.5, 0), (1.5, 2), (2.5, 2), (3.5, 4), (2.4999999999999996, 2)]


@pytest.mark.parametrize(("x", "rounded"), HALVES)
def test_round_takes_halves_to_the_even_neighbour(x, rounded, evaluate):
    assert evaluate("round(row.x)", {"x": x}) == rounded


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "int"])
@pytest.mark.parametrize(
    "x", [9.223372036854775e18, -9.223372036854776e18, 0.3, -0.3, 4503599627370497.5, -7.0]
)
def test_whole_numbers_of_floats_agree_with_exact_fractions(name, x, evaluate):
    exact = {"floor": math.floor, "ceil": math.ceil, "round": round, "int": math.trunc}[name](Fraction(x))
    assert evaluate(f"{name}(row.x)", {"x": x}) == exact


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "int"])
@pytest.mark.parametrize("x", [9.223372036854776e18, -9.223372036854778e18, 1e300])
def test_whole_numbers_beyond_64_bits_are_null(name, x, evaluate):
    assert evaluate(f"{name}(row.x)", {"x": x}) is None


@pytest.mark.parametrize("symbol", ["+", "-", "*", "//", "%"])
@pytest.mark.parametrize("a", [0, 1, -1, 7, -7, 2**62, 2**63 - 1, -(2**63), 3037000500])
@pytest.mark.parametrize("b", [0, 1, -1, 2, -3, 2**62, 2**63 - 1, -(2**63), 3037000500])
def test_ints_agree_with_unlimited_ints_or_are_null(symbol, a, b, evaluate):
    if symbol in ("//", "%") and b == 0:
        expected = None
    else:
        exact = {"+": a + b, "-": a - b, "*": a * b, "//": a // b if b else 0, "%": a % b if b else 0}[symbol]
        expected = exact if -(2**63) <= exact < 2**63 else None
    assert evaluate(f"row.a {symbol} row.b", {"a": a, "b": b}) == expected
    assert evaluate(f"row.a {symbol} {b}", {"a": a}) == expected


@pytest.mark.parametrize(
    ("operator", "left", "right", "value"),
    [
        (operator, left, right, value)
        for operator, table in {
            "and": "TTT TFF TNN FTF FFF FNF NTN NFF NNN",
            "or": "TTT TFT TNT FTT FFF FNN NTT NFN NNN",
        }.items()
        for left, right, value in table.split()
    ],
)
def test_and_or_follow_kleenes_tables(operator, left, right, value, evaluate):
    truth = {"T": True, "F": False, "N": None}
    row = {"p": truth[left], "q": truth[right]}
    assert evaluate(f"row.p {operator} row.q", row, kinds={"p": "bool", "q": "bool"}) is truth[value]
    chosen = evaluate(f"1 if row.p {operator} row.q else 0", row, kinds={"p": "bool", "q": "bool"})
    assert chosen == int(truth[value] is True)
    refused = evaluate(f"1 if not (row.p {operator} row.q) else 0", row, kinds={"p": "bool", "q": "bool"})
    assert refused == int(truth[value] is False)


@pytest.mark.parametrize("symbol", ["==", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_comparisons_with_null_nan_and_infinity_are_null(symbol, missing, evaluate):
    assert evaluate(f"row.x {symbol} 1.0", {"x": missing}, kinds={"x": "float"}) is None
    assert evaluate(f"1.0 {symbol} row.x", {"x": missing}, kinds={"x": "float"}) is None


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_null_nan_and_infinity_are_one_missing_value(missing, evaluate):
    kinds = {"x": "float"}
    assert evaluate("row.x", {"x": missing}, kinds=kinds) is None
    assert evaluate("is_null(row.x)", {"x": missing}, kinds=kinds) is True
    assert evaluate("coalesce(row.x, 7)", {"x": missing}, kinds=kinds) == 7.0
    assert evaluate("row.x in [1.0]", {"x": missing}, kinds=kinds) is None
    assert evaluate("1 if row.x > 0 else 2", {"x": missing}, kinds=kinds) == 2
    assert evaluate("max(row.x, 0)", {"x": missing}, kinds=kinds) is None


@pytest.mark.parametrize(
    "expression",
    [
        "1 / 0",
        "0 / 0",
        "7 // 0",
        "7 % 0",
        "log(0)",
        "sqrt(-1)",
        "exp(1000)",
        "1e308 + 1e308",
        "(-8.0) ** 0.5",
        "0 ** -1",
    ],
)
def test_operations_without_a_finite_answer_are_null(expression, evaluate):
    assert evaluate(expression) is None


def test_every_step_of_int_arithmetic_is_held_to_64_bits(evaluate):
    assert evaluate("(row.a + row.b) - row.b", {"a": 2**63 - 1, "b": 1}) is None
    assert evaluate("float(row.a) + row.b - row.b", {"a": 2**63 - 1, "b": 1}) == 2.0**63


def test_an_int_meets_a_float_as_the_nearest_float(evaluate):
    assert evaluate("9007199254740993 == 9007199254740992.0") is True
    assert evaluate("row.a == row.x", {"a": 2**53 + 1, "x": 2.0**53}) is True
    assert evaluate("row.a in [9007199254740992.0]", {"a": 2**53 + 1}) is True


# New York's clocks go from 02:00 to 03:00 on 2013-03-10 at 07:00 UTC, back from 02:00 to 01:00 on 2013-11-03
# at 06:00 UTC.
CLOCKS = [
    (datetime(2013, 3, 10, 6, 59, 59, 999999, tzinfo=UTC), 1, 119, 6),
    (datetime(2013, 3, 10, 7, 0, tzinfo=UTC), 3, 180, 6),
    (datetime(2013, 11, 3, 5, 30, tzinfo=UTC), 1, 90, 6),
    (datetime(2013, 11, 3, 6, 30, tzinfo=UTC), 1, 90, 6),
    (datetime(2013, 11, 4, 4, 59, tzinfo=UTC), 23, 1439, 6),
    (datetime(2013, 11, 4, 5, 0, tzinfo=UTC), 0, 0, 0),
    (datetime(2012, 2, 29, 23, 0, tzinfo=UTC), 18, 1080, 2),
    (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), None, None, None),
    (datetime(2100, 1, 1, tzinfo=UTC), None, None, None),
    (datetime(9999, 12, 31, 23, tzinfo=UTC), None, None, None),
    (datetime(1, 1, 1, tzinfo=UTC), None, None, None),
]


@pytest.mark.parametrize(("t", "hour", "minute", "day"), CLOCKS)
def test_clocks_of_new_york(t, hour, minute, day, evaluate):
    assert evaluate("hour(row.t, 'America/New_York')", {"t": t}) == hour
    assert evaluate("minute_of_day(row.t, 'America/New_York')", {"t": t}) == minute
    assert evaluate("day_of_week(row.t, 'America/New_York')", {"t": t}) == day


def test_clocks_of_a_zone_with_half_hours(evaluate):
    assert (
        evaluate("minute_of_day(row.t, 'Australia/Lord_Howe')", {"t": datetime(2013, 7, 1, tzinfo=UTC)})
        == 630
    )
    assert (
        evaluate("minute_of_day(row.t, 'Australia/Lord_Howe')", {"t": datetime(2013, 1, 1, tzinfo=UTC)})
        == 660
    )


def test_minutes_between_counts_instants_over_a_change_of_clocks(evaluate):
    row = {"a": datetime(2013, 3, 10, 6, 30, tzinfo=UTC), "b": datetime(2013, 3, 10, 7, 30, 30, tzinfo=UTC)}
    assert evaluate("minutes_between(row.a, row.b)", row) == 60.5


def test_timestamps_pass_through_if_and_min(evaluate):
    row = {"t": datetime(2013, 1, 1, tzinfo=UTC), "u": datetime(2014, 1, 1, tzinfo=UTC)}
    assert evaluate("min(row.t, row.u)", row) == row["t"]
    assert evaluate("row.t if row.t < row.u else row.u", row) == row["t"]


def test_an_empty_training_set_leaves_normalize_without_an_answer(evaluate):
    assert evaluate("normalize(row.x)", {"x": 1.0}, [{"x": None}]) is None
    assert evaluate("vocabulary(row.x)", {"x": "a"}, [{"x": None}], kinds={"x": "str"}) == 1


def test_vocabulary_orders_equally_frequent_words_by_text(evaluate):
    training = [{"x": word} for word in ["b", "c", "a", "c", None, "b", "d"]]
    codes = [
        evaluate("vocabulary(row.x, size=3)", {"x": word}, training) for word in ["b", "c", "a", "d", "z"]
    ]
    assert codes == [2, 3, 4, 1, 1]
    assert evaluate("vocabulary(row.x)", {"x": None}, training) == 0
