"""The schema of an expression's inputs: row columns and store features, by name and type."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dsl.errors import SchemaError
from dsl.types import Type, nearest

if TYPE_CHECKING:
    from dsl.udfs import Udfs


AGE = "event_age"
"""Written like a feature of any group, `store.group.event_age`: seconds from the event time of the row that was found
to the moment of the prediction, null if there is no row. No feature can have this name."""


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
    """A feature group: names and types of its entity (its key) and of its features.

    `name` is the group's name once compiled, if it differs from the name in expressions: for a group with versions, the
    version that is meant.
    """

    entity: Mapping[str, str]
    features: Mapping[str, str]
    name: str | None = None


@dataclass(frozen=True)
class Schema:
    """The names an expression may use: row columns, feature groups of the store, functions of the project.

    `barred` gives reasons why a row column must not be used, in words that follow the column's name.

        >>> schema = Schema({"origin": "str"}, {"weather": GroupSchema({"origin": "str"}, {"wind": "float"})})
        >>> sorted(schema.store)
        ['weather']
        >>> Schema({"miles": "flaot"})
        Traceback (most recent call last):
        dsl.errors.SchemaError: row.miles has type 'flaot', which is none of ...; did you mean 'float'?
    """

    row: Mapping[str, str]
    store: Mapping[str, GroupSchema] = field(default_factory=dict)
    udfs: "Udfs | None" = None
    barred: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "row", _typed(self.row, "row"))
        groups = {
            name: GroupSchema(
                _typed(group.entity, f"store.{name} entity"),
                _typed(group.features, f"store.{name}"),
                group.name or name,
            )
            for name, group in self.store.items()
        }
        object.__setattr__(self, "store", groups)
        for name, group in groups.items():
            if AGE in group.features:
                raise SchemaError(f"store.{name}.{AGE} cannot be a feature: it is the age of the group's row")
            for column, kind in {**group.entity, **group.features}.items():
                if Type(kind).item:
                    raise SchemaError(f"store.{name}.{column} is {kind}: a feature group holds no lists")


def store_use(group: str, keys: Mapping[str, str]) -> str:
    """Name of a group as looked up by {entity: row column}, in the entity's order.

    It is the group's own name if every key is the column of the same name, else `group__column`, with each column.
    """
    if all(entity == column for entity, column in keys.items()):
        return group
    return "__".join([group, *keys.values()])


def store_input_name(use: str, feature: str) -> str:
    """Name under which a feature is passed in: `use__feature`."""
    return f"{use}__{feature}"


@dataclass(frozen=True)
class StoreInput:
    """The features that are read from one feature group, with the row columns that hold its keys.

    `keys` is {entity name: row column that holds it}, `features` {feature: type}, including AGE if the age of the row
    is used.
    """

    group: str
    keys: Mapping[str, str]
    features: Mapping[str, str]

    @property
    def stored(self) -> dict[str, str]:
        """The features that the group's rows hold: all but the age."""
        return {name: kind for name, kind in self.features.items() if name != AGE}


@dataclass(frozen=True)
class Inputs:
    """The inputs of a set of features: {row column: type}, with keys of the store, and {use: StoreInput}.

    A use is a group with one choice of keys, named by `store_use`. `nullable` are the row columns whose null makes no
    feature null, because each feature that uses them handles null.
    """

    row: Mapping[str, str]
    store: Mapping[str, StoreInput]
    nullable: frozenset[str] = frozenset()
