"""Reasons why a prediction lacks a feature group, as named by the server, its log and the monitor."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

__all__ = ["LOGGED", "Missing", "Reason"]

LOGGED = "_missing"
"""Key of the reasons, by use of a group, among the logged inputs of a prediction; no document can use this name."""


class Reason(StrEnum):
    """Why a row has no values of a feature group.

    `no_row`: the entity has no row. `too_old`: the newest row is older than the group's ttl. `before_history`: days
    that the row's moment sees are published but not online. `not_read`: the group could not be read.
    """

    NO_ROW = "no_row"
    TOO_OLD = "too_old"
    BEFORE_HISTORY = "before_history"
    NOT_READ = "not_read"


class Missing(NamedTuple):
    """A use of a feature group (see `dsl.schema.store_use`) without values for a row, and why.

    `begin` is the first moment that is online, if some published days are not.
    """

    use: str
    group: str
    reason: Reason
    begin: datetime | None = None
