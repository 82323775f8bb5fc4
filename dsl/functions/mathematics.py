"""Roots, powers and logarithms."""

from dsl.signature import Example, Function

MATHEMATICS = (
    Function(
        signature="sqrt(x: float) -> float",
        section="numbers",
        doc="Square root; null below zero.",
        examples=(Example("sqrt(9)", 3.0), Example("sqrt(-1)", None)),
        row="(sqrt({x}) if {x} >= 0.0 else NOT_A_NUMBER)",
        columns=lambda x: x.sqrt(),
        unsettled=True,
    ),
    Function(
        signature="exp(x: float) -> float",
        section="numbers",
        doc="e to the power x; null where that is too large for a float (x above 709.78).",
        examples=(Example("exp(0)", 1.0), Example("exp(1)", 2.718281828459045), Example("exp(1000)", None)),
        row="(exp({x}) if {x} <= 709.782712893384 else NOT_A_NUMBER)",
        columns=lambda x: x.exp(),
        unsettled=True,
    ),
    Function(
        signature="log(x: float) -> float",
        section="numbers",
        doc="Natural logarithm; null for zero and below.",
        examples=(Example("log(1)", 0.0), Example("log(0)", None), Example("log(-1)", None)),
        row="(log({x}) if {x} > 0.0 else NOT_A_NUMBER)",
        columns=lambda x: x.log(),
        unsettled=True,
    ),
    Function(
        signature="log1p(x: float) -> float",
        section="numbers",
        doc="Natural logarithm of 1 + x, exact also near zero; null for -1 and below.",
        examples=(Example("log1p(0)", 0.0), Example("log1p(1e-20)", 1e-20), Example("log1p(-1)", None)),
        row="(log1p({x}) if {x} > -1.0 else NOT_A_NUMBER)",
        columns=lambda x: x.log1p(),
        unsettled=True,
    ),
)
