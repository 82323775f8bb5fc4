"""YAML is read as it is meant, its traps are defused, and nothing makes the reader fail in its own way."""

import json
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
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
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


def test_a_large_file_is_refused(tmp_path):
    (tmp_path / "f").write_text("a: " + "x" * 1_000_000)
    assert "larger than" in YamlFile.read(tmp_path / "f", "f").problems[0].message


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("9" * 5_000, "a whole number lies between"),
        (str(2**63), "a whole number lies between"),
        ("1e999", "expected a finite number, found inf"),
        ('"\\ud800"', "half of a character"),
        ('"a\\ude80b"', "half of a character"),
        ('"\\ude80\\ud83d"', "half of a character"),
    ],
)
def test_a_value_that_is_none_is_a_problem_at_its_place(written, said):
    file = YamlFile("f", f"b: [1, {written}]\n")
    (problem,) = file.problems
    assert (problem.line, problem.column, file.unread) == (1, 8, {("b", 1)})
    assert problem.message.startswith(said)


def test_a_key_that_is_no_text_is_a_problem_at_its_place():
    (problem,) = YamlFile("f", 'a: 1\n"\\ud800": 1\n').problems
    assert (problem.line, problem.column) == (2, 1)


@pytest.mark.parametrize("text", ['a: "\\UFFFFFFFF"', "%YAML 1." + "9" * 5_000 + "\n---\na: 1\n"])
def test_what_pyyaml_leaves_to_python_is_a_problem_with_a_place(text):
    (problem,) = YamlFile("f", text).problems
    assert (problem.line, problem.message) == (1, "not valid YAML: no such character or number")


def test_an_emoji_may_be_written_as_json_escapes_it():
    rocket = json.dumps("Hours \N{ROCKET} fly")
    assert rocket == r'"Hours \ud83d\ude80 fly"'
    file = YamlFile("f", f"{rocket}: {rocket}")
    assert file.data == {"Hours \N{ROCKET} fly": "Hours \N{ROCKET} fly"}
    problem = file.text_problem(("Hours \N{ROCKET} fly",), 8, 3, "here")
    assert file.text[problem.column - 1 :][:3] == "fly"
