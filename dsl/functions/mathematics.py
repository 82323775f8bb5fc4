"""Roots, exponentials, logarithms and trigonometry.

Python and Polars both call the C library for these, so they agree to the last bit. Functions that Polars computes in
another way (log10, log2, cbrt, atanh) are composed of such calls here, or absent.
"""

from typing import TYPE_CHECKING

from dsl.polars.expressions import choose
from dsl.signature import Example, Function

if TYPE_CHECKING:
    import polars as pl

LN2, LN10 = 0.6931471805599453, 2.302585092994046


def _logarithm(base: float, unit: float) -> Function:
    name = f"log{base:.0f}"
    word = {2.0: "two", 10.0: "ten"}[base]

    def columns(x: "pl.Expr", unit: "pl.Expr", base: "pl.Expr") -> "pl.Expr":
        quotient = x.log() / unit
        whole = quotient.round(0, mode="half_to_even")
        return choose((base**whole == x, whole), (x > 0.0, quotient))

    return Function(
        signature=f"{name}(x: float) -> float",
        section="mathematics",
        doc=f"Logarithm to base {base:.0f}, exact for powers of {word}; null for zero and below.",
        examples=(
            Example(f"{name}({base**3:.0f})", 3.0),
            Example(f"{name}(1)", 0.0),
            Example(f"{name}(0)", None),
        ),
        row=f"{name}({{x}})",
        columns=columns,
        bind=lambda: {"unit": unit, "base": base},
        full=("unit", "base"),
        may_be_non_finite=True,
        repeats=True,
    )


def _atan2(y: "pl.Expr", x: "pl.Expr") -> "pl.Expr":
    import polars as pl

    return pl.arctan2(y, x)


def _curve(
    name: str, doc: str, polars_name: str, *examples: Example, low: float = 0, high: float = 0
) -> Function:
    """A function of the C library, finite everywhere, or where x is from low to high."""
    is_limited = low < high
    return Function(
        signature=f"{name}(x: float) -> float",
        section="mathematics",
        doc=doc,
        examples=examples,
        row=f"({name}({{x}}) if {low!r} <= {{x}} <= {high!r} else NOT_A_NUMBER)"
        if is_limited
        else f"{name}({{x}})",
        columns=lambda x: getattr(x, polars_name)(),
        may_be_non_finite=is_limited,
    )


MATHEMATICS = (
    Function(
        signature="sqrt(x: float) -> float",
        section="mathematics",
        doc="Square root; null below zero.",
        examples=(Example("sqrt(9)", 3.0), Example("sqrt(-1)", None)),
        row="(sqrt({x}) if {x} >= 0.0 else NOT_A_NUMBER)",
        columns=lambda x: x.sqrt(),
        may_be_non_finite=True,
    ),
    Function(
        signature="exp(x: float) -> float",
        section="mathematics",
        doc="e to the power x; null where that is too large for a float (x above 709.78).",
        examples=(Example("exp(0)", 1.0), Example("exp(1)", 2.718281828459045), Example("exp(1000)", None)),
        row="(exp({x}) if {x} <= 709.782712893384 else NOT_A_NUMBER)",
        columns=lambda x: x.exp(),
        may_be_non_finite=True,
    ),
    Function(
        signature="log(x: float) -> float",
        section="mathematics",
        doc="Natural logarithm; null for zero and below.",
        examples=(Example("log(1)", 0.0), Example("log(0)", None), Example("log(-1)", None)),
        row="(log({x}) if {x} > 0.0 else NOT_A_NUMBER)",
        columns=lambda x: x.log(),
        may_be_non_finite=True,
    ),
    Function(
        signature="log1p(x: float) -> float",
        section="mathematics",
        doc="Natural logarithm of 1 + x, exact also near zero; null for -1 and below.",
        examples=(Example("log1p(0)", 0.0), Example("log1p(1e-20)", 1e-20), Example("log1p(-1)", None)),
        row="(log1p({x}) if {x} > -1.0 else NOT_A_NUMBER)",
        columns=lambda x: x.log1p(),
        may_be_non_finite=True,
    ),
    _logarithm(2.0, LN2),
    _logarithm(10.0, LN10),
    _curve(
        "sin",
        "Sine of an angle in radians.",
        "sin",
        Example("sin(0)", 0.0),
        Example("sin(1)", 0.8414709848078965),
    ),
    _curve(
        "cos",
        "Cosine of an angle in radians.",
        "cos",
        Example("cos(0)", 1.0),
        Example("cos(row.x)", None, {"x": None}),
    ),
    _curve(
        "tan",
        "Tangent of an angle in radians.",
        "tan",
        Example("tan(0)", 0.0),
        Example("tan(1)", 1.5574077246549023),
    ),
    _curve(
        "asin",
        "Angle in radians, -pi/2 to pi/2, whose sine is x; null beyond 1.",
        "arcsin",
        Example("asin(1)", 1.5707963267948966),
        Example("asin(1.5)", None),
        low=-1.0,
        high=1.0,
    ),
    _curve(
        "acos",
        "Angle in radians, 0 to pi, whose cosine is x; null beyond 1.",
        "arccos",
        Example("acos(1)", 0.0),
        Example("acos(-2)", None),
        low=-1.0,
        high=1.0,
    ),
    _curve(
        "atan",
        "Angle in radians, -pi/2 to pi/2, whose tangent is x.",
        "arctan",
        Example("atan(0)", 0.0),
        Example("atan(1)", 0.7853981633974483),
    ),
    Function(
        signature="atan2(y: float, x: float) -> float",
        section="mathematics",
        doc="Angle in radians, -pi to pi, of the point (x, y) seen from the origin, counted from the x axis.",
        examples=(Example("atan2(1, 1)", 0.7853981633974483), Example("atan2(0, -1)", 3.141592653589793)),
        row="atan2({y}, {x})",
        columns=_atan2,
        full=("y", "x"),
    ),
    _curve(
        "sinh",
        "Hyperbolic sine; null where that is too large for a float (x beyond 710.47).",
        "sinh",
        Example("sinh(0)", 0.0),
        Example("sinh(1000)", None),
        low=-710.4758600739439,
        high=710.4758600739439,
    ),
    _curve(
        "cosh",
        "Hyperbolic cosine; null where that is too large for a float (x beyond 710.47).",
        "cosh",
        Example("cosh(0)", 1.0),
        Example("cosh(-1000)", None),
        low=-710.4758600739439,
        high=710.4758600739439,
    ),
    _curve(
        "tanh",
        "Hyperbolic tangent, from -1 to 1.",
        "tanh",
        Example("tanh(0)", 0.0),
        Example("tanh(1000)", 1.0),
    ),
    Function(
        signature="radians(degrees: float) -> float",
        section="mathematics",
        doc="An angle in degrees as radians.",
        examples=(
            Example("radians(180)", 3.141592653589793),
            Example("radians(row.x)", None, {"x": None}),
        ),
        definition="degrees * 0.017453292519943295",
    ),
    Function(
        signature="degrees(radians: float) -> float",
        section="mathematics",
        doc="An angle in radians as degrees.",
        examples=(Example("degrees(3.141592653589793)", 180.0), Example("degrees(0)", 0.0)),
        definition="radians * 57.29577951308232",
    ),
    Function(
        signature="hypot(x: float, y: float) -> float",
        section="mathematics",
        doc="Length of the vector (x, y); null where a square is too large for a float.",
        examples=(Example("hypot(3, 4)", 5.0), Example("hypot(1e200, 0)", None)),
        definition="sqrt(x * x + y * y)",
    ),
    Function(
        signature="sigmoid(x: float) -> float",
        section="mathematics",
        doc="1 / (1 + exp(-x)), which takes any number to one from 0 to 1; never overflows.",
        examples=(Example("sigmoid(0)", 0.5), Example("sigmoid(-1000)", 0.0), Example("sigmoid(1000)", 1.0)),
        definition="(1.0 if x >= 0.0 else exp(-abs(x))) / (1.0 + exp(-abs(x)))",
    ),
    Function(
        signature="logit(p: float) -> float",
        section="mathematics",
        doc="log(p / (1 - p)), which sigmoid takes back; null outside 0 to 1 and at both ends.",
        examples=(Example("logit(0.5)", 0.0), Example("logit(1)", None), Example("logit(0)", None)),
        definition="log(p / (1.0 - p))",
    ),
)
