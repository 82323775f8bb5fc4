"""The specification, docs/reference/language.md: every line of it is quoted here beside what shows that it holds.

A check is an expression with a row and its value (on both back ends), an expression with the error it is refused with,
or the name of a test elsewhere that shows it.
"""

import math
import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from dsl import GroupSchema, LanguageErrors, Schema, compile_features

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "language.md").read_text(encoding="utf-8")
TYPES = {
    "x": "float", "y": "float", "i": "int", "j": "int", "b": "bool", "c": "bool", "s": "str", "r": "str",
    "t": "timestamp", "l": "list[int]", "f": "list[float]", "class": "int",
}  # fmt: skip
POLARS = {"float": pl.Float64, "int": pl.Int64, "bool": pl.Boolean, "str": pl.String}
POLARS |= {
    "timestamp": pl.Datetime("us", "UTC"),
    "list[int]": pl.List(pl.Int64),
    "list[float]": pl.List(pl.Float64),
}
SCHEMA = Schema(TYPES, {"g": GroupSchema({"s": "str"}, {"x": "float"})})
NOON = datetime(2013, 7, 1, 16, 30, tzinfo=UTC)
TOP = 2**63 - 1


def features_of(expression):
    return compile_features({"value": expression}, SCHEMA)


PROMISES = {
    # the opening
    "over `row.name`, the columns of the row": [
        ("row.x + 1", {"x": 0.5}, 1.5),
        "test_features.py::test_names_types_and_inputs_are_what_the_expressions_use",
    ],
    "compare the two bit for bit": [
        "test_equality.py::test_any_expression_means_the_same_by_row_and_by_column"
    ],
    "The functions are in [functions.md]": ["tools/test_reference.py::test_the_page_is_up_to_date"],
    # Syntax
    "Literals: `1`, `0.5`": [
        ("1", {}, 1),
        ("0.5", {}, 0.5),
        ("True", {}, True),
        ("'text'", {}, "text"),
        ("None if True else 1", {}, None),
        ("[1, 2]", {}, [1, 2]),
    ],
    "Arithmetic `+ - * / // % **` and the signs": [
        ("+1 - -2 * 3 ** 2", {}, 19.0),
        ("7 % 4 == 3 and not 1 != 1 or False", {}, True),
        ("1 if 2 >= 2 else 0", {}, 1),
        ("1 in [1]", {}, True),
        ("1 not in [1]", {}, False),
        ("clip(5, high=3, low=1)", {}, 3),
        ("+row.s", "+ needs a number"),
    ],
    "Comparisons chain as in Python": [
        ("0 < row.x < 10", {"x": 10.0}, False),
        ("0 < row.x < 10", {"x": 5.0}, True),
    ],
    "may go over several lines": [("row.x +\n 1", {"x": 1.0}, 2.0)],
    "A column whose name is a word of Python": [("row.class", "this is not an expression")],
    "Nothing else: no assignment": [
        ("x = 1", "one = is not a comparison"),
        ("(x := 1)", "an expression cannot assign"),
        ("[x for x in [1]]", "comprehensions"),
        ("lambda: 1", "functions cannot be made"),
        ("f'{row.x}'", "f-strings"),
        ("row.l[0]", "square brackets do not select"),
        ("row.s.upper()", "only row and store have names"),
        ("import os", "this is not an expression"),
    ],
    "Limits: 4,000 characters, 1,000 parts, 40 levels": [
        ("1" + " " * 4000, "more than 4000"),
        ("+".join(["min(1)"] * 400), "more than 1000 parts|levels deep"),
        ("abs(" * 41 + "1" + ")" * 41, "more than 40 levels"),
    ],
    # Names
    "may use any other of its set by its bare name": [
        "checker/test_named.py::test_a_feature_uses_others_wherever_they_are_written"
    ],
    "the set is `features`, and `define`": [
        "../giornata/documents/test_expressions.py::test_features_and_levels_use_named_expressions",
        "checker/test_named.py::test_what_is_defined_beside_the_features_is_no_feature",
    ],
    "the same as if it were written out in brackets": [
        "checker/test_named.py::test_any_expressions_named_mean_the_same_as_written_out",
        "checker/test_named.py::test_a_shared_expression_is_computed_once",
    ],
    "in a circle are an error": ["checker/test_named.py::test_a_cycle_is_named_where_it_begins"],
    "A name before a bracket is always a function": [
        "checker/test_named.py::test_a_name_and_a_function_of_that_name_are_told_apart"
    ],
    "5,000 parts, 80 levels": [
        "checker/test_named.py::test_expressions_that_double_end_quickly_and_are_limited",
        "checker/test_named.py::test_long_chains_are_limited_and_the_longest_works_everywhere",
    ],
    # The feature store
    "is looked up by the row columns that have the names": [
        ("store.g.x", {"g__x": 2.0}, 2.0),
        "checker/test_check.py::test_a_key_of_another_type_is_an_error",
    ],
    "states the column that holds a key": [
        ("store.g(s=row.r).x", {"g__r__x": 2.0}, 2.0),
        ("store.g(s=lower(row.r)).x", "a key is a column of the row"),
        "test_features.py::test_one_group_by_several_keys_is_several_inputs",
    ],
    "One model may use a group with several keys": [
        ("store.g(s=row.r).x - store.g.x", {"g__r__x": 2.0, "g__x": 0.5}, 1.5),
        "../giornata/serving/test_model.py::test_a_version_may_read_one_group_by_several_keys",
    ],
    "Of a group that has versions": [
        "../giornata/documents/test_feature_groups.py::test_expressions_mean_the_newest_version_of_a_group",
        "../jobs/online/test_schema_evolution.py::test_a_changed_meaning_is_a_new_version_beside_the_old_one",
    ],
    "is the age of the row that was found, in seconds": [
        ("store.g.event_age / 60", {"g__event_age": 90.0}, 1.5),
        "../giornata/stores/test_features.py::test_the_age_of_the_row_found",
        "../jobs/features/test_point_in_time.py::test_offline_is_the_oracle_and_online_is_offline",
    ],
    "null where no row is known, where the newest is older": [
        "../giornata/stores/test_features.py::test_one_group_by_two_keys",
        "../jobs/features/test_point_in_time.py::test_offline_is_the_oracle_and_online_is_offline",
    ],
    # Types
    "`int` (64 bits, signed), `float`": [
        ("row.i", {"i": TOP}, TOP),
        ("row.x", {"x": 0.1}, 0.1),
        ("row.b", {"b": True}, True),
        ("row.s", {"s": "é"}, "é"),
        ("row.t", {"t": NOON}, NOON),
        ("row.l", {"l": [1]}, [1]),
    ],
    "Every value may be null.": [(f"row.{name}", {}, None) for name in TYPES if name != "class"],
    "An int becomes a float where a float is needed": [
        ("row.i + 0.5", {"i": 1}, 1.5),
        ("row.i == 1.0", {"i": 1}, True),
        ("row.i in [1.0]", {"i": 1}, True),
        ("row.i if True else 0.5", {"i": 1}, 1.0),
        ("min(row.i, 1.5)", {"i": 1}, 1.0),
        ("dot(row.l, [0.5])", {"l": [3]}, 1.5),
        ("coalesce(row.l, [0.5])", {"l": [3]}, [3.0]),
    ],
    "It becomes the nearest float": [("9007199254740993 == 9007199254740992.0", {}, True)],
    "Nothing else is converted by itself": [
        ("row.b + 1", "+ needs numbers"),
        ("int(row.b) + 1", {"b": True}, 2),
        ("1 if row.i else 0", "true or false"),
        ("row.s + 1", "+ needs numbers"),
    ],
    # Null
    "Every value is a real value or null.": [
        ("row.x", {"x": math.nan}, None),
        ("row.x", {"x": -math.inf}, None),
    ],
    "NaN and infinity do not exist in the language": [
        ("is_null(row.x)", {"x": math.nan}, True),
        ("coalesce(exp(row.x), 7)", {"x": 1000.0}, 7.0),
    ],
    "So these are null": [
        (written, {}, None)
        for written in (
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
        )
    ],
    "A model therefore never meets an infinite feature": [("1 / row.x", {"x": 0.0}, None)],
    "is null when an argument is null. Exceptions say so": [
        ("row.x + 1", {}, None),
        ("lower(row.s)", {}, None),
        ("is_null(row.x)", {}, True),
        ("coalesce(row.x, 1)", {}, 1.0),
        ("null_if(1, row.i)", {}, 1),
        ("one_hot(row.s, 'a')", {}, 0),
    ],
    "A comparison with null is null": [("row.x == row.y", {}, None), ("row.x == None", "is always null")],
    "`and`, `or`, `not` are Kleene's": [
        ("False and row.b", {}, False),
        ("True or row.b", {}, True),
        ("True and row.b", {}, None),
        ("not row.b", {}, None),
    ],
    "A null condition is not true": [("1 if row.b else 2", {}, 2)],
    "`null in [1, 2]` is null": [
        ("row.i in [1, 2]", {}, None),
        ("row.i in [1, None]", "null is not a member"),
    ],
    "`min` and `max` are null when any argument is null": [
        ("min(row.i, 1)", {}, None),
        ("max(1, 2, row.i)", {}, None),
    ],
    # Integers
    "of ints are ints. **A result beyond 64 bits is null**": [
        ("row.i + 1", {"i": TOP}, None),
        ("(row.i + 1) - 1", {"i": TOP}, None),
        ("abs(row.i)", {"i": -TOP - 1}, None),
        ("row.i * 2 - 1", {"i": 4}, 7),
    ],
    "are floats also for two ints": [("6 / 3", {}, 2.0), ("2 ** 2", {}, 4.0)],
    "`//` rounds down, and `%` has the sign of the divisor": [
        ("-7 // 2", {}, -4),
        ("-7 % 2", {}, 1),
        ("7 % -2", {}, -1),
        ("row.i // -1", {"i": -TOP - 1}, None),
    ],
    "make an int of a float; null beyond 64 bits": [
        ("floor(2.7)", {}, 2),
        ("ceil(2.1)", {}, 3),
        ("round(2.6)", {}, 3),
        ("int(-2.9)", {}, -2),
        ("int(1e19)", {}, None),
        ("9223372036854775808", "does not fit in 64 bits"),
    ],
    # Floats
    "are those of IEEE 754, rounded to the nearest double": [
        ("0.1 + 0.2", {}, 0.30000000000000004),
        ("1e200 * 1e200", {}, None),
    ],
    "`x // y` is the double `x / y` rounded down": [("7.5 // 2", {}, 3.0), ("-7.5 % 2", {}, 0.5)],
    "`round` takes halves to the even neighbour": [
        ("round(0.5)", {}, 0),
        ("round(2.5)", {}, 2),
        ("round(2.675, 2)", {}, 2.68),
    ],
    "`-0.0` equals `0.0`": [("row.x == 0.0", {"x": -0.0}, True), ("1 / (1 / -0.0)", {}, None)],
    "are those of the C library": [
        ("exp(row.x)", {"x": 1.0}, math.exp(1.0)),
        ("log(row.x)", {"x": 3.0}, math.log(3.0)),
        ("sin(row.x)", {"x": 3.0}, math.sin(3.0)),
        ("tanh(row.x)", {"x": 0.3}, math.tanh(0.3)),
    ],
    # Text
    "go by Unicode code points, without normalisation": [
        ("'\\u00e9' == 'e\\u0301'", {}, False),
        ("'Z' < 'a'", {}, True),
    ],
    "`length` counts code points": [
        ("length('e\\u0301')", {}, 2),
        ("upper('straße')", {}, "STRASSE"),
        ("strip('\\u3000a\\x1c')", {}, "a\x1c"),
    ],
    "entered Unicode after version 14": [
        "test_equality.py::test_any_expression_means_the_same_by_row_and_by_column"
    ],
    "look for the text exactly as written, no pattern": [
        ("contains('a', '.')", {}, False),
        ("starts_with('^a', '^')", {}, True),
        ("ends_with('a$', '$')", {}, True),
    ],
    "take a time that grows with the length of the text and no faster": [
        ("matches(row.s, 'a$')", {"s": "a" * 100_000}, True),
        ("extract(row.s, '(a)$')", {"s": "é" * 100_000 + "a"}, "a"),
        "test_regex.py::test_no_pattern_takes_long_in_either_engine",
    ],
    "would make longer than 65,536 characters is null": [
        ("length(concat(row.s, 'b'))", {"s": "a" * 65_535}, 65_536),
        ("concat(row.s, 'b')", {"s": "a" * 65_536}, None),
    ],
    # Lists
    "A list is a row column of a list type": [
        ("split('a-b', '-')", {}, ["a", "b"]),
        ("[1, 2.5]", {}, [1.0, 2.5]),
        ("[1, 'a']", "values of one type"),
        ("[[1]]", "a list holds no lists"),
        "checker/test_check.py::test_a_feature_group_holds_no_lists",
    ],
    "A list may be null, and so may each of its items": [
        ("row.l", {"l": [1, None]}, [1, None]),
        ("row.f", {"f": [math.nan, 1.0, math.inf]}, [None, 1.0, None]),
    ],
    "`length` counts all items": [
        ("length(row.l)", {"l": [1, None]}, 2),
        ("sum(row.l)", {"l": [1, None]}, 1),
        ("mean(row.l)", {"l": [1, None]}, 1.0),
        ("min(row.l)", {"l": [None, 2]}, 2),
        ("sum(row.l)", {"l": []}, 0),
        ("max(row.l)", {"l": []}, None),
    ],
    "`value in items` and `contains(items, value)`": [
        ("1 in row.l", {"l": [None, 1]}, True),
        ("contains(row.l, 2)", {"l": [None, 1]}, False),
    ],
    "`element(items, 0)` is the first item": [
        ("element(row.l, 0)", {"l": [1, 2]}, 1),
        ("element(row.l, -1)", {"l": [1, 2]}, 2),
        ("element(row.l, 2)", {"l": [1, 2]}, None),
        ("element(row.l, -3)", {"l": [1, 2]}, None),
    ],
    "The sum of a list of floats is exact": [
        ("sum([1e16, 1.0, -1e16])", {}, 1.0),
        "functions/test_lists.py::test_sums_do_not_depend_on_the_order_of_items",
    ],
    "`dot`, `norm` and `cosine` are null where": [
        ("dot(row.f, [1, 2])", {"f": [1.0]}, None),
        ("norm(row.f)", {"f": [None]}, None),
        ("cosine(row.f, [1, 2])", {"f": [0.0, 0.0]}, None),
    ],
    "Lists are not compared": [
        ("row.l == row.l", "any type but a list"),
        ("row.l < row.l", "<"),
        ("is_null(row.l)", {}, True),
        ("row.l if True else [1]", {"l": [2]}, [2]),
    ],
    # Time
    "A timestamp is an instant. Handed in it must have a time zone": [
        "row/test_compile.py::test_a_value_of_another_type_is_an_error_naming_the_input",
        "functions/test_table.py::test_minutes_between_counts_instants_over_a_change_of_clocks",
    ],
    "read the clock of a zone, daylight saving time included": [
        ("hour(row.t, 'America/New_York')", {"t": NOON}, 12),
        ("hour(row.t)", {"t": NOON}, 16),
        ("minute_of_day(row.t, 'Asia/Kolkata')", {"t": NOON}, 22 * 60),
        ("hour(row.t, row.s)", "must be a literal"),
        ("hour(row.t, 'Mars/Base')", "there is no time zone"),
    ],
    "A day of the week is 0 for Monday": [("day_of_week(row.t)", {"t": NOON}, NOON.weekday())],
    "Clocks are read for instants from 1970 to 2099": [
        ("hour(row.t)", {"t": datetime(1969, 12, 31, tzinfo=UTC)}, None),
        ("hour(row.t)", {"t": datetime(2100, 1, 1, tzinfo=UTC)}, None),
        ("hour(row.t)", {"t": datetime(2099, 12, 31, 23, tzinfo=UTC)}, 23),
    ],
    # UDFs
    "holds typed Python functions, called as": [
        "test_udfs.py::test_a_function_is_called_by_row_and_by_column"
    ],
    "Parameters and result are annotated": ["test_udfs.py::test_types_and_nulls_come_from_the_annotations"],
    "The file holds imports": [
        "test_udfs.py::test_what_is_not_allowed_in_the_file_is_said_at_its_place",
        "udf_code/test_check.py::test_what_is_more_than_a_value_of_the_arguments_is_refused_at_its_place",
        "udf_code/test_check.py::test_what_to_write_instead_is_said",
    ],
    "Nothing is kept from one call to the next": [
        "udf_code/test_check.py::test_a_constant_that_a_call_could_change_is_refused",
        "udf_code/test_check.py::test_what_only_running_shows_to_be_changeable_cannot_be_loaded",
        "udf_code/test_check.py::test_a_dict_among_the_constants_is_read_only_however_it_is_reached",
    ],
    "A set may be asked what is in it": [
        "udf_code/test_check.py::test_what_is_allowed_gives_the_same_in_processes_with_other_hashes"
    ],
    "These rules keep mistakes out": [
        "udf_code/test_check.py::test_from_nothing_that_is_allowed_does_one_reach_a_module_a_frame_or_the_builtins"
    ],
    "under its SHA-256": ["test_udfs.py::test_the_source_travels_with_the_features_under_its_hash"],
    "is its vectorised form: it computes the same by Polars expressions": [
        "test_udfs.py::test_a_vectorised_function_that_means_something_else_is_found",
        "udf_code/test_check.py::test_a_vectorised_function_sees_no_other_row",
        "../giornata/cli/test_main.py::test_check_tries_out_the_vectorised_functions",
    ],
    "is an error naming the function, its arguments and the row": [
        "test_udfs.py::test_a_function_that_fails_is_named_with_its_arguments_and_the_row",
        "../giornata/serving/test_predictor.py::test_a_function_that_fails_refuses_its_row_alone",
        "../giornata/serving/test_predictor.py::test_a_request_none_of_whose_rows_can_be_answered_is_refused",
    ],
    "NaN and infinity that a function returns are null": [
        "test_udfs.py::test_a_function_is_called_by_row_and_by_column",
        "test_udfs.py::test_a_function_that_fails_is_named_with_its_arguments_and_the_row",
    ],
    # Fitted functions
    "A fitted function learns from the training rows": [
        ("normalize(normalize(row.x))", "cannot be fitted to the result of another"),
        "functions/test_table.py::test_an_empty_training_set_leaves_normalize_without_an_answer",
    ],
    "A function that learns from the label too": [
        "fitting/test_aggregates.py::test_labels_of_other_rows_alone",
        "../jobs/training/test_dataset.py::test_a_label_has_no_part_in_its_own_row",
    ],
    "Learning adds up whole numbers only": [
        "fitting/test_aggregates.py::test_one_partition_and_seventeen_give_the_same_state"
    ],
    "What is learned is part of the stored features": [
        "test_serialization.py::test_any_features_come_back_the_same"
    ],
    # Errors
    "Every mistake of every feature is reported at once": [
        "checker/test_check.py::test_all_mistakes_of_all_features_are_reported_at_once",
        "checker/test_check.py::test_message",
    ],
    # Inputs
    "What is read is told from the expressions": [
        "test_features.py::test_names_types_and_inputs_are_what_the_expressions_use"
    ],
    "A row column may be null in a request": [
        "checker/test_nullability.py::test_which_inputs_may_be_null",
        "../jobs/training/test_dataset.py::test_a_column_may_be_null_where_training_lacked_it_or_no_expression_needs_it",
    ],
    "Constants are folded, and what several expressions share": [
        "row/test_compile.py::test_constants_are_folded",
        "row/test_compile.py::test_what_two_features_share_is_computed_once",
        "polars/test_compile.py::test_what_expressions_share_is_computed_once_and_constants_are_folded",
    ],
    "A model takes the values of its features in single precision": [
        "../giornata/evaluation/test_precision.py::test_days_that_are_written_as_one_number"
    ],
    "A value of another type than declared is an error": [
        "row/test_compile.py::test_a_value_of_another_type_is_an_error_naming_the_input",
        "polars/test_compile.py::test_a_column_of_another_type_is_an_error_naming_the_input",
    ],
}
CHECKS = [pytest.param(check, id=f"{quote} - {number}") for quote, checks in PROMISES.items()
          for number, check in enumerate(checks)]  # fmt: skip


def lines_that_say_something():
    """The page's lines without headings and blocks of code."""
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.S)
    return [line for line in prose.split("\n") if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("line", lines_that_say_something())
def test_every_line_of_the_specification_is_quoted(line):
    assert any(quote in line for quote in PROMISES), "quote it in PROMISES, with what shows that it holds"


@pytest.mark.parametrize("quote", PROMISES)
def test_every_quote_is_in_the_specification(quote):
    assert sum(quote in line for line in lines_that_say_something()) == 1
    assert PROMISES[quote]


def plain(value):
    """A value with lists as lists and times in UTC."""
    if isinstance(value, list | tuple):
        return list(map(plain, value))
    return value.astimezone(UTC) if isinstance(value, datetime) else value


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_promised_holds(check):
    match check:
        case str():
            file, _, name = check.partition("::")
            assert f"def {name}(" in (Path(__file__).parent / file).read_text(encoding="utf-8")
        case expression, str(message):
            with pytest.raises(LanguageErrors, match=message.replace("+", r"\+")):
                features_of(expression)
        case expression, row, value:
            features = features_of(expression)
            (found,) = features.row(row)
            frame = pl.DataFrame(
                [{name: row.get(name) for name in [*TYPES, "g__x", "g__r__x", "g__event_age"]}],
                schema={name: POLARS[kind] for name, kind in TYPES.items()}
                | dict.fromkeys(["g__x", "g__r__x", "g__event_age"], pl.Float64),
            )
            (by_column,) = features.columns(frame).row(0)
            assert repr(plain(found)) == repr(plain(by_column)) == repr(plain(value))
