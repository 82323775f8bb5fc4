"""The record of a trained model: what Cassandra keeps, the console shows and the bundle carries."""

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
    "ModelVersion",
    "PartRecord",
    "Previous",
    "RecordedStoreInput",
    "RecordedWindow",
    "SearchRecord",
    "Signature",
    "TrialRecord",
    "VersionSummary",
]

# A metric that is not defined on its rows (AUC of one class) is None, which JSON can carry and NaN is not.
Metrics = dict[str, float | None]
KeyValue = str | bool | int


class InputColumn(Document):
    """A column that a request must carry; one that is `nullable` may be left out.

    It is when training rows lacked it, or when every expression that uses it has a value without it.
    """

    type: TableColumnType
    nullable: bool


class RecordedStoreInput(Document):
    """What is read from one feature group: `keys` maps its entity columns to columns of the request.

    Among `features` may be `event_age`, the age of the group's row in seconds.
    """

    group: str
    keys: dict[str, str]
    features: dict[str, ColumnType]


class Signature(Document):
    """What a version needs to answer, and what kind of answer it gives.

    `inputs` are the columns of the request (the keys of `store` among them), `key` and `event_time` the columns
    that identify a row and say when it was asked; the answer is a number, the value for the task `regression`,
    the probability of true for `binary`, or several, which `outputs` names (see `giornata.tasks`). `store`
    holds what is read of feature groups by the name of the use: the group's, or `group__column` where stated columns
    are its keys (see `dsl.schema.store_use`).
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

    `unlabelled` are further ones, which had no label in time: before the test period began or, in it, before its end
    as it was asked for.
    """

    start: datetime
    end: datetime
    rows: int
    unlabelled: int = 0


class TrialRecord(Document):
    """One try of the search. `value` is the metric on the validation rows, None when it failed or was pruned.

    `number` counts from 0, and `place`, which is what people are told, from 1. `rounds` is the number of rounds fitted
    (fewer than asked for after early stopping and pruning), `curve` the loss on the validation rows after some of them,
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
        """Which of the trials it is, counted from 1."""
        return self.number + 1

    @property
    def is_own(self) -> bool:
        """Whether it is that of the document's own parameters, which is the first."""
        return self.number == 0


class SearchRecord(Document):
    """Every trial of the search, the first being the document's own parameters, and which was the best.

    `train_rows` and `validation_rows` are the rows the trials saw: fewer than the windows hold where these are
    larger than the search's bound. `importances` are the shares of the metric's variance that parameters explain.
    """

    metric: str
    best: int
    train_rows: int
    validation_rows: int
    trials: list[TrialRecord]
    importances: dict[str, float] = Field(default_factory=dict)


class Comparison(Document):
    """Test metrics of others on the same rows: of the model without parts, of the baseline, and of the version before
    where it was asked about them."""

    single_model: Metrics = Field(default_factory=dict)
    baseline: Metrics = Field(default_factory=dict)
    previous: Metrics = Field(default_factory=dict)


class PartRecord(Document):
    """A part that was considered: the rows with one `key` (coarsest level first), and whether it has a model.

    `rows` are its training and validation rows. `metric` is the validation error of its own candidate and
    `parent_metric` that of the answer it would otherwise get, on the same `validation_rows`; both are None where
    no candidate was fitted. `distributed` says whether all executors learned it together, not one alone.
    `parameters` are its own, empty where they are the version's, of as many sets as it has `tried`. `size` describes
    the kept model (trees, nodes), `method` is that of a forecast, which differs from the one among its parameters where
    the series is short, `test` its metrics on the `test_rows` that it answers, `beside` those of others.
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
    beside: Comparison = Field(default_factory=Comparison)

    def own_parameters(self, usual: Mapping[str, Scalar]) -> dict[str, Scalar | None]:
        """The parameters that are not those of the version, which are `usual`; None: it leaves one to the type."""
        if not self.parameters:
            return {}
        names = dict.fromkeys([*self.parameters, *usual])
        return {
            name: self.parameters.get(name) for name in names if self.parameters.get(name) != usual.get(name)
        }


class LevelMetrics(Document):
    """Test metrics of the rows that one level of the partition tree answered, and those of others on the same rows."""

    level: str
    rows: int
    metrics: Metrics
    beside: Comparison = Field(default_factory=Comparison)


class Previous(Document):
    """The newest version before this one. `metrics` are on the test rows of this one where `same_rows`, else those of
    its own record, because it reads what these rows do not have, or learned from some of them."""

    uuid: str
    same_rows: bool
    metrics: Metrics


class Distribution(Document):
    """One final feature over the training rows.

    `nulls` is a share; `quantiles` maps "0", "0.25" … to values; `edges` and `counts` are a histogram with one
    edge more than counts. All but `rows` and `nulls` are of the rows that have a value.
    """

    rows: int
    nulls: float
    mean: float | None
    quantiles: dict[str, float]
    edges: list[float]
    counts: list[int]


class ModelVersion(Document):
    """The versioned record of one trained model.

    `configuration`, `table` and `groups` are the documents of the model, of the table it is asked about and of
    the feature groups it reads, as they were at training, and `sources` what gave these groups their rows.
    `metrics` are those of the whole model on the test period, `metrics_by_level` the same rows divided by the
    level that answered, `single_model_metrics` those of the model without parts, `baseline_metrics` those of
    answering the training mean (regression) or the training share of true (binary), `previous` those of the version
    before. All of them are of parts that learned from training and validation; where there is a `refit`, these have
    then been fitted once more, to its rows, those of the test period among them. `warnings` are sentences about labels
    that come late, about features that seem to know the label, about inputs that seem to lie in the future, and about
    features of very different sizes in clusters. `importances` are shares of the gain, adding up to 1. `part_metric`
    names the error that decided about parts. `search` and `distributions` are reports, which the bundle leaves out.
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
    signature: Signature
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
        """The event time before which lie all rows that the version's parts have learned from."""
        return self.refit.end if self.refit else self.windows["validation"].end


class VersionSummary(Document):
    """What a list of versions shows of each."""

    uuid: str
    model: str
    status: Literal["trained"]
    trained_by: str
    started_at: datetime
    finished_at: datetime
    metrics: Metrics
