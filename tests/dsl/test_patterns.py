"""Patterns: what is allowed, what is found, and that no pattern that is allowed can take long."""

import re
import time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsl.patterns import MAX_SEARCHED, compile_pattern, problem, searcher

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
    "(?:[^a]{100}){11}": "character 1 of the pattern: written out without counts it has more than 1000 characters",
}
SLOW = [
    "a*a*b",
    "(?:a+)+b",
    "(?:a|a)*b",
    "(?:a|ab|b)*c",
    ".*a",
    ".*.*a",
    "^.*.*a",
    "^(?:.*,)*b",
    "(?:a?b?)c*c",
    "x*" * 20,
]
QUICK = [
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


@pytest.mark.parametrize("pattern", SLOW)
def test_patterns_that_could_take_long_are_refused(pattern):
    said = problem(pattern)
    assert said is not None
    assert "too many ways" in said or "can be empty" in said


_ATOMS = st.sampled_from(["a", "b", "é", ".", "[ab]", "[^a]", r"\d", r"\s", r"\W", r"\.", "-", "0"])


def _larger(inner):
    repeats = st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}", "{0,}"])
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, repeats).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
    )


_PATTERNS = st.tuples(
    st.sampled_from(["", "^"]), st.recursive(_ATOMS, _larger, max_leaves=8), st.sampled_from(["", "$"])
).map("".join)
_TEXTS = st.text(st.sampled_from("abé0 .-\n😀"), max_size=12)


@given(pattern=_PATTERNS, text=_TEXTS)
def test_both_engines_find_what_the_pattern_as_written_finds(pattern, text):
    if problem(pattern):
        return
    # Python reads the pattern itself, with ASCII classes and $ as the end of the text.
    written = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    expected = re.compile(written, re.ASCII).search(text)
    found = searcher(pattern).search(text)
    column = pl.select(pl.lit(text).str.extract(compile_pattern(pattern).polars, 0)).item()
    assert (found and found[0]) == (expected and expected[0]) == column


@given(text=st.text(max_size=30) | st.text(st.sampled_from("()[]{}^$|*+?\\a-,0:"), max_size=15))
def test_any_text_is_a_pattern_or_a_pattern_error(text):
    if said := problem(text):
        place = int(said.split()[1])
        assert 1 <= place <= len(text) + 1
        return
    compiled = compile_pattern(text)
    re.compile(compiled.python)
    assert pl.select(pl.lit("a").str.contains(compiled.polars)).item() in (True, False)


@given(pattern=_PATTERNS, piece=st.sampled_from(["a", "b", "ab", "a0", "a-", "é", "0"]))
def test_no_pattern_takes_long(pattern, piece):
    if problem(pattern):
        return
    text = (piece * MAX_SEARCHED)[: MAX_SEARCHED - 1] + "\n"
    start = time.process_time()
    searcher(pattern).search(text)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize("pattern", QUICK)
def test_everyday_patterns_are_allowed(pattern):
    assert problem(pattern) is None


def test_nested_alternatives_are_checked_quickly():
    start = time.process_time()
    problem("(?:" * 60 + "a" + "|b)" * 18)
    problem("(?:a|" * 35 + "b" + ")" * 20)
    assert time.process_time() - start < 1.0
