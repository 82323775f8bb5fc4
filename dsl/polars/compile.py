"""Column back end: Polars expressions for a whole set of lowered trees, run in stages.

A stage adds columns that later ones use; every value that more than one expression uses is computed once, in such a
column. Null is Polars' null. A float may be NaN or infinite, which both mean null, until it is settled: replaced by
null. Inputs and the columns of a stage are, as soon as they are there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import polars as pl

from dsl.bounds import BoundsOf
from dsl.errors import InputError
from dsl.polars.expressions import RowFailedError
from dsl.polars.types import ONES, POLARS
from dsl.tree import (
    And,
    Call,
    Constant,
    If,
    In,
    Node,
    Not,
    Or,
    RowColumn,
    StoreFeature,
    distinct,
    shared_nodes,
)
from dsl.types import Type

ONE = pl.Series(ONES, [1.0])


@dataclass(frozen=True)
class Column:
    """A Polars expression of a value.

    stage: the first stage in which it can be computed; is_name: it is a column's name alone; is_full: it is known to
    be a whole column and no scalar; is_settled: it is never NaN or infinite.
    """

    expression: pl.Expr
    stage: int = 0
    is_name: bool = False
    is_full: bool = True
    is_settled: bool = True


@dataclass
class Stage:
    """Named expressions that are computed at once; the columns in `unsettled` are then settled."""

    expressions: list[pl.Expr] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)


class ColumnProgram:
    """Computes some trees, by name; built once, run on any number of frames."""

    def __init__(self, trees: Mapping[str, Node]) -> None:
        self._inputs = {
            node.column: node.type
            for node in distinct(trees.values())
            if isinstance(node, RowColumn | StoreFeature)
        }
        self._floats = [name for name, kind in self._inputs.items() if kind == Type.FLOAT]
        builder = Builder(list(trees.values()))
        outputs = {name: builder.emit(tree) for name, tree in trees.items()}
        last = Stage(
            [column.expression.alias(name) for name, column in outputs.items()],
            [name for name, column in outputs.items() if not column.is_settled],
        )
        self._stages = [*builder.stages, last]
        self._ready: tuple[list[str], list[pl.DataType]] | None = None
        self._types = {name: POLARS[tree.type] for name, tree in trees.items()}
        # A frame of scalars alone has one row, whatever they are computed beside.
        self._beside = [] if all(column.is_full for column in outputs.values()) else [ONES]

    def run(self, frame: pl.DataFrame) -> pl.DataFrame:
        """One column per tree, rows in the frame's order.

        Raises InputError for a column that is missing or not of its declared type, UdfError for a function that fails.
        """
        inputs = self._accepted(frame)
        # Polars takes columns of one row for scalars, so a single row is computed as two.
        height = max(frame.height, 2) if frame.height else 0
        if frame.height == 1:
            inputs = [series.new_from_index(0, 2) for series in inputs]
        work = _settled(pl.DataFrame([ONE.new_from_index(0, height), *inputs]), self._floats)
        *before, last = self._stages
        try:
            for stage in before:
                work = _settled(work.with_columns(stage.expressions), stage.unsettled)
            found = work.select(*last.expressions, *self._beside)
        except RowFailedError as failed:
            raise failed.error from None
        if self._beside:
            found = found.drop(self._beside)
        if found.dtypes != list(self._types.values()):
            found = found.cast(pl.Schema(self._types))
        found = _settled(found, last.unsettled)
        return found.head(frame.height) if height != frame.height else found

    def _accepted(self, frame: pl.DataFrame) -> list[pl.Series]:
        """The inputs in their Polars types; a frame like the one before is not looked at again."""
        columns = (frame.columns, frame.dtypes)
        if columns == self._ready:
            return [frame.get_column(name) for name in self._inputs]
        inputs = [_accept(frame, name, kind) for name, kind in self._inputs.items()]
        if all(series is given for series, given in inputs):
            self._ready = columns
        return [series for series, _ in inputs]


def _settled(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The frame with null for NaN and infinity in these columns."""
    # Few columns have either, and a sum shows it; that of finite numbers is looked at again where it is too large.
    others = [name for name in names if not isfinite(frame.get_column(name).sum())]
    if not others:
        return frame
    return frame.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name)) for name in others)


def _spread(expression: pl.Expr, kind: Type) -> pl.Expr:
    """A scalar as a whole column."""
    if kind == Type.FLOAT:
        return pl.col(ONES) * expression
    return pl.when(pl.col(ONES).is_not_null()).then(expression)


def _accept(frame: pl.DataFrame, name: str, kind: Type) -> tuple[pl.Series, pl.Series]:
    """The column of an input in its Polars type, and as it was given."""
    if name not in frame.columns:
        raise InputError(name, f"the frame has no such column; it has {', '.join(frame.columns) or 'none'}")
    given, wanted = frame[name], POLARS[kind]
    series, found = given, given.dtype
    if found != wanted:
        if not _is_accepted(found, kind):
            raise InputError(name, f"expected a column of type {wanted}, got {found}")
        try:
            series = series.cast(wanted)
        except pl.exceptions.PolarsError as error:
            raise InputError(name, f"the column of type {found} does not fit {wanted}: {error}") from None
    if kind == Type.FLOAT_LIST:
        # Null for NaN and infinity: no function meets them.
        finite = pl.when(pl.element().is_finite()).then(pl.element())
        return series.list.eval(finite).cast(wanted), given
    return series, given


def _is_accepted(found: pl.DataType, kind: Type) -> bool:
    """Whether a column of one Polars type is accepted for another."""
    if kind.item and isinstance(found, pl.List | pl.Array):
        inner = found.inner
        # In the type of a column it is an instance.
        return inner == POLARS[kind.item] or _is_accepted(inner, kind.item)  # type: ignore[arg-type]
    accepted = {
        Type.INT: found.is_integer(),
        Type.FLOAT: found.is_numeric(),
        Type.STR: isinstance(found, pl.Categorical | pl.Enum),
        Type.TIMESTAMP: isinstance(found, pl.Datetime) and found.time_zone is not None,
    }
    return accepted.get(kind, False) or found == pl.Null


class Builder:
    """Builds the expressions of some trees, and fills the stages on the way."""

    def __init__(self, trees: Sequence[Node]) -> None:
        self.stages: list[Stage] = []
        self.shared = shared_nodes(trees)
        self.bounds = BoundsOf()
        self.done: dict[Node, Column] = {}
        self.count = 0

    def emit(self, node: Node) -> Column:
        """The expression of a node."""
        if node not in self.shared:
            return self.build(node)
        if node not in self.done:
            self.done[node] = self.named(self.build(node))
        return self.done[node]

    def settled(self, node: Node) -> Column:
        """The expression of a node without NaN and infinity."""
        column = self.emit(node)
        return column if column.is_settled else self.named(column)

    def named(self, column: Column) -> Column:
        """The expression as a settled column of its own, in the first stage in which it can be computed."""
        if column.is_name:
            return column
        self.count += 1
        name = f"#{self.count}"
        while len(self.stages) <= column.stage:
            self.stages.append(Stage())
        stage = self.stages[column.stage]
        stage.expressions.append(column.expression.alias(name))
        if not column.is_settled:
            stage.unsettled.append(name)
        return Column(pl.col(name), column.stage + 1, True, column.is_full)

    def build(self, node: Node) -> Column:
        """The expression of a node."""
        match node:
            case Constant(value=tuple() as value):
                written = pl.lit(list(value), dtype=POLARS[node.type])
                return Column(pl.when(pl.col(ONES).is_not_null()).then(written))
            case Constant():
                return Column(pl.lit(node.value, dtype=POLARS[node.type]), is_full=False)
            case RowColumn() | StoreFeature():
                return Column(pl.col(node.column), is_name=True)
            case Call():
                return self.call(node)
            case If():
                return self.conditional(node)
            case And() | Or():
                return self.kleene(node)
            case Not():
                operand = self.emit(node.operand)
                return replace(operand, expression=~operand.expression, is_name=False)
            case In():
                operand = self.settled(node.operand)
                items = pl.Series(node.items, dtype=POLARS[node.operand.type])
                return replace(operand, expression=operand.expression.is_in(items.implode()), is_name=False)
        raise AssertionError(node)

    def call(self, node: Call) -> Column:
        """A function of the table."""
        function = node.function
        columns: list[Column] = []
        filled: dict[str, Any] = dict(node.state)
        bound: dict[str, Any] = dict(node.state)
        is_wide = node.type == Type.INT and self.bounds.overflows(node)
        is_sum = node.type == Type.FLOAT and function.operator in ("+", "-")
        for index, argument in enumerate(node.arguments):
            parameter = function.parameter(index)
            if parameter.is_constant:
                assert isinstance(argument, Constant)
                value: Any = argument.value
                if parameter.is_repeated:
                    value = (*filled.get(parameter.name, ()), value)
                filled[parameter.name] = value
                if parameter.kind != "zone":
                    bound[parameter.name] = value
                continue
            column = self.emit(argument) if parameter.name in function.passes else self.settled(argument)
            if function.repeats:
                column = self.named(column)
            columns.append(column)
            expression = column.expression
            is_zero = isinstance(argument, Constant) and argument.value == 0 and argument.type == Type.FLOAT
            if (parameter.name in function.full or is_zero) and not column.is_full:
                expression = _spread(expression, argument.type)
            elif is_sum and not isinstance(argument, Constant | RowColumn | StoreFeature):
                # A choice that is the same in all rows is a scalar to Polars, which makes -0.0 of 0.0 - 0.0 there.
                expression = _spread(expression, argument.type)
            filled[parameter.name] = expression.cast(pl.Int128) if is_wide else expression
        if function.bind:
            for name, made in function.bind(**bound).items():
                filled[name] = pl.col(ONES) * made if name in function.full else made
        assert function.columns
        expression = function.columns(**filled)
        return Column(
            expression.cast(pl.Int64, strict=False) if is_wide else expression,
            max(column.stage for column in columns),
            is_full=any(column.is_full for column in columns),
            is_settled=not function.may_be_non_finite,
        )

    def conditional(self, node: If) -> Column:
        """An if; Polars also takes a null condition as not true."""
        condition, then, otherwise = (
            self.emit(node.condition),
            self.emit(node.then),
            self.emit(node.otherwise),
        )
        if not (then.is_full or otherwise.is_full):
            # Polars can take a condition that is null everywhere for a scalar, and then make one of the result.
            condition = self.named(condition)
        return Column(
            pl.when(condition.expression).then(then.expression).otherwise(otherwise.expression),
            max(condition.stage, then.stage, otherwise.stage),
            is_full=condition.is_full,
            is_settled=then.is_settled and otherwise.is_settled,
        )

    def kleene(self, node: And | Or) -> Column:
        """and, or; Polars' operators are Kleene's."""
        columns = [self.emit(operand) for operand in node.operands]
        expression = columns[0].expression
        for column in columns[1:]:
            expression = (
                expression & column.expression if isinstance(node, And) else expression | column.expression
            )
        return Column(
            expression,
            max(column.stage for column in columns),
            is_full=any(column.is_full for column in columns),
        )
