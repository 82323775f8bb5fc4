"""The types of the feature language."""

import difflib
from collections.abc import Iterable
from enum import StrEnum


class Type(StrEnum):
    """A type; every value of every type may also be null, and so may every item of a list."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STR = "str"
    TIMESTAMP = "timestamp"
    INT_LIST = "list[int]"
    FLOAT_LIST = "list[float]"
    BOOL_LIST = "list[bool]"
    STR_LIST = "list[str]"
    TIMESTAMP_LIST = "list[timestamp]"

    @property
    def item(self) -> "Type | None":
        """The type of a list's items, None for a type that is not a list."""
        return Type(self[5:-1]) if self.startswith("list[") else None


SCALARS = (Type.INT, Type.FLOAT, Type.BOOL, Type.STR, Type.TIMESTAMP)
LISTS = {kind: Type(f"list[{kind}]") for kind in SCALARS}
"""The type of a list by that of its items."""


IntBounds = tuple[int, int]
"""The least and the greatest value of a whole number."""

INT_BOUNDS: IntBounds = (-(2**63), 2**63 - 1)

NUMBERS = (Type.INT, Type.FLOAT)
ORDERED = (Type.INT, Type.FLOAT, Type.STR, Type.TIMESTAMP)


def is_text(value: str) -> bool:
    """Whether a text consists of whole characters: half of a surrogate pair is not one."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like the given one, or None when nothing is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.55)
    return found[0] if found else None
