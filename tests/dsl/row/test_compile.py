"""The row back end: what it accepts, and that it computes common parts once and only where they are needed."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest

from dsl import InputError, Schema, compile_features
from dsl.row.compile import Writer

SCHEMA = Schema(
    {
        "x": "float",
        "y": "float",
        "i": "int",
        "b": "bool",
        "s": "str",
        "t": "timestamp",
        "l": "list[int]",
        "f": "list[float]",
    }
)


def source(**features):
    """The generated source of some features."""
    return Writer(list(compile_features(features, SCHEMA)._lowered.values())).source()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", "1", "input 'x': expected a number, got '1' of type str"),
        ("x", True, "input 'x': expected a number, got True of type bool"),
        ("x", [1], "input 'x': expected a number, got [1] of type list"),
        ("x", Decimal("sNaN"), "input 'x': expected a number, got Decimal('sNaN') of type Decimal"),
        ("x", np.ones(2), "input 'x': expected a number, got array([1., 1.]) of type ndarray"),
        ("i", 1.0, "input 'i': expected an int, got 1.0 of type float"),
        ("i", True, "input 'i': expected an int, got a bool"),
        ("i", 2**63, "input 'i': 9223372036854775808 does not fit in 64 bits"),
        ("b", 1, "input 'b': expected true or false, got 1 of type int"),
        ("s", b"a", "input 's': expected a text, got b'a' of type bytes"),
        ("l", "12", "input 'l': expected a list, got '12' of type str"),
        ("l", 1, "input 'l': expected a list, got 1 of type int"),
        ("l", [1, 0.5], "input 'l[1]': expected an int, got 0.5 of type float"),
        ("f", [None, "x"], "input 'f[1]': expected a number, got 'x' of type str"),
        ("t", "2013-01-01", "input 't': expected a timestamp, got '2013-01-01' of type str"),
        (
            "t",
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
            "input 't': 0001-01-01T00:00:00+14:00 lies outside the years 1 to 9999 of UTC",
        ),
        (
            "t",
            datetime(2013, 1, 1),
            "input 't': 2013-01-01T00:00:00 has no time zone; hand in an aware datetime",
        ),
    ],
)
def test_a_value_of_another_type_is_an_error_naming_the_input(name, value, message):
    features = compile_features({"f": f"row.{name}"}, SCHEMA)
    with pytest.raises(InputError) as caught:
        features.row({name: value})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("x", 1, 1.0),
        ("x", 10**400, None),
        ("x", np.float32(0.5), 0.5),
        ("x", np.float64("nan"), None),
        ("i", np.int32(7), 7),
        ("b", np.bool_(True), True),
        ("s", np.str_("a"), "a"),
        ("l", [1, None], (1, None)),
        ("l", np.array([1, 2], np.int32), (1, 2)),
        ("f", (1, float("nan"), 0.5), (1.0, None, 0.5)),
        ("t", datetime(2013, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), datetime(2013, 1, 1, tzinfo=UTC)),
    ],
)
def test_values_of_kindred_types_are_brought_to_the_declared_one(name, value, accepted):
    (result,) = compile_features({"f": f"row.{name}"}, SCHEMA).row({name: value})
    assert result == accepted
    assert type(result) is type(accepted)


def test_what_two_features_share_is_computed_once():
    written = source(a="log(row.x + 1) * 2", b="log(row.x + 1) / row.y", c="max(log(row.x + 1), 0)")
    assert written.count("log(") == 1


def test_one_clock_serves_several_parts():
    written = source(a="hour(row.t, 'America/New_York')", b="day_of_week(row.t, 'America/New_York')")
    assert written.count("astimezone") == 1


def test_a_side_of_an_if_is_computed_only_when_taken():
    written = source(a="exp(log(row.x)) if row.b else 0")
    before, _, after = written.partition("if i1:")
    assert "log(" not in before
    assert "log(" in after


def test_constants_are_folded():
    assert "return [7, True, 'a']".replace("'a'", "c1") in source(a="1 + 2 * 3", b="1 < 2", c="lower('A')")


def test_sums_of_small_ints_need_no_check_of_64_bits():
    assert "9223372036854775807 <=" not in source(a="hour(row.t) * 60 + 5")
    assert source(a="row.i // 100 * 60 + row.i % 100").count("9223372036854775807") == 1  # that of the input
    assert source(a="row.i + 1").count("9223372036854775807") == 2


def test_generated_source_has_no_builtins():
    assert Writer([]).names["__builtins__"] == {}
