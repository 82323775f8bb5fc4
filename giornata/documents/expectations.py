"""The expectations of Great Expectations that a feature group may use, with their arguments.

They are listed here so that documents can be checked without importing Great Expectations, which takes seconds.
"""

from typing import Any, NamedTuple

_BOUNDS = ("min_value", "max_value", "strict_min", "strict_max")


class ExpectationSignature(NamedTuple):
    """Arguments of an expectation; `by_row` says whether it is about single rows, so that failing rows can be
    quarantined."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    by_row: bool = False
    any_of: tuple[str, ...] = ()


def _by_row(
    *required: str, optional: tuple[str, ...] = (), any_of: tuple[str, ...] = ()
) -> ExpectationSignature:
    return ExpectationSignature(required, ("mostly", *optional), by_row=True, any_of=any_of)


_BETWEEN = ExpectationSignature(("column",), _BOUNDS, any_of=("min_value", "max_value"))

EXPECTATIONS: dict[str, ExpectationSignature] = {
    "expect_column_distinct_values_to_be_in_set": ExpectationSignature(("column", "value_set")),
    "expect_column_distinct_values_to_contain_set": ExpectationSignature(("column", "value_set")),
    "expect_column_distinct_values_to_equal_set": ExpectationSignature(("column", "value_set")),
    "expect_column_max_to_be_between": _BETWEEN,
    "expect_column_mean_to_be_between": _BETWEEN,
    "expect_column_median_to_be_between": _BETWEEN,
    "expect_column_min_to_be_between": _BETWEEN,
    "expect_column_pair_values_a_to_be_greater_than_b": _by_row(
        "column_A", "column_B", optional=("or_equal", "ignore_row_if")
    ),
    "expect_column_pair_values_to_be_equal": _by_row("column_A", "column_B", optional=("ignore_row_if",)),
    "expect_column_proportion_of_non_null_values_to_be_between": _BETWEEN,
    "expect_column_proportion_of_unique_values_to_be_between": _BETWEEN,
    "expect_column_stdev_to_be_between": _BETWEEN,
    "expect_column_sum_to_be_between": _BETWEEN,
    "expect_column_unique_value_count_to_be_between": _BETWEEN,
    "expect_column_value_lengths_to_be_between": _by_row(
        "column", optional=_BOUNDS, any_of=("min_value", "max_value")
    ),
    "expect_column_value_lengths_to_equal": _by_row("column", "value"),
    "expect_column_values_to_be_between": _by_row(
        "column", optional=_BOUNDS, any_of=("min_value", "max_value")
    ),
    "expect_column_values_to_be_in_set": _by_row("column", "value_set"),
    "expect_column_values_to_be_null": _by_row("column"),
    "expect_column_values_to_be_unique": _by_row("column"),
    "expect_column_values_to_match_regex": _by_row("column", "regex"),
    "expect_column_values_to_not_be_in_set": _by_row("column", "value_set"),
    "expect_column_values_to_not_be_null": _by_row("column"),
    "expect_column_values_to_not_match_regex": _by_row("column", "regex"),
    "expect_compound_columns_to_be_unique": _by_row("column_list", optional=("ignore_row_if",)),
    "expect_table_row_count_to_be_between": ExpectationSignature(
        (), _BOUNDS, any_of=("min_value", "max_value")
    ),
    "expect_table_row_count_to_equal": ExpectationSignature(("value",)),
}


def columns_named(arguments: dict[str, Any]) -> list[tuple[tuple[str | int, ...], object]]:
    """The columns that an expectation's arguments name, each with its path inside the arguments."""
    named: list[tuple[tuple[str | int, ...], object]] = []
    for argument in ("column", "column_A", "column_B"):
        if argument in arguments:
            named.append(((argument,), arguments[argument]))
    columns = arguments.get("column_list")
    if isinstance(columns, list):
        named.extend((("column_list", place), column) for place, column in enumerate(columns))
    return named
