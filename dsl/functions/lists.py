"""Functions of lists.

Both back ends call the same Python functions (dsl/row/scalar/lists.py), so that sums are the same bits on both.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dsl.polars.expressions import over_rows
from dsl.row.scalar import lists
from dsl.signature import Example, Function
from dsl.types import LISTS, IntBounds, Type

if TYPE_CHECKING:
    import polars as pl

_LENGTHS = (0, 2**32)
_FIRST = datetime(2013, 3, 10, tzinfo=UTC)
_SECOND = datetime(2013, 3, 11, tzinfo=UTC)
_ITEMS: dict[Type, tuple[Any, Any]] = {
    Type.INT: (3, 1),
    Type.FLOAT: (3.5, 1.0),
    Type.BOOL: (True, False),
    Type.STR: ("b", "a"),
    Type.TIMESTAMP: (_SECOND, _FIRST),
}
"""A greater and a smaller value of each type, for examples."""


def by_row(function: Callable[..., Any], returns: Type) -> Callable[..., "pl.Expr"]:
    """The Polars expression that calls a function on each row without a null argument."""

    def present(*arguments: Any) -> Any:
        return None if any(argument is None for argument in arguments) else function(*arguments)

    return lambda **arguments: over_rows(present, list(arguments.values()), returns)


def _function(
    signature: str,
    doc: str,
    examples: tuple[Example, ...],
    row: str,
    function: Callable[..., Any],
    partial: bool = False,
    bounds: Callable[..., IntBounds] | None = None,
) -> Function:
    returns = Type(signature.rpartition(" -> ")[2])
    return Function(
        signature=signature,
        section="lists",
        doc=doc,
        examples=examples,
        row=row,
        columns=by_row(function, returns),
        partial=(lambda *_: True) if partial else None,
        bounds=bounds,
    )


def _length(kind: Type) -> Function:
    items = _ITEMS[kind]
    return _function(
        f"length(items: {LISTS[kind]}) -> int",
        "Number of items, null ones included.",
        (Example("length(row.x)", 2, {"x": items}), Example("length(row.x)", 1, {"x": items[:1]})),
        "len({items})",
        len,
        bounds=lambda items: _LENGTHS,
    )


def _contains(kind: Type) -> Function:
    first, second = _ITEMS[kind]
    return _function(
        f"contains(items: {LISTS[kind]}, item: {kind}) -> bool",
        "Whether an item equals the value; also written `value in items`. A null item equals nothing.",
        (
            Example("contains(row.x, row.y)", True, {"x": (first, second), "y": second}),
            Example("row.y in row.x", False, {"x": (first, None), "y": second}),
        ),
        "({item} in {items})",
        lambda items, item: item in items,
    )


def _element(kind: Type) -> Function:
    first, second = _ITEMS[kind]
    return _function(
        f"element(items: {LISTS[kind]}, index: int) -> {kind}",
        "The item at an index: 0 is the first, -1 the last. Null beyond either end.",
        (
            Example("element(row.x, 0)", first, {"x": (first, second)}),
            Example("element(row.x, -1)", second, {"x": (first, second)}),
            Example("element(row.x, 2)", None, {"x": (first, second)}),
        ),
        "list_element({items}, {index})",
        lists.list_element,
        partial=True,
    )


def _extreme(name: str, kind: Type) -> Function:
    first, second = _ITEMS[kind]
    return _function(
        f"{name}(items: {LISTS[kind]}) -> {kind}",
        f"The {'least' if name == 'min' else 'greatest'} item that is not null; null where there is none.",
        (Example(f"{name}(row.x)", second if name == "min" else first, {"x": (first, None, second)}),),
        f"list_{name}({{items}})",
        getattr(lists, f"list_{name}"),
        partial=True,
    )


_ORDERED = (Type.INT, Type.FLOAT, Type.STR, Type.TIMESTAMP)

LIST_FUNCTIONS: tuple[Function, ...] = (
    *map(_length, LISTS),
    _function(
        "sum(items: list[int]) -> int",
        "Sum of the items that are not null, 0 where there is none; null beyond 64 bits.",
        (
            Example("sum([1, 2, 3])", 6),
            Example("sum(row.x)", 4, {"x": (None, 4)}),
            Example("sum([9223372036854775807, 1])", None),
        ),
        "list_sum_of_ints({items})",
        lists.list_sum_of_ints,
        partial=True,
    ),
    _function(
        "sum(items: list[float]) -> float",
        "Exact sum of the items that are not null, rounded once; 0.0 where there is none.",
        (Example("sum([0.1, 0.2, 0.3])", 0.6), Example("sum([1e16, 1.0, -1e16])", 1.0)),
        "list_sum_of_floats({items})",
        lists.list_sum_of_floats,
        partial=True,
    ),
    _function(
        "mean(items: list[int]) -> float",
        "Mean of the items that are not null; null where there is none.",
        (Example("mean([1, 2])", 1.5), Example("mean(row.x)", 4.0, {"x": (None, 4)})),
        "list_mean({items})",
        lists.list_mean,
        partial=True,
    ),
    _function(
        "mean(items: list[float]) -> float",
        "Mean of the items that are not null, their sum rounded once; null where there is none.",
        (Example("mean([0.5, 1.0])", 0.75),),
        "list_mean({items})",
        lists.list_mean,
        partial=True,
    ),
    *(_extreme(name, kind) for name in ("min", "max") for kind in _ORDERED),
    *map(_contains, LISTS),
    *map(_element, LISTS),
    _function(
        "float(items: list[int]) -> list[float]",
        "Each item as the nearest float.",
        (Example("sum(float([1, 2]))", 3.0),),
        "list_of_floats({items})",
        lists.list_of_floats,
    ),
    _function(
        "dot(a: list[float], b: list[float]) -> float",
        "Sum of the products, each rounded; null where the lists differ in length or hold null.",
        (
            Example("dot([1, 2], [3, 4])", 11.0),
            Example("dot([1], [3, 4])", None),
            Example("dot(row.x, [1.0, 2.0])", None, {"x": (1.0, None)}),
        ),
        "dot({a}, {b})",
        lists.dot,
        partial=True,
    ),
    _function(
        "norm(items: list[float]) -> float",
        "Euclidean length: the square root of dot(items, items).",
        (Example("norm([3, 4])", 5.0), Example("norm(row.x)", None, {"x": (3.0, None)})),
        "norm({items})",
        lists.norm,
        partial=True,
    ),
    Function(
        signature="cosine(a: list[float], b: list[float]) -> float",
        section="lists",
        doc="Cosine of the angle between two vectors; null where one is zero or dot is null.",
        examples=(
            Example("cosine([3, 4], [6, 8])", 1.0),
            Example("cosine([1, 0], [0, 2])", 0.0),
            Example("cosine([0, 0], [1, 1])", None),
        ),
        definition="dot(a, b) / (norm(a) * norm(b))",
    ),
    _function(
        "split(text: str, separator: str) -> list[str]",
        "The pieces of text between the separators, empty ones included; null for an empty separator.",
        (
            Example("element(split('EWR-ORD', '-'), 1)", "ORD"),
            Example("length(split('', ','))", 1),
            Example("split(row.x, '')", None, {"x": "a"}),
        ),
        "split({text}, {separator})",
        lists.split,
        partial=True,
    ),
)
