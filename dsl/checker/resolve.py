"""Overload resolution: binds arguments to parameters, types to types, and checks constants against their limits."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from dsl.functions import overloads
from dsl.signature import VARIABLES, Function, Parameter
from dsl.tree import Call, Constant, Node
from dsl.types import Type, nearest

PROMOTED = {Type.INT: Type.FLOAT, Type.INT_LIST: Type.FLOAT_LIST}
"""The type to which a type is promoted where needed."""


class Null:
    """Marks the literal None, whose type depends on where it stands."""


@cache
def zones() -> frozenset[str]:
    """The time zones that can be named: UTC and the Area/Location names of the time-zone database."""
    return frozenset(name for name in available_timezones() if "/" in name or name == "UTC")


def constant_problem(
    function: Function, parameter: Parameter, argument: Node
) -> tuple[str, str | None] | None:
    """Why a constant parameter does not accept its argument (message, suggestion), or None if it does."""
    said = f"{parameter.name} of {function.name}"
    if not isinstance(argument, Constant) or argument.value is None:
        return f"{said} must be a literal", None
    if parameter.kind == "zone" and argument.value not in zones():
        near = nearest(str(argument.value), zones())
        hint = f"did you mean {near!r}?" if near else "write a name such as 'America/New_York' or 'UTC'"
        return f"there is no time zone {argument.value!r}", hint
    if parameter.name in function.ranges and isinstance(argument.value, int | float):
        low, high = function.ranges[parameter.name]
        if not low <= argument.value <= high:
            return f"{said} must be from {low} to {high}, not {argument.value}", None
    problem = function.checks[parameter.name](argument.value) if parameter.name in function.checks else None
    return (f"{said}: {problem}", None) if problem else None


def bind(
    function: Function, positional: list["Node | Null | None"], keywords: Mapping[str, "Node | Null | None"]
) -> list["Node | Null"] | None:
    """The arguments in the order of the parameters, or None if they do not fill them."""
    bound: list[Node | Null] = []
    parameters = function.parameters
    rest = list(positional)
    left = dict(keywords)
    for parameter in parameters:
        if parameter.is_repeated:
            bound.extend(argument for argument in rest if argument is not None)
            rest = []
        elif rest:
            argument = rest.pop(0)
            assert argument is not None
            bound.append(argument)
        elif parameter.name in left:
            argument = left.pop(parameter.name)
            assert argument is not None
            bound.append(argument)
        elif parameter.has_default:
            # Its default is a literal of the language.
            bound.append(Constant(parameter.default, parameter_type(parameter, None)))  # type: ignore[arg-type]
        else:
            return None
    return None if rest or left else bound


def fit_types(function: Function, arguments: list["Node | Null"]) -> tuple[int, Type | None] | None:
    """(number of arguments to convert, type of the signature's type variable), or None if the types do not fit."""
    conversions = 0
    variables = []
    allowed: tuple[Type, ...] = ()
    for index, argument in enumerate(arguments):
        parameter = function.parameter(index)
        if isinstance(argument, Null):
            conversions += parameter.kind not in (*VARIABLES, "float")
        elif parameter.kind in VARIABLES:
            variables.append(argument.type)
            allowed = VARIABLES[parameter.kind]
        else:
            wanted = parameter_type(parameter, None)
            if argument.type == wanted:
                continue
            if PROMOTED.get(argument.type) != wanted:
                return None
            conversions += 1
    if not variables:
        return conversions, None
    common = common_type(set(variables))
    if common is None or common not in allowed:
        return None
    return conversions + sum(kind != common for kind in variables), common


def convert(node: "Node | Null", kind: Type) -> Node:
    """The node converted to a type: null takes any type, an int becomes a float."""
    if isinstance(node, Null):
        return Constant(None, kind)
    if node.type == kind:
        return node
    if isinstance(node, Constant):
        return Constant(_as_float(node.value), kind)
    return Call(to_float(node.type), (node,), kind)


def _as_float(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_as_float, value))
    return None if value is None else float(value)


@cache
def to_float(kind: Type) -> Function:
    """The function that turns an int, or a list of ints, into floats."""
    return next(row for row in overloads("float") if row.parameters[0].kind == kind)


def common_type(kinds: set[Type]) -> Type | None:
    """The common type of some types: the same one, or float for int and float, or None."""
    if len(kinds) == 1:
        return next(iter(kinds))
    promoted = {PROMOTED.get(kind, kind) for kind in kinds}
    return promoted.pop() if len(promoted) == 1 else None


def parameter_type(parameter: Parameter, variable: Type | None) -> Type:
    """The type of a parameter, with the type variable replaced."""
    if parameter.kind in VARIABLES:
        assert variable is not None
        return variable
    return Type.STR if parameter.kind == "zone" else Type(parameter.kind)
