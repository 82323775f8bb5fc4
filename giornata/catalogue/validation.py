"""Results of a group's expectations: the newest of each, and a summary of the last days.

Rows are validated by ranges of days, and ranges may overlap: for each day, the newest result counts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import yaml

from giornata.documents import Expectation, FeatureGroup
from giornata.records.validation_result import LATELY, ExpectationResult, Validation, Verdict

__all__ = ["LATELY", "Judged", "judged"]


_WORST_FIRST: tuple[Verdict, ...] = ("failed", "quarantined", "warned")


_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Judged:
    """An expectation as the document states it now, with its newest result.

    `result` is for the rows from `first_day` to `last_day` and was found `at` a moment; all are None if it was not
    checked yet. `days` counts the verdicts of the LATELY days up to the last validated one.
    """

    expectation: Expectation
    result: ExpectationResult | None
    first_day: date | None
    last_day: date | None
    at: datetime | None
    days: Mapping[Verdict, int]

    @property
    def arguments(self) -> str:
        """The arguments as written in a document, on one line: `{column: temp, min_value: -40}`."""
        arguments = self.expectation.arguments
        return yaml.safe_dump(arguments, default_flow_style=True, sort_keys=False, width=10_000).strip()

    @property
    def found(self) -> str:
        """The result in words: `3 of 72 rows do not meet it, such as -4, -3`."""
        result = self.result
        if result is None:
            return ""
        if result.unexpected is None:
            return f"found {result.observed}"
        rows = f"{result.unexpected:,} of {result.rows:,} rows do not meet it"
        return f"{rows}, such as {result.observed}" if result.observed else rows

    @property
    def lately(self) -> str:
        """The days on which it was not met in words, worst first: `1 day failed, 3 days warned`."""
        unmet = [(self.days[verdict], verdict) for verdict in _WORST_FIRST if self.days.get(verdict)]
        return ", ".join(f"{count} day{'' if count == 1 else 's'} {verdict}" for count, verdict in unmet)


def judged(group: FeatureGroup, validations: Iterable[Validation]) -> list[Judged]:
    """The expectations of a group in the order of its document, with their results in `validations`."""
    newest = _newest_by_day(validations)
    return [_judged(expectation, newest) for expectation in group.expect]


def _judged(expectation: Expectation, newest: Mapping[date, Validation]) -> Judged:
    results = {day: result for day in newest if (result := _result(newest[day], expectation))}
    if not results:
        return Judged(expectation, None, None, None, None, {})
    last = max(results)
    source = newest[last]
    days = Counter(result.verdict for result in results.values())
    return Judged(expectation, results[last], source.start, source.end - _DAY, source.at, dict(days))


def _newest_by_day(validations: Iterable[Validation]) -> dict[date, Validation]:
    """The newest validation of each of the last days, counted back from the last validated one."""
    by_age = sorted(validations, key=lambda each: each.at)
    end = max((each.end for each in by_age), default=date.min)
    found: dict[date, Validation] = {}
    for each in by_age:
        day = max(each.start, end - LATELY * _DAY)
        while day < each.end:
            found[day] = each
            day += _DAY
    return found


def _result(validation: Validation, expectation: Expectation) -> ExpectationResult | None:
    stated = (expectation.name, expectation.arguments_text, expectation.policy)
    for result in validation.results:
        if (result.name, result.arguments, result.policy) == stated:
            return result
    return None
