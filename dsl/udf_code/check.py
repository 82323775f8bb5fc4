"""Finds forbidden code in a file of a project's functions, with its position and a suggestion.

The check keeps a function's value dependent on its arguments only, the same in training and in serving. It finds
mistakes; it is not a security boundary: nobody should deploy code of somebody who means harm.
"""

import ast
import builtins
from collections.abc import Iterator
from typing import NamedTuple

from dsl.types import is_text, nearest
from dsl.udf_code import set_order
from dsl.udf_code.allowed_names import (
    ATTRIBUTES,
    BUILTINS,
    EXPRESSION_ATTRIBUTES,
    INSTEAD,
    MODULES,
    NAMESPACES,
    words,
)

VECTORISED = "_columns"
"""Suffix of a vectorised function's name: `speed_columns` computes `speed` by Polars expressions."""

_FORBIDDEN: dict[type[ast.AST], str] = {
    ast.ClassDef: "a class",
    ast.AsyncFunctionDef: "an asynchronous function",
    ast.Global: "global",
    ast.Nonlocal: "nonlocal",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.With: "with",
    ast.Delete: "del",
}
_CHANGING = words(
    """
    append clear extend insert pop popitem remove reverse setdefault sort update add discard difference_update
    intersection_update symmetric_difference_update
    """
)
_ITERATORS = words("enumerate filter map reversed zip")


class Finding(NamedTuple):
    """One piece of forbidden code."""

    node: ast.AST
    message: str
    suggestion: str | None = None


def findings(tree: ast.Module) -> Iterator[Finding]:
    """Everything in a file of functions that could make a value depend on more than the arguments."""
    yield from _structure(tree)
    names = _Names(tree)
    for statement in tree.body:
        is_vectorised = isinstance(statement, ast.FunctionDef) and names.is_vectorised(statement.name)
        part = _Part(statement, names, EXPRESSION_ATTRIBUTES if is_vectorised else ATTRIBUTES)
        for node in _from_below(statement):
            yield from part.findings(node)
    for node in set_order.places_of_order(tree):
        yield Finding(
            node,
            "a set has no order that another process would share",
            "go through sorted(…) of it, or make a dict.fromkeys(…), which keeps the order of its items",
        )


def _from_below(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a statement in the order of the source, each after those below it."""
    nodes: list[ast.AST] = []
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        waiting += ast.iter_child_nodes(node)
    return reversed(nodes)


def _structure(tree: ast.Module) -> Iterator[Finding]:
    """Statements that are not allowed in the file, and constants that a call could change."""
    for place, node in enumerate(tree.body):
        match node:
            case ast.Expr(value=ast.Constant()) if place == 0:
                pass
            case ast.FunctionDef() | ast.Import() | ast.ImportFrom():
                pass
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if not _is_name(target):
                        yield Finding(target, "a constant is given a plain name")
                if node.value is not None:
                    yield from _changeable(node.value)
            case _:
                yield Finding(node, "a file of functions holds imports, constants and functions only")


def _is_name(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) or (isinstance(target, ast.Tuple) and all(map(_is_name, target.elts)))


def _changeable(value: ast.expr) -> Iterator[Finding]:
    """The parts of a constant that a call could change, with effect on the next call."""
    match value:
        case ast.List() | ast.ListComp() | ast.Call(func=ast.Name(id="list" | "sorted")):
            yield Finding(value, "a list made once could change between calls", "write a tuple: (…,)")
        case ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set")):
            yield Finding(value, "a set made once could change between calls", "write frozenset((…))")
        case ast.GeneratorExp():
            yield Finding(value, "what was taken from it is gone for the next call", "write tuple(…)")
        case ast.Call(func=ast.Name(id=name)) if name in _ITERATORS:
            yield Finding(value, "what was taken from it is gone for the next call", "write tuple(…)")
        case ast.Tuple():
            for item in value.elts:
                yield from _changeable(item)
        case ast.Dict():
            for item in value.values:
                yield from _changeable(item)
        case ast.DictComp():
            yield from _changeable(value.value)
        case ast.BinOp():
            yield from _changeable(value.left)
            yield from _changeable(value.right)
        case ast.IfExp():
            yield from _changeable(value.body)
            yield from _changeable(value.orelse)
        case ast.Starred():
            yield Finding(value, "a constant is written without a star")


class _Names:
    """The meaning of the names in a file.

    `modules` is {name: module}, `bound` every name that is bound anywhere, `constants` those at the top of the file.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.modules = {
            alias.asname or alias.name: alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        self.bound = frozenset(name for node in ast.walk(tree) for name in _bound(node))
        self.constants = frozenset(
            name
            for statement in tree.body
            if isinstance(statement, ast.Assign | ast.AnnAssign)
            for node in ast.walk(statement)
            for name in _bound(node)
        )
        self._functions = frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))

    def is_vectorised(self, function: str) -> bool:
        """Whether a function is the vectorised form of another."""
        return function.endswith(VECTORISED) and function.removesuffix(VECTORISED) in self._functions


def _bound(node: ast.AST) -> tuple[str, ...]:
    """The names that a node binds."""
    match node:
        case ast.Name(ctx=ast.Store() | ast.Del()):
            return (node.id,)
        case ast.arg():
            return (node.arg,)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return (node.name,)
        case ast.alias():
            return (node.asname or node.name,)
        case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar():
            return (node.name,) if node.name else ()
        case ast.MatchMapping():
            return (node.rest,) if node.rest else ()
    return ()


def _mentioned(node: ast.AST) -> tuple[str, ...]:
    """Every name in a node, however it is used."""
    match node:
        case ast.Name():
            return (node.id,)
        case ast.Attribute():
            return (node.attr,)
        case ast.keyword():
            return (node.arg,) if node.arg else ()
        case ast.MatchClass():
            return tuple(node.kwd_attrs)
        case ast.alias():
            return (node.name, *_bound(node))
    return _bound(node)


class _Part:
    """Checks the nodes of one statement of a file: a function, a constant or an import.

    `attributes` are those that it may use.
    """

    def __init__(self, statement: ast.stmt, names: _Names, attributes: frozenset[str]) -> None:
        self.names = names
        self.attributes = attributes
        nodes = list(ast.walk(statement))
        self.refused: set[int] = set()
        self.owned = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        self.called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        local = frozenset(name for node in nodes for name in _bound(node))
        self.constants = names.constants - local if isinstance(statement, ast.FunctionDef) else frozenset()

    def findings(self, node: ast.AST) -> Iterator[Finding]:
        """The findings in one node, after those below it; nothing for parts of a node that is refused already."""
        if isinstance(node, ast.Attribute) and id(_owner(node)) in self.refused:
            self.refused.add(id(node))
            return
        for found in self.of_node(node):
            self.refused.add(id(node))
            yield found

    def of_node(self, node: ast.AST) -> Iterator[Finding]:
        """The findings in a node by itself."""
        if type(node) in _FORBIDDEN:
            yield Finding(node, f"{_FORBIDDEN[type(node)]} is not allowed in a function of features")
        for name in _mentioned(node):
            if name.startswith("__"):
                place = _last_word(node) if isinstance(node, ast.Attribute) else node
                yield Finding(place, f"{name} is not allowed in a function of features")
                return
        if not isinstance(node, ast.alias):
            for name in _bound(node):
                if name in self.names.modules:
                    yield self.taken(node, name)
        match node:
            case ast.Import() | ast.ImportFrom():
                yield from self.imported(node)
            case ast.Attribute():
                yield from self.attribute(node)
            case ast.Name(ctx=ast.Load()):
                yield from self.name(node)
            case ast.FunctionDef() | ast.Lambda():
                yield from self.function(node)
            case ast.MatchClass():
                for name in node.kwd_attrs:
                    if name not in self.attributes:
                        yield self.unknown(node, name)
            case ast.Subscript(ctx=ast.Store(), value=ast.Name(id=name)) if name in self.constants:
                yield self.changed(node, name)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)):
                if name in self.constants and attr in _CHANGING:
                    yield self.changed(node, name)
            case ast.Constant(value=str() as text):
                if not is_text(text):
                    yield Finding(node, "half of a surrogate pair is not text", "write the whole character")
        if isinstance(node, ast.Call):
            yield from self.call(node)

    def imported(self, node: ast.Import | ast.ImportFrom) -> Iterator[Finding]:
        """Imports of modules and names that functions must not use."""
        can = f"{{}} cannot be imported here; these can: {', '.join(MODULES)}"
        if isinstance(node, ast.Import):
            wrong = [alias.name for alias in node.names if alias.name not in MODULES]
            if wrong:
                yield Finding(node, can.format(", ".join(wrong)))
            for alias in node.names:
                name = alias.asname or alias.name
                if self.names.modules[name] != alias.name:
                    yield self.taken(node, name)
        elif node.level or node.module not in MODULES:
            yield Finding(node, can.format(node.module or "."))
        else:
            for alias in node.names:
                name = alias.asname or alias.name
                if alias.name not in MODULES[node.module]:
                    yield self.not_of_module(node, node.module, alias.name)
                elif name in self.names.modules:
                    yield self.taken(node, name)

    def taken(self, node: ast.AST, name: str) -> Finding:
        """A binding of a name that stands for a module."""
        return Finding(node, f"{name} is the module {self.names.modules[name]}", "choose another name")

    @staticmethod
    def not_of_module(node: ast.AST, module: str, name: str) -> Finding:
        """A name of a module that functions must not use."""
        near = nearest(name, MODULES[module])
        return Finding(
            node,
            f"{module}.{name} is not for functions of features",
            INSTEAD.get(name)
            or (
                f"did you mean {module}.{near}?" if near else f"of {module} there is {_list(MODULES[module])}"
            ),
        )

    def attribute(self, node: ast.Attribute) -> Iterator[Finding]:
        """An attribute that functions must not use."""
        place = _last_word(node)
        if not isinstance(node.ctx, ast.Load):
            yield Finding(place, "an attribute cannot be set", "keep values in local names")
        match node.value:
            case ast.Name(id=name) if name in self.names.modules:
                module = self.names.modules[name]
                if module in MODULES and node.attr not in MODULES[module]:
                    yield self.not_of_module(place, module, node.attr)
                return
            case ast.Attribute(attr=group) if group in NAMESPACES:
                if node.attr not in NAMESPACES[group]:
                    yield self.unknown(place, node.attr, NAMESPACES[group], f"{group}.{node.attr}")
                return
        if node.attr in NAMESPACES:
            if id(node) not in self.owned:
                yield Finding(place, f"{node.attr} is followed by a method", f"write .{node.attr}.method(…)")
        elif node.attr not in self.attributes:
            yield self.unknown(place, node.attr)
        elif node.attr == "astimezone" and id(node) not in self.called:
            yield Finding(place, "astimezone must be called", "write t.astimezone(zone)")

    def unknown(
        self, node: ast.AST, name: str, known: frozenset[str] | None = None, shown: str | None = None
    ) -> Finding:
        """The finding for an attribute that functions must not use."""
        if known is None and name in ATTRIBUTES:
            return Finding(
                node,
                f"{name} is not allowed in a vectorised function",
                "its value for a row must come from that row alone, by methods of its columns",
            )
        near = nearest(name, known or self.attributes)
        return Finding(
            node,
            f"{shown or name} is not for functions of features",
            INSTEAD.get(name) or (f"did you mean {near}?" if near else None),
        )

    def name(self, node: ast.Name) -> Iterator[Finding]:
        """A name without a meaning that functions may use."""
        name = node.id
        if name in self.names.modules:
            if id(node) not in self.owned:
                yield Finding(node, f"{name} is a module and no value", f"write {name}.name")
        elif name not in BUILTINS and name not in self.names.bound:
            if hasattr(builtins, name):
                yield Finding(node, f"{name} is not allowed in a function of features", INSTEAD.get(name))
            else:
                yield Finding(node, f"the name {name!r} is not known", self.meant(name))

    def meant(self, name: str) -> str | None:
        """A suggestion for a name without a meaning."""
        if name in MODULES:
            return f"write import {name} at the top of the file"
        for module, names in MODULES.items():
            if name in names:
                return f"write from {module} import {name} at the top of the file"
        near = nearest(name, [*BUILTINS, *self.names.bound])
        return f"did you mean {near}?" if near else None

    @staticmethod
    def function(node: ast.FunctionDef | ast.Lambda) -> Iterator[Finding]:
        """Decorators, and defaults that one call could change for the next."""
        for decorator in getattr(node, "decorator_list", ()):
            yield Finding(decorator, "a function of features has no decorators")
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None and not _is_fixed(default):
                yield Finding(
                    default,
                    "a default is made once and kept between calls",
                    "let it be a literal, a tuple or a name; make the value inside the function",
                )

    @staticmethod
    def changed(node: ast.AST, name: str) -> Finding:
        """A constant that a function would change."""
        return Finding(
            node,
            f"{name} is made once for all calls and cannot be changed",
            "make the value inside the function",
        )

    @staticmethod
    def call(node: ast.Call) -> Iterator[Finding]:
        """A call whose result would depend on the machine."""
        match node.func:
            case ast.Attribute(attr="astimezone") if not node.args and not node.keywords:
                yield Finding(node, "the machine's own zone differs between machines", "name the zone")


def _last_word(node: ast.Attribute) -> ast.AST:
    """The position of an attribute's own name."""
    word = ast.Name(node.attr)
    word.lineno = word.end_lineno = node.end_lineno or node.lineno
    word.end_col_offset = node.end_col_offset or 0
    word.col_offset = max(0, word.end_col_offset - len(node.attr.encode()))
    return word


def _owner(node: ast.Attribute) -> ast.expr:
    """The attribute from whose value another is derived by calls and items."""
    value = node.value
    while isinstance(value, ast.Call | ast.Subscript):
        value = value.func if isinstance(value, ast.Call) else value.value
    return value


def _is_fixed(default: ast.expr) -> bool:
    """Whether a default value is immutable."""
    match default:
        case ast.Constant() | ast.Name():
            return True
        case ast.UnaryOp(operand=ast.Constant()):
            return True
        case ast.Attribute(value=ast.Name()):
            return True
        case ast.Tuple():
            return all(map(_is_fixed, default.elts))
    return False


def _list(names: frozenset[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:12]) + (", …" if len(listed) > 12 else "")
