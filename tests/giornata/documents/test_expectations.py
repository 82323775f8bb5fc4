"""The table of expectations says what Great Expectations itself says."""

import great_expectations.expectations as gxe
import pytest
from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    MulticolumnMapExpectation,
)

from giornata.documents.expectations import EXPECTATIONS, columns_named

ROW_WISE = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)


@pytest.mark.parametrize("name", EXPECTATIONS)
def test_the_table_agrees_with_great_expectations(name):
    signature = EXPECTATIONS[name]
    implementation = getattr(gxe.core, "".join(part.title() for part in name.split("_")))
    fields = implementation.__fields__
    assert {*signature.required, *signature.optional, *signature.any_of} <= fields.keys()
    # Great Expectations has a default for the regular expression, which expects text in brackets.
    assumed = {"regex"} if name == "expect_column_values_to_match_regex" else set()
    assert {field for field in fields if fields[field].required} == set(signature.required) - assumed
    assert issubclass(implementation, ROW_WISE) == signature.by_row


def test_columns_named():
    assert columns_named({"column": "a", "min_value": 0}) == [(("column",), "a")]
    assert columns_named({"column_A": "a", "column_B": "b"}) == [(("column_A",), "a"), (("column_B",), "b")]
    assert columns_named({"column_list": ["a", "b"]}) == [
        (("column_list", 0), "a"),
        (("column_list", 1), "b"),
    ]
