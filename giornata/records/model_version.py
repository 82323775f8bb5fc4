"""The record of a trained model: stored in Cassandra, shown by the console, contained in the bundle."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from giornata.documents.base import ColumnType, TableColumnType
from giornata.documents.feature_group import FeatureGroup
from giornata.documents.group_source import GroupSource
from giornata.documents.model import ModelSpec, TaskName
from giornata.documents.table import Table
from giornata.schema import Document, Scalar

__all__ = [
    "Distribution",
    "InputColumn",
    "LevelMetrics",
    "Metrics",
    "ModelSignature",
    "ModelVersion",
    "PartRecord",
    "Previous",
    "RecordedStoreInput",
    "RecordedWindow",
    "SearchRecord",
    "TrialRecord",
    "VersionSummary",
]

# A metric that is not defined on its rows (AUC of one class) is None, which JSON can carry and NaN is not.
Metrics = dict[str, float | None]
KeyValue = str | bool | int


class InputColumn(Document):
    """A column of requests; one that is `nullable` may be left out.

    It is nullable if training rows lacked it, or if every expression that uses it has a value without it.
    """

    type: TableColumnType
    nullable: bool


class RecordedStoreInput(Document):
    """The features read from one feature group: `keys` maps its entity columns to columns of the request.

    `features` may include `event_age`, the age of the group's row in seconds.
    """

    group: str
    keys: dict[str, str]
    features: dict[str, ColumnType]


class ModelSignature(Document):
    """The inputs that a version needs, and the kind of prediction it gives.

    `inputs` are the columns of the request (the keys of `store` among them), `key` and `event_time` the columns that
    identify a row and give its moment. The prediction is a number (the value for the task `regression`, the probability
    of true for `binary`), or several, which `outputs` names (see `giornata.tasks`). `store` holds what is read of
    feature groups by the name of the use: the group's, or `group__column` if stated columns are its keys (see
    `dsl.schema.store_use`).
    """

    inputs: dict[str, InputColumn]
    store: dict[str, RecordedStoreInput]
    key: list[str]
    event_time: str
    task: TaskName
    outputs: list[str] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _name_groups(cls, value: object) -> object:
        """Records from before keys could be stated name each use by its group alone."""
        if isinstance(value, dict) and isinstance(value.get("store"), dict):
            store = {
                use: {"group": use, **read} if isinstance(read, dict) else read
                for use, read in value["store"].items()
            }
            return {**value, "store": store}
        return value


class RecordedWindow(Document):
    """The rows with `start` <= event time < `end` that were used; times are aware, in UTC.

    `unlabelled` counts further rows whose label was not known in time: before the test period began or, in the test
    period, before its requested end.
    """

    start: datetime
    end: datetime
    rows: int
    unlabelled: int = 0


class TrialRecord(Document):
    """One trial of the search. `value` is the metric on the validation rows, None if the trial failed or was pruned.

    `number` counts from 0, and `place`, which is shown to people, from 1. `rounds` is the number of rounds fitted
    (fewer than requested after early stopping and pruning), `curve` the loss on the validation rows after some of them,
    as [round, loss].
    """

    number: int
    parameters: dict[str, Scalar]
    state: Literal["complete", "pruned", "failed"]
    value: float | None = None
    rounds: int | None = None
    reason: str = ""
    seconds: float
    curve: list[tuple[int, float]] = Field(default_factory=list)

    @property
    def place(self) -> int:
        """The number of the trial, counted from 1."""
        return self.number + 1

    @property
    def is_own(self) -> bool:
        """Whether it is the trial of the document's own parameters, which is the first."""
        return self.number == 0


class SearchRecord(Document):
    """Every trial of the search, the first being the document's own parameters, and which was the best.

    `train_rows` and `validation_rows` are the rows that the trials used: fewer than in the periods if these are larger
    than the search's limit. `importances` are the shares of the metric's variance that parameters explain.
    """

    metric: str
    best: int
    train_rows: int
    validation_rows: int
    trials: list[TrialRecord]
    importances: dict[str, float] = Field(default_factory=dict)


class ComparedMetrics(Document):
    """Test metrics on the same rows of the model without parts, of the baseline and, if evaluated there, of the
    previous version."""

    single_model: Metrics = Field(default_factory=dict)
    baseline: Metrics = Field(default_factory=dict)
    previous: Metrics = Field(default_factory=dict)


class PartRecord(Document):
    """A part that was considered: the rows with one `key` (coarsest level first), and whether it has a model.

    `rows` are its training and validation rows. `metric` is the validation error of its own candidate and
    `parent_metric` that of the prediction it would get otherwise, on the same `validation_rows`; both are None if no
    candidate was fitted. `distributed` says whether all executors fitted it together. `parameters` are its own, empty
    if they are the version's, chosen from `tried` parameter sets. `size` describes the kept model (trees, nodes).
    `method` is that of a forecast, which differs from the one in its parameters for a short series. `test` are its
    metrics on the `test_rows` for which it predicts, `beside` those of other models.
    """

    name: str
    level: str
    key: list[KeyValue]
    rows: int
    validation_rows: int
    kept: bool
    reason: str
    metric: float | None = None
    parent_metric: float | None = None
    distributed: bool = False
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    tried: int = 1
    size: dict[str, int] = Field(default_factory=dict)
    method: str = ""
    test_rows: int = 0
    test: Metrics = Field(default_factory=dict)
    beside: ComparedMetrics = Field(default_factory=ComparedMetrics)

    def own_parameters(self, usual: Mapping[str, Scalar]) -> dict[str, Scalar | None]:
        """The parameters that differ from the version's, which are `usual`; None means the type's default."""
        if not self.parameters:
            return {}
        names = dict.fromkeys([*self.parameters, *usual])
        return {
            name: self.parameters.get(name) for name in names if self.parameters.get(name) != usual.get(name)
        }


class LevelMetrics(Document):
    """Test metrics of the rows for which one level of the partition tree predicts, and those of others on the same
    rows."""

    level: str
    rows: int
    metrics: Metrics
    beside: ComparedMetrics = Field(default_factory=ComparedMetrics)


class Previous(Document):
    """The newest version before this one. `metrics` are on the test rows of this one if `same_rows`, else those of its
    own record, because it reads other features or was trained on some of these rows."""

    uuid: str
    same_rows: bool
    metrics: Metrics


class Distribution(Document):
    """The distribution of one final feature over the training rows.

    `nulls` is a share; `quantiles` maps "0", "0.25" … to values; `edges` and `counts` are a histogram with one edge
    more than counts. All but `rows` and `nulls` are about the rows that have a value.
    """

    rows: int
    nulls: float
    mean: float | None
    quantiles: dict[str, float]
    edges: list[float]
    counts: list[int]


class ModelVersion(Document):
    """The versioned record of one trained model.

    `configuration`, `table` and `groups` are the documents of the model, of its data table and of the feature groups
    that it reads, as they were at training, and `sources` the sources of these groups' rows. `metrics` are those of the
    whole model on the test period, `metrics_by_level` the same rows by the level that predicts, `single_model_metrics`
    those of the model without parts, `baseline_metrics` those of predicting the training mean (regression) or the
    training share of true (binary), `previous` those of the previous version. All of them are about parts fitted to
    training and validation; with a `refit`, these have then been fitted again to its rows, which include the test
    period. `warnings` are sentences about late labels, about features that seem to know the label, about inputs that
    seem to lie in the future, and about features of very different scales in clusters. `importances` are shares of the
    gain, adding up to 1. `part_metric` names the error that decided about parts. `search` and `distributions` are
    reports, which the bundle leaves out.
    """

    uuid: str
    model: str
    status: Literal["trained"] = "trained"
    trained_by: str
    started_at: datetime
    finished_at: datetime
    configuration: ModelSpec
    table: Table
    groups: dict[str, FeatureGroup] = Field(default_factory=dict)
    sources: dict[str, GroupSource] = Field(default_factory=dict)
    windows: dict[Literal["train", "validation", "test"], RecordedWindow]
    signature: ModelSignature
    parameters: dict[str, Scalar]
    metrics: Metrics
    metrics_by_level: list[LevelMetrics]
    single_model_metrics: Metrics
    baseline_metrics: Metrics
    previous: Previous | None = None
    warnings: list[str] = Field(default_factory=list)
    part_metric: str
    parts: Annotated[list[PartRecord], Field(min_length=1)]
    importances: dict[str, float]
    refit: RecordedWindow | None = None
    mlflow_run: str | None = None
    search: SearchRecord | None = None
    distributions: dict[str, Distribution] = Field(default_factory=dict)

    @property
    def learned_until(self) -> datetime:
        """The event time before which lie all rows that the version's parts were fitted to."""
        return self.refit.end if self.refit else self.windows["validation"].end


class VersionSummary(Document):
    """A version as lists show it."""

    uuid: str
    model: str
    status: Literal["trained"]
    trained_by: str
    started_at: datetime
    finished_at: datetime
    metrics: Metrics
