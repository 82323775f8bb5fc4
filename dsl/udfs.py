"""Functions of a project's own: typed, pure Python, called in expressions as `udfs.name(…)`.

Their source is part of the stored features, with its hash as version. It is the operator's code, not a caller's; what
it may say is still limited here, so that a function is what it should be: a value made from its arguments alone.

    def speed(distance: float, minutes: float | None) -> float:
        return distance / (minutes or 1.0)

    def speed_columns(distance, minutes):        # optional: the same of Polars expressions
        return distance / pl.when(minutes != 0).then(minutes).otherwise(1.0)

A parameter that is not `| None` is never handed null: the function is null then. NaN and infinity are null.
"""

import ast
import builtins
import hashlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dsl import accept
from dsl.errors import InputError, LanguageError, LanguageErrors, UdfError
from dsl.signature import Function
from dsl.types import Type

if TYPE_CHECKING:
    import polars as pl

TWIN = "_columns"
"""What the name of a function's twin over Polars expressions ends in."""

MODULES = (
    "math",
    "statistics",
    "re",
    "unicodedata",
    "datetime",
    "zoneinfo",
    "fractions",
    "decimal",
    "polars",
)
BUILTINS = (
    *(
        "abs",
        "all",
        "any",
        "bool",
        "chr",
        "dict",
        "divmod",
        "enumerate",
        "filter",
        "float",
        "frozenset",
        "int",
    ),
    *(
        "isinstance",
        "len",
        "list",
        "map",
        "max",
        "min",
        "ord",
        "pow",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
    ),
    *("slice", "sorted", "str", "sum", "tuple", "zip", "True", "False", "None"),
    *(
        "ArithmeticError",
        "IndexError",
        "KeyError",
        "OverflowError",
        "TypeError",
        "ValueError",
        "ZeroDivisionError",
    ),
)
MAX_LENGTH = 200_000

_PYTHON = {
    "int": Type.INT,
    "float": Type.FLOAT,
    "bool": Type.BOOL,
    "str": Type.STR,
    "datetime": Type.TIMESTAMP,
}
_FORBIDDEN = {
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


@dataclass(frozen=True, eq=False, kw_only=True)
class UdfFunction(Function):
    """A row of the function table for one function of a project.

    udfs: holds its source; optional: whether each parameter may be null; gives_null: whether the result may be.
    """

    udfs: "Udfs" = field(repr=False)
    optional: tuple[bool, ...] = ()
    gives_null: bool = False

    @cached_property
    def name(self) -> str:
        """The name in an expression."""
        return f"udfs.{self._parsed.name}"


@dataclass(frozen=True, eq=False)
class Udfs:
    """The functions of one source text by name; functions that begin with an underscore are for the others."""

    source: str
    functions: Mapping[str, UdfFunction] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """SHA-256 of the source."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def twins(self) -> tuple[str, ...]:
        """The functions that have a twin over columns."""
        return tuple(name for name in self.functions if f"{name}{TWIN}" in self._defined)

    @cached_property
    def _defined(self) -> frozenset[str]:
        return frozenset(
            node.name for node in ast.parse(self.source).body if isinstance(node, ast.FunctionDef)
        )

    @cached_property
    def namespace(self) -> dict[str, Any]:
        """The names that the source defines, once it was run. Raises UdfError when it cannot be."""
        names: dict[str, Any] = {
            "__name__": "udfs",
            "__builtins__": {name: getattr(builtins, name) for name in BUILTINS} | {"__import__": _import},
        }
        try:
            exec(compile(self.source, "udfs.py", "exec"), names)  # noqa: S102 - the operator's code, checked
        except Exception as error:
            raise UdfError("udfs.py", f"cannot be loaded: {_said(error)}") from error
        return names

    def caller(self, name: str) -> Callable[..., Any]:
        """The function, with its rule for null, its errors named and its result checked. Raises UdfError."""
        function = self.functions[name]
        required = [place for place, optional in enumerate(function.optional) if not optional]
        accepts = getattr(accept, "accept_" + function.returns.replace("[", "_").rstrip("]"))
        body = self.namespace[name]

        def call(*arguments: Any) -> Any:
            for place in required:
                if arguments[place] is None:
                    return None
            try:
                value = body(*arguments)
            except Exception as error:
                raise UdfError(function.name, f"raises {_said(error)}", arguments) from error
            if value is None:
                if function.gives_null:
                    return None
                raise UdfError(function.name, f"returns None; it must return {function.returns}", arguments)
            try:
                return accepts("result", value)
            except InputError as error:
                raise UdfError(
                    function.name, f"must return {function.returns}: {error.message}", arguments
                ) from None

        return call

    def columns(self, name: str) -> Callable[..., "pl.Expr"]:
        """The Polars expression of the function: its twin, or a call for each row."""
        function = self.functions[name]
        returns = Type(function.returns)

        def by_twin(call: Callable[..., Any], **arguments: "pl.Expr") -> "pl.Expr":
            import polars as pl

            from dsl.columns import POLARS

            value = self.namespace[f"{name}{TWIN}"](**arguments)
            needed = [
                argument.is_not_null()
                for argument, optional in zip(arguments.values(), function.optional, strict=True)
                if not optional
            ]
            held = pl.when(pl.all_horizontal(needed)).then(value) if needed else value
            return held.cast(POLARS[returns])

        def by_row(call: Callable[..., Any], **arguments: "pl.Expr") -> "pl.Expr":
            from dsl.functions.expressions import over_rows

            return over_rows(call, list(arguments.values()), returns)

        return by_twin if name in self.twins else by_row


def _import(name: str, *others: Any) -> ModuleType:
    if name not in MODULES:
        raise ImportError(f"{name} cannot be imported here")
    return importlib.import_module(name)


def parse_udfs(source: str) -> Udfs:
    """The functions that a source text defines; nothing of it is run.

    Raises LanguageErrors, of feature `udfs.py`, with everything that is not allowed in it.
    """
    if len(source) > MAX_LENGTH:
        raise LanguageErrors(
            [LanguageError("udfs.py", f"the file has {len(source)} characters, more than {MAX_LENGTH}")]
        )
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line, column = getattr(error, "lineno", None) or 1, getattr(error, "offset", None) or 1
        message = f"not valid Python: {getattr(error, 'msg', error)}"
        raise LanguageErrors([LanguageError("udfs.py", message, line, column, text=source)]) from None
    errors = [_error(source, node, message) for node, message in _problems(tree)]
    functions: dict[str, UdfFunction] = {}
    udfs = Udfs(source, functions)
    public = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _is_public(node.name)]
    names = {node.name for node in public}
    for node in public:
        if node.name.endswith(TWIN) and node.name.removesuffix(TWIN) in names:
            continue
        found = _function(udfs, node)
        if isinstance(found, UdfFunction):
            functions[node.name] = found
        else:
            errors += [_error(source, place, message) for place, message in found]
    errors += [
        _error(source, node, f"the twin does not take the parameters of {node.name.removesuffix(TWIN)}")
        for node in public
        if node.name.removesuffix(TWIN) in functions
        and node.name.endswith(TWIN)
        and [argument.arg for argument in node.args.args]
        != [parameter.name for parameter in functions[node.name.removesuffix(TWIN)].parameters]
    ]
    if errors:
        raise LanguageErrors(errors)
    return udfs


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _error(source: str, node: ast.AST, message: str) -> LanguageError:
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
    written = source.split("\n")[line - 1]
    end = (
        getattr(node, "end_col_offset", column) if getattr(node, "end_lineno", line) == line else len(written)
    )
    return LanguageError("udfs.py", message, line, column, max(1, end - column + 1), text=source)


def _problems(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """What would make a function more than a value of its arguments."""
    for place, node in enumerate(tree.body):
        is_doc = place == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_doc and not isinstance(
            node, ast.FunctionDef | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
        ):
            yield node, "a file of functions holds imports, constants and functions only"
    for part in ast.walk(tree):
        message = _refusal(part)
        if message:
            yield part, message


def _refusal(node: ast.AST) -> str | None:
    """Why a function of features cannot hold a node, or None where it can."""
    for kind, said in _FORBIDDEN.items():
        if isinstance(node, kind):
            return f"{said} is not allowed in a function of features"
    match node:
        case ast.Import():
            wrong = [alias.name for alias in node.names if alias.name not in MODULES]
        case ast.ImportFrom():
            wrong = [] if node.module in MODULES and not node.level else [node.module or "."]
        case ast.Attribute(attr=name) if name.startswith("_"):
            return f"{name} is not for use from outside"
        case ast.Name(id=name) if name.startswith("__") or (name not in BUILTINS and hasattr(builtins, name)):
            return f"{name} is not allowed in a function of features"
        case ast.FunctionDef(decorator_list=[_, *_]):
            return "a function of features has no decorators"
        case _:
            wrong = []
    return f"{', '.join(wrong)} cannot be imported here; these can: {', '.join(MODULES)}" if wrong else None


def _function(udfs: Udfs, node: ast.FunctionDef) -> UdfFunction | list[tuple[ast.AST, str]]:
    """The row of the table of one function, or what is wrong with its signature."""
    problems: list[tuple[ast.AST, str]] = []
    others = node.args
    if others.vararg or others.kwarg or others.kwonlyargs or others.posonlyargs or others.defaults:
        problems.append((node, f"{node.name} must take plain parameters without defaults"))
    if not others.args:
        problems.append((node, f"{node.name} takes no parameter, so that it is a constant"))
    kinds = [_annotation(argument.annotation) for argument in others.args]
    for argument, kind in zip(others.args, kinds, strict=True):
        if kind is None:
            problems.append(
                (argument, f"{argument.arg} needs a type: {', '.join(_PYTHON)}, a list of one, or | None")
            )
    returned = _annotation(node.returns)
    if returned is None:
        problems.append((node, f"{node.name} needs the type that it returns: -> float"))
    if problems or returned is None:
        return problems
    typed = [(argument.arg, kind) for argument, kind in zip(others.args, kinds, strict=True) if kind]
    written = ", ".join(f"{name}: {kind}" for name, (kind, _) in typed)
    places = ", ".join(f"{{{name}}}" for name, _ in typed)
    return UdfFunction(
        signature=f"{node.name}({written}) -> {returned[0]}",
        section="udfs",
        doc=ast.get_docstring(node) or "",
        examples=(),
        row=f"{{call}}({places})",
        columns=lambda **filled: udfs.columns(node.name)(**filled),
        bind=lambda: {"call": udfs.caller(node.name)},
        handles_null=True,
        unsettled=returned[0] == Type.FLOAT,
        partial=lambda *_: True,
        udfs=udfs,
        optional=tuple(optional for _, (_, optional) in typed),
        gives_null=returned[1],
    )


def _annotation(node: ast.expr | None) -> tuple[Type, bool] | None:
    """The type that an annotation means, and whether it allows None."""
    match node:
        case ast.BinOp(op=ast.BitOr(), left=left, right=ast.Constant(value=None)):
            inner = _annotation(left)
            return (inner[0], True) if inner and not inner[1] else None
        case ast.Name(id=name) if name in _PYTHON:
            return _PYTHON[name], False
        case ast.Subscript(value=ast.Name(id="list"), slice=ast.Name(id=name)) if name in _PYTHON:
            return Type(f"list[{_PYTHON[name]}]"), False
    return None


def _said(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
