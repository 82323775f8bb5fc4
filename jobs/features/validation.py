"""What Great Expectations says of rows that are about to be published, and what follows from it."""

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.datasource.fluent.interfaces import Batch
from great_expectations.exceptions.exceptions import GreatExpectationsError
from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.registry import get_expectation_impl
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from giornata.documents import Expectation
from giornata.errors import DataError

# Beyond these, bad rows are not a few that can be set aside: something is wrong with the whole.
QUARANTINE_SHARE = 0.05
QUARANTINE_ROWS = 10_000

# It keeps its context in a global: one thread at a time.
_GREAT_EXPECTATIONS = threading.Lock()

_EXAMPLES = 5
_PLACE = "place"

Verdict = Literal["met", "warned", "quarantined", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation.

    `rows` were looked at and `unexpected` of them do not meet it, `observed` being a few of their values, none twice;
    for an expectation on the table as a whole both are None and `observed` is what was found instead.
    """

    expectation: Expectation
    verdict: Verdict
    rows: int | None
    unexpected: int | None
    observed: str

    @property
    def columns(self) -> str:
        """The columns that the expectation is about, or nothing where it is about the whole table."""
        arguments = self.expectation.arguments
        listed = [arguments[name] for name in ("column", "column_A", "column_B") if name in arguments]
        return ", ".join([*listed, *arguments.get("column_list", [])])

    def __str__(self) -> str:
        """One line for people: what was expected, of which columns, and what was found."""
        if self.unexpected is None:
            found = f"found {self.observed}"
        else:
            found = f"{self.unexpected} of {self.rows} rows do not meet it"
            if self.observed:
                found += f", with values such as {self.observed}"
        return f"{self.expectation.name}({self.columns}): {found}"


@dataclass(frozen=True)
class Validated:
    """The outcome of every expectation; the rows to publish; and those set aside, or None when there are
    none.

    `quarantined` has the columns of the rows and `expectations`, the names of those that a row does not meet.
    """

    outcomes: tuple[Outcome, ...]
    good: DataFrame
    quarantined: DataFrame | None

    @property
    def failures(self) -> list[Outcome]:
        """The outcomes that forbid publishing."""
        return [outcome for outcome in self.outcomes if outcome.verdict == "failed"]


def validate(
    rows: DataFrame, number: int, expectations: Sequence[Expectation], key: Sequence[str]
) -> Validated:
    """Judge `rows`, `number` of them, whose `key` columns are unique and never null, by `expectations` and their
    policies.

    An expectation that is not met and whose policy is `quarantine` sets its bad rows aside, as long as they
    are at most QUARANTINE_SHARE of all rows and QUARANTINE_ROWS in number; else it counts as failed.

    Raises DataError when Great Expectations cannot judge: an argument it does not know, a column of a wrong
    type.
    """
    if not expectations:
        return Validated((), rows, None)
    names_by_key: dict[tuple[Any, ...], list[str]] = {}
    with _GREAT_EXPECTATIONS:
        batch = _batch(rows)
        outcomes = tuple(_outcomes(batch, number, expectations))
        for outcome in outcomes:
            if outcome.verdict == "quarantined":
                for bad in _bad_keys(batch, outcome.expectation, key):
                    names_by_key.setdefault(bad, []).append(outcome.expectation.name)
    if not names_by_key:
        return Validated(outcomes, rows, None)
    schema = rows.select(*key).withColumn("expectations", F.lit("")).schema
    bad_rows = F.broadcast(
        rows.sparkSession.createDataFrame(
            [(*bad, ", ".join(names)) for bad, names in names_by_key.items()], schema
        )
    )
    good = rows.join(bad_rows, on=list(key), how="left_anti")
    return Validated(outcomes, good, rows.join(bad_rows, on=list(key)))


def _batch(rows: DataFrame) -> Batch:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_spark("rows", persist=False).add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("rows").get_batch(batch_parameters={"dataframe": rows})


def _outcomes(batch: Batch, number: int, expectations: Sequence[Expectation]) -> list[Outcome]:
    """What became of each expectation.

    Of those on every row it is first asked whether all rows meet them: together that is one query, where the values
    that do not take one for each.
    """
    checks = [_check(expectation, place) for place, expectation in enumerate(expectations)]
    asked = _validated(batch, [check for check in checks if _is_of_every_row(check)], "BOOLEAN_ONLY")
    met = {place for place, result in asked.items() if result.success}
    results = _validated(batch, [check for check in checks if check.meta[_PLACE] not in met], "SUMMARY")
    return [
        Outcome(expectation, "met", number, 0, "") if place in met else _outcome(expectation, results[place])
        for place, expectation in enumerate(expectations)
    ]


def _is_of_every_row(check: Any) -> bool:
    """Whether an expectation is about rows one by one, and about all of them."""
    by_row = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
    return isinstance(check, by_row) and check.mostly == 1 and check.row_condition is None


def _validated(
    batch: Batch, checks: Sequence[Any], result_format: Literal["BOOLEAN_ONLY", "SUMMARY"]
) -> dict[int, ExpectationValidationResult]:
    """What Great Expectations says of each check, by its place."""
    if not checks:
        return {}
    suite = gx.ExpectationSuite(name="rows", expectations=list(checks))
    format_ = {"result_format": result_format, "partial_unexpected_count": _EXAMPLES}
    results = {}
    for result in batch.validate(suite, result_format=format_).results:
        configuration: Any = result.expectation_config
        results[configuration.meta[_PLACE]] = result
    return results


def _check(expectation: Expectation, place: int) -> Any:
    """Great Expectations' own object. `place` tells results apart, which come in an order of their own."""
    try:
        return get_expectation_impl(expectation.name)(**expectation.arguments, meta={_PLACE: place})
    except (GreatExpectationsError, ValueError, TypeError) as error:
        raise DataError(f"Great Expectations does not take {expectation.name}: {error}") from error


def _outcome(expectation: Expectation, result: ExpectationValidationResult) -> Outcome:
    _raise_exception(expectation, result.exception_info)
    found = result.result
    rows, unexpected = found.get("element_count"), found.get("unexpected_count")
    if unexpected is None:
        observed = str(found.get("observed_value", ""))
    else:
        known = [value for value in found.get("partial_unexpected_list", [])[:_EXAMPLES] if value is not None]
        observed = ", ".join(dict.fromkeys(map(str, known)))
    verdict = _verdict(expectation, bool(result.success), rows, unexpected)
    return Outcome(expectation, verdict, rows, unexpected, observed)


def _verdict(expectation: Expectation, met: bool, rows: int | None, unexpected: int | None) -> Verdict:
    if met:
        return "met"
    if expectation.policy == "warn":
        return "warned"
    if expectation.policy == "fail" or not rows or unexpected is None:
        return "failed"
    return "quarantined" if unexpected <= min(QUARANTINE_ROWS, QUARANTINE_SHARE * rows) else "failed"


def _bad_keys(batch: Batch, expectation: Expectation, key: Sequence[str]) -> list[tuple[Any, ...]]:
    format_ = {
        "result_format": "COMPLETE",
        "unexpected_index_column_names": list(key),
        "return_unexpected_index_query": False,
    }
    result = batch.validate(_check(expectation, 0), result_format=format_)
    _raise_exception(expectation, result.exception_info)
    return [tuple(bad[column] for column in key) for bad in result.result["unexpected_index_list"]]


def _raise_exception(expectation: Expectation, info: Mapping[str, Any]) -> None:
    """Great Expectations reports an exception as part of a result, one a metric or one for all."""
    raised = [info] if "raised_exception" in info else list(info.values())
    for each in raised:
        if each["raised_exception"]:
            raise DataError(
                f"Great Expectations cannot judge {expectation.name}: {each['exception_message']}"
            )
