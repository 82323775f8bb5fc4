"""Lowers a checked tree to the simpler tree that both back ends compile.

Definitions are expanded, fitted state is inserted, constants are folded.
"""

import ast
from collections.abc import Mapping
from functools import cache
from typing import Any

from dsl.checker.check import Checker
from dsl.checker.parse import Source, parse
from dsl.errors import NotFittedError
from dsl.functions import overloads
from dsl.row.compile import compile_row
from dsl.schema import Schema
from dsl.signature import Function
from dsl.tree import And, Call, Constant, If, In, Node, Not, Or, text
from dsl.types import Type

MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The comparison that means the same with its sides exchanged."""

State = Mapping[str, Any]
"""The state of one fitted call, by name."""


class Lowering:
    """Lowers trees; `states` holds the state of each fitted call, by the call's text."""

    def __init__(self, states: Mapping[str, State]) -> None:
        self._states = states
        self._done: dict[Node, Node] = {}

    def __call__(self, node: Node) -> Node:
        """The lowered tree. Raises NotFittedError where a fitted call has no state yet."""
        if node not in self._done:
            lowered = _fold(self._lower(node))
            # A definition is lowered around arguments that are lowered already: those stay as they are.
            self._done[node] = self._done[lowered] = lowered
        return self._done[node]

    def _lower(self, node: Node) -> Node:
        match node:
            case Call():
                return self._call(node)
            case If():
                condition = self(node.condition)
                if isinstance(condition, Constant):
                    return self(node.then if condition.value else node.otherwise)
                return If(condition, self(node.then), self(node.otherwise), node.type)
            case And():
                return And(tuple(self(operand) for operand in node.operands))
            case Or():
                return Or(tuple(self(operand) for operand in node.operands))
            case Not():
                return Not(self(node.operand))
            case In():
                return In(self(node.operand), node.items)
        return node

    def _call(self, node: Call) -> Node:
        function, arguments = node.function, node.arguments
        last = function.parameters[-1] if function.parameters else None
        if last and last.is_repeated and not last.is_constant and len(arguments) != 2:
            return self(_pairwise(node))
        lowered = tuple(self(argument) for argument in arguments)
        if not function.handles_null and any(
            isinstance(argument, Constant) and argument.value is None for argument in lowered
        ):
            return Constant(None, node.type)
        state = self._state(node) if function.fit else {}
        if function.definition:
            return self._definition(function, lowered, state)
        if function.name in MIRRORED and isinstance(lowered[0], Constant):
            function, lowered = _mirrored(function), (lowered[1], lowered[0])
        return Call(function, lowered, node.type, tuple(state.items()))

    def _state(self, node: Call) -> State:
        key = text(node)
        if key not in self._states:
            raise NotFittedError(f"{key} has not been fitted to training rows yet")
        return self._states[key]

    def _definition(self, function: Function, arguments: tuple[Node, ...], state: State) -> Node:
        return self(_defined(function, arguments, state))


def written_out(node: Call) -> Node:
    """The definition of a function without state, with the call's arguments inserted."""
    last = node.function.parameters[-1]
    if last.is_repeated and not last.is_constant and len(node.arguments) != 2:
        paired = _pairwise(node)
        return written_out(paired) if isinstance(paired, Call) and len(node.arguments) > 1 else paired
    return _defined(node.function, node.arguments, {})


def _pairwise(node: Call) -> Node:
    """f(a, b, c) as f(a, f(b, c))."""
    *others, last = node.arguments
    for argument in reversed(others):
        last = Call(node.function, (argument, last), node.type)
    return last


def _defined(function: Function, arguments: tuple[Node, ...], state: State) -> Node:
    """The checked tree of a definition."""
    assert function.definition
    named: dict[str, Node | None] = dict(
        zip((parameter.name for parameter in function.parameters), arguments, strict=True)
    )
    if function.fit:
        named |= {name: Constant(state[name], Type(kind)) for name, kind in function.fit.state_types.items()}
    checker = Checker(Source(function.name, function.definition), Schema({}), named, is_definition=True)
    node = checker.root(_parsed(function.definition))
    assert node is not None, checker.errors
    return node


def _mirrored(function: Function) -> Function:
    """The comparison for exchanged sides: Polars can give one row for a scalar compared with a column."""
    (mirrored,) = overloads(MIRRORED[function.name])
    return mirrored


@cache
def _parsed(definition: str) -> ast.expr:
    return parse(Source("definition", definition))


def _fold(node: Node) -> Node:
    """The value of a node whose operands are all constants, as a constant."""
    match node:
        case Call() if node.function.section == "udfs":
            return node
        case Call():
            operands: tuple[Node, ...] = node.arguments
        case And() | Or():
            operands = node.operands
        case Not() | In():
            operands = (node.operand,)
        case _:
            return node
    if node.type in (Type.TIMESTAMP, Type.TIMESTAMP_LIST) or not all(
        isinstance(operand, Constant) for operand in operands
    ):
        return node
    (value,) = compile_row([node])({})
    return Constant(value + 0.0 if isinstance(value, float) else value, node.type)
