"""Comparison operators."""

from dsl.signature import Example, Function


def _comparison(symbol: str, name: str, kind: str, doc: str, *examples: Example) -> Function:
    return Function(
        operator=symbol,
        signature=f"{name}(a: {kind}, b: {kind}) -> bool",
        section="operators",
        doc=doc,
        examples=examples,
        row=f"({{a}} {symbol} {{b}})",
        columns={
            "==": lambda a, b: a == b,
            "!=": lambda a, b: a != b,
            "<": lambda a, b: a < b,
            "<=": lambda a, b: a <= b,
            ">": lambda a, b: a > b,
            ">=": lambda a, b: a >= b,
        }[symbol],
    )


COMPARISON = (
    _comparison(
        "==",
        "equal",
        "value",
        "Equality; text is compared character by character, an int with a float as floats.",
        Example("1 == 1.0", True),
        Example("'a' == 'A'", False),
        Example("row.x == 1", None, {"x": None}),
    ),
    _comparison("!=", "unequal", "value", "The contrary of ==; null where == is.", Example("1 != 2", True)),
    _comparison(
        "<",
        "less",
        "ordered",
        "Order; text by Unicode code points, times by instant. Comparisons chain: 0 < row.x < 10.",
        Example("1 < 2", True),
        Example("'B' < 'a'", True),
        Example("0 < row.x < 10", True, {"x": 5}),
    ),
    _comparison("<=", "less_or_equal", "ordered", "Order or equality.", Example("2 <= 2", True)),
    _comparison(">", "greater", "ordered", "Order.", Example("1 > 2", False)),
    _comparison(">=", "greater_or_equal", "ordered", "Order or equality.", Example("2 >= 3", False)),
)
