"""Patterns: what is allowed, what is found, and that no pattern takes long."""

import re
import time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.regex import compile_pattern, extractor, finder, problem

REFUSED = {
    "(?=a)": "character 1 of the pattern: of the (?…) forms only (?:…) is part of patterns",
    "(?i)a": "character 1 of the pattern: of the (?…) forms only (?:…) is part of patterns",
    r"a\b": r"character 2 of the pattern: \b is not part of patterns",
    r"(a)\1": r"character 4 of the pattern: \1 is not part of patterns",
    "a*?": "character 3 of the pattern: a repeat cannot be repeated, nor be made lazy; put it in (?:…)",
    "a++": "character 3 of the pattern: a repeat cannot be repeated, nor be made lazy; put it in (?:…)",
    "*a": r"character 1 of the pattern: nothing to repeat; the character itself is \*",
    "a{2": r"character 2 of the pattern: a count is written {m}, {m,} or {m,n}; the character itself is \{",
    "a{101}": "character 2 of the pattern: a count is at most 100",
    "a{3,2}": "character 2 of the pattern: the counts are the wrong way round, or zero",
    "(a": "character 1 of the pattern: this ( is not closed",
    "a)": "character 2 of the pattern: no ( is open",
    "a]": r"character 2 of the pattern: no [ is open; the character itself is \]",
    "[a": "character 1 of the pattern: this [ is not closed",
    "[]a]": "character 1 of the pattern: no character is in this set",
    "[z-a]": "character 2 of the pattern: the range is the wrong way round",
    r"[\d-z]": "character 2 of the pattern: a range goes from one character to another",
    "(a)(b)": "character 4 of the pattern: only one pair of brackets can be extracted; write the others (?:…)",
    "(a)+": "character 4 of the pattern: what is extracted cannot be repeated; put the repeat inside the brackets",
    "(?:a?)*": "character 7 of the pattern: what is repeated can be empty",
    "a^": "character 2 of the pattern: ^ stands only at the beginning of the pattern",
    "a$b": "character 2 of the pattern: $ stands only at the end of the pattern",
    "^a|b": "character 1 of the pattern: put the alternatives in brackets, such as ^(?:a|b)$",
    "a" * 201: "character 201 of the pattern: a pattern has at most 200 characters",
    "(?:[^a]{100}){11}": "character 1 of the pattern: with its counts written out, it has more than 1000 characters",
    "a[\ud83d]": r"character 3 of the pattern: '\ud83d' is half a character, which no text holds",
    "(?:[acegikmoqsuwy]{100}){8}": (
        "character 1 of the pattern: with its counts written out, its sets have more than 10000 ranges of characters"
    ),
}
HARD = {
    ".{1,31}(?:a|b)*\\d": "ab",
    "a*a*b": "a",
    "(?:a+)+b": "a",
    "(?:a|a)*b": "a",
    "(?:a|ab|b)*c": "ab",
    ".*.*a": "b",
    "^(?:.*,)*b": "a,",
    "(?:a?b?)c*c": "ab",
    "(?:x+x+)+y": "x",
    "((?:a|b)*(?:a|b)*)c": "ab",
}
"""Patterns with which an engine that tries every way takes years, and what makes it."""
EVERYDAY = [
    "a",
    "^.*-(\\d+)$",
    "[A-Z]{2}",
    "(?:JFK|JAX|EWR)",
    "a*b",
    "^(?:a|b)*c",
    "(?:ab)+c",
    "[^,]*,[^,]*,",
    "\\s+$",
]


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_is_no_pattern_says_why_and_where(pattern):
    assert problem(pattern) == REFUSED[pattern]


_ATOMS = st.sampled_from(["a", "b", "é", ".", "[ab]", "[^a]", r"\d", r"\s", r"\W", r"\.", "-", "0"])


def _larger(inner):
    repeats = st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}", "{0,}"])
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, repeats).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
    )


_BODIES = st.recursive(_ATOMS, _larger, max_leaves=8)
_PATTERNS = st.tuples(
    st.sampled_from(["", "^"]),
    _BODIES | st.tuples(_BODIES, _BODIES, _BODIES).map(lambda parts: "{}({}){}".format(*parts)),
    st.sampled_from(["", "$"]),
).map("".join)
_TEXTS = st.text(st.sampled_from("abé0 .-\n\r\x00\u0661\u2028😀"), max_size=12)


def by_column(pattern, text):
    """The match and the extracted text according to Polars."""
    column, compiled = pl.select(pl.lit(text).alias("text")), compile_pattern(pattern)
    found = column["text"].str
    return found.contains(compiled.source).item(), found.extract(compiled.source, compiled.group).item()


@given(pattern=_PATTERNS, text=_TEXTS)
def test_both_engines_find_what_the_pattern_as_written_finds(pattern, text):
    if problem(pattern):
        return
    # Python reads the pattern itself, with ASCII classes and $ as the end of the text.
    written = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    expected = re.compile(written, re.ASCII).search(text)
    wanted = expected is not None, expected and expected[compile_pattern(pattern).group]
    assert (finder(pattern)(text), extractor(pattern)(text)) == wanted
    assert by_column(pattern, text) == wanted


@given(text=st.text(max_size=30) | st.text(st.sampled_from("()[]{}^$|*+?\\a-,0:"), max_size=15))
def test_any_text_is_a_pattern_or_a_pattern_error(text):
    if said := problem(text):
        place = int(said.split()[1])
        assert 1 <= place <= len(text) + 1
        return
    assert by_column(text, "a") == (finder(text)("a"), extractor(text)("a"))


@pytest.mark.parametrize("pattern", HARD)
def test_no_pattern_takes_long_in_either_engine(pattern):
    text = HARD[pattern] * (65_536 // len(HARD[pattern]))
    start = time.process_time()
    assert (finder(pattern)(text), extractor(pattern)(text)) == (False, None)
    assert by_column(pattern, text) == (False, None)
    assert time.process_time() - start < 1.0


def test_the_largest_patterns_fit_into_both_engines():
    other = "".join(map(chr, range(0x80, 0x10FFFF, 0x10FFFF // 19)))
    for pattern in (
        f"(?:[^{other}]{{47}}){{10}}",
        f"(?:[{other}]{{100}}){{4}}",
        "(?:.{100}){10}",
        "(?:.{0,100}a){9}",
        "(?:(?:a|b){100}){5}",
        "(?:" * 47 + "a" + ")" * 47,
    ):
        assert problem(pattern) is None, pattern
        assert by_column(pattern, "b" * 20) == (finder(pattern)("b" * 20), extractor(pattern)("b" * 20))


@pytest.mark.parametrize("pattern", EVERYDAY)
def test_everyday_patterns_are_allowed(pattern):
    assert problem(pattern) is None


def test_nested_alternatives_are_checked_quickly():
    start = time.process_time()
    problem("(?:" * 60 + "a" + "|b)" * 18)
    problem("(?:a|" * 35 + "b" + ")" * 20)
    assert time.process_time() - start < 1.0
