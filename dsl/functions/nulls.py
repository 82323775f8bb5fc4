"""Functions of missing values."""

from dsl.signature import Example, Function

NULLS = (
    Function(
        signature="is_null(x: anything) -> bool",
        section="nulls",
        doc="Whether the value is missing; never null itself.",
        examples=(
            Example("is_null(row.x)", True, {"x": None}),
            Example("is_null(row.x / 0)", True, {"x": 1.0}),
            Example("is_null(row.x)", False, {"x": 0}),
        ),
        row="({x} is None)",
        columns=lambda x: x.is_null(),
        handles_null=True,
    ),
    Function(
        signature="coalesce(first: anything, *others: anything) -> anything",
        section="nulls",
        doc="The first value that is not null; null when all are.",
        examples=(Example("coalesce(row.x, 0)", 0, {"x": None}), Example("coalesce(row.x, 0)", 4, {"x": 4})),
        definition="first if not is_null(first) else others",
        handles_null=True,
    ),
    Function(
        signature="null_if(x: value, y: value) -> value",
        section="nulls",
        doc="Null where x equals y, else x.",
        examples=(
            Example("null_if(row.x, -999)", None, {"x": -999}),
            Example("null_if(row.x, -999)", 3, {"x": 3}),
        ),
        definition="None if x == y else x",
        handles_null=True,
    ),
)
