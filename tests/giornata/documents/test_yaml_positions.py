"""YAML is read as it is meant, its traps are defused, and nothing makes the reader fail in its own way."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from giornata.documents.yaml_positions import YamlFile


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("true", True),
        ("12:30", "12:30"),
        ("2013-10-31", "2013-10-31"),
        ("007", "007"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("-3", -3),
        ("1e3", 1000.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("null", None),
        ("", None),
        ("'3'", "3"),
        (".inf", ".inf"),
    ],
)
def test_plain_scalars_mean_what_they_say(written, meant):
    data = YamlFile("f", f"a: {written}\n").data
    assert data == {"a": meant}
    assert type(data["a"]) is type(meant)


# 1e3 is a number here, as in YAML 1.2 and JSON, and a text to PyYAML, which therefore writes it without quotes.
texts = st.text(st.characters(codec="utf-8"), max_size=20).filter(
    lambda text: not re.fullmatch(r"[-+]?[0-9.]+[eE][-+]?[0-9]+", text)
)
plain_data = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_", min_size=1), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc_", min_size=1), plain_data, min_size=1, max_size=4), st.booleans())
def test_whatever_pyyaml_writes_is_read_as_pyyaml_reads_it(data, flow):
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True)
    file = YamlFile("f", text)
    assert file.problems == []
    assert file.data == yaml.safe_load(text)


@given(st.text(max_size=200))
def test_any_text_is_data_or_a_problem(text):
    file = YamlFile("f", text)
    assert (file.data is not None) or file.problems
    for problem in file.problems:
        assert problem.line >= 1
        assert problem.column >= 1


@given(st.text("ab:{}[]-|>&*!'\"\n ,#?%@`", max_size=60))
def test_any_yaml_like_text_is_data_or_a_problem(text):
    file = YamlFile("f", text)
    assert (file.data is not None) or file.problems


words = st.lists(st.text("abcé.()'\"\\", min_size=1, max_size=6), max_size=4)


@given(words, words, st.sampled_from(["'", '"', ">", "|"]))
def test_a_place_inside_a_text_is_found_however_it_is_written(before, after, style):
    parts = [*before, "X", *after]
    value = " ".join(parts)
    if style == "'":
        written = "'" + value.replace("'", "''") + "'"
    elif style == '"':
        written = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    else:
        written = f"{style}-\n  " + (value if style == "|" else "\n  ".join(parts))
    text = f"# a comment\na: {written}\n"
    file = YamlFile("f", text)
    assert file.data == {"a": value}
    problem = file.text_problem(("a",), value.index("X"), 1, "here")
    above = text[: text.index("X")].split("\n")
    assert (problem.line, problem.column) == (len(above), len(above[-1]) + 1)
    assert problem.excerpt.split("\n")[1] == " " * len(above[-1]) + "^"


def test_a_carriage_return_does_not_shift_places():
    file = YamlFile("f", "a: 1\r\nb: [x, y]\r\n")
    problem = file.value_problem(("b", 1), "here")
    assert (problem.line, problem.column, problem.excerpt) == (2, 8, "b: [x, y]\n       ^")


def test_a_byte_order_mark_is_no_part_of_the_document():
    assert YamlFile("f", "\ufeffa: 1\n").data == {"a": 1}


def test_a_large_file_is_refused():
    assert "larger than" in YamlFile("f", "a: " + "x" * 1_000_000).problems[0].message
