"""The table of operators and functions: name, signature, documentation, examples and both implementations.

A new function is a new entry in the module of its section. Its examples run as tests on both back ends, the equality
test generates calls of it from its signature, and the reference page lists it.
"""

from collections.abc import Iterable
from functools import cache

from dsl.functions.arithmetic import ARITHMETIC
from dsl.functions.categories import CATEGORIES
from dsl.functions.comparison import COMPARISON
from dsl.functions.fitted import FITTED
from dsl.functions.geography import GEOGRAPHY, PLACE_PARTS
from dsl.functions.lists import LIST_FUNCTIONS
from dsl.functions.mathematics import MATHEMATICS
from dsl.functions.nulls import NULLS
from dsl.functions.numbers import NUMBERS
from dsl.functions.text import TEXT
from dsl.functions.time import PARTS, TIME_FUNCTIONS
from dsl.signature import Function

TABLE: tuple[Function, ...] = (
    *ARITHMETIC,
    *COMPARISON,
    *NUMBERS,
    *MATHEMATICS,
    *NULLS,
    *TEXT,
    *TIME_FUNCTIONS,
    *LIST_FUNCTIONS,
    *PARTS,
    *GEOGRAPHY,
    *PLACE_PARTS,
    *CATEGORIES,
    *FITTED,
)


@cache
def overloads(name: str) -> tuple[Function, ...]:
    """The entries of a name, in the table's order; operators go by their symbol."""
    return tuple(function for function in TABLE if function.name == name)


def names() -> Iterable[str]:
    """The names that expressions can call, in the table's order."""
    return dict.fromkeys(
        function.name for function in TABLE if not (function.is_operator or function.is_part)
    )
