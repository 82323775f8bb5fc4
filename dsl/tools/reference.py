"""Writes the reference page of functions: `python -m dsl.tools.reference > docs/reference/functions.md`."""

import sys
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from dsl.functions import TABLE
from dsl.signature import Example, Function

SECTIONS = {
    "operators": "Operators",
    "numbers": "Numbers",
    "mathematics": "Mathematics",
    "nulls": "Missing values",
    "text": "Text",
    "time": "Time",
    "lists": "Lists",
    "geography": "Geography",
    "categories": "Categories and buckets",
    "fitted": "Fitted functions",
}
SECTION_INTRODUCTIONS = {
    "text": r"""A pattern (of `matches` and `extract`) is a literal in a part of the usual regular-expression syntax:

* characters, `.` (any but a line feed), sets `[a-z_]` and `[^a-z]`, `\d \w \s` and `\D \W \S` (ASCII), `\t \n \r`, and
  a backslash before any punctuation;
* `^` at the very beginning, `$` at the very end (the end of the text, not of a line);
* alternatives `a|b`, brackets `(?:…)`, and one pair of plain brackets, which mark what `extract` gives;
* repeats `* + ? {m} {m,} {m,n}`, as often as possible, counts up to 100.

Upper and lower case differ. Of several matches the leftmost counts, of several alternatives the first that fits.
A pattern has at most 200 characters, and 1,000 with its counts written out (of sets at most 10,000 ranges in all). What
it costs grows with that size and with the length of the text, and no faster.
""",
    "time": """Clock and calendar are those of `zone`, for instants from 1970 to 2099 UTC, else null; see
[language.md](language.md).

A format (of `format_time` and `parse_time`) is a literal of printable ASCII with `%Y` (year, 4 digits),
`%m %d %H %M %S` (2 digits each), `%f` (microseconds, 6 digits) and `%%` (a percent sign).
""",
    "geography": """Latitudes are degrees north, -90 to 90, longitudes degrees east, -180 to 180; latitude comes first.
""",
    "fitted": """What is learned depends on the training values alone, not on their order or partitions.

Quantiles interpolate between neighbouring values, as NumPy's do. They are exact up to 8,192 different values. Beyond,
values are counted in groups of neighbours, at most 8,192 groups, and a quantile is off by at most the width of a group:
less than 1/256 of the value itself where all values have one sign and the largest is up to 65,536 times the smallest.
""",
}
INTRODUCTION = """# Functions of the feature language

Generated from the function table by `python -m dsl.tools.reference`; do not edit.
What types, null, overflow and time zones mean everywhere is in [language.md](language.md).

In signatures `number` is int or float, `ordered` is int, float, str or timestamp, `value` is any type but a list,
`anything` any type; each stands for one type in a call, and an int given beside a float becomes a float.
`constant[…]` and `zone` must be literals.
Unless said otherwise a function is null when an argument is null.
"""


def page() -> str:
    """The whole page, Markdown."""
    parts = [INTRODUCTION]
    for section, title in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        if section in SECTION_INTRODUCTIONS:
            parts.append(SECTION_INTRODUCTIONS[section])
        rows = [function for function in TABLE if function.section == section]
        for _, same in groupby(rows, key=lambda function: function.name):
            parts.append(_entry(list(same)))
    return "\n".join(parts)


def _entry(rows: list[Function]) -> str:
    lines = [f"### `{rows[0].name}`\n"]
    for row in rows:
        lines.append(f"`{_form(row)}`\\\n{row.doc}")
        if row.definition and not row.fit and "_local" not in row.definition:
            lines.append(f"Means `{row.definition}`.")
        lines.append("")
        lines += [f"* {_example(example)}" for example in row.examples]
        lines.append("")
    return "\n".join(lines)


def _form(row: Function) -> str:
    if not row.is_operator:
        return row.signature
    kinds = [f"{parameter.name}: {parameter.kind}" for parameter in row.parameters]
    written = f"{row.name}({kinds[0]})" if len(kinds) == 1 else f"({kinds[0]}) {row.name} ({kinds[1]})"
    return f"{written} -> {row.returns}"


def _example(example: Example) -> str:
    text = f"`{example.expression}` is `{_value(example.value)}`"
    given = [f"`row.{name}` is `{_value(value)}`" for name, value in example.row.items()]
    if given:
        text += f" where {_listed(given)}"
    if example.training:
        values = [_value(value) for row in example.training for value in row.values()]
        text += f", learned from `{', '.join(values)}`"
    if example.targets:
        text += f" with the labels `{', '.join(map(_value, example.targets))}`"
    return text


def _value(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(_value, value))}]"
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return repr(value)


def _listed(parts: Iterable[str]) -> str:
    return " and ".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
