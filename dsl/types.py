"""The types of the feature language, and the schema that an expression may read."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dsl.errors import SchemaError


class Type(StrEnum):
    """A type; every value of every type may also be null."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STR = "str"
    TIMESTAMP = "timestamp"


NUMBERS = (Type.INT, Type.FLOAT)
ORDERED = (Type.INT, Type.FLOAT, Type.STR, Type.TIMESTAMP)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like the given one, or None when nothing is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.55)
    return found[0] if found else None


def _typed(columns: Mapping[str, str], where: str) -> dict[str, Type]:
    typed = {}
    for name, text in columns.items():
        if text not in set(Type):
            near = nearest(str(text), map(str, Type))
            hint = f"; did you mean {near!r}?" if near else ""
            raise SchemaError(f"{where}.{name} has type {text!r}, which is none of {', '.join(Type)}{hint}")
        typed[name] = Type(text)
    return typed


@dataclass(frozen=True)
class GroupSchema:
    """A feature group: the names and types of its entity (its key) and of its features."""

    entity: Mapping[str, str]
    features: Mapping[str, str]


@dataclass(frozen=True)
class Schema:
    """What expressions may read: the columns of the row and the feature groups of the store, with their types."""

    row: Mapping[str, str]
    store: Mapping[str, GroupSchema] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "row", _typed(self.row, "row"))
        groups = {
            name: GroupSchema(
                _typed(group.entity, f"store.{name} entity"), _typed(group.features, f"store.{name}")
            )
            for name, group in self.store.items()
        }
        object.__setattr__(self, "store", groups)


@dataclass(frozen=True)
class StoreInput:
    """What is read of one feature group: {entity name: row column that holds it} and {feature: type}."""

    keys: Mapping[str, str]
    features: Mapping[str, str]


@dataclass(frozen=True)
class Inputs:
    """What a set of features reads: {row column: type}, keys of the store included, and {group: StoreInput}."""

    row: Mapping[str, str]
    store: Mapping[str, StoreInput]
