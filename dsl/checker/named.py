"""Checks a set of named expressions that may use each other by their bare names, in dependency order.

An expression that is used is put into the tree of the expression that uses it; both share the nodes, so that it is
computed once. This module only handles the names: dsl/checker/check.py decides what an expression may contain.
"""

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from dsl.checker.check import Checker
from dsl.checker.parse import MAX_TREE_DEPTH, MAX_TREE_NODES, Source, parse
from dsl.errors import LanguageError
from dsl.schema import Schema
from dsl.tree import Node, children

_Key = tuple[bool, str]
"""Whether an expression is a feature, and its name: a feature and a definition may have the same name."""


def check_named(
    features: Mapping[str, str], define: Mapping[str, str], schema: Schema
) -> tuple[dict[str, Node], list[LanguageError]]:
    """The features' trees by name, and every mistake in the features and in the definitions.

    A bare name is that of an expression in `define` or, if there is none, of a feature.
    """
    sources = {(False, name): Source(name, text) for name, text in define.items()}
    sources |= {(True, name): Source(name, text) for name, text in features.items()}
    return _Names(sources).check(schema)


class _Names:
    """The expressions of one set."""

    def __init__(self, sources: Mapping[_Key, Source]) -> None:
        self._sources = sources
        self._errors: dict[_Key, list[LanguageError]] = {key: [] for key in sources}
        self._bodies: dict[_Key, ast.expr] = {}
        for key, source in sources.items():
            try:
                self._bodies[key] = parse(source)
            except LanguageError as error:
                self._errors[key].append(error)
        self._meant: dict[str, _Key] = {}
        for key in sources:
            self._meant.setdefault(key[1], key)
        self._uses = {key: _references(body, self._meant) for key, body in self._bodies.items()}

    def check(self, schema: Schema) -> tuple[dict[str, Node], list[LanguageError]]:
        """The features' trees, and all errors in the order of the expressions."""
        trees: dict[_Key, Node | None] = dict.fromkeys(self._sources)
        measured: dict[int, tuple[int, int]] = {}
        for key in self._in_order():
            if key not in self._bodies:
                continue
            body, source = self._bodies[key], self._sources[key]
            named = {name: trees[used] for name, used in self._meant.items()}
            checker = Checker(source, schema, named)
            tree = checker.root(body)
            self._errors[key] += checker.errors
            if tree is not None:
                size, depth = _measure(tree, measured)
                problem = _too_much(size, depth)
                if problem:
                    self._errors[key].append(
                        source.error(body, problem, "compute a part of it in a feature group")
                    )
                    tree = None
            trees[key] = tree
        found = {name: tree for (is_feature, name), tree in trees.items() if is_feature and tree is not None}
        return found, [error for errors in self._errors.values() for error in errors]

    def _in_order(self) -> list[_Key]:
        """The expressions, each after those it uses; those in a cycle are reported and left out."""
        uses = {key: set(used) for key, used in self._uses.items()}
        broken: set[_Key] = set()
        while True:
            try:
                ordered = list(TopologicalSorter(uses).static_order())
            except CycleError as error:
                cycle = error.args[1][:0:-1]
                self._report_cycle(cycle)
                broken.update(cycle)
                for key in cycle:
                    uses[key] = set()
            else:
                return [key for key in ordered if key not in broken]

    def _report_cycle(self, cycle: list[_Key]) -> None:
        """Report a cycle of expressions, at the first one."""
        order = list(self._sources)
        start = cycle.index(min(cycle, key=order.index))
        cycle = cycle[start:] + cycle[:start]
        names = [name for _, name in [*cycle, cycle[0]]]
        message = (
            f"{names[0]} uses itself"
            if len(cycle) == 1
            else f"{names[0]} uses itself: " + ", ".join(f"{a} uses {b}" for a, b in pairwise(names))
        )
        first, second = cycle[0], cycle[1 % len(cycle)]
        place = self._uses[first][second]
        self._errors[first].append(
            self._sources[first].error(place, message, "expressions cannot use each other in a cycle")
        )


def _references(body: ast.expr, meant: Mapping[str, _Key]) -> dict[_Key, ast.Name]:
    """The expressions that a syntax tree uses, with the position of the first use. Called names are functions."""
    called = {id(node.func) for node in ast.walk(body) if isinstance(node, ast.Call)}
    accessed = {id(node.value) for node in ast.walk(body) if isinstance(node, ast.Attribute)}
    found: dict[_Key, ast.Name] = {}
    for node in ast.walk(body):
        if isinstance(node, ast.Name) and node.id in meant and id(node) not in called | accessed:
            found.setdefault(meant[node.id], node)
    return found


def _measure(node: Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Nodes and levels of a tree, with everything inserted into it; a shared node is visited once."""
    if id(node) not in known:
        below = [_measure(child, known) for child in children(node)]
        size = 1 + sum(parts for parts, _ in below)
        known[id(node)] = size, 1 + max((levels for _, levels in below), default=0)
    return known[id(node)]


def _too_much(size: int, depth: int) -> str | None:
    if size > MAX_TREE_NODES:
        return f"with everything that it uses, the expression has {size} parts, more than {MAX_TREE_NODES}"
    if depth > MAX_TREE_DEPTH:
        return (
            f"with everything that it uses, the expression is {depth} levels deep, more than {MAX_TREE_DEPTH}"
        )
    return None
