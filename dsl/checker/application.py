"""Applies functions and operators to checked arguments: chooses the overload, converts, and reports mismatches."""

import ast
from collections.abc import Mapping

from dsl.checker.parse import Source
from dsl.checker.resolve import Null, bind, constant_problem, convert, fit_types, parameter_type
from dsl.errors import LanguageError
from dsl.functions import overloads
from dsl.signature import VARIABLES, Function, Parameter
from dsl.tree import Call, Node, distinct
from dsl.types import NUMBERS, Type, nearest

WORDS = {
    "number": "int or float",
    "ordered": "int, float, str or timestamp",
    "value": "any type but a list",
    "anything": "any type",
    "zone": "time-zone name",
}

Typed = Node | None
"""A checked node, or None where a mistake has been reported below it."""


class Application:
    """Applies functions inside one expression; `errors` collects every mistake, `udfs` are the project's functions."""

    source: Source
    errors: list[LanguageError]
    udfs: Mapping[str, Function]

    def fail(self, node: ast.AST, message: str, suggestion: str | None = None) -> Typed:
        """Report a mistake and return None, which stands for the part with the mistake."""
        self.errors.append(self.source.error(node, message, suggestion))
        return None

    def rows(self, name: str) -> tuple[Function, ...]:
        """All overloads of a name."""
        return (self.udfs[name],) if name in self.udfs else overloads(name)

    def apply(
        self,
        node: ast.expr,
        name: str,
        positional: list[Node | Null | None],
        keywords: Mapping[str, Node | Null | None] | None = None,
    ) -> Node | Null | None:
        """A call of the overload that fits the arguments best."""
        keywords = keywords or {}
        given = [*positional, *keywords.values()]
        if any(argument is None for argument in given):
            return None
        best: tuple[int, Function, list[Node | Null], Type | None] | None = None
        for function in self.rows(name):
            bound = bind(function, positional, keywords)
            fitted = bound and fit_types(function, bound)
            if bound and fitted and (best is None or fitted[0] < best[0]):
                best = (fitted[0], function, bound, fitted[1])
        if best is None:
            return self.mismatch(node, name, positional, keywords)
        _, function, bound, variable = best
        return self.make_call(node, function, bound, variable)

    def make_call(
        self, node: ast.expr, function: Function, bound: list["Node | Null"], variable: Type | None
    ) -> Node | Null | None:
        """The call with its arguments converted to the parameters' types and its constants checked."""
        if variable is None and any(parameter.kind in VARIABLES for parameter in function.parameters):
            if function.returns in VARIABLES:
                return Null()
            variable = Type.FLOAT
        arguments = []
        for index, argument in enumerate(bound):
            parameter = function.parameter(index)
            kind = parameter_type(parameter, variable)
            converted = convert(argument, kind)
            problem = constant_problem(function, parameter, converted) if parameter.is_constant else None
            if problem:
                return self.fail(_argument_node(node, function, parameter), *problem)
            arguments.append(converted)
        returned = variable if function.returns in VARIABLES else Type(function.returns)
        assert returned is not None
        call = Call(function, tuple(arguments), returned)
        if function.fit and _contains_fitted(arguments):
            return self.fail(
                node, f"{function.name} cannot be fitted to the result of another fitted function"
            )
        return call

    def mismatch(
        self,
        node: ast.expr,
        name: str,
        positional: list["Node | Null | None"],
        keywords: Mapping[str, "Node | Null | None"],
    ) -> Typed:
        """Report that no overload takes these arguments."""
        kinds = [kind_of(argument) for argument in positional]
        rows = self.rows(name)
        hint = conversion_hint(
            {a.type for a in (*positional, *keywords.values()) if a and not isinstance(a, Null)}
        )
        if rows[0].is_operator:
            takes = sorted({WORDS.get(p.kind, p.kind) for row in rows for p in row.parameters})
            same = rows[0].parameters[0].kind in VARIABLES
            needs = f"values of one type ({takes[0]})" if same else "numbers"
            return self.fail(node, f"{name} needs {needs}, not {' and '.join(kinds)}", hint)
        known = {parameter.name for row in rows for parameter in row.parameters}
        for keyword in keywords:
            if keyword not in known:
                near = nearest(keyword, known)
                where = _argument_of(node, keyword)
                return self.fail(
                    where,
                    f"{name} has no argument {keyword!r}",
                    f"did you mean {near}=?" if near else f"it takes {listed(known)}; to compare write ==",
                )
        said = [*kinds, *(f"{keyword}={kind_of(argument)}" for keyword, argument in keywords.items())]
        takes_text = " or ".join(dict.fromkeys(_call_form(row) for row in rows))
        return self.fail(node, f"{name} takes {takes_text}, not ({', '.join(said)})", hint)


def _contains_fitted(trees: list[Node]) -> bool:
    return any(isinstance(node, Call) and node.function.fit for node in distinct(trees))


def kind_of(argument: "Node | Null | None") -> str:
    """The type of an argument, for messages."""
    return "null" if isinstance(argument, Null) or argument is None else str(argument.type)


def listed(known: "Mapping[str, object] | set[str]") -> str:
    """Some known names, for messages."""
    listed = sorted(known)
    shown = ", ".join(listed[:12]) or "none"
    return shown + (", …" if len(listed) > 12 else "")


def _call_form(function: Function) -> str:
    parts = [
        f"{'*' if parameter.is_repeated else ''}{parameter.name}: {WORDS.get(parameter.kind, parameter.kind)}"
        for parameter in function.parameters
    ]
    return f"({', '.join(parts)})"


def conversion_hint(kinds: set[Type]) -> str | None:
    """A hint how values of these types can be used together, or None."""
    if Type.BOOL in kinds and kinds & set(NUMBERS):
        return "int(…) makes 1 or 0 of true or false"
    if kinds == {Type.TIMESTAMP}:
        return "minutes_between(start, end) is the time between two timestamps"
    return None


def _argument_of(node: ast.expr, keyword: str) -> ast.AST:
    found: list[ast.AST] = [word for word in getattr(node, "keywords", []) if word.arg == keyword]
    return found[0] if found else node


def _argument_node(node: ast.expr, function: Function, parameter: Parameter) -> ast.AST:
    index = function.parameters.index(parameter)
    positional = getattr(node, "args", [])
    if index < len(positional):
        found: ast.AST = positional[index]
        return found
    keyword = _argument_of(node, parameter.name)
    return keyword.value if isinstance(keyword, ast.keyword) else keyword
