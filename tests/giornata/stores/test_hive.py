"""Questions to the real Spark Thrift Server."""

import socket
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from giornata.errors import StoreError
from giornata.settings import Settings
from giornata.stores import hive

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


def test_rows_are_dicts_and_times_are_aware(stores: Settings) -> None:
    sql = (
        "SELECT 1 AS number, 'a' AS text, TIMESTAMP '2013-01-02T03:04:05.678901Z' AS moment, NULL AS nothing"
    )
    assert hive.query(stores, sql) == [
        {
            "number": 1,
            "text": "a",
            "moment": datetime(2013, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            "nothing": None,
        }
    ]


def test_parameters_are_values_whatever_they_hold(stores: Settings) -> None:
    text = "it's; DROP TABLE x -- \"\\"
    assert hive.query(stores, "SELECT %s AS text, %s AS number", (text, 3)) == [{"text": text, "number": 3}]


def test_no_rows(stores: Settings) -> None:
    assert hive.query(stores, "SELECT 1 AS number WHERE false") == []


def test_a_refused_query_is_explained_without_a_stack_trace(stores: Settings) -> None:
    with pytest.raises(StoreError) as error:
        hive.query(stores, "SELECT *\nFROM no_such_database.no_such_table")
    assert "SELECT * FROM no_such_database.no_such_table" in str(error.value)
    assert "cannot be found" in str(error.value)
    assert "\n" not in str(error.value)


def test_nobody_answers(stores: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        settings = replace(stores, variables={**stores.variables, "GIORNATA_HIVESERVER": address})
        with pytest.raises(StoreError, match=f"SQL endpoint at {address} does not answer"):
            hive.query(settings, "SELECT 1")
