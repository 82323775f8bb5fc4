"""An entry of the function table: signature, documentation, and implementations for one row and for columns."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from dsl.types import NUMBERS, ORDERED, SCALARS, IntBounds, Type

VARIABLES: dict[str, tuple[Type, ...]] = {
    "number": NUMBERS,
    "ordered": ORDERED,
    "value": SCALARS,
    "anything": tuple(Type),
}
"""Type variables of signatures, with the types that each may stand for in a call."""


@dataclass(frozen=True)
class Parameter:
    """A parameter: `kind` is a type, a type variable of VARIABLES, or `zone` (a constant time-zone name)."""

    name: str
    kind: str
    is_constant: bool
    is_repeated: bool
    default: object = None
    has_default: bool = False


@dataclass(frozen=True)
class Example:
    """An expression and its value, for given row columns.

    `training` holds the rows to which a fitted function is fitted, `targets` their labels if it uses them.
    """

    expression: str
    value: object
    row: Mapping[str, object] = field(default_factory=dict)
    training: tuple[Mapping[str, object], ...] = ()
    targets: tuple[float | None, ...] = ()


class Fit(Protocol):
    """The fit of a function, in one pass, the same however the rows are partitioned.

    `state_types` is {name: type} of its state: int, float, str, "words" (a tuple of texts) or "floats" (of floats).
    """

    state_types: Mapping[str, str]

    def aggregate(self, values: Any) -> dict[str, Any]:
        """Partial aggregate of a pl.Series, as JSON; of a pl.DataFrame of value and target if labels are used."""

    def merge(self, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
        """Aggregate of both parts together."""

    def state(self, aggregate: dict[str, Any], constants: tuple[Any, ...]) -> dict[str, Any]:
        """The state for the aggregate of all rows."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Function:
    """An overload: one meaning of a name for one list of parameter types.

    A function is null when an argument is null, unless `handles_null`. It is implemented in one of two ways: by
    `definition`, an expression of this language over the parameters (and the fitted state), or by `row` and `columns`.

        row: Python source with {parameter} for each value, which is never null (unless handles_null), and never
            NaN or infinite unless the parameter is in passes; it may use the names of dsl/row/scalar.
        columns: from one Polars expression (constants as Python values) per parameter to a Polars expression.
        bind: from the constants (a repeated one as a tuple) and the fitted state to further named values for row and
            columns.
        passes: float parameters that may be NaN or infinite, which makes the result so.
        may_be_non_finite: the result may be NaN or infinite on either back end; both stand for null.
        partial: whether row may return None for arguments that are not null, given the bounds of the arguments.
        bounds: of the result from those of the arguments, before it is clipped to 64 bits; None if it always fits.
        full: names that columns needs as whole columns, because Polars computes differently with a scalar.
        repeats: columns uses an argument more than once, so each is computed beforehand.
        ranges: {constant parameter: least and greatest value allowed}.
        checks: {constant parameter: function that says what is wrong with a value, or None}.
        learns_target: whether fit uses the label beside the argument.
    """

    signature: str
    section: str
    doc: str
    examples: tuple[Example, ...]
    definition: str | None = None
    row: str = ""
    columns: Callable[..., Any] | None = None
    bind: Callable[..., dict[str, Any]] | None = None
    handles_null: bool = False
    passes: tuple[str, ...] = ()
    may_be_non_finite: bool = False
    partial: Callable[..., bool] | None = None
    bounds: Callable[..., IntBounds] | None = None
    full: tuple[str, ...] = ()
    repeats: bool = False
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    checks: Mapping[str, Callable[[Any], str | None]] = field(default_factory=dict)
    fit: Fit | None = None
    learns_target: bool = False
    operator: str = ""

    @cached_property
    def _parsed(self) -> ast.FunctionDef:
        statement = ast.parse(f"def {self.signature}: ...").body[0]
        assert isinstance(statement, ast.FunctionDef)
        return statement

    @property
    def is_operator(self) -> bool:
        """Whether the function is written as an operator, such as `a + b`."""
        return bool(self.operator)

    @property
    def is_part(self) -> bool:
        """Whether only definitions can call the function."""
        return self.section == "parts"

    @cached_property
    def name(self) -> str:
        """The name in an expression: an identifier, or the operator's symbol."""
        return self.operator or self._parsed.name

    @cached_property
    def returns(self) -> str:
        """A type, or a type variable that a parameter determines."""
        return ast.unparse(self._parsed.returns) if self._parsed.returns else ""

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters in order; only the last can be repeated."""
        arguments = self._parsed.args
        defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + list(arguments.defaults)
        found = [
            _parameter(argument, default) for argument, default in zip(arguments.args, defaults, strict=True)
        ]
        if arguments.vararg:
            found.append(_parameter(arguments.vararg, None, is_repeated=True))
        return tuple(found)

    def parameter(self, index: int) -> Parameter:
        """The parameter that the argument at an index fills."""
        return self.parameters[min(index, len(self.parameters) - 1)]


def _parameter(argument: ast.arg, default: ast.expr | None, is_repeated: bool = False) -> Parameter:
    kind = argument.annotation
    assert kind is not None
    is_constant = isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "constant"
    said = ast.unparse(kind.slice if isinstance(kind, ast.Subscript) and is_constant else kind)
    return Parameter(
        argument.arg,
        said,
        is_constant or said == "zone",
        is_repeated,
        ast.literal_eval(default) if default else None,
        default is not None,
    )
