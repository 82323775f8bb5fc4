"""The document of a feature group: `features/<name>.yaml`, with its query `features/<name>.sql` beside it."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator

from giornata.documents.base import ColumnType, Document, Duration, NameText, Schedule, Text

Policy = Literal["fail", "quarantine", "warn"]


class Feature(Document):
    """One feature: its type and what it means, with its unit."""

    type: ColumnType
    description: Text


class Expectation(Document):
    """An expectation of Great Expectations and what happens when rows do not meet it.

    Written as `{expect_…: {arguments}, policy: …}`. `fail` stops the materialisation, `quarantine` keeps the
    offending rows out and goes on, `warn` only records the result.
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
        name = expectations[0]
        return {"name": name, "arguments": value[name]} | {
            key: value[key] for key in value if key == "policy"
        }

    @model_serializer
    def _to_yaml(self) -> dict[str, object]:
        return {self.name: self.arguments, "policy": self.policy}


class FeatureGroup(Document):
    """Features of an entity over time, computed by one query.

    `entity` names the key columns and their types. `ttl` is the age beyond which a value counts as missing
    (None: never). `schedule` is when the group is computed (None: on request, with the project's data).
    `history` is how far back from its newest published day the group can be asked online about the past; a group
    without `ttl` does not age and is online as a whole.
    `sla` is how long after its end a day (UTC) must be published (None: nobody waits for it).
    """

    description: Text
    owner: Text
    entity: Annotated[dict[NameText, ColumnType], Field(min_length=1)]
    schedule: Schedule | None = None
    ttl: Duration | None = None
    history: Duration = timedelta(days=7)
    sla: Duration | None = None
    features: Annotated[dict[NameText, Feature], Field(min_length=1)]
    expect: list[Expectation] = Field(default_factory=list)
