"""Why an answer has nothing of a feature group: the reasons, as the server, its log and the monitor say them."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

__all__ = ["LOGGED", "Missing", "Reason"]

LOGGED = "_missing"
"""Among the logged inputs of an answer, which no document can name so: the reasons, by use of a group."""


class Reason(StrEnum):
    """Why a row has nothing of a feature group.

    no_row: none is known of the entity. too_old: the newest is older than the group's ttl. before_history: days that
    its moment sees are published and not online. not_read: the group could not be read.
    """

    NO_ROW = "no_row"
    TOO_OLD = "too_old"
    BEFORE_HISTORY = "before_history"
    NOT_READ = "not_read"


class Missing(NamedTuple):
    """A use of a feature group (see `dsl.types.store_use`) that a row has nothing of, and why.

    `begin` is when what is online of it begins, where some of what is published is not.
    """

    use: str
    group: str
    reason: Reason
    begin: datetime | None = None
