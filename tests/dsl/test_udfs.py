"""Functions of a project: signatures, allowed code, null, errors, vectorised functions, storage."""

import copy
import re
import time
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl import (
    CompiledFeatures,
    InputError,
    LanguageErrors,
    NotFittedError,
    Schema,
    StoredFormError,
    UdfError,
    compile_features,
    parse_udfs,
)
from dsl.tools.check_udf_columns import differences

SOURCE = '''"""Functions."""
import math
from datetime import datetime, timedelta

import polars as pl

LEAST = 1.0


def speed(distance: float, minutes: float | None) -> float:
    """Miles a minute."""
    return distance / (minutes or LEAST)


def speed_columns(distance, minutes):
    return distance / pl.when(minutes != 0).then(minutes).otherwise(LEAST)


def root(x: float) -> float:
    return math.sqrt(x)


def first(items: list[str]) -> str | None:
    return _first(items)


def _first(items):
    return items[0] if items else None


def later(t: datetime, days: int) -> datetime:
    return t + timedelta(days=days)


def wrong(x: float) -> int:
    return "one" if x == 1 else 2**70 if x == 2 else None if x == 3 else 7


def endless(x: float) -> float:
    return x * math.inf
'''
UDFS = parse_udfs(SOURCE)
COLUMNS = {"x": "float", "y": "float", "i": "int", "s": "str", "l": "list[str]", "t": "timestamp"}
SCHEMA = Schema(COLUMNS, udfs=UDFS)
TYPES = {"x": pl.Float64, "y": pl.Float64, "i": pl.Int64, "s": pl.String, "l": pl.List(pl.String)}
TYPES |= {"t": pl.Datetime("us", "UTC")}


def both(expression, rows):
    """The values by row, after making sure that columns give the same."""
    features = compile_features({"f": expression}, SCHEMA)
    values = [features.row(row)[0] for row in rows]
    frame = pl.DataFrame([{"i": None, **row} for row in rows], schema=TYPES)
    assert features.columns(frame)["f"].to_list() == values
    assert [features.columns(frame[at : at + 1])["f"][0] for at in range(len(rows))] == values
    return values


def test_a_function_is_called_by_row_and_by_column():
    rows = [{"x": 4.0, "y": 2.0}, {"x": 4.0, "y": None}, {"x": None, "y": 2.0}, {"x": 6.0, "y": 0.0}]
    assert both("udfs.speed(row.x, row.y)", rows) == [2.0, 4.0, None, 6.0]
    assert both("udfs.speed(minutes=row.y, distance=row.x) + 1", rows) == [3.0, 5.0, None, 7.0]
    assert both("coalesce(udfs.root(row.x), -1)", rows) == [2.0, 2.0, -1.0, 6.0**0.5]
    assert both("udfs.speed(row.i, 2)", [{"i": 3}]) == [1.5], "an int becomes a float"
    assert both("udfs.speed(3, 2)", [{}, {}]) == [1.5, 1.5]
    assert both("udfs.first(row.l)", [{"l": ["a", "b"]}, {"l": []}, {"l": None}]) == ["a", None, None]
    assert both("udfs.endless(row.x)", [{"x": 1.0}]) == [None], "infinity is null"
    moment = datetime(2012, 2, 28, tzinfo=UTC)
    assert both("udfs.later(row.t, row.i)", [{"t": moment, "i": 2}]) == [datetime(2012, 3, 1, tzinfo=UTC)]


def test_types_and_nulls_come_from_the_annotations():
    features = compile_features({"f": "udfs.speed(row.x, row.y)", "g": "udfs.first(row.l)"}, SCHEMA)
    assert features.types == {"f": "float", "g": "str"}
    assert features.inputs.nullable == {"y"}
    assert UDFS.vectorised == ("speed",)
    assert list(UDFS.functions) == ["speed", "root", "first", "later", "wrong", "endless"]


@pytest.mark.parametrize(
    ("expression", "row", "message"),
    [
        ("udfs.root(row.x)", {"x": -1.0}, "udfs.root(-1.0): raises ValueError: math domain error"),
        (
            "udfs.wrong(row.x)",
            {"x": 1.0},
            "udfs.wrong(1.0): must return int: expected an int, got 'one' of type str",
        ),
        (
            "udfs.wrong(row.x)",
            {"x": 2.0},
            "udfs.wrong(2.0): must return int: 1180591620717411303424 does not fit in 64 bits",
        ),
        ("udfs.wrong(row.x)", {"x": 3.0}, "udfs.wrong(3.0): returns None; it must return int"),
    ],
)
def test_a_function_that_fails_is_named_with_its_arguments_and_the_row(expression, row, message):
    features = compile_features({"f": expression}, SCHEMA)
    with pytest.raises(UdfError) as caught:
        features.row(row)
    assert str(caught.value) == message
    name, rest = message.split(":", 1)
    frame = pl.DataFrame([{}, {"x": 9.0}, row], schema=TYPES)
    with pytest.raises(UdfError) as caught:
        features.columns(frame)
    assert str(caught.value) == f"{name} (row 2):{rest}"


@pytest.mark.parametrize(
    ("written", "message", "suggestion"),
    [
        ("udfs.sped(row.x, row.y)", "there is no function 'udfs.sped'", "did you mean udfs.speed(…)?"),
        ("udfs._first(row.l)", "there is no function 'udfs._first'", "did you mean udfs.first(…)?"),
        ("speed(row.x, row.y)", "there is no function 'speed'", "did you mean udfs.speed(…)?"),
        ("udfs.root(row.s)", "udfs.root takes (x: float), not (str)", None),
        ("udfs.root(row.x, row.x)", "udfs.root takes (x: float), not (float, float)", None),
        ("udfs.root", "udfs.root is a function", "write udfs.root(…)"),
    ],
)
def test_mistakes_in_calls(written, message, suggestion):
    with pytest.raises(LanguageErrors) as caught:
        compile_features({"f": written}, SCHEMA)
    (error,) = caught.value.errors
    assert (error.message, error.suggestion) == (message, suggestion)


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("def f(x: float) -> float\n  pass", 1, "not valid Python: expected ':'"),
        ("import os", 1, "os cannot be imported here"),
        ("from subprocess import run", 1, "subprocess cannot be imported here"),
        ("from . import x", 1, ". cannot be imported here"),
        ("print(1)", 1, "a file of functions holds imports, constants and functions only"),
        ("def f(x: float) -> float:\n    return open(x)", 2, "open is not allowed"),
        ("def f(x: float) -> float:\n    return eval('x')", 2, "eval is not allowed"),
        ("def f(x: float) -> float:\n    return x.__class__", 2, "__class__ is not allowed"),
        ("def f(x: float) -> float:\n    return __builtins__", 2, "__builtins__ is not allowed"),
        ("def f(x: float) -> float:\n    global y\n    return x", 2, "global is not allowed"),
        ("class A: pass", 1, "a file of functions holds"),
        ("@cache\ndef f(x: float) -> float: return x", 1, "a function of features has no decorators"),
        ("def f(x) -> float: return x", 1, "x needs a type"),
        ("def f(x: list) -> float: return x", 1, "x needs a type"),
        ("def f(x: complex) -> float: return x", 1, "complex is not allowed"),
        ("def f(x: float): return x", 1, "f needs the type that it returns"),
        ("def f(x: float = 1) -> float: return x", 1, "f must take plain parameters"),
        ("def f(*x: float) -> float: return x", 1, "f must take plain parameters"),
        ("def f() -> float: return 1.0", 1, "f takes no parameter"),
        (
            "def f(x: float) -> float: return x\ndef f_columns(y): return y",
            2,
            "the vectorised function does not take the parameters of f",
        ),
    ],
)
def test_what_is_not_allowed_in_the_file_is_said_at_its_place(source, line, message):
    with pytest.raises(LanguageErrors) as caught:
        parse_udfs(source)
    found = [(error.line, error.message[: len(message)]) for error in caught.value.errors]
    assert (line, message) in found


def test_parsing_runs_nothing():
    udfs = parse_udfs("A = 1 / 0\n\n\ndef f(x: float) -> float:\n    return x\n")
    features = compile_features({"f": "udfs.f(row.x)"}, Schema({"x": "float"}, udfs=udfs))
    features = CompiledFeatures.from_json(features.to_json())
    with pytest.raises(UdfError, match=r"udfs.py: cannot be loaded: ZeroDivisionError: division by zero"):
        features.row({"x": 1.0})


def test_the_source_travels_with_the_features_under_its_hash():
    features = compile_features({"f": "udfs.speed(row.x, row.y)", "g": "row.x"}, SCHEMA)
    written = features.to_json()
    assert written["udfs"]["source"] == SOURCE
    again = CompiledFeatures.from_json(written)
    assert again.to_json() == written
    assert again.row({"x": 4.0, "y": 2.0}) == [2.0, 4.0]
    assert "udfs" not in compile_features({"g": "row.x"}, SCHEMA).to_json()
    other = copy.deepcopy(written)
    other["udfs"]["source"] = SOURCE.replace("minutes or LEAST", "minutes or 2.0")
    with pytest.raises(StoredFormError, match="stored functions are version"):
        CompiledFeatures.from_json(other)
    for broken in ({"source": "import os", "version": ""}, {}, None):
        with pytest.raises(StoredFormError):
            CompiledFeatures.from_json({**written, "udfs": broken})
    del other["udfs"]
    with pytest.raises(StoredFormError, match=r"has no 'udfs.speed'"):
        CompiledFeatures.from_json(other)


def test_a_fitted_function_learns_from_a_function_of_the_project():
    features = compile_features({"f": "normalize(udfs.root(row.x))"}, SCHEMA)
    with pytest.raises(NotFittedError):
        features.row({"x": 4.0})
    fitted = features.fitted(features.aggregate(pl.DataFrame({"x": [1.0, 9.0]})))
    assert fitted.row({"x": 9.0}) == [1.0], "mean 2, deviation 1"


def test_a_vectorised_function_that_means_the_same_is_found_to():
    assert list(differences(UDFS)) == []


@pytest.mark.parametrize(
    ("body", "vectorised", "message"),
    [
        ("max(x, 0.0)", "x", "f_columns gives"),
        ("x / 3.0", "x * (1 / 3.0)", "f_columns gives"),
        ("x", "x.otherwise(1)", "f_columns raises AttributeError"),
        ("x", "x.str.len_chars()", "f_columns raises"),
    ],
)
def test_a_vectorised_function_that_means_something_else_is_found(body, vectorised, message):
    source = f"import polars as pl\ndef f(x: float) -> float: return {body}\ndef f_columns(x): return {vectorised}\n"
    ((name, problem),) = differences(parse_udfs(source))
    assert name == "f"
    assert problem.startswith(message)


@pytest.mark.parametrize(
    ("body", "line", "column", "message"),
    [
        ("9" * 5_000, 2, None, "the number has too many digits"),
        ("(" * 3_000 + "x" + ")" * 3_000, 2, None, "not valid Python: too many nested parentheses"),
        ("-" * 90_000 + "x", 1, 1, "not valid Python: it is nested too deep"),
        ("x" + ".real" * 20_000, 1, 1, "not valid Python: it is nested too deep"),
        ("x\n    break", 3, 5, "not valid Python: 'break' outside loop"),
        ("'\ud800'", 2, 13, "'\\ud800' is no character of a text"),
        ("'\\ud800'", 2, 12, "half of a surrogate pair is not text"),
        ("x\x00", 2, 13, "'\\x00' is no character of a text"),
        ("x\n\ufeff", 3, 1, "not valid Python: invalid non-printable character U+FEFF"),
        ("len('éé') + open(x)", 2, 24, "open is not allowed in a function of features"),
    ],
    ids=[
        "digits",
        "brackets",
        "signs",
        "attributes",
        "compiler",
        "half",
        "escaped half",
        "null",
        "mark",
        "column",
    ],
)
def test_no_source_ends_the_check_with_anything_but_an_error_at_a_place(body, line, column, message):
    with pytest.raises(LanguageErrors) as caught:
        parse_udfs(f"def f(x: float) -> float:\n    return {body}")
    error = caught.value.errors[0]
    assert (error.line, error.message) == (line, message)
    assert column is None or error.column == column
    str(caught.value).encode()


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_lines_end_as_python_says_and_a_byte_order_mark_is_no_part_of_the_source(end):
    with pytest.raises(LanguageErrors) as caught:
        parse_udfs(f"\ufeff# functions{end}import os{end}")
    (error,) = caught.value.errors
    assert (error.line, error.excerpt()) == (2, "import os\n^^^^^^^^^")
    source = f"def f(x: float) -> float:{end}    return x{end}"
    assert parse_udfs("\ufeff" + source).version == parse_udfs(source).version


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 10 ** 6000", "must return int: a number of 19932 bits does not fit in 64 bits"),
        ("raise KeyError(10 ** 6000)", "raises KeyError"),
        ("return [10 ** 6000]", "must return int: expected an int, got a value of type list"),
        ("return f(x)", "raises RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_what_cannot_be_written_out_is_told_without_it(body, message):
    call = parse_udfs(f"def f(x: float) -> int:\n    {body}").caller("f")
    with pytest.raises(UdfError) as caught:
        call(1.0)
    assert message in str(caught.value)


def test_half_a_surrogate_pair_is_no_text_of_a_function_nor_of_a_row():
    message = "character 2 of the text is half of a surrogate pair, which is no character"
    with pytest.raises(UdfError, match=message):
        parse_udfs("def f(x: int) -> str: return 'é' + chr(x)").caller("f")(0xD800)
    for expression in (
        "row.s",
        "lower(row.s)",
        "hash_bucket(row.s, 3)",
        "matches(row.s, 'a')",
        "element(row.l, 0)",
    ):
        for row in ({"s": "é\udc00", "l": ["é\udc00"]},):
            with pytest.raises(InputError, match=message):
                compile_features({"f": expression}, SCHEMA).row(row)
    assert compile_features({"f": "row.s"}, SCHEMA).row({"s": "é😀"}) == ["é😀"]


def mistakes(source):
    """The errors of a source."""
    try:
        parse_udfs(source)
    except LanguageErrors as errors:
        return errors.errors
    return []


@given(data=st.data())
def test_any_source_holds_functions_or_mistakes_at_their_places(data):
    start = data.draw(st.integers(0, len(SOURCE)))
    end = data.draw(st.integers(start, min(len(SOURCE), start + 12)))
    pieces = [
        "",
        "\ud800",
        "\x00",
        "\ufeff",
        "(",
        "'",
        "\n",
        "\r",
        "\x0c",
        "    ",
        "{1}",
        ".__class__",
        "é = ",
        "@",
    ]
    source = SOURCE[:start] + data.draw(st.sampled_from(pieces) | st.text(max_size=4)) + SOURCE[end:]
    lines = len(re.split("\r\n|\r|\n", source))
    for error in mistakes(source):
        assert 1 <= error.line <= lines
        assert error.column >= 1
        str(error).encode()


@pytest.mark.parametrize(
    "body",
    [
        "x" + "|x" * 900,
        "x" + ".real" * 900,
        "len({1}" + "|{1}" * 800 + ")",
        "\n".join(f"    zz{place}qwer(x)" for place in range(5_000)),
        "\n".join(f"    a{place} = a{place + 1}" for place in range(9_000)) + "\n    a9000 = {1}",
    ],
    ids=["deep", "long", "sets", "unknown", "names"],
)
def test_a_large_source_is_checked_quickly(body):
    begin = time.process_time()
    errors = mistakes(f"def f(x: float) -> float:\n    return {body}")
    assert time.process_time() - begin < 5.0
    assert len(errors) <= 100
    assert not errors or errors[0].line <= 3
