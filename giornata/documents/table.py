"""The document of a table: `tables/<name>.yaml`, with its loader `tables/<name>.py` beside it."""

from typing import Annotated

from pydantic import Field

from giornata.documents.base import NameText, TableColumnType, Text
from giornata.schema import Document


class Table(Document):
    """A Hive table of the project's own data.

    `key` names the columns that identify a row, `event_time` the timestamp column whose UTC date is the partition
    `day`. `known_at` names, for a column whose value arrives later than the rest of its row, the timestamp column that
    says when; only a model with that event time may use it as a feature. `planned` lists timestamp columns that hold
    plans: known with the row although they may lie in the future.
    """

    description: Text
    key: Annotated[list[str], Field(min_length=1)]
    event_time: str
    columns: Annotated[dict[NameText, TableColumnType], Field(min_length=1)]
    known_at: dict[str, str] = Field(default_factory=dict)
    planned: list[str] = Field(default_factory=list)
