"""Functions of text against Python's own text, exact parsing and limits."""

import random
from fractions import Fraction

import pytest

from dsl import LanguageErrors, Schema, compile_features

TEXTS = ["", "a", "né", "e\u0301", "😀x", "N14228", "aaaa", "a|b", "\u3000", "a\x00b"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    ("start", "length"), [(0, 2), (1, 3), (-2, 2), (-2, 1), (-5, 2), (-5, 9), (9, 1), (0, 0)]
)
def test_slice_takes_the_characters_at_positions(evaluate, text, start, length):
    first = start if start >= 0 else len(text) + start
    expected = "".join(text[place] for place in range(first, first + length) if 0 <= place < len(text))
    assert evaluate(f"slice(row.x, {start}, {length})", {"x": text}) == expected


@pytest.mark.parametrize("text", TEXTS)
def test_padding_counts_characters(evaluate, text):
    missing = "é" * max(0, 4 - len(text))
    assert evaluate("pad_start(row.x, 4, 'é')", {"x": text}) == missing + text
    assert evaluate("pad_end(row.x, 4, 'é')", {"x": text}) == text + missing


@pytest.mark.parametrize("new", ["", "$0", "\\1", "aa", "é"])
def test_replace_takes_old_and_new_as_written(evaluate, new):
    assert evaluate(f"replace(row.x, 'a.', {new!r})", {"x": "a.ba.aab"}) == f"{new}b{new}aab"


def test_texts_cannot_grow_beyond_their_limit(evaluate):
    half = "é" * 2**15
    assert evaluate("length(concat(row.x, row.x))", {"x": half}) == 2**16
    assert evaluate("concat(row.x, row.x, 'a')", {"x": half}) is None
    assert evaluate("length(replace(row.x, 'é', 'ab'))", {"x": half}) == 2**16
    assert evaluate("replace(row.x, 'é', 'abc')", {"x": half}) is None
    assert evaluate("length(cross(row.x, 'a'))", {"x": "é" * (2**16 - 2)}) == 2**16
    assert evaluate("cross(row.x, 'ab')", {"x": "é" * (2**16 - 2)}) is None


INTEGERS = {
    "0": 0,
    "-0": 0,
    "+7": 7,
    " 12\n": 12,
    "\u300012": 12,
    "0" * 5000 + "5": 5,
    "-" + "0" * 5000 + "5": -5,
    "9223372036854775807": 2**63 - 1,
    "-9223372036854775808": -(2**63),
    **dict.fromkeys(
        [
            "",
            " ",
            "-",
            "+",
            "--1",
            "1_0",
            "1 0",
            "1.0",
            "1e3",
            "٣",
            "0x1",
            "9223372036854775808",
            "9" * 5000,
            "\x1c1",
        ]
    ),
}


@pytest.mark.parametrize("text", INTEGERS, ids=lambda text: f"{text!r:.30}")
def test_to_int_reads_digits_and_nothing_else(evaluate, text):
    assert evaluate("to_int(row.x)", {"x": text}) == INTEGERS[text]


@pytest.mark.parametrize(
    "text", ["1", "1.", ".5", "-0.0", "+1e5", "1E-5", "4.9e-324", "2e-324", "1.7976931348623157e308"]
)
def test_to_float_reads_the_nearest_float(evaluate, text):
    assert Fraction(evaluate("to_float(row.x)", {"x": text})) == Fraction(float(Fraction(text)))


def test_to_float_of_long_digits_is_the_nearest_float(evaluate):
    chance = random.Random(4)
    for _ in range(50):
        text = f"{chance.randrange(10**30)}.{chance.randrange(10**30)}e{chance.randint(-60, 60)}"
        assert evaluate("to_float(row.x)", {"x": text}) == float(Fraction(text))


@pytest.mark.parametrize(
    "text", ["", ".", "e5", "1e", "nan", "inf", "Infinity", "1_0", "1,5", "0x1p3", "٣", "1e309"]
)
def test_to_float_of_other_text_is_null(evaluate, text):
    assert evaluate("to_float(row.x)", {"x": text}) is None


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63)])
def test_text_of_ints_comes_back(evaluate, number):
    assert evaluate("str(row.x)", {"x": number}) == f"{number}"
    assert evaluate("to_int(str(row.x))", {"x": number}) == number


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("count(row.s, '')", "part of count: the text to look for is empty"),
        ("replace(row.s, '', 'a')", "old of replace: the text to look for is empty"),
        ("pad_start(row.s, 3, 'ab')", "fill of pad_start: one character is needed, not 2"),
        ("pad_start(row.s, 1001)", "width of pad_start must be from 0 to 1000, not 1001"),
        ("slice(row.s, 0, -1)", "length of slice must be from 0 to 65536, not -1"),
        ("matches(row.s, row.s)", "pattern of matches must be a literal"),
        ("matches(row.s, 'a(b')", "pattern of matches: character 2 of the pattern: this ( is not closed"),
        (
            "format_time(row.t, '%Y-%q')",
            "format of format_time: character 4: %q is not one of %Y %m %d %H %M %S %f %%",
        ),
        (
            "parse_time(row.s, '%Y-%m')",
            "format of parse_time: %d is missing; a time has at least %Y, %m and %d",
        ),
        ("parse_time(row.s, '%Y%m%d %M')", "format of parse_time: %M needs %H"),
        ("parse_time(row.s, '%Y%m%d%d')", "format of parse_time: %d occurs twice"),
        ("winsorize(row.x, 0.5)", "share of winsorize must be from 0 to 0.49, not 0.5"),
        ("bucketize(row.x, row.x)", "boundary of bucketize must be a literal"),
        ("geohash(row.x, row.x, 13)", "precision of geohash must be from 1 to 12, not 13"),
    ],
)
def test_a_constant_that_cannot_be_used_is_an_error_that_says_why(expression, message):
    with pytest.raises(LanguageErrors) as caught:
        compile_features({"f": expression}, Schema({"s": "str", "x": "float", "t": "timestamp"}))
    assert [error.message for error in caught.value.errors] == [message]
