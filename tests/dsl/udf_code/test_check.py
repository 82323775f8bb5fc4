"""Code that a project's functions may contain: no I/O, clock, randomness, state or order of a set, however written."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from statistics import NormalDist, linear_regression
from types import CodeType, FrameType, FunctionType, MappingProxyType, ModuleType, TracebackType
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from dsl import LanguageErrors, UdfError, parse_udfs
from dsl.udf_code.allowed_names import (
    ATTRIBUTES,
    BUILTINS,
    EXPRESSION_ATTRIBUTES,
    INSTEAD,
    MODULES,
    NAMESPACES,
)

IMPORTS = """\
import math, re
import statistics as st
import polars as pl
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo
NAMES = ("a", "b")
CODES = {"a": 1, "b": 2}
KINDS = frozenset(("a", "b"))
"""
LINES = IMPORTS.count("\n")


def function(*body):
    """A file with one function of these lines."""
    return IMPORTS + "def f(x: float) -> str:\n" + "".join(f"    {line}\n" for line in body)


def said(source):
    """The findings in a source: (line within the function, the text marked, message, suggestion)."""
    try:
        parse_udfs(source)
    except LanguageErrors as errors:
        lines = source.split("\n")
        return [
            (
                error.line - LINES - 1,
                lines[error.line - 1][error.column - 1 :][: error.length],
                error.message,
                error.suggestion,
            )
            for error in errors.errors
        ]
    return []


NOT = "is not for functions of features"
REFUSED = [
    # Modules are no values, and have the names that are listed.
    ("return st.sys.modules", "sys", f"statistics.sys {NOT}"),
    ("return re.enum.sys.modules['os'].popen('id')", "enum", f"re.enum {NOT}"),
    ("return math", "math", "math is a module and no value"),
    ("m = [math]", "math", "math is a module and no value"),
    ("return f'{re}'", "re", "re is a module and no value"),
    ("math = x", "math", "math is the module math"),
    ("return [re for re in NAMES]", "re", "re is the module re"),
    ("return lambda st: st.sys", "st", "st is the module statistics"),
    ("from re import A as st", "from re import A as st", "st is the module statistics"),
    ("from re import match as st", "from re import match as st", "st is the module statistics"),
    ("import math as __builtins__", "math as __builtins__", "__builtins__ is not allowed"),
    ("from fractions import sys", "from fractions import sys", f"fractions.sys {NOT}"),
    ("import polars.io", "import polars.io", "polars.io cannot be imported here"),
    ("from polars import read_csv", "from polars import read_csv", f"polars.read_csv {NOT}"),
    ("return foo(x)", "foo", "the name 'foo' is not known"),
    ("return Decimal(x)", "Decimal", "the name 'Decimal' is not known"),
    # Names and attributes that lead out, in every syntax that can say them.
    ("return x.__class__", "__class__", "__class__ is not allowed"),
    ("return f'{x.__class__}'", "__class__", "__class__ is not allowed"),
    ("return f'{1:{x.__doc__}}'", "__doc__", "__doc__ is not allowed"),
    ("return __import__('os')", "__import__", "__import__ is not allowed"),
    ("return sorted(NAMES, __class__=1)", "__class__=1", "__class__ is not allowed"),
    ("__builtins__ = x", "__builtins__", "__builtins__ is not allowed"),
    ("for __debug in NAMES: pass", "__debug", "__debug is not allowed"),
    ("return (lambda __x: 1)(x)", "__x", "__x is not allowed"),
    ("return [__y := 1]", "__y", "__y is not allowed"),
    ("return ᵍetattr(x, 'real')", "ᵍetattr", "getattr is not allowed"),
    ("return x._private", "_private", f"_private {NOT}"),
    ("return (i for i in NAMES).gi_frame", "gi_frame", f"gi_frame {NOT}"),
    ("return f.f_globals", "f_globals", f"f_globals {NOT}"),
    ("return '{0.real}'.format(x)", "format", f"format {NOT}"),
    ("return '{a}'.format_map(CODES)", "format_map", f"format_map {NOT}"),
    ("return str.format", "format", f"format {NOT}"),
    ("x.real = 1", "real", "an attribute cannot be set"),
    ("f.calls = 1", "calls", "an attribute cannot be set"),
    # Clock, chance and what differs between machines.
    ("return datetime.now()", "now", f"now {NOT}"),
    ("return datetime.now(tz=UTC)", "now", f"now {NOT}"),
    ("return date.today()", "today", f"today {NOT}"),
    ("return datetime.fromtimestamp(x)", "fromtimestamp", f"fromtimestamp {NOT}"),
    (
        "return datetime(2013, 1, 1).astimezone()",
        "datetime(2013, 1, 1).astimezone()",
        "the machine's own zone",
    ),
    ("return list(map(datetime.astimezone, []))", "astimezone", "astimezone must be called"),
    ("return st.NormalDist().samples(3)", "samples", f"samples {NOT}"),
    ("return hash(x)", "hash", "hash is not allowed"),
    ("return id(x)", "id", "id is not allowed"),
    # Input and output.
    ("return pl.read_csv('/etc/passwd').item()", "read_csv", f"polars.read_csv {NOT}"),
    ("pl.DataFrame({'a': [1]}).write_csv('a')", "DataFrame", f"polars.DataFrame {NOT}"),
    ("return pl.scan_parquet('a')", "scan_parquet", f"polars.scan_parquet {NOT}"),
    ("return pl.io", "io", f"polars.io {NOT}"),
    ("return pl.plugins", "plugins", f"polars.plugins {NOT}"),
    ("return pl.lit(x).map_elements(f)", "map_elements", f"map_elements {NOT}"),
    ("return pl.lit(x).map_batches(f)", "map_batches", f"map_batches {NOT}"),
    ("return pl.Expr.deserialize('a')", "deserialize", f"deserialize {NOT}"),
    ("return pl.lit(x).str.json_decode()", "json_decode", f"str.json_decode {NOT}"),
    ("return pl.lit(x).str", "str", "str is followed by a method"),
    ("return open('a')", "open", "open is not allowed"),
    ("print(x)", "print", "print is not allowed"),
    # State between calls.
    ("CODES['a'] = x", "CODES['a']", "CODES is made once for all calls"),
    ("CODES['a'] += x", "CODES['a']", "CODES is made once for all calls"),
    ("CODES.update(a=3)", "CODES.update(a=3)", "CODES is made once for all calls"),
    ("return (lambda y, seen=[]: seen)(x)", "[]", "a default is made once and kept between calls"),
    # The order of sets.
    ("return list({'a', 'b'})", "{'a', 'b'}", "a set has no order"),
    ("return [k for k in KINDS]", "KINDS", "a set has no order"),
    ("return ','.join(set(NAMES))", "set(NAMES)", "a set has no order"),
    ("return str({c for c in NAMES})", "{c for c in NAMES}", "a set has no order"),
    ("return f'{KINDS}'", "KINDS", "a set has no order"),
    ("return (*KINDS,)", "KINDS", "a set has no order"),
    ("return KINDS", "KINDS", "a set has no order"),
    ("return sorted(KINDS, key=len)", "KINDS", "a set has no order"),
    ("return dict.fromkeys(KINDS)", "KINDS", "a set has no order"),
    ("return list(CODES.keys() - NAMES)", "CODES.keys() - NAMES", "a set has no order"),
    ("return list(KINDS | set(NAMES))", "KINDS | set(NAMES)", "a set has no order"),
    ("return list(frozenset.union(KINDS))", "frozenset.union(KINDS)", "a set has no order"),
    ("return list(map(set, NAMES))", "set", "a set has no order"),
    ("a, b = set(NAMES), 1; return list(a)", "a", "a set has no order"),
    ("a = b = set(NAMES); return list(b)", "b", "a set has no order"),
    ("a = set(NAMES); return a.pop()", "a", "a set has no order"),
    ("return next(iter(NAMES))", "next", "next is not allowed"),
    # Texts that are none.
    ("return '\\ud800'", "'\\ud800'", "half of a surrogate pair is not text"),
]


@pytest.mark.parametrize(("line", "marked", "message"), REFUSED, ids=[line for line, _, _ in REFUSED])
def test_what_is_more_than_a_value_of_the_arguments_is_refused_at_its_place(line, marked, message):
    found = said(function(line))
    assert any((at, text) == (1, marked) and told.startswith(message) for at, text, told, _ in found), found


def test_a_name_stands_for_one_module_and_no_module_is_emptied_into_the_file():
    (found,) = said("import math as m\nimport re as m\n")
    assert found[2] == "m is the module re"
    (found,) = said("from math import *\n")
    assert found[2] == f"math.* {NOT}"


def test_a_class_pattern_reads_attributes_as_anything_else_does():
    for attribute, message in (("__traceback__", "is not allowed"), ("tb_frame", NOT)):
        body = ["try: 1 / 0", "except ZeroDivisionError as e:", "    match e:"]
        body += [f"        case ZeroDivisionError({attribute}=tb): return str(tb)"]
        assert [(at, told) for at, _, told, _ in said(function(*body))] == [
            (4, f"{attribute} {message}" + (" in a function of features" if "allowed" in message else ""))
        ]
    assert said(function("match date(2013, 1, 1):", "    case date(year=y, month=1): return str(y)")) == []


def test_what_to_write_instead_is_said():
    for line, suggestion in {
        "return datetime.now()": INSTEAD["now"],
        "return pl.col('a')": INSTEAD["col"],
        "return '{}'.format(x)": "write an f-string",
        "return math.squrt(x)": "did you mean math.sqrt?",
        "return NAME": "did you mean NAMES?",
        "return Decimal(x)": "write from decimal import Decimal at the top of the file",
        "return decimal.Decimal(x)": "write import decimal at the top of the file",
        "return math": "write math.name",
        "return list(KINDS)": (
            "go through sorted(…) of it, or make a dict.fromkeys(…), which keeps the order of its items"
        ),
    }.items():
        assert [told for _, _, _, told in said(function(line))] == [suggestion], line


def test_only_the_first_wrong_word_of_a_chain_is_reported():
    assert len(said(function("return re.enum.sys.modules['os'].popen('id').read()"))) == 1


ALLOWED = [
    "return math.sqrt(x) + math.pi",
    "return st.NormalDist(0, 1).cdf(x)",
    "return re.sub(r'\\d+', lambda m: m.group(0)[::-1], 'a12')",
    "return [m.start() for m in re.finditer('a', 'banana')]",
    "return '%s' % x + f'{x:.3f}' + 'a'.join(NAMES).upper().encode().hex()",
    "return (datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=2)).astimezone(ZoneInfo('UTC')).strftime('%H')",
    "return CODES.get('a', 0) + CODES['b'] + sum(CODES.values()) + len([k for k, v in CODES.items()])",
    "found = []; found.append(x); found.sort(reverse=True); return found",
    "seen = set(); seen.add(x); seen |= {1.0}; return len(seen) if x in seen else sorted(seen)",
    "return 'a' in KINDS and not KINDS.isdisjoint(NAMES) and KINDS <= {'a', 'b', 'c'}",
    "return sorted(set(NAMES) - KINDS) + sorted(KINDS.union(NAMES)) + [min(KINDS), max(KINDS)]",
    "return list(dict.fromkeys(NAMES))",
    "a, b = set(NAMES), KINDS; return a == b and bool(a & b) and all(c for c in sorted(a))",
    "return isinstance(x, (set, frozenset)) or isinstance(NAMES, set)",
    "for i, n in enumerate(reversed(NAMES)): x += i\n    return x",
    "try: return 1 / x\n    except ZeroDivisionError as e: raise ValueError(f'{e}') from None",
    "match x:\n        case 0 | 1: return 'a'\n        case [a, *b]: return a\n        case {'k': v, **r}: return v",
    "y: set = {1}; return [z := 2, z, y == {2}][0]",
]


@pytest.mark.parametrize("line", ALLOWED)
def test_everyday_python_is_allowed_and_runs(line):
    assert said(function(line)) == []
    parse_udfs(function(line)).namespace["f"](2.0)


CHANGEABLE = [
    ("SEEN = []", "a list made once could change between calls"),
    ("SEEN = [n for n in NAMES]", "a list made once could change between calls"),
    ("SEEN = ([],)", "a list made once could change between calls"),
    ("SEEN = {'a': [1]}", "a list made once could change between calls"),
    ("SEEN = sorted(NAMES)", "a list made once could change between calls"),
    ("SEEN = [0] * 3", "a list made once could change between calls"),
    ("SEEN = {1, 2}", "a set made once could change between calls"),
    ("SEEN = set()", "a set made once could change between calls"),
    ("SEEN = (n for n in NAMES)", "what was taken from it is gone for the next call"),
    ("SEEN = zip(NAMES, NAMES)", "what was taken from it is gone for the next call"),
    ("CODES['a'] = 3", "a constant is given a plain name"),
    ("NAMES += ('c',)", "a file of functions holds imports, constants and functions only"),
    ("def g(x, seen=[]): return seen", "a default is made once and kept between calls"),
    ("def g(x, *, seen={}): return seen", "a default is made once and kept between calls"),
    ("def g(x, seen=dict()): return seen", "a default is made once and kept between calls"),
]


@pytest.mark.parametrize(("line", "message"), CHANGEABLE)
def test_a_constant_that_a_call_could_change_is_refused(line, message):
    assert message in [told for _, _, told, _ in said(IMPORTS + line)]


@pytest.mark.parametrize(
    "lines",
    [
        "def _make():\n    seen = []\n    def g(x): seen.append(x); return len(seen)\n    return g\nG = _make()",
        "def _list(): return [1]\nSEEN = _list()",
        "def _list(): return [1]\nSEEN = {'a': (_list(),)}",
        "def _list(): return [1]\nADD = _list().append",
        "def _zip(): return zip('ab', 'cd')\nSEEN = _zip()",
        "def _make():\n    seen = []\n    return lambda x: seen.append(x)\nSEEN = {_make(): 1}",
    ],
)
def test_what_only_running_shows_to_be_changeable_cannot_be_loaded(lines):
    udfs = parse_udfs(lines)
    with pytest.raises(UdfError, match=r"(G|SEEN|ADD) is of type .*, which one call could change"):
        _ = udfs.namespace


def test_a_dict_among_the_constants_is_read_only_however_it_is_reached():
    source = (
        "CODES = {'a': {'b': 1}}\nOF = lambda codes=CODES: codes\nGET = CODES.get\n"
        "def f(x: float) -> int:\n    codes = OF()['a'] if x else GET('a')\n    codes['b'] = 2\n    return codes['b']\n"
    )
    call = parse_udfs(source).caller("f")
    for x in (0.0, 1.0):
        with pytest.raises(UdfError, match="'mappingproxy' object does not support item assignment"):
            call(x)


def test_constants_that_cannot_change_are_allowed_and_run():
    source = IMPORTS + (
        "WORD = re.compile('[a-z]+')\nFIND = WORD.search\nEPOCH = datetime(1970, 1, 1, tzinfo=UTC)\nKIND = pl.Int64\n"
        "SIZES = {name: len(name) for name in NAMES}\nPAIRS = tuple(zip(NAMES, range(2)))\nROOT = math.sqrt\n"
        "DOUBLE = lambda x: 2 * x\nA, B = 1, -2.5\nPLACE: str = 'UTC'\nZONE = ZoneInfo(PLACE)\nLAST = None\n"
        "def _add(x, y=A, z=-1, zone=ZONE, pair=(1, 2), e=math.e): return x + y + z\n"
        "def f(x: float) -> float: return DOUBLE(_add(ROOT(x))) + SIZES['a'] + len(FIND('a1').group())\n"
    )
    assert said(source) == []
    assert parse_udfs(source).caller("f")(4.0) == 6.0


@pytest.mark.parametrize(
    ("vectorised", "told"),
    [
        ("x - x.mean()", "mean is not allowed in a vectorised function"),
        ("x.sort()", "sort is not allowed in a vectorised function"),
        ("x.shift(1)", f"shift {NOT}"),
        ("x.over('a')", f"over {NOT}"),
        ("pl.col('a')", f"polars.col {NOT}"),
    ],
)
def test_a_vectorised_function_sees_no_other_row(vectorised, told):
    scalar = "import polars as pl\ndef f(x: float) -> float: return x\n"
    source = f"{scalar}def f_columns(x: pl.Expr): return {vectorised}\n"
    assert [found[2] for found in said(source)] == [told]


_SAMPLES = (
    *(
        "a",
        b"a",
        1,
        1.5,
        1j,
        True,
        None,
        (1,),
        [1],
        {"a": 1},
        {1},
        frozenset((1,)),
        range(3),
        slice(1),
        zip("a"),
    ),
    *(
        datetime(2013, 1, 1, tzinfo=UTC),
        date(2013, 1, 1),
        time(1),
        timedelta(1),
        UTC,
        ZoneInfo("UTC"),
    ),
    *(Fraction(1), Decimal(1), Decimal(1).as_tuple(), NormalDist(), linear_regression((1, 2), (1, 2))),
    *(re.compile("a"), re.match("a", "a"), date(2013, 1, 1).isocalendar()),
    *(pl.lit(1), pl.when(True), pl.when(True).then(1), pl.Int64, pl.Datetime("us", "UTC"), pl.List(pl.Int64)),
    *((i for i in "a"), lambda: 1, len, "a".join, ValueError("a"), MappingProxyType({}), KeyError),
)
_LEADING_OUT = (ModuleType, FrameType, CodeType, TracebackType)


def test_from_nothing_that_is_allowed_does_one_reach_a_module_a_frame_or_the_builtins():
    waiting = [(repr(value)[:30], value) for value in _SAMPLES]
    for module, names in MODULES.items():
        held = importlib.import_module(module)
        waiting += [(f"{module}.{name}", getattr(held, name)) for name in names]
    waiting += [
        (name, getattr(__builtins__, name, None) or __builtins__[name]) for name in BUILTINS - {"None"}
    ]
    unsafe = {
        open,
        eval,
        exec,
        compile,
        getattr,
        setattr,
        vars,
        globals,
        __import__,
        os.system,
        sys.exit,
        input,
    }
    seen = set()
    while waiting:
        path, value = waiting.pop()
        assert not isinstance(value, _LEADING_OUT), path
        assert not (isinstance(value, dict) and "__import__" in value), path
        assert not (inspect.isroutine(value) and value in unsafe), path
        if (type(value), str(value)[:80]) in seen or path.count(".") > 6:
            continue
        seen.add((type(value), str(value)[:80]))
        for name in ATTRIBUTES:
            found = getattr(value, name, None)
            if found is not None:
                waiting.append((f"{path}.{name}", found))
        for group, methods in NAMESPACES.items():
            held = getattr(value, group, None) if isinstance(value, pl.Expr) else None
            waiting += [(f"{path}.{group}.{name}", getattr(held, name)) for name in methods if held]
    assert len(seen) > 500


def test_every_name_that_is_listed_exists_and_none_reads_or_writes():
    for module, names in MODULES.items():
        assert [name for name in names if not hasattr(importlib.import_module(module), name)] == []
    for group, methods in NAMESPACES.items():
        assert [name for name in methods if not hasattr(getattr(pl.lit(1), group), name)] == []
    values = [
        *_SAMPLES,
        *(getattr(importlib.import_module(m), n) for m, names in MODULES.items() for n in names),
    ]
    known = {name for value in values for name in dir(value)}
    assert known >= ATTRIBUTES
    assert {name for name in EXPRESSION_ATTRIBUTES if not hasattr(pl.lit(1), name)} == {
        *("items", "keys", "values", "when", "then", "otherwise")
    }
    listed = ATTRIBUTES.union(*NAMESPACES.values(), MODULES["polars"])
    stems = re.compile(
        "read|scan|write|sink|collect|fetch|serialize|plugin|pipe|map|register|^format|^_|_frame"
    )
    assert [name for name in listed if stems.search(name)] == []
    assert not {type(getattr(importlib.import_module("math"), name)) for name in MODULES["math"]} & {
        FunctionType
    }


def test_what_is_allowed_gives_the_same_in_processes_with_other_hashes():
    source = IMPORTS + "".join(
        f"def f{place}(x: float) -> str:\n    {line}\n" for place, line in enumerate(ALLOWED)
    )
    script = (
        "import sys; from dsl import parse_udfs; n = parse_udfs(sys.stdin.read()).namespace\n"
        f"print([repr(n['f%d' % i](2.0)) for i in range({len(ALLOWED)})])"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", script],
            input=source,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1
