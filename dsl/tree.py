"""The checked expression tree: typed nodes, their canonical text, and their JSON form."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsl.types import Type

if TYPE_CHECKING:
    from dsl.signature import Function

Value = int | float | bool | str | None


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; None is null. Floats are finite and never -0.0, so that equal constants are the same bits."""

    value: Value
    type: Type


@dataclass(frozen=True, slots=True)
class RowColumn:
    """`row.name`."""

    name: str
    type: Type

    @property
    def column(self) -> str:
        """Name under which the value is handed in."""
        return self.name


@dataclass(frozen=True, slots=True)
class StoreFeature:
    """`store.group.feature`; keys pairs each entity name of the group with the row column that holds it."""

    group: str
    feature: str
    keys: tuple[tuple[str, RowColumn], ...]
    type: Type

    @property
    def column(self) -> str:
        """Name under which the value is handed in."""
        return f"{self.group}__{self.feature}"


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the table applied; the arguments fill its parameters in order and have exactly their types.

    state is what a fitted function has learned, as (name, value) pairs; trees as written have none.
    """

    function: "Function"
    arguments: tuple["Node", ...]
    type: Type
    state: tuple[tuple[str, Value | tuple[str, ...] | tuple[float, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class If:
    """`then if condition else otherwise`; a null condition is not true."""

    condition: "Node"
    then: "Node"
    otherwise: "Node"
    type: Type


@dataclass(frozen=True, slots=True)
class And:
    """Kleene's and."""

    operands: tuple["Node", ...]
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Or:
    """Kleene's or."""

    operands: tuple["Node", ...]
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Not:
    """Kleene's not."""

    operand: "Node"
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class In:
    """`operand in [items]`; the items are of the operand's type and none is null."""

    operand: "Node"
    items: tuple[int | float | bool | str, ...]
    type: Type = Type.BOOL


Node = Constant | RowColumn | StoreFeature | Call | If | And | Or | Not | In


def children(node: Node) -> tuple[Node, ...]:
    """The operands of a node, in the order written."""
    match node:
        case Call():
            return node.arguments
        case If():
            return (node.condition, node.then, node.otherwise)
        case And() | Or():
            return node.operands
        case Not() | In():
            return (node.operand,)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def text(node: Node) -> str:
    """The expression in the language's own syntax, fully bracketed: equal trees have equal text."""
    match node:
        case Constant():
            return repr(node.value)
        case RowColumn():
            return f"row.{node.name}"
        case StoreFeature():
            return f"store.{node.group}.{node.feature}"
        case Call():
            return _call_text(node)
        case If():
            return f"({text(node.then)} if {text(node.condition)} else {text(node.otherwise)})"
        case And():
            return "(" + " and ".join(text(operand) for operand in node.operands) + ")"
        case Or():
            return "(" + " or ".join(text(operand) for operand in node.operands) + ")"
        case Not():
            return f"(not {text(node.operand)})"
        case In():
            return f"({text(node.operand)} in {list(node.items)!r})"


def _call_text(node: Call) -> str:
    arguments = [text(argument) for argument in node.arguments]
    if not node.function.is_operator:
        return f"{node.function.name}({', '.join(arguments)})"
    if len(arguments) == 1:
        return f"({node.function.name}{arguments[0]})"
    return f"({arguments[0]} {node.function.name} {arguments[1]})"
