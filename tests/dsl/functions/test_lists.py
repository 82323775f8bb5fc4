"""Functions of lists: sums exact and independent of order, nulls, empty lists, indexes out of reach."""

import math
from fractions import Fraction

import pytest

LISTS = {"x": "list[float]", "y": "list[float]", "n": "list[int]", "s": "list[str]"}


@pytest.mark.parametrize(
    ("expression", "row", "value"),
    [
        ("sum(row.x)", {"x": (1e308, 1e308, -1e308)}, 1e308),
        ("sum(row.x)", {"x": (1e308, 1e308)}, None),
        ("sum(row.x)", {"x": ()}, 0.0),
        ("sum(row.x)", {"x": (math.nan, 2.0, math.inf)}, 2.0),
        ("sum(row.n)", {"n": ()}, 0),
        ("sum(row.n)", {"n": (2**63 - 1, 1, -1)}, 2**63 - 1),
        ("sum(row.n)", {"n": (-(2**63), -1)}, None),
        ("mean(row.n)", {"n": (2**63 - 1, 2**63 - 1)}, 2.0**63),
        ("mean(row.n)", {"n": (None,)}, None),
        ("mean(row.x)", {"x": (0.1,) * 10}, 0.1),
        ("min(row.x)", {"x": (0.0, -0.0)}, 0.0),
        ("max(row.x)", {"x": (-0.0, -1.0)}, 0.0),
        ("length(row.x)", {"x": (None, math.nan)}, 2),
        ("length(row.x)", {"x": ()}, 0),
        ("length(row.x)", {}, None),
        ("element(row.n, 9223372036854775807)", {"n": (1,)}, None),
        ("element(row.n, -9223372036854775808)", {"n": (1,)}, None),
        ("element(row.x, 0)", {"x": (math.nan,)}, None),
        ("dot(row.x, row.y)", {"x": (), "y": ()}, 0.0),
        ("dot(row.x, row.y)", {"x": (1e200, 1.0), "y": (1e200, 1.0)}, None),
        ("dot(row.x, row.y)", {"x": (1.0, 2.0), "y": (1.0, None)}, None),
        ("dot(row.n, row.x)", {"n": (2, 3), "x": (0.5, 1.0)}, 4.0),
        ("norm(row.x)", {"x": (5e-324,)}, 0.0),
        ("cosine(row.x, row.y)", {"x": (1.0, 1.0), "y": (-2.0, -2.0)}, -0.9999999999999998),
        ("'b' in split('a,b,', ',')", {}, True),
        ("'' not in split('a,b,', ',')", {}, False),
        ("3 in [1, 2, 3]", {}, True),
        ("2 in row.x", {"x": (2.0,)}, True),
        ("2.0 in row.n", {"n": (2,)}, True),
        ("row.n if is_null(row.x) else [7]", {"n": (1, None)}, (1, None)),
        ("coalesce(row.n, [7, None])", {}, (7, None)),
        ("coalesce(row.n, [0.5])", {"n": (1,)}, (1.0,)),
    ],
)
def test_lists(evaluate, expression, row, value):
    found = evaluate(expression, row, kinds=LISTS)
    assert (type(found), found) == (type(value), value)


def test_sums_do_not_depend_on_the_order_of_items(evaluate):
    items = (1e16, 3.14, -1e16, 2.0**-40, 1e-300, 7.0)
    exact = float(sum(map(Fraction, items)))
    assert {
        evaluate("sum(row.x)", {"x": turned}) for turned in (items, items[::-1], items[3:] + items[:3])
    } == {exact}
