"""Functions of a project's own: typed, pure Python, called in expressions as `udfs.name(…)`.

Their source is part of the stored features, with its hash as version. It is the operator's code, not a caller's; what
it may say is still limited (dsl/udf_code/check.py), so that a function is what it should be: a value made from its
arguments alone. Who may deploy it is trusted.

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
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from dsl.errors import InputError, LanguageError, LanguageErrors, UdfError
from dsl.row import inputs
from dsl.signature import Function
from dsl.types import Type
from dsl.udf_code.allowed_names import BUILTINS, MODULES
from dsl.udf_code.check import VECTORISED, findings

if TYPE_CHECKING:
    import polars as pl

MAX_LENGTH = 200_000
MAX_ERRORS = 100
"""Most mistakes of one file that are reported at once."""

_PYTHON = {
    "int": Type.INT,
    "float": Type.FLOAT,
    "bool": Type.BOOL,
    "str": Type.STR,
    "datetime": Type.TIMESTAMP,
}
_FIXED = (int, float, complex, bool, str, bytes, range, slice, type(None), type(...))
"""Python's own types with immutable values."""


@dataclass(frozen=True, eq=False, kw_only=True)
class UdfFunction(Function):
    """The entry of the function table for one function of a project.

    `udfs` holds its source, `optional` whether each parameter may be null, `gives_null` whether the result may be.
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
    def vectorised(self) -> tuple[str, ...]:
        """The functions that also have a vectorised form."""
        return tuple(name for name in self.functions if f"{name}{VECTORISED}" in self._defined)

    @cached_property
    def _defined(self) -> frozenset[str]:
        return frozenset(
            node.name for node in ast.parse(self.source).body if isinstance(node, ast.FunctionDef)
        )

    @cached_property
    def namespace(self) -> dict[str, Any]:
        """The names that the source defines, after running it. Raises UdfError if it cannot be run.

        Constants are held as values that no call can change: a dict is read-only.
        """
        names: dict[str, Any] = {
            "__name__": "udfs",
            "__builtins__": {name: getattr(builtins, name) for name in BUILTINS} | {"__import__": _import},
        }
        for statement in ast.parse(self.source).body:
            code = compile(ast.Module([statement], []), "udfs.py", "exec")
            try:
                exec(code, names)  # noqa: S102 - the operator's code, checked
            except Exception as error:
                raise UdfError("udfs.py", f"cannot be loaded: {_said(error)}") from error
            for constant in _constants(statement):
                if constant in names:
                    names[constant] = _fixed(constant, names[constant])
        return names

    def caller(self, name: str) -> Callable[..., Any]:
        """The function with null handling, named errors and a checked result. Raises UdfError."""
        function = self.functions[name]
        required = [place for place, optional in enumerate(function.optional) if not optional]
        accepts = getattr(inputs, "accept_" + function.returns.replace("[", "_").rstrip("]"))
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
        """The Polars expression of the function: its vectorised form, or a call for each row."""
        function = self.functions[name]
        returns = Type(function.returns)

        def by_column(call: Callable[..., Any], **arguments: "pl.Expr") -> "pl.Expr":
            import polars as pl

            from dsl.polars.types import POLARS

            value = self.namespace[f"{name}{VECTORISED}"](**arguments)
            needed = [
                argument.is_not_null()
                for argument, optional in zip(arguments.values(), function.optional, strict=True)
                if not optional
            ]
            held = pl.when(pl.all_horizontal(needed)).then(value) if needed else value
            return held.cast(POLARS[returns])

        def by_row(call: Callable[..., Any], **arguments: "pl.Expr") -> "pl.Expr":
            from dsl.polars.expressions import over_rows

            return over_rows(call, list(arguments.values()), returns)

        return by_column if name in self.vectorised else by_row


def _import(name: str, *others: Any) -> ModuleType:
    """A module for the checked imports of a source, or one that datetime needs to parse and format times."""
    if name not in MODULES and name not in ("time", "_strptime"):
        raise ImportError(f"{name} cannot be imported here")
    return importlib.import_module(name)


def _constants(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of the file assigns to."""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _fixed(name: str, value: Any) -> Any:
    """A constant as a value that no call can change. Raises UdfError if there is none."""
    kind = type(value)
    if kind is dict:
        return MappingProxyType({_fixed(name, key): _fixed(name, item) for key, item in value.items()})
    if isinstance(value, tuple | frozenset):
        items = [_fixed(name, item) for item in value]
        return tuple(items) if kind is tuple else value
    if kind in _FIXED or isinstance(value, type | MappingProxyType):
        return value
    if kind.__module__.split(".")[0] in MODULES:
        return value
    if isinstance(value, FunctionType) and not value.__closure__:
        return value
    if isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, ModuleType | None):
        _fixed(name, value.__self__)
        return value
    if isinstance(value, BuiltinFunctionType):
        return value
    raise UdfError(
        "udfs.py",
        f"{name} is of type {kind.__name__}, which one call could change for the next; write a tuple or a dict, or "
        "make it inside the function",
    )


def parse_udfs(source: str) -> Udfs:
    """The functions that a source text defines; nothing of it is run.

    Raises LanguageErrors, of feature `udfs.py`, with everything that is not allowed in it.

        >>> from dsl import Schema, compile_features
        >>> udfs = parse_udfs("def speed(miles: float, minutes: float) -> float:\\n    return miles / minutes * 60")
        >>> schema = Schema({"miles": "float", "minutes": "float"}, udfs=udfs)
        >>> features = compile_features({"speed": "udfs.speed(row.miles, row.minutes)"}, schema)
        >>> features.row({"miles": 180.0, "minutes": 45.0})
        [240.0]
    """
    source = source.removeprefix("\ufeff")
    tree = _syntax(source)
    try:
        errors = [_error(source, *found) for found in islice(findings(tree), MAX_ERRORS)]
    except RecursionError:
        raise _refused(source, 0, "it is nested too deep") from None
    functions: dict[str, UdfFunction] = {}
    udfs = Udfs(source, functions)
    public = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _is_public(node.name)]
    names = {node.name for node in public}
    for node in public:
        if node.name.endswith(VECTORISED) and node.name.removesuffix(VECTORISED) in names:
            continue
        found = _function(udfs, node)
        if isinstance(found, UdfFunction):
            functions[node.name] = found
        else:
            errors += [_error(source, place, message) for place, message in found]
    errors += [
        _error(
            source,
            node,
            f"the vectorised function does not take the parameters of {node.name.removesuffix(VECTORISED)}",
        )
        for node in public
        if node.name.removesuffix(VECTORISED) in functions
        and node.name.endswith(VECTORISED)
        and [argument.arg for argument in node.args.args]
        != [parameter.name for parameter in functions[node.name.removesuffix(VECTORISED)].parameters]
    ]
    if errors:
        raise LanguageErrors(sorted(errors, key=lambda error: (error.line, error.column)))
    return udfs


def _syntax(source: str) -> ast.Module:
    """Python's syntax tree of a source that Python can compile. Raises LanguageErrors."""
    if len(source) > MAX_LENGTH:
        raise _refused(source, 0, f"the file has {len(source)} characters, more than {MAX_LENGTH}")
    broken = re.search("[\ud800-\udfff\x00]", source)
    if broken:
        raise _refused(source, broken.start(), f"{broken[0]!a} is no character of a text")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
            compile(tree, "udfs.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        line, column = error.lineno or 1, max(1, error.offset or 1)
        lines = _lines(source)
        if line > len(lines):
            line, column = len(lines), len(lines[-1]) + 1
        is_huge = "integer string conversion" in error.msg
        message = "the number has too many digits" if is_huge else f"not valid Python: {error.msg}"
        raise LanguageErrors([LanguageError("udfs.py", message, line, column, text=source)]) from None
    except (RecursionError, MemoryError):
        raise _refused(source, 0, "not valid Python: it is nested too deep") from None
    except (ValueError, OverflowError) as error:
        raise _refused(source, 0, f"not valid Python: {error}") from None
    return tree


def _refused(source: str, at: int, message: str) -> LanguageErrors:
    """The mistake at one character of the source."""
    before = _lines(source[:at])
    return LanguageErrors(
        [LanguageError("udfs.py", message, len(before), len(before[-1]) + 1, text="\n".join(_lines(source)))]
    )


def _lines(source: str) -> list[str]:
    """The lines of a source as Python counts them."""
    return re.split("\r\n|\r|\n", source)


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _error(source: str, node: ast.AST, message: str, suggestion: str | None = None) -> LanguageError:
    """An error that marks a node, up to the end of the line where it starts; Python counts columns in bytes."""
    lines = _lines(source)
    line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    written = lines[line - 1].encode()
    start = len(written[:offset].decode(errors="ignore"))
    last = getattr(node, "end_col_offset", None) if getattr(node, "end_lineno", line) == line else None
    end = len(written[:last].decode(errors="ignore"))
    return LanguageError(
        "udfs.py", message, line, start + 1, max(1, end - start), suggestion, text="\n".join(lines)
    )


def _function(udfs: Udfs, node: ast.FunctionDef) -> UdfFunction | list[tuple[ast.AST, str]]:
    """The entry of the function table for one function, or the mistakes in its signature."""
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
        may_be_non_finite=returned[0] == Type.FLOAT,
        partial=lambda *_: True,
        udfs=udfs,
        optional=tuple(optional for _, (_, optional) in typed),
        gives_null=returned[1],
    )


def _annotation(node: ast.expr | None) -> tuple[Type, bool] | None:
    """The type of an annotation, and whether it allows None."""
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
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - it writes out what the operator's code put into it, such as a huge number
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
