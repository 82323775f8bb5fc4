"""Roots, logarithms and trigonometry against exact values and identities."""

import math
import random
from decimal import Decimal, localcontext

import pytest

NAMES = ["sin", "cos", "tan", "atan", "tanh", "asin", "acos", "sinh", "cosh"]


@pytest.mark.parametrize("exponent", [-307, -5, -1, 0, 1, 3, 15, 22, 300, 308])
def test_log10_of_a_power_of_ten_is_whole(evaluate, exponent):
    assert evaluate("log10(row.x)", {"x": float(f"1e{exponent}")}) == exponent


@pytest.mark.parametrize("exponent", [-1074, -1022, -1, 0, 1, 52, 1023])
def test_log2_of_a_power_of_two_is_whole(evaluate, exponent):
    assert evaluate("log2(row.x)", {"x": 2.0**exponent}) == exponent


@pytest.mark.parametrize(("name", "base"), [("log2", 2), ("log10", 10)])
@pytest.mark.parametrize("x", [3.0, 0.7, 1e-300, 123456.789, 1.7976931348623157e308])
def test_logarithms_are_close_to_exact_ones(evaluate, name, base, x):
    with localcontext() as context:
        context.prec = 40
        exact = float(Decimal(x).ln() / Decimal(base).ln())
    assert evaluate(f"{name}(row.x)", {"x": x}) == pytest.approx(exact, rel=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_curves_are_those_of_the_c_library_to_the_bit(evaluate, name):
    chance = random.Random(name)
    inside = 1.0 if name in ("asin", "acos") else 700.0
    for _ in range(20):
        x = chance.uniform(-inside, inside)
        assert evaluate(f"{name}(row.x)", {"x": x}) == getattr(math, name)(x)


@pytest.mark.parametrize("name", ["sinh", "cosh"])
def test_hyperbolic_curves_reach_to_the_largest_float(evaluate, name):
    edge = 710.4758600739439
    assert evaluate(f"{name}(row.x)", {"x": edge}) == getattr(math, name)(edge)
    assert evaluate(f"{name}(row.x)", {"x": math.nextafter(edge, math.inf)}) is None


@pytest.mark.parametrize(
    ("y", "x"), [(0.0, -1.0), (-0.0, -1.0), (1.0, 0.0), (-2.0, -3.0), (0.0, 0.0), (5e-324, 1e308)]
)
def test_atan2_knows_the_quadrant(evaluate, y, x):
    assert evaluate("atan2(row.y, row.x)", {"y": y, "x": x}) == math.atan2(y, x)


@pytest.mark.parametrize("x", [-745.0, -40.0, -1.0, 0.0, 0.3, 37.0, 1e308, -1e308])
def test_sigmoid_is_the_logistic_function(evaluate, x):
    with localcontext() as context:
        context.prec = 60
        exact = float(1 / (1 + (-Decimal(x)).exp())) if abs(x) < 1000 else float(x > 0)
    assert evaluate("sigmoid(row.x)", {"x": x}) == pytest.approx(exact, rel=1e-15, abs=1e-320)


@pytest.mark.parametrize(("x", "sign"), [(-0.0, 0), (5e-324, 1), (-1e308, -1), (None, None)])
def test_sign(evaluate, x, sign):
    assert evaluate("sign(row.x)", {"x": x}, kinds={"x": "float"}) == sign
