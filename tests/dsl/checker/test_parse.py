"""Text that is no expression: only the language's own error, in bounded time, and nothing runs."""

import ast
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import LanguageErrors, compile_features
from dsl.checker.parse import MAX_DEPTH, MAX_LENGTH

WORDS = [
    *"+-*/%()[]{}.,:;=<>!~^&|@'\"\\#\n\t \0",
    *(
        "row",
        "store",
        "row.x",
        "store.g.x",
        "if",
        "else",
        "and",
        "or",
        "not",
        "in",
        "is",
        "None",
        "True",
        "lambda",
    ),
    *(
        "for",
        "await",
        "yield",
        "print",
        "__import__",
        "__class__",
        "1",
        "1e999",
        "0x",
        "1_0",
        "'a'",
        'f"{x}"',
        "b''",
    ),
    *(
        "**",
        "//",
        ":=",
        "...",
        "==",
        "min(",
        "coalesce(",
        "hour(row.t,",
        "vocabulary(row.s, size=",
        "1j",
        "é",
        "\ud800",
    ),
]


def compiles(text, language):
    """Compiles text; the language's own error is the only one that may come."""
    started = time.perf_counter()
    try:
        compile_features({"f": text}, language.schema)
    except LanguageErrors as errors:
        for error in errors.errors:
            lines = text.split("\n")
            assert 1 <= error.line <= len(lines)
            assert 1 <= error.column <= len(lines[error.line - 1]) + 1
            assert error.length >= 1
            assert str(error)
    assert time.perf_counter() - started < 5


@given(text=st.text(max_size=80) | st.text(string.printable, max_size=80))
def test_any_text_compiles_or_is_the_languages_error(text, language):
    compiles(text, language)


@given(words=st.lists(st.sampled_from(WORDS), max_size=30), glue=st.sampled_from(["", " "]))
def test_any_words_compile_or_are_the_languages_error(words, glue, language):
    compiles(glue.join(words), language)


@settings(max_examples=settings().max_examples // 3)
@given(data=st.data())
def test_expressions_with_a_piece_cut_out_or_put_in_compile_or_are_the_languages_error(data, language):
    text = data.draw(language.expressions)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 4)))
    compiles(text[:start] + data.draw(st.sampled_from(["", *WORDS])) + text[end:], language)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 3000,
        "-" * 3999 + "1",
        "not " * 900 + "row.b",
        "row" + ".a" * 1900,
        "1" * 3999,
        "1" + "+1" * 1900,
        "min(" * 900 + "1" + ")" * 900,
        "[" * 150 + "]" * 150,
        "1" + " if row.b else 1" * 200,
        "9**9**9**9**9",
        "'a'" * 1000,
        "x" * (MAX_LENGTH + 1),
    ],
)
def test_large_and_deep_texts_end_quickly(text, language):
    compiles(text, language)


def test_depth_is_limited_and_said(language):
    with pytest.raises(LanguageErrors, match=f"more than {MAX_DEPTH} levels deep"):
        compile_features({"f": "abs(" * 60 + "1" + ")" * 60}, language.schema)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 +\r2", "the character '\\r' is not allowed in an expression"),
        ("", "the expression is empty"),
        ("  \n ", "the expression is empty"),
        ("1 +", "the expression stops too early"),
        ("(1 + 2", "brackets do not match"),
        ("1 + 2)", "brackets do not match"),
        ("1) + (2", "brackets do not match"),
        ("row.x = 1", "one = is not a comparison"),
        ("1, 2", "an expression has one value, this has several"),
        ("'abc", "unterminated string literal"),
        ("'\\xz'", "an escape in this text is not known or stops too early"),
        ("'\\N{no such}' == 'a'", "an escape in this text is not known or stops too early"),
        ("'a\\d'", "invalid escape sequence '\\d'"),
        ("row.x\u00a0+ 1", "the character '\\xa0' is not allowed in an expression"),
        ("'\ud800'", "the character '\\ud800' is not allowed in an expression"),
        ("'\\ud800'", "half of a surrogate pair is not text"),
    ],
)
def test_syntax_errors_are_said_plainly(text, message, language):
    with pytest.raises(LanguageErrors) as caught:
        compile_features({"f": text}, language.schema)
    assert [error.message for error in caught.value.errors] == [message]


@pytest.mark.parametrize(
    ("text", "column", "marked"),
    [
        ("x = 3", 3, "="),
        ("row.x = 3", 7, "="),
        ("row.x=3", 6, "="),
        ("3 = row.x", 3, "="),
        ("1 if row.x = 3 else 2", 12, "="),
        ("abs(row.x = 3)", 11, "="),
        ("row.x > 2 and row.s = 'a = b'", 21, "="),
        ("(row.x = 3)", 8, "="),
        ("[row.x = 3]", 8, "="),
        ("row.x = row.y = 2", 7, "="),
        ("round(row.x, digits = 2) = 1", 26, "="),
        ("row.x in [1, 2] and\nrow.x = 2 # = 3", 7, "="),
    ],
)
def test_one_equals_sign_is_told_wherever_it_stands(text, column, marked, language):
    with pytest.raises(LanguageErrors) as caught:
        compile_features({"f": text}, language.schema)
    (error,) = caught.value.errors
    assert (error.message, error.suggestion) == ("one = is not a comparison", "write == to compare")
    assert (error.line, error.column, error.length) == (1 + text.count("\n"), column, len(marked))


@pytest.mark.parametrize(
    ("text", "column", "message", "suggestion"),
    [
        ("row.x === 3", 7, "=== is no operator", "write =="),
        ("row.x <> 3", 7, "<> is no operator", "write !="),
        ("row.x => 3", 7, "=> is no operator", "write >="),
        ("row.b && row.b", 7, "&& is no operator", "write and"),
        ("!row.b", 1, "! is no operator", "write not"),
        ("row.x += 3", 7, "an expression cannot assign", None),
        ("row.x := 3", 7, "an expression cannot assign", None),
        ("row.s == 'a\\q'", 1, "invalid escape sequence '\\q'", "a backslash is written \\\\"),
    ],
)
def test_operators_of_other_languages_are_told(text, column, message, suggestion, language):
    with pytest.raises(LanguageErrors) as caught:
        compile_features({"f": text}, language.schema)
    (error,) = caught.value.errors
    assert (error.message, error.suggestion) == (message, suggestion)
    assert column == error.column or "escape" in message


def test_brackets_are_marked_where_they_are(language):
    with pytest.raises(LanguageErrors) as caught:
        compile_features({"f": "abs(row.x) + min(1, 2"}, language.schema)
    assert str(caught.value) == (
        "feature 'f', line 1, column 17: brackets do not match\n"
        "    abs(row.x) + min(1, 2\n"
        "                    ^\n"
        "    check that every ( has its )"
    )


def test_expressions_may_go_over_lines(language):
    features = compile_features({"f": "\n  row.x +  # first\n  1\n"}, language.schema)
    assert features.row({"x": 1.0}) == [2.0]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').abort()",
        "().__class__.__mro__",
        "row.__class__",
        "row.x.__class__",
        "exec('raise SystemExit')",
        "(lambda: 1)()",
        "print(1)",
        "store.__init__.__globals__",
        "f'{__import__(\"os\").abort()}'",
    ],
)
def test_python_that_reaches_further_is_refused(text, language, monkeypatch):
    with pytest.raises(LanguageErrors):
        compile_features({"f": text}, language.schema)


def test_texts_of_literals_never_become_source(language):
    evil = "'); raise SystemExit #{x}{0}"
    features = compile_features({"f": f"row.s == {evil!r}", "g": f"row.s in [{evil!r}]"}, language.schema)
    assert features.row({"s": evil}) == [True, True]
    assert ast.literal_eval(repr(evil)) == evil
