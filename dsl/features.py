"""Compiled features: a checked set of expressions that is fitted, stored as JSON, and computed by row or by column."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dsl.checker.lower import Lowering, State
from dsl.checker.named import check_named
from dsl.checker.nullability import NullsOf
from dsl.errors import LanguageErrors, NotFittedError, StoredFormError
from dsl.row.compile import RowFunction, compile_row
from dsl.schema import Inputs, Schema, StoreInput
from dsl.serialization import Place, from_json, to_json
from dsl.signature import Fit
from dsl.tree import Call, Constant, Node, RowColumn, StoreFeature, distinct, text
from dsl.types import INT_BOUNDS, is_text
from dsl.udfs import UdfFunction, Udfs, parse_udfs

if TYPE_CHECKING:
    import polars as pl

    from dsl.polars.compile import ColumnProgram

FORMAT = "giornata-features"
VERSION = 2
READABLE = (1, 2)
"""Version 1 has no stated keys and no age of rows; everything it has means the same."""


def compile_features(
    features: Mapping[str, str], schema: Schema, define: Mapping[str, str] | None = None
) -> "CompiledFeatures":
    """Check expressions by name against the schema of their inputs.

    An expression may use any other by its bare name, in any order. `define` holds expressions that can be used like
    that but are not features; for a name that is in both, `define` counts. Raises LanguageErrors with every mistake of
    every expression.

        >>> schema = Schema({"miles": "float", "minutes": "float"})
        >>> features = compile_features(
        ...     {"speed": "row.miles / hours", "is_far": "row.miles > 1500"}, schema, {"hours": "row.minutes / 60"}
        ... )
        >>> features.types
        {'speed': 'float', 'is_far': 'bool'}
        >>> features.row({"miles": 180.0, "minutes": 45.0})
        [240.0, False]
        >>> compile_features({"speed": "row.mils / row.minutes"}, schema)
        Traceback (most recent call last):
        dsl.errors.LanguageErrors: feature 'speed', line 1, column 1: the row has no column 'mils'
            row.mils / row.minutes
            ^^^^^^^^
            did you mean row.miles?
    """
    trees, errors = check_named(features, define or {}, schema)
    if errors:
        raise LanguageErrors(errors)
    return CompiledFeatures(trees)


@dataclass(frozen=True)
class CompiledFeatures:
    """Checked features in order: `trees` by name, and `states`, the state of each fitted call by its text.

    An input is named as in the expression: a row column by its name, `store.group.feature` as `group__feature`,
    `store.group(entity=row.column).feature` as `group__column__feature`. Missing values are null, and so are NaN and
    infinity. Pickling (for Spark's executors) carries only the JSON form.

        >>> import polars as pl
        >>> schema = Schema({"origin": "str", "seats": "float"})
        >>> features = compile_features(
        ...     {"origin": "vocabulary(row.origin, 2)", "is_large": "row.seats > 150"}, schema
        ... )
        >>> flights = pl.DataFrame({"origin": ["JFK", "LGA", "JFK"], "seats": [100.0, 150.0, 200.0]})
        >>> fitted = features.fitted(features.aggregate(flights))
        >>> fitted.columns(flights).rows()
        [(2, False), (3, False), (2, True)]
        >>> fitted.row({"origin": "SFO", "seats": None})
        [1, None]
        >>> CompiledFeatures.from_json(fitted.to_json()).row({"origin": "LGA", "seats": 180.0})
        [3, True]
    """

    trees: Mapping[str, Node]
    states: Mapping[str, State] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the order of their values."""
        return tuple(self.trees)

    @property
    def types(self) -> dict[str, str]:
        """{feature: type}."""
        return {name: str(tree.type) for name, tree in self.trees.items()}

    @cached_property
    def inputs(self) -> Inputs:
        """The inputs to pass in or to look up; keys of the store are among the row columns.

        For instance:

            >>> from dsl import GroupSchema
            >>> weather = GroupSchema({"origin": "str"}, {"wind": "float"})
            >>> schema = Schema({"origin": "str", "miles": "float"}, {"weather": weather})
            >>> inputs = compile_features({"wind": "store.weather.wind"}, schema).inputs
            >>> inputs.row
            {'origin': 'str'}
            >>> inputs.store["weather"].features
            {'wind': 'float'}
        """
        nodes = distinct(self.trees.values())
        row = {node.name: str(node.type) for node in nodes if isinstance(node, RowColumn)}
        store: dict[str, StoreInput] = {}
        for node in nodes:
            if isinstance(node, StoreFeature):
                row |= {column.name: str(column.type) for _, column in node.keys if column.name not in row}
                known = store.get(node.use)
                features = {**(known.features if known else {}), node.feature: str(node.type)}
                keys = {entity: column.name for entity, column in node.keys}
                store[node.use] = StoreInput(node.group, keys, features)
        nulls_of = NullsOf()
        needed = frozenset().union(*map(nulls_of, self.trees.values()))
        return Inputs(row, store, frozenset(row) - needed)

    @cached_property
    def store_nulls(self) -> dict[str, tuple[StoreFeature, ...]]:
        """The features of the store whose null can make each feature null."""
        nulls_of = NullsOf(of_store=True)
        return {
            name: tuple(
                node
                for node in distinct([tree])
                if isinstance(node, StoreFeature) and node.column in nulls_of(tree)
            )
            for name, tree in self.trees.items()
        }

    @cached_property
    def learning(self) -> tuple[str, ...]:
        """The features that contain a fitted function."""
        return tuple(
            name
            for name, tree in self.trees.items()
            if any(isinstance(node, Call) and node.function.fit for node in distinct([tree]))
        )

    @property
    def is_fitted(self) -> bool:
        """Whether every fitted function has its state."""
        return all(key in self.states for key in self._fitted_calls)

    @cached_property
    def row(self) -> RowFunction:
        """The function from {input: value} of one row to the list of values, in the order of `names`.

        Timestamps are aware datetimes. An absent input is null. The function raises InputError for a value that is not
        of its input's type. Raises NotFittedError before fitting.
        """
        return compile_row(list(self._lowered.values()))

    def row_many(self, rows: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
        """The values of each row."""
        row = self.row
        return [row(values) for values in rows]

    def columns(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        """One column per feature, rows in the frame's order.

        Timestamps are Datetime("us", "UTC"). Raises InputError for a column that is missing or not of its input's
        type, NotFittedError before fitting.
        """
        return self._program.run(frame)

    @cached_property
    def learns_target(self) -> bool:
        """Whether a fitted function uses the label, so that a row's value must come from other rows."""
        return any(call.function.learns_target for call in self._fitted_calls.values())

    def aggregate(self, frame: "pl.DataFrame", target: "pl.Series | None" = None) -> dict[str, Any]:
        """The partial aggregate of fitted functions over these training rows, as JSON, to be merged with others.

        `target` holds the rows' labels (Float64), for functions that use them; these leave out rows whose label is
        null, NaN or infinite. Raises NotFittedError if labels are needed and absent.
        """
        arguments = self._argument_program.run(frame)
        return {
            key: _fit(call).aggregate(
                _beside(key, arguments[key], target) if call.function.learns_target else arguments[key]
            )
            for key, call in self._fitted_calls.items()
        }

    @cached_property
    def categories(self) -> dict[str, int]:
        """The features that are codes of a vocabulary, with the number of codes; codes are 0, 1, … below that number.

        Raises NotFittedError before fitting.
        """
        coded = {
            name: tree
            for name, tree in self.trees.items()
            if isinstance(tree, Call) and tree.function.name == "vocabulary"
        }
        missing = [name for name, tree in coded.items() if text(tree) not in self.states]
        if missing:
            raise NotFittedError(f"{', '.join(missing)} must be fitted before there are codes")
        return {name: len(self.states[text(tree)]["words"]) + 2 for name, tree in coded.items()}

    def merge(self, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """The aggregate of both parts; any order and grouping of merges gives the same."""
        for part in (left, right):
            if set(part) != set(self._fitted_calls):
                raise StoredFormError(
                    f"aggregates of {sorted(part)} are not those of {sorted(self._fitted_calls)}"
                )
        return {key: _fit(call).merge(left[key], right[key]) for key, call in self._fitted_calls.items()}

    def fitted(
        self, aggregate: dict[str, Any], of_others: dict[str, Any] | None = None
    ) -> "CompiledFeatures":
        """The features with the state from the aggregate of all training rows.

        `of_others` is for rows that are training rows themselves: the aggregate of the other rows. State that depends
        on labels comes from it.
        """
        states = {
            key: _fit(call).state(
                of_others[key] if of_others and call.function.learns_target else aggregate[key],
                _constants(call),
            )
            for key, call in self._fitted_calls.items()
        }
        return CompiledFeatures(self.trees, states)

    def to_json(self) -> dict[str, Any]:
        """The features and their state as JSON."""
        written: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "features": {name: to_json(tree) for name, tree in self.trees.items()},
            "states": {key: dict(state) for key, state in self.states.items()},
        }
        if self.udfs:
            written["udfs"] = {"version": self.udfs.version, "source": self.udfs.source}
        return written

    @cached_property
    def udfs(self) -> Udfs | None:
        """The project's functions, if a feature calls one."""
        called = (node.function for node in distinct(self.trees.values()) if isinstance(node, Call))
        return next((function.udfs for function in called if isinstance(function, UdfFunction)), None)

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "CompiledFeatures":
        """The features that `to_json` wrote. Raises StoredFormError if they cannot be read."""
        if written.get("format") != FORMAT:
            raise StoredFormError(f"expected {FORMAT}, got {written.get('format')!r:.40}")
        if written.get("version") not in READABLE:
            raise StoredFormError(
                f"features are stored in version {written.get('version')!r:.40}; this Giornata reads "
                f"{' and '.join(map(str, READABLE))}"
            )
        if not isinstance(written.get("features"), dict) or not isinstance(written.get("states"), dict):
            raise StoredFormError("stored features lack their features or states")
        place = Place(udfs=_read_udfs(written["udfs"]) if "udfs" in written else None)
        features = cls({name: from_json(tree, place) for name, tree in written["features"].items()})
        states = {
            key: _read_state(key, features._fitted_calls, state) for key, state in written["states"].items()
        }
        return cls(features.trees, states)

    def __reduce__(self) -> tuple[Any, ...]:
        return CompiledFeatures.from_json, (self.to_json(),)

    @cached_property
    def _fitted_calls(self) -> dict[str, Call]:
        """The calls of fitted functions by their text."""
        nodes = distinct(self.trees.values())
        return {text(node): node for node in nodes if isinstance(node, Call) and node.function.fit}

    @cached_property
    def _lowered(self) -> dict[str, Node]:
        lower = Lowering(self.states)
        return {name: lower(tree) for name, tree in self.trees.items()}

    @cached_property
    def _program(self) -> "ColumnProgram":
        from dsl.polars.compile import ColumnProgram

        return ColumnProgram(self._lowered)

    @cached_property
    def _argument_program(self) -> "ColumnProgram":
        from dsl.polars.compile import ColumnProgram

        lower = Lowering({})
        return ColumnProgram({key: lower(call.arguments[0]) for key, call in self._fitted_calls.items()})


def _read_udfs(written: Any) -> Udfs:
    """Stored functions of a project, checked against their version. They are not run yet."""
    if not isinstance(written, dict) or not isinstance(written.get("source"), str):
        raise StoredFormError("stored features lack the source of their functions")
    try:
        udfs = parse_udfs(written["source"])
    except LanguageErrors as errors:
        raise StoredFormError(f"stored functions cannot be read: {errors}") from None
    if udfs.version != written.get("version"):
        raise StoredFormError(
            f"stored functions are version {udfs.version}, not {written.get('version')!r:.70} as it says beside them"
        )
    return udfs


def _fit(call: Call) -> Fit:
    assert call.function.fit
    return call.function.fit


def _beside(key: str, values: "pl.Series", target: "pl.Series | None") -> "pl.DataFrame":
    """The values and labels from which a function is fitted."""
    import polars as pl

    if target is None:
        raise NotFittedError(f"{key} is fitted to labels, and none were passed with the rows")
    return pl.DataFrame({"value": values, "target": target.cast(pl.Float64)})


def _constants(call: Call) -> tuple[Any, ...]:
    return tuple(argument.value for argument in call.arguments[1:] if isinstance(argument, Constant))


def _read_state(key: str, calls: Mapping[str, Call], written: Any) -> State:
    """A stored state, checked against the types that its function declares."""
    if key not in calls:
        raise StoredFormError(f"there is a state for {key!r:.80}, which no feature calls")
    kinds = _fit(calls[key]).state_types
    if not isinstance(written, dict) or set(written) != set(kinds):
        raise StoredFormError(f"the state of {key} does not hold {', '.join(kinds)}")
    return {name: _read_learned(key, name, kind, written[name]) for name, kind in kinds.items()}


def _read_learned(key: str, name: str, kind: str, value: Any) -> Any:
    match kind:
        case "words" | "floats" if isinstance(value, list | tuple):
            item = "str" if kind == "words" else "float"
            return tuple(_read_item(key, name, item, part) for part in value)
        case "int" | "float" | "str":
            return None if value is None else _read_item(key, name, kind, value)
    raise StoredFormError(f"{name} of {key} is not {kind}: {value!r:.40}")


def _read_item(key: str, name: str, kind: str, value: Any) -> int | float | str:
    """One value of a state."""
    if isinstance(value, bool):
        pass
    elif kind == "float" and isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    elif (kind == "int" and isinstance(value, int) and INT_BOUNDS[0] <= value <= INT_BOUNDS[1]) or (
        kind == "str" and isinstance(value, str) and is_text(value)
    ):
        return value
    raise StoredFormError(f"{name} of {key} is not {kind}: {value!r:.40}")
