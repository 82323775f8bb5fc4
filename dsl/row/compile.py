"""Row back end: one straight-line Python function for a whole set of lowered trees.

The source is generated from the tree alone. Nothing that the user wrote gets into it as text: numbers are written from
int and float objects, names and texts are bound as constants. It runs without builtins.

Every value that more than one expression uses is computed once, in a local; a value used on one side of an `if` only is
computed there. Null is None. A float may be NaN or infinite, which both mean null, until it is settled (made None);
sums and products pass it on as they pass on null, so one check at their end is enough.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dsl.bounds import BoundsOf
from dsl.row import inputs, scalar
from dsl.row.scalar import lists
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
from dsl.types import INT_BOUNDS, Type

RowFunction = Callable[[Mapping[str, Any]], list[Any]]

NAMES: dict[str, object] = {
    "__builtins__": {},
    "abs": abs,
    "len": len,
    "exp": math.exp,
    "log": math.log,
    "log1p": math.log1p,
    "sqrt": math.sqrt,
    "datetime": datetime,
    "UTC": UTC,
    "MICROSECOND": timedelta(microseconds=1),
    "float": float,
    "int": int,
    "bool": bool,
    "str": str,
    **scalar.NAMES,
    **{
        name: value
        for name, value in vars(lists).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == lists.__name__
    },
    **{name: value for name, value in vars(inputs).items() if name.startswith("accept_")},
}
"""Names for the generated source: the functions of the table, and the checks of inputs."""

UNEXPECTED = {
    Type.INT: f"{{0}}.__class__ is not int or not {INT_BOUNDS[0]} <= {{0}} <= {INT_BOUNDS[1]}",
    Type.FLOAT: "{0}.__class__ is not float or {0} - {0}",
    Type.BOOL: "{0}.__class__ is not bool",
    Type.STR: "{0}.__class__ is not str or not {0}.isascii()",
    Type.TIMESTAMP: "{0}.__class__ is not datetime or {0}.tzinfo is not UTC",
}
"""When a value that was passed in needs a full check: it has another class, or is too large, NaN, infinite or not
ASCII."""


@dataclass(frozen=True)
class Fragment:
    """Source of a value.

    guards: locals that must not be None for code to run (the value is null when one is); is_local: code is one name
    or literal; may_be_none: code itself may give None; may_be_non_finite: it may give NaN or infinity for null;
    is_unbounded: it may give an int beyond 64 bits for null.
    """

    code: str
    guards: frozenset[str] = frozenset()
    is_local: bool = False
    may_be_none: bool = False
    may_be_non_finite: bool = False
    is_unbounded: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the value is final once the guards hold."""
        return not (self.may_be_none or self.may_be_non_finite or self.is_unbounded)


def compile_row(trees: Sequence[Node]) -> RowFunction:
    """The function from {input name: value} to the list of the trees' values.

    An absent input is null. The function raises InputError for a value that is not of its declared type.
    """
    writer = Writer(trees)
    source = writer.source()
    namespace: dict[str, Any] = dict(writer.names)
    exec(compile(source, "<features>", "exec"), namespace)  # noqa: S102 - source generated from checked trees
    # Out of the names that it looks up, so that nothing but its user holds it: no cycle waits for the collector.
    function: RowFunction = namespace.pop("row")
    return function


class Writer:
    """Writes the source of one function for some trees; `names` holds the objects that the source refers to."""

    def __init__(self, trees: Sequence[Node]) -> None:
        self.trees = trees
        self.names = dict(NAMES)
        self.bounds = BoundsOf()
        self.shared = shared_nodes(trees)
        self.top: list[str] = []
        self.lines = self.top
        self.present: frozenset[str] = frozenset()
        self.done: dict[Node, Fragment] = {}
        self.count = 0

    def source(self) -> str:
        """The source of the function `row`."""
        self.lines.append("get = values.get")
        for node in distinct(self.trees):
            if isinstance(node, RowColumn | StoreFeature):
                self.done[node] = self.input(node)
        values = [self.value(self.emit(tree)) for tree in self.trees]
        self.lines.append(f"return [{', '.join(values)}]")
        return "def row(values):\n" + "\n".join("    " + line for line in self.lines) + "\n"

    def input(self, node: RowColumn | StoreFeature) -> Fragment:
        """A local with a checked input value."""
        name, key = self.new("i"), self.bind(node.column)
        self.lines += [
            f"{name} = get({key})",
            f"if {name} is not None{_unexpected(node.type, name)}:",
            f"    {name} = accept_{str(node.type).replace('[', '_').rstrip(']')}({key}, {name})",
        ]
        return Fragment(name, frozenset({name}), is_local=True)

    def new(self, prefix: str) -> str:
        """A fresh name."""
        self.count += 1
        return f"{prefix}{self.count}"

    def bind(self, value: object) -> str:
        """A name for a constant object."""
        name = self.new("c")
        self.names[name] = value
        return name

    def emit(self, node: Node) -> Fragment:
        """Source of a node's value."""
        if node in self.done:
            return self._known(self.done[node])
        if isinstance(node, Constant):
            return self.constant(node)
        if node not in self.shared:
            return self.build(node)
        lines, present = self.lines, self.present
        self.lines, self.present = self.top, frozenset()
        self.done[node] = self.local(self.build(node))
        self.lines, self.present = lines, present
        return self._known(self.done[node])

    def _known(self, fragment: Fragment) -> Fragment:
        return replace(fragment, guards=fragment.guards - self.present) if self.present else fragment

    def constant(self, node: Constant) -> Fragment:
        """A literal."""
        match node.value:
            case None:
                return Fragment("None", frozenset({"None"}), is_local=True)
            case str() | tuple():
                return Fragment(self.bind(node.value), is_local=True)
        return Fragment(f"({node.value!r})" if node.value < 0 else repr(node.value), is_local=True)

    def build(self, node: Node) -> Fragment:
        """Source of a node that is neither an input nor a literal."""
        match node:
            case Call():
                return self.call(node)
            case If():
                return self.conditional(node)
            case And():
                return self.kleene(node.operands, "and")
            case Or():
                return self.kleene(node.operands, "or")
            case Not():
                operand = self.final(self.emit(node.operand))
                return Fragment(f"(not {operand.code})", operand.guards)
            case In():
                operand = self.final(self.emit(node.operand))
                return Fragment(f"({operand.code} in {self.bind(frozenset(node.items))})", operand.guards)
        raise AssertionError(node)

    def call(self, node: Call) -> Fragment:
        """A function of the table, with its source filled in."""
        function = node.function
        guards: frozenset[str] = frozenset()
        filled: dict[str, str] = {}
        constants: dict[str, Any] = dict(node.state)
        for index, argument in enumerate(node.arguments):
            parameter = function.parameter(index)
            if parameter.is_constant:
                assert isinstance(argument, Constant)
                if parameter.kind == "zone":
                    filled[parameter.name] = self.bind(ZoneInfo(str(argument.value)))
                elif parameter.is_repeated:
                    constants[parameter.name] = (*constants.get(parameter.name, ()), argument.value)
                else:
                    constants[parameter.name] = argument.value
                continue
            fragment = self.emit(argument)
            if function.handles_null:
                if isinstance(argument, Constant):
                    fragment = Fragment(self.bind(argument.value), is_local=True)
                fragment = self.local(fragment)
            else:
                if parameter.name not in function.passes or fragment.may_be_none or fragment.is_unbounded:
                    fragment = self.final(fragment)
                if function.row.count(f"{{{parameter.name}}}") > 1:
                    fragment = self.local(fragment)
                guards |= fragment.guards
            filled[parameter.name] = fragment.code
        if function.bind:
            bound = function.bind(**constants)
            filled |= {name: self.bind(value) for name, value in bound.items()}
        return Fragment(
            function.row.format(**filled),
            guards,
            may_be_none=self.bounds.partial(node),
            may_be_non_finite=function.may_be_non_finite,
            is_unbounded=node.type == Type.INT and self.bounds.overflows(node),
        )

    def conditional(self, node: If) -> Fragment:
        """An if; each side is computed only when it is taken."""
        condition, proved = self.truth(node.condition)
        then_lines, then, then_code = self.side(node.then, proved)
        other_lines, other, other_code = self.side(node.otherwise, frozenset())
        may_be_none = bool(then.guards or other.guards) or then.may_be_none or other.may_be_none
        may_be_non_finite = then.may_be_non_finite or other.may_be_non_finite
        code = f"({then_code} if {condition} else {other_code})"
        if then_lines or other_lines:
            code = self.new("v")
            self.lines += [
                f"if {condition}:",
                *(f"    {line}" for line in then_lines),
                f"    {code} = {then_code}",
                "else:",
                *(f"    {line}" for line in other_lines),
                f"    {code} = {other_code}",
            ]
        return Fragment(code, may_be_none=may_be_none, may_be_non_finite=may_be_non_finite)

    def side(self, node: Node, proved: frozenset[str]) -> tuple[list[str], Fragment, str]:
        """Statements that one side of an if needs, its fragment, and the code of its value."""
        lines, present = self.lines, self.present
        self.lines, self.present = [], present | proved
        fragment = self.emit(node)
        if fragment.is_unbounded:
            fragment = self.local(fragment)
        code = self.guarded(fragment)
        side_lines, self.lines, self.present = self.lines, lines, present
        return side_lines, fragment, code

    def kleene(self, nodes: Sequence[Node], word: str) -> Fragment:
        """and, or: decided by one operand that decides, else null if one is null."""
        fragments = [self.final(self.emit(node)) for node in nodes]
        if not any(fragment.guards for fragment in fragments):
            return Fragment("(" + f" {word} ".join(fragment.code for fragment in fragments) + ")")
        fragments = [self.local(fragment) if fragment.guards else fragment for fragment in fragments]
        unknown = " or ".join(f"{fragment.code} is None" for fragment in fragments if fragment.guards)
        if word == "or":
            decided = " or ".join(fragment.code for fragment in fragments)
            return Fragment(f"(True if {decided} else None if {unknown} else False)", may_be_none=True)
        decided = " or ".join(
            f"{fragment.code} is False" if fragment.guards else f"not {fragment.code}"
            for fragment in fragments
        )
        return Fragment(f"(False if {decided} else None if {unknown} else True)", may_be_none=True)

    def truth(self, node: Node) -> tuple[str, frozenset[str]]:
        """A Python condition that holds exactly when the node is true, and the locals it proves not None."""
        if node not in self.shared:
            match node:
                case And():
                    return self._joined([self.truth(operand) for operand in node.operands], "and")
                case Or():
                    return self._joined([self.truth(operand) for operand in node.operands], "or")
                case Not():
                    return self.falsity(node.operand)
        fragment = self.final(self.emit(node))
        if fragment.is_local:
            return fragment.code, fragment.guards
        return self._when_present(fragment, fragment.code), fragment.guards

    def falsity(self, node: Node) -> tuple[str, frozenset[str]]:
        """A Python condition that holds exactly when the node is false, and the locals it proves not None."""
        if node not in self.shared:
            match node:
                case And():
                    return self._joined([self.falsity(operand) for operand in node.operands], "or")
                case Or():
                    return self._joined([self.falsity(operand) for operand in node.operands], "and")
                case Not():
                    return self.truth(node.operand)
                case Call() if node.function.name == "is_null":
                    fragment = self.local(self.emit(node.arguments[0]))
                    return f"{fragment.code} is not None", fragment.guards
        fragment = self.final(self.emit(node))
        if fragment.is_local and fragment.guards:
            return f"{fragment.code} is False", fragment.guards
        return self._when_present(fragment, f"not {fragment.code}"), fragment.guards

    @staticmethod
    def _joined(parts: Sequence[tuple[str, frozenset[str]]], word: str) -> tuple[str, frozenset[str]]:
        code = "(" + f" {word} ".join(part for part, _ in parts) + ")"
        proved = [names for _, names in parts]
        return code, frozenset.union(*proved) if word == "and" else frozenset.intersection(*proved)

    @staticmethod
    def _when_present(fragment: Fragment, code: str) -> str:
        checks = [f"{name} is not None" for name in sorted(fragment.guards)]
        return f"({' and '.join([*checks, code])})" if checks else code

    def final(self, fragment: Fragment) -> Fragment:
        """The fragment as one whose value is final once its guards hold."""
        return fragment if fragment.is_plain else self.local(fragment)

    def value(self, fragment: Fragment) -> str:
        """Code of the final value, None for null."""
        return self.guarded(
            fragment if not (fragment.may_be_non_finite or fragment.is_unbounded) else self.local(fragment)
        )

    def guarded(self, fragment: Fragment) -> str:
        """Code that gives None where a guard is None; the value may be NaN or infinite."""
        if fragment.is_local or not fragment.guards:
            return fragment.code
        return f"(None if {_any_none(fragment)} else {fragment.code})"

    def local(self, fragment: Fragment) -> Fragment:
        """The final value in a local (a literal stays one)."""
        if fragment.is_local:
            return fragment
        name = self.new("v")
        check = ""
        if fragment.may_be_non_finite:
            check = f"{name} - {name}"
        elif fragment.is_unbounded:
            check = f"not {INT_BOUNDS[0]} <= {name} <= {INT_BOUNDS[1]}"
        if not check:
            self.lines.append(f"{name} = {self.guarded(fragment)}")
        else:
            if fragment.may_be_none:
                check = f"{name} is not None and ({check})"
            body = [f"{name} = {fragment.code}", f"if {check}:", f"    {name} = None"]
            if fragment.guards:
                body = [
                    f"if {_any_none(fragment)}:",
                    f"    {name} = None",
                    "else:",
                    *(f"    {line}" for line in body),
                ]
            self.lines += body
        is_nullable = bool(fragment.guards or check or fragment.may_be_none)
        return Fragment(name, frozenset({name}) if is_nullable else frozenset(), is_local=True)


def _unexpected(kind: Type, name: str) -> str:
    return f" and ({UNEXPECTED[kind].format(name)})" if kind in UNEXPECTED else ""


def _any_none(fragment: Fragment) -> str:
    return " or ".join(f"{name} is None" for name in sorted(fragment.guards))
