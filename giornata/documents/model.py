"""The document of a model: `models/<name>.yaml`."""

import math
import re
from collections.abc import Hashable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    model_validator,
)

from giornata.documents.base import (
    WRITTEN,
    Deadline,
    Duration,
    MailAddress,
    MisplacedError,
    NameText,
    Schedule,
    Text,
)
from giornata.documents.resources import JobResources, Resources
from giornata.models import MODEL_TYPES
from giornata.models.search_space import Dimension
from giornata.schema import Bound, Bounds, Document, Percentage, Scalar, Share
from giornata.tasks import TASKS
from giornata.tasks.metrics import HIGHER_IS_BETTER, METRICS, NO_GOAL

CONSISTENCY = "consistency"
"""Share of the feature values served online that equal those of the offline join."""

SERVED = (
    CONSISTENCY,
    "values_different",
    "values_missing_online",
    "values_missing_offline",
    "values_no_row",
    "values_too_old",
    "values_before_history",
    "values_not_read",
)
"""Shares of the feature values served online, see `giornata.monitoring.consistency`. An alert may watch them, whatever
the task; training does not measure them."""

RANGES: dict[str, tuple[float, float]] = {
    **{name: (metric.least, metric.greatest) for name, metric in METRICS.items()},
    **dict.fromkeys(SERVED, (0, 1)),
}
"""The least and the greatest value that a metric can have."""

# The names come from where tasks are registered; type checkers take but names that are written here.
if TYPE_CHECKING:
    TaskName = str
    TypeName = str
else:
    TaskName = Literal[tuple(TASKS)]
    TypeName = Literal[tuple(MODEL_TYPES)]

Number = int | float


def _null_is_a_word(value: object) -> object:
    """The text "null" for YAML's `null`."""
    return "null" if value is None else value


def _check_class(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*", text, re.ASCII):
        raise ValueError(f"{text!r} is not a class of the project: write module.Class, for models/module.py")
    return text


ClassPath = Annotated[str, AfterValidator(_check_class)]
"""A class of a project as `module.Class`, in the project's file `models/<module>.py`."""


class Data(Document):
    """The rows to predict for: a table, the columns that identify a row, the moment of the prediction.

    The partition day of a row may lie up to `filed_ahead` before its event time.
    """

    table: str
    key: Annotated[list[str], Field(min_length=1)]
    event_time: str
    filed_ahead: Duration = timedelta(days=7)


class Label(Document):
    """The true value: the column of a table joined by the data's key, unknown before its `event_time`."""

    table: str
    value: str
    event_time: str


class Split(Document):
    """Periods, counted back from the day of the run: the newest is `test`, before it `train`.

    The last share `validation` of the training period is held out for the search and the selection of parts.
    """

    train: Duration
    validation: Annotated[float, Percentage, Field(gt=0, lt=1)]
    test: Duration


Tune = Literal["once", "level", "part"]

SETS = 3
"""Number of parameter sets that levels or parts take from the search on all rows by default."""


class Partition(Document):
    """Divides a model into parts by expressions, finest first; a part needs `min_rows` training rows.

    A part is kept if its validation error is more than the share `margin` below that of the part above it. Its
    parameters are those of the search (`tune: once`), or chosen for each `level` or each `part` by the loss on its own
    validation rows: among `trials` parameter sets, the first of which are the best `sets` of the search on all rows;
    without `trials`, among these `sets` only. Defaults depend on the task, see `ModelSpec.tune` and `ModelSpec.sets`.
    """

    by: Annotated[list[Text], Field(min_length=1)]
    min_rows: Annotated[int, Field(ge=1)]
    margin: Share = 0.0
    tune: Tune | None = None
    sets: Annotated[int, Field(ge=1)] | None = None
    trials: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tune in (None, "once") and self.trials is not None:
            raise ValueError("trials is for each level or part: write tune: level or tune: part")
        sets = SETS if self.sets is None else self.sets
        if self.trials is not None and self.trials < sets:
            raise ValueError(
                f"of {self.trials} trials {sets} cannot be the best sets of all rows: lower sets"
            )
        return self

    @property
    def levels(self) -> dict[str, str]:
        """Name and expression of each level, finest first; see `level_name`."""
        return {level_name(text, place): text for place, text in enumerate(self.by)}


def level_name(text: str, place: int) -> str:
    """Name of the level at a position, counted from 0: `row.dest_city` and `dest_city` are level `dest_city`.

    An expression that is not a plain name is level_1, level_2 … by its position.
    """
    match = re.fullmatch(r"(?:row\.)?([a-z][a-z0-9_]*)", text)
    return match[1] if match else f"level_{place + 1}"


MOST_COMBINATIONS = 10_000
"""Most combinations of a grid that may all be tried."""


class Search(Document):
    """A hyperparameter search: up to `trials` trials that optimise `metric` on the validation rows.

    The first trial uses the document's own parameters. `sampler` says how the others are drawn: from the results of
    earlier ones (`tpe`, `cmaes`), at random, or as combinations of choices (`grid`), each once: all of them, or
    `trials` of them, not counting the document's own parameters unless they are a combination. `pruning: median` stops
    a trial that is worse than the median of earlier ones after as many rounds. No trial starts after `time`. The best
    `warm_start` trials of the newest version's search come first.
    """

    trials: Annotated[int, Field(ge=1)] | None = None
    metric: str
    space: Annotated[dict[str, Dimension], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    sampler: Literal["tpe", "random", "grid", "cmaes"] = "tpe"
    pruning: Literal["median", "none"] = "median"
    time: Duration | None = None
    warm_start: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        ranges = [name for name, dimension in self.space.items() if dimension.choice is None]
        if self.trials is None and self.sampler != "grid":
            raise ValueError(
                "trials is missing: write trials: 20, for example; only sampler grid works without it"
            )
        if self.sampler == "grid" and ranges:
            raise ValueError(f"sampler grid needs choice: [...] for every parameter; {ranges[0]} is a range")
        if self.sampler == "cmaes" and len(ranges) < 2:
            raise ValueError("sampler cmaes needs at least two parameters with a range of numbers; use tpe")
        if self.trials is None and self.combinations > MOST_COMBINATIONS:
            raise ValueError(
                f"the grid has {self.combinations:,} combinations, and all of them are tried where there are at most "
                f"{MOST_COMBINATIONS:,}: write trials, how many of them to try, or fewer choices"
            )
        return self

    @property
    def combinations(self) -> int:
        """Number of combinations of a grid; 0 for other samplers."""
        if self.sampler != "grid":
            return 0
        return math.prod(len(dimension.choice or ()) for dimension in self.space.values())

    def outside(self, parameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """The parameters that the space names and whose values lie outside of it."""
        return {
            name: parameters[name]
            for name, dimension in self.space.items()
            if name in parameters and not dimension.holds(parameters[name])
        }


class Deploy(Document):
    """How a version goes live: its tag, its modes, its gate, and whether a person must approve."""

    tag: NameText
    modes: Annotated[list[Literal["batch", "online"]], Field(min_length=1)]
    gate: dict[str, Bounds] = Field(default_factory=dict)
    approval: Literal["automatic", "manual"] = "automatic"

    @model_validator(mode="before")
    @classmethod
    def _say_which_bound(cls, value: object) -> object:
        """Refuse a gate with a bare number, which does not say whether it is a minimum or a maximum."""
        gate = value.get("gate") if isinstance(value, dict) else None
        for metric, bound in gate.items() if isinstance(gate, dict) else ():
            if isinstance(bound, int | float) and not isinstance(bound, bool):
                least, most = f"{{min: {bound}}}", f"{{max: {bound}}}"
                wanted = (
                    f"{least} or {most}" if metric in NO_GOAL else (most, least)[metric in HIGHER_IS_BETTER]
                )
                raise MisplacedError(("gate", metric), f"{bound} is not a bound of a metric: write {wanted}")
        return value


class RequestMoments(Document):
    """How far from now the moment of a request may lie: up to `past` before it, up to `ahead` after it.

    By default, back to the beginning of the version's training, and ahead as `ModelSpec.usual_ahead` says.
    """

    past: Duration | None = None
    ahead: Duration | None = None


class Online(Document):
    """How the server reads features for a request, and what it does if it cannot read a group.

    A group cannot be read if Cassandra does not answer within `deadline`, or if it was never pushed. `missing: error`
    refuses the request; `missing: null` answers it with the group's features null. A request about a moment outside of
    `moments` is refused.

    `before_history` is for rows whose moment sees days of a group that are published but not online: `refuse` refuses
    them, `mark` answers with the group's features null. `event_time` says whether a request must name its moment (None:
    if any input of the model depends on it), or else asks about now.
    """

    deadline: Deadline = timedelta(seconds=2)
    missing: Annotated[Literal["error", "null"], BeforeValidator(_null_is_a_word)] = "error"
    moments: RequestMoments = RequestMoments()
    before_history: Literal["refuse", "mark"] = "refuse"
    event_time: Literal["required", "optional"] | None = None


class Alert(Document):
    """A rule over a metric of the last `over`, by days, with a mail when it crosses its bound and when it recovers.

    A window with fewer than `min_rows` labelled predictions decides nothing.
    """

    metric: str
    above: Bound | None = None
    below: Bound | None = None
    over: Duration = timedelta(days=1)
    min_rows: Annotated[int, Field(ge=1)] = 50
    mail: Annotated[list[MailAddress], Field(min_length=1, max_length=100)]

    @property
    def identity(self) -> tuple[Hashable, ...]:
        """Identifies an alert: all its settings, with recipients in any order."""
        return self.metric, self.above, self.below, self.over, self.min_rows, tuple(sorted(self.mail))

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("an alert needs exactly one of above and below")
        if self.over.total_seconds() % 86400:
            raise MisplacedError(("over",), "over counts whole days, such as 1d or 7d")
        for place, address in enumerate(self.mail):
            if info.context == WRITTEN and address in self.mail[:place]:
                raise MisplacedError(("mail", place), f"{address} appears twice")
        return self


class Score(Document):
    """Batch scoring of a model's live versions: its executors (None: those of the project's stage `score`)."""

    resources: JobResources | None = None


class Monitor(Document):
    """Monitoring of a live model: the share of predictions that is logged, and the alerts."""

    log: Share = 1.0
    alerts: list[Alert] = Field(default_factory=list)


class ModelSpec(Document):
    """A model: its data, label and features, and how it is trained, deployed and monitored.

    `schedule` is when it is retrained by itself (None: only on request). `class` is the class of a model of type
    custom. Only the task clustering has no `label`; `quantiles` are those of the task quantile, by default 0.1, 0.5 and
    0.9. Forecasts and their intervals are kept within `bounds`. `refit` says whether the model is fitted again after
    its evaluation, including the test period; see `is_refitted`.

    `features`, `define` and `partition.by` are expressions of the feature language. All of them may use a feature or an
    expression of `define` by its bare name; expressions that are only in `define` are not inputs of the model.
    """

    description: Text
    owner: Text
    schedule: Schedule | None = None
    type: TypeName
    class_: ClassPath | None = Field(default=None, alias="class")
    task: TaskName
    quantiles: (
        Annotated[list[Annotated[float, Percentage, Field(gt=0, lt=1)]], Field(min_length=1, max_length=100)]
        | None
    ) = None
    data: Data
    label: Label | None = None
    split: Split
    refit: bool | None = None
    bounds: Bounds | None = None
    define: dict[NameText, Text] = Field(default_factory=dict)
    features: Annotated[dict[NameText, Text], Field(min_length=1)]
    partition: Partition | None = None
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    search: Search | None = None
    resources: Resources = Resources()
    deploy: Deploy | None = None
    score: Score = Score()
    online: Online = Online()
    monitor: Monitor = Monitor()

    @model_validator(mode="after")
    def _check(self) -> Self:
        task = TASKS[self.task]
        if self.label is None and task.label:
            message = f"a {self.task} model needs a label: write label: {{table, value, event_time}}"
            raise MisplacedError(("task",), message)
        if self.label is not None and not task.label:
            raise MisplacedError(("label",), f"a {self.task} model has no label: remove label")
        if self.partition and self.partition.tune not in (None, "once") and self.search is None:
            raise MisplacedError(
                ("partition", "tune"),
                f"tune: {self.partition.tune} takes parameters from a search: write search, or leave tune out",
            )
        for other in TASKS.values():
            if other.own_key and other.name != self.task and getattr(self, other.own_key):
                message = f"{other.own_key} belong to the task {other.name}, not to {self.task}"
                raise MisplacedError((other.own_key,), message)
        if self.quantiles and sorted(set(self.quantiles)) != self.quantiles:
            message = "quantiles must be in order and different, such as [0.1, 0.5, 0.9]"
            raise MisplacedError(("quantiles",), message)
        return self

    @property
    def tune(self) -> Tune:
        """What has parameters of its own: by default each part of a forecast, since the rows of all parts together make
        another series than those of any part, and nothing for other tasks."""
        if self.partition is None or self.search is None:
            return "once"
        return self.partition.tune or ("part" if TASKS[self.task].parts_search else "once")

    @property
    def sets(self) -> int | None:
        """How many of the best parameter sets of the search on all rows levels or parts can choose from; None: all of
        them."""
        if self.partition is None or self.tune == "once":
            return 1
        if self.partition.sets is None and self.partition.trials is None and TASKS[self.task].parts_search:
            return None
        return self.partition.sets or SETS

    @property
    def usual_ahead(self) -> timedelta:
        """How far ahead of now a request may ask, unless `online.moments` says.

        A row is known up to `data.filed_ahead` before its event time; forecasts reach far ahead.
        """
        return max(self.data.filed_ahead, TASKS[self.task].asked_ahead)

    @property
    def is_refitted(self) -> bool:
        """Whether the deployed model is also fitted to the test period: by default only a forecast, which would
        otherwise not know the last weeks."""
        return TASKS[self.task].is_refitted if self.refit is None else self.refit

    @property
    def shares(self) -> list[float]:
        """The requested quantiles; empty for other tasks."""
        return (self.quantiles or [0.1, 0.5, 0.9]) if TASKS[self.task].own_key == "quantiles" else []
