"""The document of a feature group: `features/<name>.yaml`.

Its rows come from one of three sources: the query `features/<name>.sql` next to it, the function in
`features/<name>.py`, or sliding windows over events, declared in the document itself.
"""

import json
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_serializer, model_validator

from giornata.documents.base import (
    ColumnType,
    Duration,
    MisplacedError,
    NameText,
    Schedule,
    Text,
    format_duration,
)
from giornata.documents.resources import JobResources
from giornata.schema import Document, Share, percentages

ENTITY_TYPES = frozenset({"str", "int"})
"""Types that the columns of an entity may have."""

Policy = Literal["fail", "quarantine", "warn"]
Source = Literal["query", "function", "windows"]
"""Source of a group's rows: `<name>.sql`, `<name>.py`, or the windows in its document."""

# The types of column that each function of a window takes, and what it gives; a bool is 0 or 1 in a sum or mean.
_SCALARS = ("int", "float", "bool", "str", "timestamp")
_RESULTS: dict[str, dict[str, ColumnType]] = {
    "count": dict.fromkeys(_SCALARS, "int"),
    "sum": {"int": "int", "float": "float", "bool": "int"},
    "mean": dict.fromkeys(("int", "float", "bool"), "float"),
    "min": {"int": "int", "float": "float", "bool": "bool", "str": "str", "timestamp": "timestamp"},
    "distinct": dict.fromkeys(_SCALARS, "int"),
    "quantile": dict.fromkeys(("int", "float"), "float"),
}
_RESULTS |= dict.fromkeys(("max", "last"), _RESULTS["min"])


class Events(Document):
    """The rows of a table as events: each happens to the entity in its own columns, at the moment in column `time`.

    The partition day of a row may lie up to `filed_ahead` before its event.
    """

    table: str
    event_time: str = Field(alias="time")
    filed_ahead: Duration = timedelta(days=7)


class Window(Document):
    """One aggregate of a column over the events of the last `over`: `{mean: arr_delay, over: 6h}`.

    `share` says which quantile: 0.5 is the median.
    """

    count: str | None = None
    sum: str | None = None
    mean: str | None = None
    min: str | None = None
    max: str | None = None
    last: str | None = None
    distinct: str | None = None
    quantile: str | None = None
    share: Share | None = None
    over: Duration

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len([name for name in _RESULTS if getattr(self, name) is not None]) != 1:
            raise ValueError(f"write exactly one of {', '.join(sorted(_RESULTS))}, each with a column")
        if (self.quantile is None) != (self.share is None):
            raise ValueError("quantile and share belong together: {quantile: column, share: 0.9, over: 24h}")
        return self

    def __str__(self) -> str:
        share = "" if self.share is None else f", share: {self.share:g}"
        return f"{{{self.function}: {self.column}{share}, over: {format_duration(self.over)}}}"

    @property
    def function(self) -> str:
        """Name of the aggregate: count, sum, mean, min, max, last, distinct or quantile."""
        return next(name for name in _RESULTS if getattr(self, name) is not None)

    @property
    def column(self) -> str:
        """The column of the events that is aggregated."""
        column: str = getattr(self, self.function)
        return column

    def types(self) -> dict[str, ColumnType]:
        """The types that the column may have, with the type of the result for each."""
        return _RESULTS[self.function]


class Feature(Document):
    """One feature: type and meaning, with its unit; in a group of sliding windows also its window."""

    type: ColumnType
    description: Text
    window: Window | None = None


class Expectation(Document):
    """An expectation of Great Expectations and what happens when rows fail it.

    Written as `{expect_…: {arguments}, policy: …}`. `fail` stops the materialisation, `quarantine` sets the failing
    rows aside and continues, `warn` only records the result.
    """

    name: str
    arguments: dict[str, Any]
    policy: Policy = "fail"

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: object) -> object:
        if not isinstance(value, dict) or "name" in value:
            return value
        expectations = [key for key in value if key != "policy"]
        if len(expectations) != 1:
            raise ValueError("write one expectation an item: expect_…: {arguments}, and a policy if needed")
        name, arguments = expectations[0], value[expectations[0]]
        if isinstance(arguments, dict):
            arguments = {key: _share_of(name, key, argument) for key, argument in arguments.items()}
        return {"name": name, "arguments": arguments} | {key: value[key] for key in value if key == "policy"}

    @property
    def arguments_text(self) -> str:
        """Its arguments as JSON, keys in order; with name and policy they identify an expectation."""
        return json.dumps(self.arguments, sort_keys=True, default=str)

    @model_serializer
    def _to_yaml(self) -> dict[str, object]:
        return {self.name: self.arguments, "policy": self.policy}


def _share_of(name: str, argument: str, value: object) -> object:
    """The value of an expectation's argument; a percentage is converted if the argument is a number."""
    if argument not in ("mostly", "min_value", "max_value"):
        return value
    try:
        return percentages(value)
    except ValueError as error:
        raise MisplacedError((name, argument), str(error)) from None


class FeatureGroup(Document):
    """Features of an entity over time, from one source: a query, a function, or windows over `events`.

    `entity` maps the key columns to their types. `ttl` is the age beyond which a value counts as missing (None: never).
    `schedule` is when the group is computed (None: with the project's data). `history` is how far back from its newest
    published day requests can ask online; a group without `ttl` does not expire and is online as a whole. `sla` is how
    long after its end a day (UTC) must be published (None: no limit). `looks_back` is how far before a row's time its
    query or function reads (None: only the row's own day); for windows it follows from the windows. `same_meaning` are
    digests of sources with the same meaning, as `giornata check` prints them: a version trained on one of them may be
    served from another. `resources` are the executors that the group needs (None: those of the project's stage
    `features`).
    """

    description: Text
    owner: Text
    entity: Annotated[dict[NameText, ColumnType], Field(min_length=1)]
    schedule: Schedule | None = None
    ttl: Duration | None = None
    history: Duration = timedelta(days=7)
    sla: Duration | None = None
    looks_back: Duration | None = None
    events: Events | None = None
    features: Annotated[dict[NameText, Feature], Field(min_length=1)]
    expect: list[Expectation] = Field(default_factory=list)
    same_meaning: list[Text] = Field(default_factory=list)
    resources: JobResources | None = None

    @property
    def longest_window(self) -> timedelta:
        """The length of the longest window; zero without windows."""
        return max(
            (found.window.over for found in self.features.values() if found.window), default=timedelta()
        )
