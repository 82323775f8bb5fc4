"""The checked expression tree: typed nodes, their canonical text, and their JSON form."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsl.schema import store_input_name, store_use
from dsl.types import Type

if TYPE_CHECKING:
    from dsl.signature import Function

Value = int | float | bool | str | tuple[Any, ...] | None


class _Hashed:
    """Computes a node's hash once: trees share nodes, and every node is looked up many times."""

    __slots__ = ("_hash",)
    __match_args__: tuple[str, ...] = ()
    _hash: int

    def hash(self) -> int:
        """Hash of all fields."""
        try:
            known: int = self._hash
        except AttributeError:
            known = hash(tuple(getattr(self, name) for name in self.__match_args__))
            object.__setattr__(self, "_hash", known)
        return known


@dataclass(frozen=True, slots=True)
class Constant(_Hashed):
    """A literal; None is null, a tuple a list. Floats are finite and never -0.0: equal constants are the same bits."""

    __hash__ = _Hashed.hash
    value: Value
    type: Type


@dataclass(frozen=True, slots=True)
class RowColumn(_Hashed):
    """`row.name`."""

    __hash__ = _Hashed.hash
    name: str
    type: Type

    @property
    def column(self) -> str:
        """Name under which the value is passed in."""
        return self.name


@dataclass(frozen=True, slots=True)
class StoreFeature(_Hashed):
    """`store.group.feature`; `keys` pairs each entity name of the group with the row column that holds it.

    The feature may also be AGE, the age of the row found.
    """

    __hash__ = _Hashed.hash
    group: str
    feature: str
    keys: tuple[tuple[str, RowColumn], ...]
    type: Type

    @property
    def use(self) -> str:
        """Name of the group with these keys."""
        return store_use(self.group, {entity: column.name for entity, column in self.keys})

    @property
    def column(self) -> str:
        """Name under which the value is passed in."""
        return store_input_name(self.use, self.feature)


@dataclass(frozen=True, slots=True)
class Call(_Hashed):
    """A call of a function of the table; the arguments fill its parameters in order and have exactly their types.

    `state` is the state of a fitted function, as (name, value) pairs; it is empty in trees as written.
    """

    __hash__ = _Hashed.hash
    function: "Function"
    arguments: tuple["Node", ...]
    type: Type
    state: tuple[tuple[str, Value | tuple[str, ...] | tuple[float, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class If(_Hashed):
    """`then if condition else otherwise`; a null condition is not true."""

    __hash__ = _Hashed.hash
    condition: "Node"
    then: "Node"
    otherwise: "Node"
    type: Type


@dataclass(frozen=True, slots=True)
class And(_Hashed):
    """Kleene's and."""

    __hash__ = _Hashed.hash
    operands: tuple["Node", ...]
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Or(_Hashed):
    """Kleene's or."""

    __hash__ = _Hashed.hash
    operands: tuple["Node", ...]
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class Not(_Hashed):
    """Kleene's not."""

    __hash__ = _Hashed.hash
    operand: "Node"
    type: Type = Type.BOOL


@dataclass(frozen=True, slots=True)
class In(_Hashed):
    """`operand in [items]`; the items are of the operand's type and none is null."""

    __hash__ = _Hashed.hash
    operand: "Node"
    items: tuple[Value, ...]
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


def distinct(trees: Iterable[Node]) -> list[Node]:
    """All nodes of some trees, each once, parents before what is below them where they are first met."""
    found: dict[Node, None] = {}
    waiting = list(trees)[::-1]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found[node] = None
            waiting += children(node)[::-1]
    return list(found)


def text(node: Node) -> str:
    """The expression in the language's own syntax, fully bracketed: equal trees have equal text."""
    match node:
        case Constant():
            return repr(list(node.value) if isinstance(node.value, tuple) else node.value)
        case RowColumn():
            return f"row.{node.name}"
        case StoreFeature():
            return _store_text(node)
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


def _store_text(node: StoreFeature) -> str:
    stated = [f"{entity}={text(column)}" for entity, column in node.keys if entity != column.name]
    return f"store.{node.group}{'(' + ', '.join(stated) + ')' if stated else ''}.{node.feature}"


def _call_text(node: Call) -> str:
    arguments = [text(argument) for argument in node.arguments]
    if not node.function.is_operator:
        return f"{node.function.name}({', '.join(arguments)})"
    if len(arguments) == 1:
        return f"({node.function.name}{arguments[0]})"
    return f"({arguments[0]} {node.function.name} {arguments[1]})"


def shared_nodes(trees: Sequence[Node]) -> frozenset[Node]:
    """The nodes that are used more than once, counting equal trees as one."""
    uses = Counter(trees)
    seen: set[Node] = set()
    waiting = list(trees)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            uses.update(children(node))
            waiting += children(node)
    return frozenset(node for node, count in uses.items() if count > 1 and children(node))
