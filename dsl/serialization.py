"""Checked trees to JSON and back. Trees that are read are checked again, as if newly written.

A node is an object whose first key tells its kind: {"constant": value, "type"}, {"row": name, "type"}, {"store": group,
"feature", "keys": {entity: row column}, "type"}, {"call": function, "arguments": [...], "type"}, {"if": node, "then",
"else"}, {"and": [...]}, {"or": [...]}, {"not": node}, {"in": node, "items": [...]}.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from dsl.checker.parse import MAX_TREE_DEPTH
from dsl.checker.resolve import constant_problem
from dsl.errors import StoredFormError
from dsl.functions import overloads
from dsl.schema import AGE
from dsl.signature import VARIABLES, Function
from dsl.tree import And, Call, Constant, If, In, Node, Not, Or, RowColumn, StoreFeature
from dsl.types import INT_BOUNDS, Type, is_text

if TYPE_CHECKING:
    from dsl.udfs import Udfs

PYTHON: dict[Type, type] = {Type.INT: int, Type.FLOAT: float, Type.BOOL: bool, Type.STR: str}


class Place(NamedTuple):
    """The position of a node while it is read: its depth, and the functions of the project that it may call."""

    depth: int = 0
    udfs: "Udfs | None" = None


_TOP = Place()


def to_json(node: Node) -> dict[str, Any]:
    """A node and everything below it as JSON."""
    match node:
        case Constant():
            value = list(node.value) if isinstance(node.value, tuple) else node.value
            return {"constant": value, "type": str(node.type)}
        case RowColumn():
            return {"row": node.name, "type": str(node.type)}
        case StoreFeature():
            keys = {entity: to_json(column) for entity, column in node.keys}
            return {"store": node.group, "feature": node.feature, "keys": keys, "type": str(node.type)}
        case Call():
            arguments = [to_json(argument) for argument in node.arguments]
            return {"call": node.function.name, "arguments": arguments, "type": str(node.type)}
        case If():
            return {
                "if": to_json(node.condition),
                "then": to_json(node.then),
                "else": to_json(node.otherwise),
            }
        case And():
            return {"and": [to_json(operand) for operand in node.operands]}
        case Or():
            return {"or": [to_json(operand) for operand in node.operands]}
        case Not():
            return {"not": to_json(node.operand)}
        case In():
            return {"in": to_json(node.operand), "items": list(node.items)}


def from_json(stored: Any, place: Place = _TOP) -> Node:
    """The stored node. Raises StoredFormError if the checker could not have produced it."""
    if place.depth > MAX_TREE_DEPTH:
        raise StoredFormError("a stored expression is nested too deep")
    if not isinstance(stored, dict) or not stored:
        raise StoredFormError(f"expected a stored expression, got {stored!r:.60}")
    kind = next(iter(stored))
    if kind not in _READERS:
        raise StoredFormError(
            f"a stored expression of kind {kind!r:.40} is not known; kinds are {', '.join(_READERS)}"
        )
    try:
        return _READERS[kind](stored, place._replace(depth=place.depth + 1))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StoredFormError(f"a stored {kind!r} is not complete: {error!r:.80}") from None


def _constant(stored: dict[str, Any], place: Place) -> Node:
    value, kind = stored["constant"], Type(stored["type"])
    if kind.item and value is not None:
        _require(isinstance(value, list) and bool(value), f"the constant {value!r:.40} is no {kind}")
        items = [_constant({"constant": item, "type": kind.item}, place) for item in value]
        return Constant(tuple(item.value for item in items if isinstance(item, Constant)), kind)
    if value is not None:
        if kind == Type.FLOAT and type(value) is int:
            value = float(value)
        _require(kind in PYTHON and type(value) is PYTHON[kind], f"the constant {value!r:.40} is no {kind}")
        _require(
            kind != Type.INT or INT_BOUNDS[0] <= value <= INT_BOUNDS[1],
            f"{value!r:.40} does not fit in 64 bits",
        )
        _require(kind != Type.FLOAT or math.isfinite(value), "a constant is not finite")
        _require(
            kind != Type.STR or is_text(value), f"the constant {value!r:.40} is half of a surrogate pair"
        )
    return Constant(value, kind)


def _row(stored: dict[str, Any], place: Place) -> Node:
    return RowColumn(_identifier(stored["row"]), Type(stored["type"]))


def _store(stored: dict[str, Any], place: Place) -> Node:
    keys = []
    for entity, column in stored["keys"].items():
        key = from_json(column, place)
        _require(isinstance(key, RowColumn), "a key of a feature group is not a row column")
        assert isinstance(key, RowColumn)
        keys.append((_identifier(entity), key))
    group, feature, kind = _identifier(stored["store"]), _identifier(stored["feature"]), Type(stored["type"])
    _require(feature != AGE or kind == Type.FLOAT, f"an age is no {kind}")
    return StoreFeature(group, feature, tuple(keys), kind)


def _call(stored: dict[str, Any], place: Place) -> Node:
    arguments = tuple(from_json(argument, place) for argument in stored["arguments"])
    kind = Type(stored["type"])
    for function in _rows(stored["call"], place):
        if not function.is_part and _takes(function, arguments, kind):
            return Call(function, arguments, kind)
    kinds = ", ".join(argument.type for argument in arguments)
    raise StoredFormError(f"this version has no {stored['call']!r:.40} from ({kinds}) to {kind}")


def _rows(name: str, place: Place) -> tuple[Function, ...]:
    bare = name.removeprefix("udfs.")
    if bare == name:
        return overloads(name)
    functions = place.udfs.functions if place.udfs else {}
    return (functions[bare],) if bare in functions else ()


def _takes(function: Function, arguments: tuple[Node, ...], kind: Type) -> bool:
    """Whether the arguments and the result are exactly of the signature's types."""
    count = len(function.parameters)
    is_repeated = count > 0 and function.parameters[-1].is_repeated
    if len(arguments) != count and not (is_repeated and len(arguments) >= count - 1):
        return False
    variables = {
        argument.type for i, argument in enumerate(arguments) if function.parameter(i).kind in VARIABLES
    }
    if len(variables) > 1:
        return False
    for index, argument in enumerate(arguments):
        parameter = function.parameter(index)
        allowed = VARIABLES.get(parameter.kind) or (
            Type.STR if parameter.kind == "zone" else Type(parameter.kind),
        )
        if argument.type not in allowed:
            return False
        if parameter.is_constant and constant_problem(function, parameter, argument):
            return False
    return kind == (next(iter(variables)) if function.returns in VARIABLES else function.returns)


def _if(stored: dict[str, Any], place: Place) -> Node:
    then, otherwise = from_json(stored["then"], place), from_json(stored["else"], place)
    _require(then.type == otherwise.type, "both sides of an if are not of one type")
    return If(_bool(stored["if"], place), then, otherwise, then.type)


def _in(stored: dict[str, Any], place: Place) -> Node:
    operand = from_json(stored["in"], place)
    items = [_constant({"constant": item, "type": operand.type}, place) for item in stored["items"]]
    values = tuple(item.value for item in items if isinstance(item, Constant) and item.value is not None)
    _require(bool(values) and len(values) == len(items), "a list is empty or holds null")
    return In(operand, values)


def _operands(stored: list[Any], place: Place) -> tuple[Node, ...]:
    _require(len(stored) > 0, "an and, or has no operands")
    return tuple(_bool(operand, place) for operand in stored)


def _bool(stored: Any, place: Place) -> Node:
    node = from_json(stored, place)
    _require(node.type == Type.BOOL, f"a condition is {node.type}")
    return node


def _identifier(name: Any) -> str:
    _require(isinstance(name, str) and name.isidentifier(), f"{name!r:.40} is not a name")
    return str(name)


def _require(is_met: bool, message: str) -> None:
    if not is_met:
        raise StoredFormError(message)


_READERS: dict[str, Callable[[dict[str, Any], Place], Node]] = {
    "constant": _constant,
    "row": _row,
    "store": _store,
    "call": _call,
    "if": _if,
    "and": lambda stored, place: And(_operands(stored["and"], place)),
    "or": lambda stored, place: Or(_operands(stored["or"], place)),
    "not": lambda stored, place: Not(_bool(stored["not"], place)),
    "in": _in,
}
